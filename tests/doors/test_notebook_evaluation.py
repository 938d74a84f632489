"""`evaluate` and its kind, as a Python program or a notebook's cell calls them."""

from __future__ import annotations

import asyncio
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2re_eval.errors import DefinitionErrors, ProviderError, UsageError
from p2re_eval.notebook import StoredExperiment, Workbench, evaluate, experiment, start_evaluation
from p2re_eval.records import Case, Suite
from p2re_eval.scorers import contains, equals
from p2re_eval.store import open_store
from p2re_eval.suites.load import load_suite

PROMPT = """\
model:
  provider: scripted
  name: router
  extra: {answers: {charged: billing, login: account, ".*": I do not know}}
inputs:
  ticket: {type: string}
messages:
  - system: Route the ticket.
  - user: "{{ ticket }}"
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/route.yaml").write_text(PROMPT)
    made = Workbench(tmp_path, db=tmp_path / "runs.db")
    yield made
    made.close()


CASES = [
    {"id": "twice", "inputs": {"ticket": "I was charged twice"}, "expected": "billing"},
    {"id": "locked", "inputs": {"ticket": "My login is locked"}, "expected": "account"},
    {"id": "odd", "inputs": {"ticket": "Hello?"}, "expected": "billing"},
]


def test_run_gives_the_answer_and_records_the_trace(bench: Workbench) -> None:
    """The text is what prints; the trace is on disk when the call returns."""
    answer = bench.run("route", ticket="I was charged twice")
    assert str(answer) == "billing"
    with open_store(bench.harness.settings.db_path, read_only=True) as store:
        assert store.read_trace(answer.trace.trace_id).completion.text == "billing"


def test_run_of_a_broken_provider_raises_what_it_said(bench: Workbench) -> None:
    """As a call of the provider would."""
    model = {"provider": "scripted", "name": "x", "extra": {"answers": {"never": "x"}}}
    with pytest.raises(ProviderError, match=r"scripted/x gave no answer"):
        bench.run("route", model=model, ticket="hm")


def test_evaluate_waits_and_gives_a_stored_experiment(bench: Workbench) -> None:
    """Outcomes, failures and the record; the database has the same."""
    experiment = evaluate("route", CASES, ["equals"], name="tickets", at=bench)
    assert [r.outcome for r in experiment.results] == ["passed", "passed", "failed"]
    assert [r.case_id for r in experiment.failures()] == ["odd"]
    assert experiment.record.status == "COMPLETE"
    assert experiment.passed is False
    again = StoredExperiment(bench.store, "latest")
    assert [r.item for r in again.results] == [
        "tickets::route::twice[scripted/router#0]",
        "tickets::route::locked[scripted/router#0]",
        "tickets::route::odd[scripted/router#0]",
    ]
    assert "FAILED" in repr(experiment)


def test_evaluate_takes_plain_inputs_cases_and_python_scorers(bench: Workbench) -> None:
    """Inputs alone are a case; a function is a scorer; ~ is the opposite."""

    def short(completion, case, *, most: int = 20):
        """Not too long."""
        return len(completion.text) <= most

    experiment = evaluate(
        "route",
        [{"ticket": "charged"}, Case(id="mine", inputs={"ticket": "login"})],
        [short, ~contains("sorry"), {"contains": {"any": ["billing", "account"]}}],
        at=bench,
    )
    names = [[e.name for e in result.evaluations] for result in experiment.results]
    assert names == [["not-contains", "contains", "short"]] * 2
    assert [r.outcome for r in experiment.results] == ["passed", "passed"]


def test_every_mistake_is_found_before_any_model_is_called(bench: Workbench) -> None:
    """All of them, without lines of a text that the user never saw."""
    with pytest.raises(DefinitionErrors) as caught:
        evaluate("route", [{"inputs": {"tickt": "x"}}], ["equal"], at=bench)
    said = str(caught.value)
    assert "unknown input 'tickt'; did you mean 'ticket'?" in said
    assert "unknown scorer 'equal'; did you mean 'equals'?" in said
    assert ".yaml:" not in said
    assert not bench.harness.settings.db_path.exists()


def test_an_evaluation_may_be_awaited_in_a_running_loop(bench: Workbench) -> None:
    """As a notebook's cell does with top-level await."""

    async def cell() -> StoredExperiment:
        return await start_evaluation("route", CASES, [equals()], repeat=2, at=bench)

    experiment = asyncio.run(cell())
    assert len(experiment.results) == 6
    assert experiment.record.planned == 6


def test_a_cancelled_evaluation_keeps_what_was_answered(bench: Workbench, tmp_path: Path) -> None:
    """Calls in flight land, none is started, and another evaluation goes on as usual."""
    (tmp_path / "slow_app.py").write_text(
        textwrap.dedent(
            """\
            import time

            def answer(ticket):
                time.sleep(0.05)
                return "billing"
            """
        )
    )
    bench.library.define("plain", "{inputs: {ticket: {}}, prompt: '{{ ticket }}'}")
    cases = [{"ticket": f"number {n}"} for n in range(200)]
    running = start_evaluation("plain", cases, models=["function/slow_app:answer"], at=bench)
    while running.done < 3:
        threading.Event().wait(0.01)
    running.cancel()
    experiment = running.result()
    assert experiment.record.status == "INTERRUPTED"
    assert 3 <= len(experiment.results) < 200
    assert evaluate("route", CASES[:1], ["equals"], at=bench).passed is True


def test_an_experiment_becomes_rows_of_a_frame(bench: Workbench) -> None:
    """A column a scorer; what is unknown is missing, not 0."""
    experiment = evaluate("route", CASES, ["equals"], at=bench)
    frame = experiment.to_pandas()
    assert list(frame["outcome"]) == ["passed", "passed", "failed"]
    assert list(frame["score:equals"]) == [1.0, 1.0, 0.0]
    assert list(frame["cost_usd"]) == [0.0, 0.0, 0.0]
    assert experiment.to_polars()["case_id"].to_list() == ["twice", "locked", "odd"]


def test_an_experiment_becomes_a_suite_file_that_loads(bench: Workbench, tmp_path: Path) -> None:
    """With its scorers and cases; a file that is there is not overwritten by accident."""
    experiment = evaluate(
        "route", CASES, [equals(ignore_case=True), "not-regex: sorry"][:1], at=bench
    )
    path = experiment.to_suite(tmp_path / "suites/tickets.yaml")
    suite = load_suite(path, root=tmp_path)
    assert suite.prompts == ("route",)
    assert [case.id for case in suite.cases] == ["twice", "locked", "odd"]
    assert suite.scorers[0].options == {"ignore_case": True}
    with pytest.raises(UsageError, match=r"tickets\.yaml is there already"):
        experiment.to_suite(path)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_data_frame_becomes_a_suite_file_and_comes_back_the_same(
    bench: Workbench, tmp_path: Path, library: str
) -> None:
    """Frame, suite, experiment, file, suite: inputs, expected, ids and tags are what they were;
    another kernel may write it, and the path begins at the project's folder."""
    frame = pytest.importorskip(library).DataFrame(
        {
            "number": [7, 8],
            "text": ["I was charged\ntwice: 100 %", "null"],
            "team": ["billing", "I do not know"],
            "tags": ["money; angry", None],
        }
    )
    suite = Suite.from_dataframe(
        frame, inputs={"ticket": "text"}, expected="team", id="number", tags="tags"
    )
    made = evaluate("route", suite, ["equals", lambda completion, case: True], at=bench)
    assert [r.outcome for r in made.results] == ["passed", "passed"]
    path = experiment(made.id[:12], at=bench).to_suite("suites/frame.yaml")
    assert path == tmp_path / "suites/frame.yaml"
    assert "# The scorer '<lambda>' was a function of a notebook" in path.read_text()
    back = load_suite(path, root=tmp_path)
    kept = {"id", "inputs", "expected", "tags"}
    assert [case.model_dump(include=kept) for case in back.cases] == [
        case.model_dump(include=kept) for case in suite.cases
    ]
    assert back.cases[0].model_dump(include=kept) == {
        "id": "7",
        "inputs": {"ticket": "I was charged\ntwice: 100 %"},
        "expected": "billing",
        "tags": ("money", "angry"),
    }


def test_a_suite_of_a_file_is_evaluated_with_its_own_scorers(
    bench: Workbench, tmp_path: Path
) -> None:
    """As `pytest --p2re` would; those of the call come on top."""
    cases = "[{inputs: {ticket: charged}, expected: x}]"
    text = f"prompt: route\nscorers: [equals]\ncases: {cases}\n"
    (tmp_path / "tickets.yaml").write_text(text)
    suite = load_suite(tmp_path / "tickets.yaml", root=tmp_path)
    made = evaluate("route", suite, [{"contains": "bill"}], at=bench)
    (result,) = made.results
    assert {one.name: one.score.passed for one in result.evaluations} == {
        "contains": True,
        "equals": False,
    }


def test_html_of_an_experiment_escapes_what_a_model_said(bench: Workbench) -> None:
    """A model's answer is text, whatever it looks like."""
    model = {
        "provider": "scripted",
        "name": "evil",
        "extra": {"answers": {".*": "<script>alert(1)</script>"}},
    }
    experiment = evaluate("route", CASES[:1], ["equals"], models=[model], at=bench)
    html = experiment._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "FAILED" in html


def test_what_is_no_case_is_a_sentence(bench: Workbench) -> None:
    """A data frame, a text, a value that no file can hold."""
    with pytest.raises(UsageError, match=r"a case is a mapping of inputs, not 'hello'.*from_data"):
        evaluate("route", ["hello"], ["equals"], at=bench)  # type: ignore[list-item]
    with pytest.raises(UsageError, match="cannot be written into a suite"):
        evaluate("route", [{"ticket": object()}], ["equals"], at=bench)
