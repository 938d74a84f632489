"""Experiments and their results as they are read back, a page at a time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from p2re_eval.errors import NoSuchRecord, StoreError
from p2re_eval.records import (
    Evaluation,
    Experiment,
    Fault,
    GateVerdict,
    Place,
    Record,
    Result,
    Revision,
    Trace,
)
from p2re_eval.store.columns import columns
from p2re_eval.store.payloads import json_of, record_of
from p2re_eval.store.trace_queries import evaluation, key_text, read_trace, usage

_PAGE = 256
"""Results in memory at a time; no read transaction between pages holds up a checkpoint."""


def list_experiments(connection: sqlite3.Connection, limit: int) -> list[Experiment]:
    """The newest experiments first."""
    return [one for _, one in page_of_experiments(connection, limit=limit)]


def page_of_experiments(
    connection: sqlite3.Connection,
    *,
    limit: int,
    before: int | None = None,
    text: str | None = None,
) -> list[tuple[int, Experiment]]:
    """The newest first, below the row ``before``, each after its row; ``text`` stands in the name
    or the id."""
    rows = connection.execute(
        "SELECT * FROM experiments WHERE id < ? AND (? IS NULL OR instr(lower(experiment_id || "
        "char(10) || name), lower(?))) ORDER BY id DESC LIMIT ?",
        (before or 1 << 62, text, text, limit),
    )
    return [(row["id"], _experiment(row)) for row in rows]


class ExperimentAssignment(Record):
    """A prompt's version and a model that ran on a suite in an experiment."""

    suite: str
    prompt: str
    prompt_version: str
    model: str


def assignments(connection: sqlite3.Connection, experiment_id: str) -> list[ExperimentAssignment]:
    """What ran on what, in the order in which it began."""
    rows = connection.execute(
        "SELECT suite, prompt, prompt_version, model FROM assignments "
        "WHERE experiment_id = ? ORDER BY id",
        (experiment_id,),
    )
    return [ExperimentAssignment(**dict(row)) for row in rows]


def outcomes(connection: sqlite3.Connection, experiment_id: str) -> dict[str, int]:
    """How many results ended how."""
    rows = connection.execute(
        "SELECT outcome, count(*) FROM results WHERE experiment_id = ? GROUP BY outcome",
        (experiment_id,),
    )
    return {row[0]: row[1] for row in rows}


def read_experiment(connection: sqlite3.Connection, name: str, path: Path) -> Experiment:
    """The experiment whose id begins so, or the ``latest`` that was not made as another's baseline.

    Raises NoSuchRecord, StoreError (ambiguous).
    """
    if name == "latest":
        row = connection.execute(
            "SELECT * FROM experiments "
            "WHERE json_extract(settings, '$.baseline_of') IS NULL ORDER BY id DESC LIMIT 1"
        ).fetchone()
        if row is None:
            what = f"{path}: no experiment was recorded yet; run a suite with --p2re first"
            raise NoSuchRecord(what, path=path)
        return _experiment(row)
    rows = connection.execute(
        "SELECT * FROM experiments WHERE substr(experiment_id, 1, ?) = ? "
        "ORDER BY experiment_id = ? DESC, id DESC LIMIT 2",
        (len(name), name, name),
    ).fetchall()
    if not rows or not name:
        what = f"{path}: no experiment '{name}'; `p2re experiments list` shows those there are"
        raise NoSuchRecord(what, path=path)
    if len(rows) > 1 and rows[0]["experiment_id"] != name:
        ids = ", ".join(row["experiment_id"] for row in rows)
        what = f"{path}: '{name}' begins more than one experiment ({ids}); give more of it"
        raise StoreError(what, path=path)
    return _experiment(rows[0])


def results(connection: sqlite3.Connection, experiment_id: str) -> Iterator[Result]:
    """The results of an experiment by suite and position, each with its evaluations."""
    at: tuple[str, int, int] | None = None
    while True:
        page, at = page_of_results(connection, experiment_id, limit=_PAGE, after=at)
        yield from page
        if at is None:
            return


def page_of_results(
    connection: sqlite3.Connection,
    experiment_id: str,
    *,
    limit: int,
    after: tuple[str, int, int] | None = None,
) -> tuple[list[Result], tuple[str, int, int] | None]:
    """Results from after this (suite, position, row), and where the next page begins."""
    rows = connection.execute(
        "SELECT * FROM results WHERE experiment_id = ? AND (suite, position, id) > (?, ?, ?) "
        "ORDER BY suite, position, id LIMIT ?",
        (experiment_id, *(after or ("", -1, 0)), limit),
    ).fetchall()
    judged = _evaluations(connection, experiment_id, rows)
    found = [_result(row, _own(judged.get(row["trace_id"], ()), row)) for row in rows]
    if len(rows) < limit:
        return found, None
    return found, (rows[-1]["suite"], rows[-1]["position"], rows[-1]["id"])


def case_results(
    connection: sqlite3.Connection, experiment_id: str, case: tuple[str, str, str, str]
) -> list[Result]:
    """The results of one case (suite, prompt, model, id) in the order of its repeats."""
    rows = connection.execute(
        "SELECT * FROM results WHERE experiment_id = ? AND suite = ? AND prompt = ? AND model = ? "
        "AND case_id = ? ORDER BY repeat",
        (experiment_id, *case),
    ).fetchall()
    judged = _evaluations(connection, experiment_id, rows)
    return [_result(row, _own(judged.get(row["trace_id"], ()), row)) for row in rows]


def recordings(connection: sqlite3.Connection, experiment_id: str, path: Path) -> Iterator[Trace]:
    """The answered traces of an experiment: those of planned runs in item order (whichever
    experiment made them, when they came from the cache), then the rest."""
    for result in results(connection, experiment_id):
        if result.trace_id is not None:
            yield from _answered(connection, result.trace_id, path)
    rest = connection.execute(
        "SELECT trace_id FROM traces WHERE experiment_id = ? AND status = 'OK' EXCEPT "
        "SELECT trace_id FROM results WHERE experiment_id = ? ORDER BY trace_id",
        (experiment_id, experiment_id),
    ).fetchall()
    for row in rest:
        yield from _answered(connection, row["trace_id"], path)


def _answered(connection: sqlite3.Connection, trace_id: str, path: Path) -> Iterator[Trace]:
    try:
        trace = read_trace(connection, trace_id, path)
    except NoSuchRecord:
        return  # retention has taken it
    if trace.status == "OK":
        yield trace


def _evaluations(
    connection: sqlite3.Connection, experiment_id: str, rows: list[sqlite3.Row]
) -> dict[str, tuple[Evaluation, ...]]:
    """By trace; an experiment's results show what it found itself."""
    wanted = list({row["trace_id"]: None for row in rows if row["trace_id"] is not None})
    found: dict[str, tuple[Evaluation, ...]] = {}
    for row in connection.execute(
        "SELECT e.* FROM json_each(?) j JOIN evaluations e ON e.trace_id = j.value "
        "WHERE e.experiment_id = ? ORDER BY e.id",
        (json.dumps(wanted), experiment_id),
    ):
        found[row["trace_id"]] = (*found.get(row["trace_id"], ()), evaluation(row))
    return found


def _own(judged: tuple[Evaluation, ...], row: sqlite3.Row) -> tuple[Evaluation, ...]:
    """Of what an experiment found on a trace, what it found for this result: cases that ask the
    same share a cached trace."""
    every = f"{row['experiment_id']}:"
    mine = f"{every}{row['suite']}:{row['case_id']}#{row['repeat']}"
    return tuple(
        one for one in judged if one.identifier == mine or not one.identifier.startswith(every)
    )


def _result(row: sqlite3.Row, judged: tuple[Evaluation, ...]) -> Result:
    same = columns(
        "experiment_id item suite prompt prompt_version model case_id repeat position cluster "
        "outcome value trace_id source cost_usd duration_ns quarantine model_answered"
    )
    return Result(
        **{name: row[name] for name in same},
        tags=tuple(json_of(row["tags"], ())),
        recorded=bool(row["recorded"]),
        fault=None if row["fault"] is None else record_of(Fault, row["fault"]),
        evaluations=judged,
        inputs_preview=row["inputs_preview"] or "",
        output_preview=row["output_preview"] or "",
        expected_preview=row["expected_preview"] or "",
        usage=usage(row),
        place=None if row["place"] is None else record_of(Place, row["place"]),
        row_hash=key_text(row["row_hash"]) or None,
        rules_hash=key_text(row["rules_hash"]) or None,
        fingerprint=key_text(row["fingerprint"]) or None,
    )


def _experiment(row: sqlite3.Row) -> Experiment:
    revision = row["revision"]
    return Experiment(
        experiment_id=row["experiment_id"],
        name=row["name"],
        started_ns=row["started_ns"],
        ended_ns=row["ended_ns"],
        status=row["status"],
        suites=tuple(json_of(row["suites"], ())),
        revision=None if revision is None else record_of(Revision, revision),
        packages=json_of(row["packages"], {}),
        settings=json_of(row["settings"], {}),
        verdicts=tuple(GateVerdict.model_validate(one) for one in json_of(row["verdicts"], [])),
        planned=row["planned"],
    )
