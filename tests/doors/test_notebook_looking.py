"""What a notebook shows of the record: traces, labels, comparisons, plots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from p2re_eval.clock import new_trace_id
from p2re_eval.errors import UsageError
from p2re_eval.notebook import Traces, Workbench, annotate, evaluate, experiment, view
from p2re_eval.notebook.browser import TracePages
from p2re_eval.notebook.drawing import trace_bundle
from p2re_eval.records import ModelSettings, RenderedPrompt, Span, Trace
from p2re_eval.service import Service
from p2re_eval.store.expression import ExpressionError

PROMPT = """\
model: {{provider: scripted, name: router, extra: {{answers: {answers}}}}}
inputs: {{ticket: {{type: string}}}}
messages: [{{user: "{{{{ ticket }}}}"}}]
"""
CASES = [
    {"id": "twice", "inputs": {"ticket": "I was charged twice"}, "expected": "billing"},
    {"id": "locked", "inputs": {"ticket": "My login is locked"}, "expected": "account"},
]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    (tmp_path / "prompts").mkdir()
    write(tmp_path, "{charged: billing, login: account}")
    made = Workbench(tmp_path, db=tmp_path / "runs.db")
    yield made
    made.close()


def write(root: Path, answers: str) -> None:
    (root / "prompts/route.yaml").write_text(PROMPT.format(answers=answers))


def test_traces_come_page_by_page_the_newest_first(bench: Workbench) -> None:
    """Each item is the whole trace; the last page says that it is."""
    for number in range(3):
        bench.run("route", ticket=f"charged {number}")
    newest = Traces(limit=2, at=bench)
    assert [trace.prompt.messages[-1].text for trace in newest] == ["charged 2", "charged 1"]
    assert newest.has_older
    oldest = newest.older()
    assert oldest[0].prompt.messages[-1].text == "charged 0"
    with pytest.raises(UsageError, match="no older traces"):
        oldest.older().older()


def test_the_browser_of_traces_compares_two(bench: Workbench) -> None:
    """What the viewer asks for in a notebook; the other trace is the one before."""
    answers = [bench.run("route", ticket=ticket) for ticket in ("charged", "login")]
    before, after = (answer.trace.trace_id for answer in answers)
    assert bench.store
    pages = TracePages(Service(bench.store), limit=5)
    found = pages.answer("compare", {"trace": after, "other": before})
    assert isinstance(found, dict)
    assert (found["before"]["trace_id"], found["after"]["trace_id"]) == (before, after)
    assert [(one["before"], one["after"]) for one in found["inputs"]] == [("charged", "login")]


def test_traces_are_searched_as_on_the_command_line(bench: Workbench) -> None:
    """Words and expressions; a mistake shows its place."""
    bench.run("route", ticket="charged by mistake")
    bench.run("route", ticket="login")
    found = Traces('text ~ "billing"', at=bench)
    assert [trace.completion.text for trace in found] == ["billing"]
    assert found.rows[0].trace_id[:12] in found._repr_html_()
    with pytest.raises(ExpressionError):
        Traces("status ==", at=bench)


def test_a_trace_is_shown_in_the_viewer_that_can_reach_nothing(bench: Workbench) -> None:
    """A sandboxed frame with the component inside; the messages as text beside it."""
    answer = bench.run("route", ticket="charged </iframe><script>alert(1)</script>")
    html = view(answer, at=bench)._repr_mimebundle_()["text/html"]
    assert 'sandbox="allow-scripts"' in html
    assert "p2re-trace" in html
    assert html.count("</iframe>") == 1
    assert "<script>" not in html


def test_labels_of_a_person_are_recorded_at_once(bench: Workbench) -> None:
    """As HUMAN evaluations with a verdict; judged again, the last word counts."""
    answer = bench.run("route", ticket="charged")
    labels = annotate([answer], name="helpful", annotator="ada", at=bench)
    labels.label("bad", "wrong team")
    labels.back()
    labels.label("good")
    assert labels.current is None
    (found,) = bench.store.evaluations(answer.trace.trace_id)
    assert (found.kind, found.name, found.identifier) == ("HUMAN", "helpful", "ada")
    assert found.score is not None
    assert (found.score.label, found.score.passed) == ("good", True)
    labels.back()
    with pytest.raises(UsageError, match="'great' is no label here; labels: good, bad"):
        labels.label("great")


def test_two_experiments_are_compared_flips_first(bench: Workbench, tmp_path: Path) -> None:
    """The case that broke is named with both answers; the comparison is that of the reports."""
    before = evaluate("route", CASES, ["equals"], at=bench)
    write(tmp_path, "{charged: billing, login: billing}")
    after = evaluate("route", CASES, ["equals"], at=bench)
    found = after.compare(before)
    assert [flip.case_id for flip in found.record.flips] == ["locked"]
    assert found.record.flips[0].worse
    html = found._repr_html_()
    assert "1 worse, of 2 cases" in html
    assert "passed → failed" in html
    assert "1 worse, of 2 cases" in repr(found)
    assert found.plot().to_dict()["data"]["values"][0]["moved"] == "worse"
    assert experiment(before.id[:16], at=bench).compare(after.id).record.fixed == 1


@pytest.mark.parametrize("what", ["scores", "latency", "cost", "versions"])
def test_an_experiment_is_plotted(bench: Workbench, what: str) -> None:
    """A valid chart with a row for what was measured."""
    chart = evaluate("route", CASES, ["equals"], at=bench).plot(what).to_dict()
    rows = chart["data"]["values"]
    assert len(rows) == {"scores": 2, "latency": 2, "cost": 1, "versions": 1}[what]
    if what == "cost":
        assert rows[0]["pass_rate"] == 1
        assert rows[0]["frontier"] is True


def test_an_unknown_plot_is_refused_with_what_there_is(bench: Workbench) -> None:
    """As every name that is mistaken."""
    made = evaluate("route", CASES, ["equals"], at=bench)
    with pytest.raises(UsageError, match=r"no plot is called 'score'; did you mean 'scores'\?"):
        made.plot("score")


def test_a_trace_of_many_steps_is_drawn_with_its_tree(bench: Workbench) -> None:
    """Where nothing runs, as a table in the tree's order; the viewer gets every span."""
    begun = 1_700_000_000_000_000_000
    trace_id = new_trace_id(begun)
    shared = {"trace_id": trace_id, "start_ns": begun, "end_ns": begun + 40_000_000}
    trace = Trace(
        span_id="1" * 16,
        name="answer the ticket",
        kind="AGENT",
        status="OK",
        prompt=RenderedPrompt(name="", messages=(), model=ModelSettings()),
        spans=(
            Span(span_id="2" * 16, parent_id="1" * 16, name="plan", kind="CHAIN", **shared),
            Span(
                span_id="3" * 16,
                parent_id="2" * 16,
                name="ask the <shop>",
                kind="TOOL",
                status="ERROR",
                **shared,
            ),
        ),
        **shared,
    )
    bench.store.finish_trace(trace).result()
    bundle = view(trace_id, at=bench)._repr_mimebundle_()
    still, _, frame = bundle["text/html"].partition("<iframe")
    assert "answer the ticket</td>" in still
    assert "\u2003\u2003ask the &lt;shop&gt;</td>" in still
    assert still.index("plan</td>") < still.index("ask the &lt;shop&gt;</td>")
    assert "<td style" in still.partition("ERROR")[0]
    assert frame.count("3333333333333333") >= 2
    assert "2 spans" in bundle["text/plain"]


def test_a_trace_of_thousands_of_steps_stays_small_enough_for_a_notebook() -> None:
    """Every step is in the tree; the texts of most stay in the database."""
    begun = 1_700_000_000_000_000_000
    shared = {"trace_id": "a" * 32, "start_ns": begun, "end_ns": begun + 1_000_000}
    spans = tuple(
        Span(span_id=f"{n:016x}", name="step", attributes={"text": "x" * 4000}, **shared)
        for n in range(1, 3001)
    )
    prompt = RenderedPrompt(name="", messages=(), model=ModelSettings())
    trace = Trace(span_id="f" * 16, name="long", prompt=prompt, spans=spans, **shared)
    html = trace_bundle(trace)["text/html"]
    assert len(html) < 5_000_000
    assert f"{3000:016x}" in html
    assert "and 2,900 more spans" in html
