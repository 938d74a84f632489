"""Prompts, sessions, experiments, evaluations, statistics and addresses through the API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from p2re_eval.records import Experiment, GateVerdict, Result
from p2re_eval.store import Mark


@pytest.fixture
def experiments(store: Any, record: Any) -> tuple[str, str]:
    """Two experiments of one case each: it passes, then it fails."""
    found = []
    for number, outcome in enumerate(("passed", "failed")):
        name = f"{number}" * 32
        started = Experiment(
            experiment_id=name, name="nightly", started_ns=number, suites=("suites/a.yaml",)
        )
        store.start_experiment(started)
        trace = record.trace(experiment_id=name)
        evaluation = record.evaluation(trace, passed=outcome == "passed")
        result = Result(
            experiment_id=name,
            item="i",
            suite="suites/a.yaml",
            prompt="route",
            model="m/x",
            case_id="charge",
            outcome=outcome,
            value=float(outcome == "passed"),
            trace_id=trace.trace_id,
            evaluations=(evaluation,),
        )
        store.save_result(result, [evaluation.model_copy(update={"experiment_id": name})]).result()
        store.finish_experiment(started.model_copy(update={"status": "COMPLETE"}))
        found.append(name)
    return found[0], found[1]


def test_prompt_versions_labels_and_diffs(served: Any, record: Any) -> None:
    old = record.version("Hello")
    new = record.version("Hello again")
    names = served.get("/prompts").json["items"]
    assert [(one["name"], one["recorded"]["versions"]) for one in names] == [("route", 2)]
    path = "/api/p2re/prompts/route/labels/production"
    moved = served.ask("PUT", path, json_body={"version": old.version[:12]})
    assert (moved.json["labels"], moved.json["number"]) == (["production"], None)
    assert served.get("/prompts").json["items"][0]["recorded"]["labels"] == {
        "production": old.version
    }
    found = served.get("/prompts/route/versions/production").json
    assert found["template"]["messages"][0]["content"] == "Hello"
    both = served.get(f"/prompts/route/diff?before={old.version}&after={new.version}").json
    assert both["after"]["messages"][0]["content"] == "Hello again"
    assert served.get("/prompts/route/labels").json["moves"][0]["version"] == old.version
    gone = served.ask("DELETE", "/api/p2re/prompts/route/labels/production")
    assert gone.status == 204
    assert served.get("/prompts/route/versions/production").status == 404


def test_versions_carry_what_they_came_to(served: Any, record: Any) -> None:
    old, new = record.version("Hello"), record.version("Hello again")
    for passed in (True, False):
        trace = record.trace(prompt={"version": old.version})
        record.evaluation(trace, passed=passed)
    record.trace(None, prompt={"version": old.version}, source="replay")
    second, first = served.get("/prompts/route/versions").json["items"]
    assert (second["version"], second["used"], second["checks_passed"]) == (new.version, None, None)
    used = first["used"]
    assert (used["traces"], used["errors"], used["priced"], used["cost_usd"]) == (3, 1, 2, 0.002)
    assert used["p50_ns"] == pytest.approx(250_000_000, rel=0.02)
    assert first["checks_passed"] == 0.5
    assert [(one["name"], one["passed"], one["failed"]) for one in first["scores"]] == [
        ("equals", 1, 1)
    ]


def test_a_label_that_reads_like_a_version_is_refused(served: Any, record: Any) -> None:
    record.version("Hello")
    answer = served.ask("PUT", "/api/p2re/prompts/route/labels/v7", json_body={"version": "v1"})
    assert answer.status == 422
    assert "cannot be a label" in answer.json["detail"]


def test_a_session_shows_each_message_once(served: Any, record: Any) -> None:
    record.trace("billing", session_id="chat-1")
    record.trace("account", session_id="chat-1", asked="And my password?")
    session = served.get("/sessions").json["items"][0]
    assert (session["session_id"], session["traces"], session["cost_usd"]) == ("chat-1", 2, 0.002)
    turns = served.get("/sessions/chat-1/turns").json["items"]
    assert [one["content"] for turn in turns for one in turn["messages"]] == [
        "Route the ticket.",
        "I was charged twice.",
        "And my password?",
    ]
    assert served.get("/sessions/chat-1").json["totals"]["traces"] == 2


def test_experiments_with_results_and_their_comparison(
    served: Any, experiments: tuple[str, str]
) -> None:
    before, after = experiments
    newest = served.get("/experiments").json["items"]
    assert [one["experiment_id"] for one in newest] == [after, before]
    assert served.get("/experiments/latest").json["outcomes"] == {"failed": 1}
    results = served.get(f"/experiments/{before}/results").json["items"]
    assert [one["evaluations"][0]["name"] for one in results] == ["equals"]
    compared = served.get(f"/experiments/{before}/compare/{after}").json
    assert (compared["cases"], compared["broke"], compared["fixed"]) == (1, 1, 0)
    assert compared["flips"][0]["case_id"] == "charge"


def test_feedback_replaces_itself_and_keeps_its_history(served: Any, record: Any) -> None:
    trace_id = record.trace().trace_id
    said = {"trace_id": trace_id, "annotator": "mira", "passed": True}
    first = served.post("/evaluations/feedback", said)
    assert first.status == 201
    served.post("/evaluations/feedback", {**said, "passed": False, "note": "No."})
    now = served.get(f"/evaluations?trace_id={trace_id}").json["items"]
    assert [(one["identifier"], one["score"]["passed"]) for one in now] == [("mira", False)]
    before = served.get(f"/evaluations/history/{trace_id}").json["items"]
    assert [one["passed"] for one in before] == [True]


@pytest.mark.parametrize("said", [{}, {"note": "x", "annotator": " "}, {"value": 1e400}])
def test_feedback_that_says_nothing_is_refused(served: Any, record: Any, said: Any) -> None:
    body = {"trace_id": record.trace().trace_id, **said}
    assert served.post("/evaluations/feedback", body).status == 422
    assert served.get("/evaluations").json["items"] == []


def test_judges_are_held_against_people(served: Any, record: Any) -> None:
    for good in (True, True, False):
        trace_id = record.trace().trace_id
        said = {"trace_id": trace_id, "name": "polite", "kind": "LLM", "scorer": "llm_judge"}
        served.post("/evaluations", {**said, "value": 0.8, "explanation": "fine"})
        served.post("/evaluations/feedback", {"trace_id": trace_id, "passed": good})
    (found,) = served.get("/evaluations/agreement/judges").json["judges"]
    assert (found["name"], found["scorer"], found["people"]) == ("polite", "llm_judge", "feedback")
    assert found["figures"]["agreement"]["n"] == 3
    assert found["figures"]["kappa"] == 0.0
    assert found["confusion"] == {"both_pass": 2, "both_fail": 0, "only_judge": 1, "only_people": 0}
    (odd,) = found["disagreements"]
    assert (odd["trace_id"], odd["judge_why"], odd["people"]) == (trace_id, "fine", ["me"])
    (stricter,) = served.get("/evaluations/agreement/judges?threshold=0.9").json["judges"]
    assert stricter["confusion"]["only_people"] == 2


def test_evaluations_made_elsewhere_are_recorded(served: Any, record: Any) -> None:
    trace_id = record.trace().trace_id
    body = {"trace_id": trace_id, "name": "bleu", "value": 0.5, "passed": True}
    made = served.post("/evaluations", body).json
    found = served.get(f"/evaluations/{made['evaluation_id']}").json
    assert (found["trace_id"], found["score"]["value"]) == (trace_id, 0.5)
    assert served.ask("DELETE", f"/api/p2re/evaluations/{made['evaluation_id']}").status == 204
    assert served.get(f"/evaluations/{made['evaluation_id']}").status == 404


def test_agreement_of_two_people(served: Any, record: Any) -> None:
    for number in range(4):
        trace_id = record.trace().trace_id
        for who, passed in (("jonas", True), ("mira", number != 0)):
            body = {"trace_id": trace_id, "annotator": who, "passed": passed}
            served.post("/evaluations/feedback", body)
    (pair,) = served.get("/evaluations/agreement?name=feedback").json["pairs"]
    assert (pair["traces"], pair["agreed"], pair["share"]) == (4, 3, 0.75)
    assert pair["kappa"] == 0


def test_statistics_say_what_is_unknown(served: Any, record: Any) -> None:
    record.trace()
    record.trace(None)
    report = served.get("/stats?by=model").json
    (row,) = report["rows"]
    assert row["key"] == {"model": "openai/gpt-5-mini"}
    assert (row["traces"], row["errors"], row["priced"], row["cost_usd"]) == (2, 1, 1, 0.001)
    assert served.get("/stats?by=colour").status == 422


def test_the_standing_of_every_target(served: Any, record: Any) -> None:
    """How far behind each is and what failed, without asking it."""
    assert served.get("/sync").json == {"items": []}
    record.trace()
    failed = Mark(kind="trace", local_id="f" * 32, status="FAILED", detail={"why": "no"})
    served.store.sync_ledger("otlp http://127.0.0.1:4318").save(marks=[failed]).result()
    (one,) = served.get("/sync").json["items"]
    assert (one["target"], one["runs_behind"], one["failed"]) == (
        "otlp http://127.0.0.1:4318",
        1,
        1,
    )
    assert one["failures"] == ["trace ffffffffffffffffff: no"]


def test_any_address_opens_with_what_belongs_to_it(served: Any, record: Any) -> None:
    template = record.version("Hello")
    prompt = {"version": template.version}
    trace = record.trace(session_id="chat-1", prompt=prompt)
    evaluation = record.evaluation(trace)
    opened = served.get(f"/artifacts/trace:{trace.trace_id[-32:]}").json
    assert opened["address"] == f"trace:{trace.trace_id}"
    assert opened["links"] == [
        f"prompt:route@{template.version}",
        "session:chat-1",
        f"evaluation:{evaluation.evaluation_id}",
    ]
    for link in opened["links"]:
        assert served.get(f"/artifacts/{link}").json["address"] == link
    for address in (f"prompt:route@{template.version}", "session:chat-1"):
        assert served.get(f"/artifacts/{address}").json["links"] == [f"trace:{trace.trace_id}"]
    wrong = served.get("/artifacts/trail:1")
    assert (wrong.status, "did you mean 'trace'" in wrong.json["detail"]) == (422, True)


def test_an_experiment_leads_to_its_baseline_and_traces(
    served: Any, store: Any, experiments: tuple[str, str]
) -> None:
    before, after = experiments
    recorded = store.read_experiment(after)
    store.finish_experiment(recorded.model_copy(update={"settings": {"baseline": before}}))
    (trace,) = served.get(f"/traces?experiment={after}").json["items"]
    assert served.get(f"/artifacts/experiment:{after}").json["links"] == [
        f"experiment:{before}",
        f"trace:{trace['row']['trace_id']}",
    ]


def test_health_names_the_file_and_not_its_place(served: Any, record: Any) -> None:
    record.trace()
    health = served.get("/health").json
    assert (health["status"], health["database"], health["newest"]) == ("ok", "p2re.db", 1)
    assert str(served.store.path.parent) not in served.get("/health").body.decode()


def test_an_ab_experiment_from_start_to_promotion(served: Any, record: Any) -> None:
    version = record.version("Hello").version
    variants = [{"name": "old"}, {"name": "new", "prompt": f"route@{version[:12]}"}]
    body = {"name": "greeting", "variants": variants, "outcome": "solved", "effect": 0.2}
    path = "/experiments/online"
    assert served.post(path, body).status == 201
    assert served.post(path, body).status == 422
    first = served.post(f"{path}/greeting/assign", {"unit": "user-1"}).json
    again = served.post(f"{path}/greeting/assign", {"unit": "user-1"}).json
    assert first["variant"]["name"] == again["variant"]["name"]
    for number in range(20):
        unit = f"user-{number}"
        served.post(f"{path}/greeting/assign", {"unit": unit})
        said = served.post(f"{path}/greeting/outcome", {"unit": unit, "value": number % 2})
        assert said.status == 204
    found = served.get(f"{path}/greeting").json
    assert sum(one["judged"] for one in found["variants"]) == 20
    assert found["variants"][0]["verdict"] is None
    promoted = served.post(f"{path}/greeting/promote", {"winner": "new"}).json
    assert promoted["labels"] == ["production"]
    (ended,) = served.get(path).json["items"]
    assert (ended["status"], ended["winner"]) == ("STOPPED", "new")


@pytest.mark.parametrize(
    "wrong",
    [
        {"variants": [{"name": "a"}]},
        {"variants": [{"name": "a"}, {"name": "a"}]},
        {"variants": [{"name": "a"}, {"name": "b", "weight": 0}]},
        {"effect": 0},
        {"confidence": 1},
    ],
)
def test_an_ab_experiment_that_cannot_compare_is_refused(served: Any, wrong: Any) -> None:
    body = {"name": "x", "variants": [{"name": "a"}, {"name": "b"}], "outcome": "o", **wrong}
    answer = served.post("/experiments/online", body)
    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_gates_are_decided_again(served: Any, experiments: tuple[str, str]) -> None:
    """Without a run: on what is recorded, with gates of one's own."""
    before, after = experiments
    asked = f"/experiments/{after}/gates?gate={quote('pass_rate >= 0.9')}"
    found = served.get(f"{asked}&gate={quote('error_rate <= 0')}").json
    assert (found["taken_from"], found["baseline"]) == ("given", None)
    assert [(one["gate"], one["suite"], one["passed"]) for one in found["verdicts"]] == [
        ("pass_rate >= 0.9", "suites/a.yaml", False),
        ("error_rate <= 0", "suites/a.yaml", True),
    ]
    (alone,) = served.get(f"/experiments/{after}/gates?gate=no_regression").json["verdicts"]
    assert (alone["passed"], "choose a baseline" in alone["explanation"]) == (None, True)
    against = served.get(f"/experiments/{after}/gates?gate=no_regression&baseline={before}").json
    assert against["baseline"]["experiment_id"] == before
    (verdict,) = against["verdicts"]
    assert verdict["judgement"] == "insufficient data"
    mistake = served.get(f"/experiments/{after}/gates?gate=pass_rat")
    assert (mistake.status, "did you mean" in mistake.json["detail"]) == (422, True)


def test_a_baseline_of_a_request_is_never_a_file(served: Any, experiments: tuple[str, str]) -> None:
    for name in ("/etc/passwd", "../x.jsonl"):
        answer = served.get(f"/experiments/{experiments[1]}/gates?baseline={quote(name, safe='')}")
        assert (answer.status, "is an experiment here" in answer.json["detail"]) == (422, True)


def test_the_gates_of_old_and_of_the_suite_files(
    serve: Any, store: Any, experiments: tuple[str, str], tmp_path: Any
) -> None:
    """The suite's gates as they are now go before those of the day it ran."""
    verdict = GateVerdict(
        gate="pass_rate >= 0.5", suite="suites/a.yaml", passed=False, explanation="x"
    )
    recorded = store.read_experiment(experiments[1])
    store.finish_experiment(recorded.model_copy(update={"verdicts": (verdict,)}))
    path = f"/experiments/{experiments[1]}/gates"
    then = serve().get(path).json
    assert (then["taken_from"], then["verdicts"][0]["gate"]) == ("experiment", "pass_rate >= 0.5")
    for folder in ("prompts", "suites"):
        (tmp_path / folder).mkdir()
    (tmp_path / "prompts" / "route.yaml").write_text('prompt: "Hi"\n')
    suite = "prompt: route\nscorers: [not_empty]\ngates: [pass_rate >= 0]\ncases: [{id: charge}]\n"
    (tmp_path / "suites" / "a.yaml").write_text(suite)
    now = serve(root=tmp_path).get(path).json
    assert (now["taken_from"], now["verdicts"][0]["gate"]) == ("suites", "pass_rate >= 0")
    assert now["verdicts"][0]["passed"] is True


def test_an_address_is_deleted(served: Any, record: Any) -> None:
    """What may go goes, and its traces stay; a prompt's version never goes."""
    trace = record.trace(session_id="chat-1")
    record.version("Hello")
    path = "/api/p2re/artifacts"
    assert served.ask("DELETE", f"{path}/session:chat-1").status == 204
    assert served.get("/sessions?q=CHAT").json["items"] == []
    assert served.get(f"/traces/{trace.trace_id}").json["trace"]["session_id"] is None
    refused = served.ask("DELETE", f"{path}/prompt:route")
    assert (refused.status, refused.json["title"]) == (409, "Conflict")
    assert "stays: runs were made with it" in refused.json["detail"]
    assert served.ask("DELETE", f"{path}/trace:{trace.trace_id}").status == 204
    assert served.ask("DELETE", f"{path}/trace:{trace.trace_id}").status == 404


def test_responses_of_a_trace_and_units_of_an_experiment(served: Any, record: Any) -> None:
    trace = record.trace("billing")
    (answer,) = served.get(f"/traces/{trace.trace_id}/responses").json["items"]
    assert (answer["output_preview"], answer["metrics"]) == ("billing", {})
    body = {"name": "tone", "variants": [{"name": "a"}, {"name": "b"}], "outcome": "o"}
    served.post("/experiments/online", body)
    served.post("/experiments/online/tone/assign", {"unit": "user-1"})
    served.post("/experiments/online/tone/outcome", {"unit": "user-1", "value": 1})  # on disk
    (unit,) = served.get("/experiments/online/tone/units").json["items"]
    assert (unit["unit"], unit["variant"] in {"a", "b"}) == ("user-1", True)
    assert served.get("/experiments/online/none/units").status == 404
    assert served.get("/experiments?q=none").json["items"] == []
