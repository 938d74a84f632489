"""The documented views: what they say, and that datasette and DuckDB read them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.records import Evaluation, Score
from p2re_eval.store import open_store
from p2re_eval.store.migrations import create_tables
from p2re_eval.tracing import capture, span

CALLS = [
    ("chat", "LLM", "openai/small", 7, 1),
    ("embed", "EMBEDDING", "openai/vectors", 5, 1),
    ("framework", "LLM", "openai/outer", 10, 1),
    ("rank", "RERANKER", "openai/ranks", None, 1),
    ("sdk", "LLM", "openai/inner", 10, 0),
]
"""Name, kind, model, input tokens, counted: an SDK's call inside a framework's is the same one."""


def call(name: str, kind: Any, model: str, tokens: int | None) -> Any:
    """A span about a call to a model."""
    step = span(name, kind=kind, **{"llm.provider": "openai", "llm.model_name": model})  # type: ignore[arg-type]
    return step if tokens is None else _with_tokens(step, tokens)


class _with_tokens:  # noqa: N801 - reads like a function
    def __init__(self, step: Any, tokens: int) -> None:
        self._step, self._tokens = step, tokens

    def __enter__(self) -> None:
        self._step.__enter__().attributes({"llm.token_count.prompt": self._tokens})

    def __exit__(self, *error: object) -> None:
        self._step.__exit__(*error)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """An agent's call through a framework, and three calls that are traces of their own."""
    path = tmp_path / "runs.db"
    with capture(path, sdks=False):
        with (
            span("agent", kind="AGENT"),
            call("framework", "LLM", "outer", 10),
            call("sdk", "LLM", "inner", 10),
        ):
            pass
        with call("embed", "EMBEDDING", "vectors", 5):
            pass
        with call("rank", "RERANKER", "ranks", None):
            pass
        with call("chat", "LLM", "small", 7):
            pass
    with open_store(path) as store:
        newest = store.list_traces()[0].trace_id
        store.save_evaluations(
            [Evaluation(evaluation_id="e", trace_id=newest, name="polite", scorer="polite",
                        scorer_version="1", score=Score(value=1.0, passed=True))]
        ).result()  # fmt: skip
    return path


ASKED = "SELECT name, kind, model, input_tokens, counted FROM {}v_calls ORDER BY name"


def test_a_call_names_its_own_model_and_says_whether_it_counts(database: Path) -> None:
    """Embeddings and rerankers are calls as well; tokens add up to those of the traces."""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute(ASKED.format("")).fetchall() == CALLS
        sums = [
            connection.execute(f"SELECT sum(input_tokens) FROM {what}").fetchone()[0]
            for what in ("v_traces", "v_calls WHERE counted")
        ]
    assert sums == [22, 22]


def test_an_older_files_calls_get_their_models(tmp_path: Path) -> None:
    """From the prompts that they had, as soon as the file is opened."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        create_tables(old)
        old.execute("PRAGMA user_version = 1")
        head = json.dumps({"name": "judge", "model": {"provider": "openai", "name": "judge-1"}})
        old.execute("INSERT INTO blobs VALUES (1, x'01', ?)", (head,))
        old.execute("INSERT INTO prompts(id, hash, head) VALUES (1, x'02', 1)")
        old.execute(
            "INSERT INTO traces(id, trace_id, span_id, name, status, source, start_ns, model, "
            "prompt_name, repeat, attempts) "
            "VALUES (1, 't', 's', 'run', 'OK', 'live', 1, 'local/small', 'p', 0, 1)"
        )
        old.execute(
            "INSERT INTO spans(id, trace, span_id, name, kind, status, start_ns, prompt) "
            "VALUES (1, 1, 'j', 'judge', 'LLM', 'OK', 1, 1)"
        )
        old.execute("INSERT INTO responses(trace, span) VALUES (1, 1)")
    with open_store(path) as store, store.reading() as reader:
        found = reader.execute("SELECT name, model FROM v_calls").fetchall()
    assert [tuple(row) for row in found] == [("judge", "openai/judge-1")]


def test_datasette_serves_the_views(database: Path) -> None:
    """As rows and as a page."""
    app = pytest.importorskip("datasette.app", reason="make test-views has datasette")

    async def asked(path: str) -> Any:
        return await app.Datasette([], immutables=[str(database)]).client.get(path)

    for view, rows in (("v_traces", 4), ("v_calls", 5), ("v_evaluations", 1)):
        found = asyncio.run(asked(f"/runs/{view}.json?_shape=array"))
        assert len(found.json()) == rows
        assert asyncio.run(asked(f"/runs/{view}")).status_code == 200


def test_duckdb_reads_the_views(database: Path) -> None:
    """It runs their SQL itself, so they keep to what both engines understand."""
    duckdb = pytest.importorskip("duckdb", reason="make test-views has DuckDB")
    extensions = pytest.importorskip("duckdb_ext", reason="make test-views has its extension")
    [folder] = extensions.__path__
    [extension] = Path(folder).rglob("sqlite_scanner.duckdb_extension")
    with closing(duckdb.connect()) as connection:
        connection.execute(f"LOAD '{extension}'")
        connection.execute(f"ATTACH '{database}' AS runs (TYPE sqlite, READ_ONLY)")
        assert connection.execute(ASKED.format("runs.")).fetchall() == CALLS
        for view, rows in (("v_traces", 4), ("v_calls", 5), ("v_evaluations", 1)):
            assert len(connection.execute(f"SELECT * FROM runs.{view}").fetchall()) == rows
