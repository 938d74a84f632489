"""What retention took, in files that are united: each trace counts once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from p2re_eval.records import (
    Completion,
    Evaluation,
    ModelSettings,
    RenderedPrompt,
    Score,
    Trace,
    Usage,
)
from p2re_eval.service import Service
from p2re_eval.store import open_store
from p2re_eval.store.removal import remove_rows
from p2re_eval.store.stat_queries import StatsQuery, StatsReport

HOUR_NS = 3_600_000_000_000
TRACES = [
    Trace(
        trace_id=f"{number:032x}", span_id=f"{number:016x}", name="route",
        status="ERROR" if number == 3 else "OK",
        start_ns=400_000 * HOUR_NS + number * HOUR_NS // 2,
        end_ns=400_000 * HOUR_NS + number * HOUR_NS // 2 + 1000 + number,
        prompt=RenderedPrompt(
            name="route", version=f"{number % 2}" * 64, messages=(),
            model=ModelSettings(provider="openai", name="m" if number % 2 else "n"),
        ),
        completion=Completion(
            model="m" if number % 2 else "n", cost_usd=2.0**number,
            usage=Usage(input_tokens=10**number, output_tokens=1),
        ),
    )
    for number in range(5)
]  # fmt: skip
JUDGED = (0, 2, 3)
files = st.lists(
    st.dictionaries(st.integers(0, 4), st.booleans(), max_size=5), min_size=2, max_size=3
)
"""For each file the traces it held, and whether retention took them there."""


def judgement(number: int) -> Evaluation:
    return Evaluation(
        evaluation_id=f"e{number}", trace_id=TRACES[number].trace_id, name="polite", scorer="p",
        scorer_version="1", score=Score(value=2.0**-number, passed=bool(number)), created_ns=1,
    )  # fmt: skip


def written(path: Path, held: dict[int, bool]) -> Path:
    with open_store(path) as store:
        for number in held:
            store.finish_trace(TRACES[number]).result()
            if number in JUDGED:
                store.save_evaluations([judgement(number)]).result()
        prune(path, [TRACES[number].trace_id for number, gone in held.items() if gone])
    return path


def prune(path: Path, trace_ids: Sequence[str]) -> None:
    with open_store(path) as store:
        store.index_everything()
        rows = [row.id for row in store.list_traces(limit=100) if row.trace_id in trace_ids]
        store.change(lambda change: remove_rows(change.connection, rows, keep=True))


def united(path: Path, *sources: Path) -> Path:
    with open_store(path) as store:
        Service(store).transfer.merge(sources)
    return path


def charts(path: Path) -> StatsReport:
    with open_store(path) as store:
        return Service(store).statistics.report(StatsQuery(by=("model", "hour"), source=None))


@settings(max_examples=12, deadline=None)
@given(files)
def test_each_trace_counts_once_in_any_order(held: list[dict[int, bool]]) -> None:
    """However many files let go of it or hold it, in any order, twice, one after the other, by way
    of an export, and when the united file lets go of the rest."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        everything = {number: False for one in held for number in one}
        wanted = charts(written(folder / "all.db", everything))
        paths = [written(folder / f"{at}.db", one) for at, one in enumerate(held)]
        for at, order in enumerate(itertools.permutations(paths)):
            assert charts(united(folder / f"order{at}.db", *order)) == wanted
        step = folder / "step.db"
        for path in (*paths, paths[0], folder / "order0.db"):
            united(step, path)
        assert charts(step) == wanted
        assert charts(united(folder / "again.db", step, *paths)) == wanted
        assert charts(copied(step, folder / "copy.db")) == wanted
        prune(step, [trace.trace_id for trace in TRACES])
        assert charts(step) == wanted
        assert charts(united(folder / "last.db", paths[-1], step)) == wanted


def copied(path: Path, copy: Path) -> Path:
    """By way of an export, which is taken in twice."""
    with open_store(path) as store:
        lines = [line.encode() for line in Service(store).transfer.export_lines()]
    with open_store(copy) as store:
        for _ in range(2):
            Service(store).transfer.import_lines(lines, source="x.jsonl")
    return copy


def test_a_copy_of_a_file_that_let_go_of_others(tmp_path: Path) -> None:
    """A restored backup has the name of its original, and yet its own pruning counts."""
    original = written(tmp_path / "a.db", dict.fromkeys(range(5), False))
    wanted = charts(original)
    with open_store(original) as store:
        Service(store).transfer.back_up(tmp_path / "copy.db")
    prune(original, [TRACES[0].trace_id, TRACES[1].trace_id])
    prune(tmp_path / "copy.db", [TRACES[1].trace_id, TRACES[2].trace_id])
    assert charts(united(tmp_path / "out.db", original, tmp_path / "copy.db")) == wanted
    assert charts(united(tmp_path / "back.db", tmp_path / "copy.db", original)) == wanted


def test_what_is_deleted_by_hand_counts_no_more(tmp_path: Path) -> None:
    """Also where another file had let go of it."""
    one = written(tmp_path / "a.db", {0: True, 1: False})
    two = written(tmp_path / "b.db", {0: False})
    out = united(tmp_path / "out.db", one, two)
    with open_store(out) as store:
        Service(store).traces.delete([TRACES[0].trace_id])
    assert charts(out).total.traces == 1


def test_a_trace_that_comes_back_counts_once(tmp_path: Path) -> None:
    """Imported again after retention took it."""
    path = written(tmp_path / "a.db", {0: False, 1: False})
    wanted = charts(path)
    with open_store(path) as store:
        lines = [line.encode() for line in Service(store).transfer.export_lines()]
    prune(path, [TRACES[0].trace_id])
    assert charts(path) == wanted
    with open_store(path) as store:
        Service(store).transfer.import_lines(lines, source="x.jsonl")
        assert len(store.list_traces()) == 2
    assert charts(path) == wanted


def test_a_trace_that_is_recorded_again_counts_once(tmp_path: Path) -> None:
    """A late resend of what retention had taken, and which it takes again later."""
    path = written(tmp_path / "a.db", {0: False, 1: False, 2: False})
    wanted = charts(path)
    gone = [TRACES[0].trace_id, TRACES[2].trace_id]
    for _ in range(2):
        prune(path, gone)
        assert charts(path) == wanted
        with open_store(path) as store:
            store.finish_trace(TRACES[0]).result()
            store.finish_trace(TRACES[2]).result()
        assert charts(path) == wanted
        with open_store(path) as store:
            store.index_everything()
        assert charts(path) == wanted
