"""Every artifact of the record: what can be done with it, and the sentence where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from p2re_eval.cli import main
from p2re_eval.errors import NoSuchRecord, NotAllowed, UsageError
from p2re_eval.online import Online
from p2re_eval.online.assigning import Desk
from p2re_eval.records import (
    Completion,
    Evaluation,
    Experiment,
    Message,
    Result,
    Score,
    Session,
    Trace,
    Variant,
)
from p2re_eval.service import Service
from p2re_eval.service.evaluations import Feedback
from p2re_eval.store.evaluation_queries import EvaluationFilter

E1 = Experiment(experiment_id="e1" * 16, name="nightly", started_ns=1)
CALM = "4f6e65"  # how the version of "One" begins


class Record:
    """A database with one of everything, and what is done with it."""

    def __init__(self, service: Service, runs: Any) -> None:
        self.service = service
        self.online = Online(service.store, prompts=service.prompts)
        self.trace: Trace = runs.record(
            "billing", session_id="chat-42", cost_usd=0.5, experiment_id=E1.experiment_id
        )
        self.version = service.prompts.save(runs.template("One"))
        service.prompts.label("route", "production", CALM)
        self.said = service.evaluations.annotate(
            Feedback(trace_id=self.trace.trace_id, annotator="ann", passed=True)
        )
        service.experiments.create(E1)
        result = Result(
            experiment_id=E1.experiment_id, item="i", suite="suites/a.yaml", prompt="route",
            prompt_version="a" * 64, model="openai/gpt-5-mini", case_id="c", outcome="passed",
            trace_id=self.trace.trace_id,
        )  # fmt: skip
        service.store.save_result(result, []).result()
        service.experiments.create(E1.model_copy(update={"status": "COMPLETE", "ended_ns": 2}))
        variants = [Variant(name="old"), Variant(name="new")]
        self.online.start("tone", variants, outcome="solved")
        desk = Desk(service.store.path)
        desk.assign("tone", "ann")
        desk.close()
        service.store.index_everything()


@pytest.fixture
def record(service: Service, runs: Any) -> Record:
    return Record(service, runs)


def judged(record: Record, value: float) -> Evaluation:
    return record.service.evaluations.create(
        Evaluation(
            evaluation_id="j1", trace_id=record.trace.trace_id, name="polite", scorer="p",
            scorer_version="1", score=Score(value=value), created_ns=1,
        )
    )  # fmt: skip


Step = Callable[[Record], object]
CAN: list[tuple[str, str, Step, object]] = [
    ("trace", "create", lambda r: r.service.traces.record(r.trace), None),
    ("trace", "read", lambda r: r.service.traces.get(r.trace.trace_id).trace, ...),
    ("trace", "list", lambda r: len(r.service.traces.list().items), 1),
    ("trace", "search", lambda r: len(r.service.traces.search("billing").items), 1),
    ("trace", "update", lambda r: r.service.traces.tag(r.trace.trace_id, add=["vip"]), ("vip",)),
    ("trace", "delete", lambda r: r.service.traces.delete([r.trace.trace_id]), 1),
    ("prompt", "read", lambda r: _asked(r), "I was charged twice."),
    ("prompt", "search", lambda r: len(r.service.traces.search('text ~ "charged"').items), 1),
    ("response", "list", lambda r: [x.cost_usd for x in r.service.traces.responses().items], [0.5]),
    ("response", "read", lambda r: r.service.traces.responses(r.trace.trace_id).items[0].model,
     "openai/gpt-5-mini"),
    ("response", "search", lambda r: len(r.service.traces.search("billing").items), 1),
    ("metric", "read", lambda r: r.service.traces.responses().items[0].metrics, {}),
    ("metric", "list", lambda r: r.service.statistics.report().total.cost_usd, 0.5),
    ("evaluation", "create", lambda r: judged(r, 0.5).evaluation_id, "j1"),
    ("evaluation", "read", lambda r: r.service.evaluations.get(r.said.evaluation_id).kind, "HUMAN"),
    ("evaluation", "list", lambda r: len(r.service.evaluations.list().items), 1),
    ("evaluation", "search", lambda r: len(r.service.evaluations.list(
        EvaluationFilter(identifier="ann")).items), 1),
    ("evaluation", "update", lambda r: (judged(r, 0.5), judged(r, 0.75).score)[1],
     Score(value=0.75)),
    ("evaluation", "delete", lambda r: r.service.delete(f"evaluation:{r.said.evaluation_id}").kind,
     "evaluation"),
    ("template", "list", lambda r: [x.name for x in r.service.prompts.list().items], ["route"]),
    ("template", "search", lambda r: len(r.service.prompts.list(text="OUT").items), 1),
    ("version", "create", lambda r: r.service.prompts.save(
        r.service.prompts.get("route").template).version[:6], CALM),
    ("version", "read", lambda r: r.service.prompts.get("route", CALM).row.labels, ("production",)),
    ("version", "list", lambda r: len(r.service.prompts.versions("route").items), 1),
    ("label", "create", lambda r: r.service.prompts.label("route", "live", CALM).labels,
     ("live", "production")),
    ("label", "read", lambda r: r.service.prompts.get("route", "production").row.version[:6], CALM),
    ("label", "list", lambda r: list(r.service.prompts.list().items[0].labels), ["production"]),
    ("label", "update", lambda r: r.service.prompts.label("route", "production", CALM).labels,
     ("production",)),
    ("label", "delete", lambda r: r.service.prompts.unlabel("route", "production"), None),
    ("experiment", "create", lambda r: r.service.experiments.create(
        E1.model_copy(update={"experiment_id": "e2"})).experiment.status, "RUNNING"),
    ("experiment", "read", lambda r: r.service.experiments.get("e1").outcomes, {"passed": 1}),
    ("experiment", "list", lambda r: len(r.service.experiments.list().items), 1),
    ("experiment", "search", lambda r: len(r.service.experiments.list(text="NIGHT").items), 1),
    ("experiment", "update", lambda r: r.online.stop("tone").status, "STOPPED"),
    ("experiment", "delete", lambda r: r.service.delete("experiment:e1").id, "e1"),
    ("assignment", "create", lambda r: _assigned(r, "ben"), True),
    ("assignment", "read", lambda r: r.service.experiments.get("e1").assignments[0].suite,
     "suites/a.yaml"),
    ("assignment", "list", lambda r: [x.unit for x in r.online.units("tone").items], ["ann"]),
    ("session", "create", lambda r: r.service.sessions.save(
        Session(session_id="new", started_ns=1)), None),
    ("session", "read", lambda r: r.service.sessions.get("chat-42").totals.traces, 1),
    ("session", "list", lambda r: len(r.service.sessions.list().items), 1),
    ("session", "search", lambda r: len(r.service.sessions.list(text="HAT-4").items), 1),
    ("session", "update", lambda r: r.service.sessions.save(
        Session(session_id="chat-42", started_ns=1, name="Refund")), None),
    ("session", "delete", lambda r: r.service.delete("session:chat-42").id, "chat-42"),
]  # fmt: skip
CANNOT: list[tuple[str, str, Step, type[Exception], str]] = [
    ("version", "delete", lambda r: r.service.delete("prompt:route@production"), NotAllowed,
     "stays: runs were made with it; take its labels away, delete the runs, or change the file"),
    ("template", "delete", lambda r: r.service.delete("prompt:route"), NotAllowed,
     "stays: runs were made with it"),
    ("label", "create", lambda r: r.service.prompts.label("route", "v3", CALM), UsageError,
     "cannot be a label"),
    ("experiment", "update", lambda r: r.service.experiments.create(E1), NotAllowed,
     "has ended, and what was found stays as it is; run the suites again"),
    ("experiment", "delete", lambda r: _running_deleted(r), NotAllowed, "is still running; stop"),
    ("assignment", "update", lambda r: r.online.start("tone", [Variant(name="a"),
     Variant(name="b")], outcome="o"), UsageError, "its variants cannot change while people have"),
    ("trace", "read", lambda r: r.service.traces.get("ff"), NoSuchRecord, "'ff'"),
    ("response", "read", lambda r: r.service.traces.responses("ff"), NoSuchRecord, "'ff'"),
    ("session", "delete", lambda r: r.service.delete("session:x"), NoSuchRecord, "no session 'x'"),
    ("evaluation", "delete", lambda r: r.service.delete("evaluation:ff"), NoSuchRecord, "'ff'"),
]  # fmt: skip


def _asked(record: Record) -> str:
    return record.service.traces.get(record.trace.trace_id).trace.prompt.messages[0].text


def _assigned(record: Record, unit: str) -> bool:
    desk = Desk(record.service.store.path)
    try:
        return desk.assign("tone", unit).counts
    finally:
        desk.close()


def _running_deleted(record: Record) -> None:
    record.service.experiments.create(E1.model_copy(update={"experiment_id": "e2"}))
    record.service.delete("experiment:e2")


@pytest.mark.parametrize(
    ("artifact", "action", "step", "wanted"), CAN, ids=[f"{one[0]}-{one[1]}" for one in CAN]
)
def test_what_can_be_done(
    record: Record, artifact: str, action: str, step: Step, wanted: object
) -> None:
    found = step(record)
    assert wanted is ... or found == wanted


@pytest.mark.parametrize(
    ("artifact", "action", "step", "error", "sentence"),
    CANNOT,
    ids=[f"{one[0]}-{one[1]}" for one in CANNOT],
)
def test_what_cannot_be_done_says_why(
    record: Record,
    artifact: str,
    action: str,
    step: Step,
    error: type[Exception],
    sentence: str,
) -> None:
    with pytest.raises(error, match=sentence):
        step(record)


def test_traces_outlive_their_session_and_their_experiment(record: Record) -> None:
    """What was judged in the experiment goes with it, and charts follow."""
    judgement = Evaluation(
        evaluation_id="in-e1", trace_id=record.trace.trace_id, name="equals", scorer="equals",
        scorer_version="1", score=Score(passed=True), experiment_id=E1.experiment_id, created_ns=1,
    )  # fmt: skip
    record.service.evaluations.create(judgement)
    record.service.store.index_everything()
    names = [one.name for one in record.service.statistics.report().scores]
    assert sorted(names) == ["equals", "feedback"]
    record.service.delete("session:chat-42")
    record.service.delete(f"experiment:{E1.experiment_id}")
    row = record.service.traces.list().items[0]
    assert (row.session_id, row.experiment_id) == (None, None)
    assert record.service.sessions.list().items == record.service.experiments.list().items == ()
    assert [one.name for one in record.service.statistics.report().scores] == ["feedback"]
    assert record.service.traces.get(row.trace_id).trace.completion == Completion.model_validate(
        record.trace.completion
    )
    assert isinstance(record.trace.prompt.messages[0], Message)


@pytest.mark.parametrize(
    ("address", "code", "told"),
    [
        ("session:chat-42", 0, "deleted: session:chat-42"),
        ("experiment:e1e1", 0, "deleted: experiment:e1e1"),
        ("prompt:route", 2, "stays: runs were made with it"),
        ("session:none", 2, "no session 'none'"),
        ("nonsense", 2, "'nonsense' is no address"),
    ],
)
def test_the_command_line_deletes_by_address(
    record: Record, address: str, code: int, told: str
) -> None:
    path: Path = record.service.store.path
    done = CliRunner().invoke(main, ["delete", address, "--yes", "--db", str(path)])
    assert done.exit_code == code
    assert told in done.output


def test_the_command_line_lists_units_and_finds_sessions(record: Record) -> None:
    more = ["--db", str(record.service.store.path)]
    units = CliRunner().invoke(main, ["experiments", "units", "tone", *more]).output
    assert units.split("\t")[0] == "ann"
    for text, told in (("Chat", "chat-42"), ("xyz", "no sessions")):
        found = CliRunner().invoke(main, ["sessions", "list", "--text", text, *more])
        assert told in found.output
