"""What is plotted over experiments and of a judge: the rows behind the marks, and real pictures."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2re_eval.errors import NoSuchRecord, UsageError
from p2re_eval.notebook import StoredExperiment, Workbench, annotate, evaluate, history
from p2re_eval.notebook.plots import reliability_chart

pytest.importorskip("altair", reason="the extra 'notebook' is not installed")

PROMPT = """\
model: {{provider: scripted, name: router, extra: {{answers: {answers}}}}}
inputs: {{ticket: {{type: string}}}}
messages: [{{system: "{system}"}}, {{user: "{{{{ ticket }}}}"}}]
"""
CASES = [
    {"id": "twice", "inputs": {"ticket": "I was charged twice"}, "expected": "billing"},
    {"id": "locked", "inputs": {"ticket": "My login is locked"}, "expected": "account"},
]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    (tmp_path / "prompts").mkdir()
    made = Workbench(tmp_path, db=tmp_path / "runs.db")
    yield made
    made.close()


def length(completion, case):
    """Longer is better: seven letters are full marks."""
    return len(completion.text) / 7


def measure(bench: Workbench, system: str, answers: str, name: str = "tickets") -> StoredExperiment:
    (bench.root / "prompts/route.yaml").write_text(PROMPT.format(system=system, answers=answers))
    return evaluate("route", CASES, ["equals", length], name=name, at=bench)


def test_drift_is_a_point_an_experiment_with_its_interval(bench: Workbench) -> None:
    """The oldest first; the version that was measured goes with each."""
    measure(bench, "Route.", "{charged: billing, login: account}")
    measure(bench, "Route it.", "{charged: billing, login: billing}")
    measure(bench, "Route it.", "{charged: billing, login: billing}")
    measure(bench, "Other", "{.*: x}", name="unrelated")
    found = history("tickets", at=bench)
    points = found.points()
    assert [point["value"] for point in points] == [1.0, 0.5, 0.5]
    assert [(round(p["low"], 3), round(p["high"], 3)) for p in points] == [
        (0.342, 1.0),
        (0.095, 0.905),
        (0.095, 0.905),
    ]
    first, second, third = (point["version"] for point in points)
    assert first != second == third
    assert {point["variant"] for point in points} == {"route · scripted/router"}
    chart = found.plot().to_dict()
    assert chart["data"]["values"] == points
    assert {layer["mark"]["type"] for layer in chart["layer"]} == {"rule", "line", "point"}
    assert "tickets" in found._repr_html_()
    assert [
        round(p["value"], 3) for p in history("tickets", limit=1, at=bench).points("length")
    ] == [1.0]
    assert len(found.points("latency_s")) == 3
    assert {point["value"] for point in found.points("cost_usd")} == {0.0}


def test_a_metric_or_a_name_that_is_none_is_refused_with_what_there_is(bench: Workbench) -> None:
    """As every name that is mistaken."""
    measure(bench, "Route.", "{charged: billing, login: account}")
    with pytest.raises(UsageError) as caught:
        history("tickets", at=bench).plot("lenght")
    assert str(caught.value) == (
        "nothing has 'lenght'; did you mean 'length'?; "
        "metrics: pass_rate, latency_s, cost_usd, equals, length"
    )
    with pytest.raises(NoSuchRecord, match=r"called 'ticket'; did you mean 'tickets'\?"):
        history("ticket", at=bench)


def test_a_judge_is_held_against_people(bench: Workbench) -> None:
    """Pairs of what the judge gave and what most people said, who may be undecided; agreement with
    intervals; a plot."""
    made = measure(bench, "Route.", "{charged: billing, login: no}")
    with pytest.raises(UsageError, match=r"annotate\(experiment.results, name='helpful'\)"):
        made.judged("length", people="helpful")
    with pytest.raises(UsageError, match=r"judged by 'lenght'; did you mean 'length'\?"):
        made.judged("lenght")
    for who, words in (("ada", ("good", "good")), ("bob", ("good", "bad"))):
        labels = annotate(made.results, name="helpful", annotator=who, at=bench)
        for word in words:
            labels.label(word)
    assert made.judged("length", people="helpful").pairs == ((1.0, True),)
    labels = annotate(made.results, name="helpful", annotator="eve", at=bench)
    for word in ("bad", "bad"):
        labels.label(word)
    found = made.judged("length", people="helpful")
    assert sorted(found.pairs) == [(2 / 7, False), (1.0, True)]
    assert found.agreement.agreement.rate == 1.0
    assert found.agreement.kappa == 1.0
    assert "100 % of 2  34.2 % to 100 %" in repr(found)
    assert "length against helpful" in found._repr_html_()
    rows = found.plot().to_dict()["data"]["values"]
    assert [(row["judge"], row["people"], row["answers"]) for row in rows] == [
        (0.3, 0.0, 1),
        (0.9, 1.0, 1),
    ]


def test_reliability_is_how_often_people_agree_with_a_judge() -> None:
    """Judgements in bins of a fifth with their intervals; 1.0 belongs to the last."""
    chart = reliability_chart([(1.0, True), (0.9, False), (0.1, False)]).to_dict()
    rows = chart["data"]["values"]
    assert [
        {**row, "low": round(row["low"], 3), "high": round(row["high"], 3)} for row in rows
    ] == [
        {"judge": 0.1, "people": 0.0, "low": 0.0, "high": 0.793, "answers": 1},
        {"judge": 0.9, "people": 0.5, "low": 0.095, "high": 0.905, "answers": 2},
    ]


def test_a_plot_is_seen_without_the_network(bench: Workbench) -> None:
    """Vega for front ends that have it, a picture for the others, rows as text for consoles; no
    HTML, which would fetch scripts from elsewhere."""
    pytest.importorskip("vl_convert", reason="the extra 'pictures' is not installed")
    made = measure(bench, "Route.", "{charged: billing, login: account}")
    for chart in (made.plot("scores"), history("tickets", at=bench).plot()):
        shown = chart._repr_mimebundle_()
        assert shown.keys() == {"application/vnd.vegalite.v5+json", "text/plain", "image/png"}
        assert b64decode(shown["image/png"]).startswith(b"\x89PNG")
    assert shown["text/plain"].splitlines()[0] == "Drift of pass rate"
    assert "route · scripted/router" in shown["text/plain"]


def test_what_has_nothing_to_plot_says_so(bench: Workbench) -> None:
    """A sentence, and no empty frame."""
    made = measure(bench, "Route.", "{never: x}")
    with pytest.raises(UsageError, match="nothing to plot: no answer here has such a figure"):
        made.plot("cost")
    again = measure(bench, "Route.", "{never: x}")
    with pytest.raises(UsageError, match="nothing to plot: no case flipped"):
        again.compare(made).plot()
