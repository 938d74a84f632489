"""``p2re traces search``, ``pin``, ``tag``, ``delete`` and ``p2re stats`` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from p2re_eval.cli import main
from p2re_eval.records import (
    Completion,
    Evaluation,
    Message,
    ModelSettings,
    RenderedPrompt,
    Score,
    Trace,
    Usage,
)
from p2re_eval.store import open_store

MOMENT = 1_700_000_000_000_000_000


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """A cheap run about a refund, scored, and a dear one about a parcel."""
    path = tmp_path / "p2re.db"
    with open_store(path) as store:
        for number, (text, cost_usd) in enumerate([("my refund", None), ("my parcel", 0.5)]):
            trace = Trace(
                trace_id=f"{number + 1:032x}",
                span_id=f"{number:016x}",
                name="route",
                status="OK",
                start_ns=MOMENT,
                end_ns=MOMENT + 250_000_000,
                prompt=RenderedPrompt(
                    name="route",
                    version="ab" * 32,
                    messages=(Message(role="user", content=text),),
                    model=ModelSettings(provider="openai", name=["small", "large"][number]),
                ),
                completion=Completion(
                    text="ok", usage=Usage(input_tokens=1200, output_tokens=3), cost_usd=cost_usd
                ),
            )
            store.finish_trace(trace)
        evaluation = Evaluation(
            evaluation_id="e1",
            trace_id=f"{1:032x}",
            name="polite",
            scorer="polite",
            scorer_version="1",
            score=Score(value=0.25, passed=False),
        )
        store.save_evaluations([evaluation]).result()
    return path


def p2re(db: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--db", str(db)])


def test_search_shows_rows_and_the_words_that_were_found(db: Path) -> None:
    result = p2re(db, "traces", "search", "refund")
    assert result.exit_code == 0
    assert "openai/small" in result.output
    assert "openai/large" not in result.output
    assert "prompt: my refund" in result.output


def test_search_by_conditions_as_json(db: Path) -> None:
    found = p2re(db, "traces", "search", "cost_usd > 0.1 or eval(polite).score < 0.5", "--json")
    hits = json.loads(found.output)
    assert [hit["row"]["model"] for hit in hits] == ["openai/large", "openai/small"]


def test_a_mistake_in_an_expression_ends_with_its_place(db: Path) -> None:
    result = p2re(db, "traces", "search", 'modle == "x"')
    assert result.exit_code == 2
    assert result.stderr == ("modle == \"x\"\n^ unknown field 'modle'; did you mean 'model'?\n")


def test_what_can_be_asked_for_is_listed(db: Path) -> None:
    result = p2re(db, "traces", "search", "--fields")
    assert 'eval("NAME").score' in result.output
    assert "latency" in result.output


def test_pin_tag_and_delete(db: Path) -> None:
    """Each is seen by the next search."""
    first = f"{1:032x}"
    assert p2re(db, "traces", "pin", first).output == "pinned: 1 trace\n"
    assert p2re(db, "traces", "tag", first, "vip").output == "vip\n"
    found = json.loads(p2re(db, "traces", "search", "pinned and tag == vip", "--json").output)
    assert [hit["row"]["trace_id"] for hit in found] == [first]
    assert p2re(db, "traces", "pin", first, "--off").output == "no longer pinned: 1 trace\n"
    assert p2re(db, "traces", "tag", first, "--remove", "vip").output == "no tags\n"
    assert p2re(db, "traces", "delete", first).exit_code == 1
    assert p2re(db, "traces", "delete", first, "--yes").output == "deleted: 1 trace\n"
    assert p2re(db, "traces", "search", "refund").output == "no traces\n"


def test_stats_by_model_with_what_is_unknown(db: Path) -> None:
    """The cost that nobody knows is a share, not a zero."""
    output = p2re(db, "stats").output
    lines = [line.split() for line in output.splitlines()]
    assert lines[2][:6] == ["openai/large", "1", "0", "1.20k", "3", "$0.500"]
    assert lines[3][:6] == ["openai/small", "1", "0", "1.20k", "3", "-"]
    assert lines[3][6:8] == ["100", "%"]
    assert lines[4][:6] == ["total", "2", "0", "2.40k", "6", "$0.500"]
    assert "polite" in output


def test_stats_by_day_and_version_as_json(db: Path) -> None:
    report = json.loads(p2re(db, "stats", "--by", "day,version", "--json").output)
    [row] = report["rows"]
    assert row["key"]["version"] == "ab" * 32
    assert row["traces"] == 2
    shown = p2re(db, "stats", "--by", "day, version").output
    assert "2023-11-14" in shown
    assert "abababababab " in shown


def test_stats_refuses_what_it_cannot_group_by(db: Path) -> None:
    result = p2re(db, "stats", "--by", "modle")
    assert result.exit_code == 2
    assert "cannot group by 'modle'; did you mean 'model'?" in result.output
    assert p2re(db, "stats", "--since", "2h").output == "nothing was recorded in this time\n"
