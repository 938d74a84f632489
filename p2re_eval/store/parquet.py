"""The documented views as Parquet files, for DuckDB, pandas and everybody's warehouse."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from p2re_eval.errors import MissingExtra

if TYPE_CHECKING:
    import pyarrow

VIEWS = ("v_traces", "v_calls", "v_evaluations")
_ROWS = 10_000
_REAL = ("duration_ms", "cost_usd", "value", "weight")
_WHOLE_ENDINGS = ("_ns", "_tokens", "repeat", "attempts", "passed", "counted")


def write_parquet(connection: sqlite3.Connection, folder: Path) -> dict[Path, int]:
    """One file a view in this folder, with the number of its rows. Raises MissingExtra."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        what = "Parquet needs pyarrow; install it with: pip install 'p2re-eval[parquet]'"
        raise MissingExtra(what) from None
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for view in VIEWS:
        path = folder / f"{view.removeprefix('v_')}.parquet"
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({view})")]
        schema = pyarrow.schema([(name, _type(pyarrow, name)) for name in names])
        with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
            rows = 0
            for batch in _batches(connection, view):
                columns = {name: [row[at] for row in batch] for at, name in enumerate(names)}
                writer.write_table(pyarrow.table(columns, schema=schema))
                rows += len(batch)
        written[path] = rows
    return written


def _type(arrow: pyarrow, name: str) -> pyarrow.DataType:
    """By the column's name: a view declares no types, and a first page may hold only NULLs."""
    if name in _REAL:
        return arrow.float64()
    return arrow.int64() if name.endswith(_WHOLE_ENDINGS) else arrow.string()


def _batches(connection: sqlite3.Connection, view: str) -> Iterator[list[tuple[object, ...]]]:
    rows = connection.execute(f"SELECT * FROM {view}")  # noqa: S608 - our own names
    while page := rows.fetchmany(_ROWS):
        yield [tuple(row) for row in page]
