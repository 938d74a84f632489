"""Secrets that are on disk already leave texts, index, freed pages and log."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.errors import StoreLocked
from p2re_eval.records import (
    Message,
    PromptTemplate,
    Score,
    Session,
    Span,
    TemplateMessage,
)
from p2re_eval.service import Service
from p2re_eval.store import open_store
from p2re_eval.store.payloads import unpacked

KEY = "sk-" + "live4Q2Z9x8w7v6u5t4s3r2q1p0"
PART = KEY[3:].encode()


@pytest.fixture
def leaky(database: Path, records: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file written with the defaults off: a key in every place, twice in one text, and a trace
    that was deleted after it was indexed."""
    monkeypatch.setenv("P2RE_REDACT_DEFAULTS", "off")
    with open_store(database) as store:
        prompt = records.prompt(f"my key is {KEY} " + "and so on " * 60).model_copy(
            update={"variables": {"ticket": f"my key is {KEY}", "long": "word " * 40}}
        )
        trace = records.answered(
            records.trace(
                prompt=prompt,
                tags=(KEY,),
                metadata={"a": KEY},
                spans=(
                    Span(
                        span_id="c" * 16,
                        trace_id="1".zfill(32),
                        name="tool",
                        start_ns=1,
                        attributes={"input.value": KEY},
                        status_message=KEY,
                    ),
                ),
            ),
            f"your key {KEY}",
        )
        store.finish_trace(trace)
        store.finish_trace(records.answered(text=f"gone {KEY}"))
        store.finish_trace(records.answered(text="harmless"))
        score = Score(explanation=f"saw {KEY}", label=KEY)
        store.save_evaluations([records.evaluation(trace.trace_id, score=score)])
        store.save_result(records.result(output_preview=KEY, trace_id=trace.trace_id), [])
        store.start_session(Session(session_id="s", started_ns=1, name=KEY))
        message = TemplateMessage(role="user", content=KEY)
        store.save_prompt_version(PromptTemplate(name="p", version="v", messages=(message,)))
        store.index_everything()
        Service(store).traces.delete(["2".zfill(32)])
    monkeypatch.delenv("P2RE_REDACT_DEFAULTS")
    return database


def whole_content(database: Path) -> str:
    """Every value of every table, uncompressed where it is compressed on its own."""
    found = []
    with closing(sqlite3.connect(database)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall()
        for (table,) in tables:
            if table.startswith("search"):
                continue
            for row in connection.execute(f"SELECT * FROM {table}"):
                found += [str(value) for value in row]
        for (body,) in connection.execute(
            "SELECT body FROM blobs UNION ALL SELECT body FROM versions"
        ):
            found.append(unpacked(body))
    return "\n".join(found)


def test_a_dry_run_counts_and_leaves_everything(leaky: Path) -> None:
    before = whole_content(leaky)
    with open_store(leaky) as store:
        report = Service(store).keeping.redact(dry_run=True)
    assert report.changed >= 9
    assert report.rows["traces"] == 4
    assert KEY in before
    assert whole_content(leaky) == before


def test_redaction_of_history_leaves_no_trace_of_the_key(leaky: Path) -> None:
    """Neither in rows, nor index, nor the bytes of file and log; what remains reads on."""
    assert KEY in whole_content(leaky)
    with open_store(leaky) as store:
        service = Service(store)
        report = service.keeping.redact()
        assert (report.prompts, report.versions) == (1, 1)
        assert service.traces.search(KEY[3:]).items == ()
        assert len(service.traces.search("harmless").items) == 1
        assert len(service.traces.search("your").items) == 1
        trace = service.traces.get("1".zfill(32)).trace
        assert trace.prompt.messages[0].text.startswith("my key is [redacted key] and so on")
        assert trace.prompt.variables["ticket"] == "my key is [redacted key]"
        assert trace.completion is not None
        assert trace.completion.text == "your key [redacted key]"
        assert trace.spans[0].attributes == {"input.value": "[redacted key]"}
        assert trace.tags == ("[redacted key]",)
        assert service.keeping.redact().changed == 0
        assert store.health().integrity == "ok"
        assert KEY not in whole_content(leaky)
        for path in leaky.parent.iterdir():
            content = path.read_bytes().lower()
            assert PART.lower() not in content, path
    with (
        closing(sqlite3.connect(leaky)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="never changes"),
    ):
        connection.execute("UPDATE versions SET path = 'x'")


def test_messages_that_become_the_same_are_kept_once(
    database: Path, records: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two texts that differ only in the key share one row afterwards."""
    monkeypatch.setenv("P2RE_REDACT_DEFAULTS", "off")
    with open_store(database) as store:
        for end in "12":
            store.finish_trace(records.answered(text=f"key {KEY}{end}")).result()
    monkeypatch.delenv("P2RE_REDACT_DEFAULTS")
    with open_store(database) as store:
        service = Service(store)
        service.keeping.redact()
        texts = [
            service.traces.get(row.trace_id).trace.completion.text
            for row in service.traces.list().items
        ]
        assert texts == ["key [redacted key]"] * 2
        sql = "SELECT count(DISTINCT message) FROM responses"
        assert store.read(lambda connection: connection.execute(sql).fetchone()[0]) == 1


def test_a_reader_of_the_old_pages_is_named(leaky: Path) -> None:
    """While another program reads, its snapshot keeps the old pages in the log."""
    with open_store(leaky) as store, closing(sqlite3.connect(leaky)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM traces").fetchone()
        with pytest.raises(StoreLocked, match="another program"):
            Service(store).keeping.redact()


def test_messages_keep_their_parts(database: Path, records: Any) -> None:
    """What has no secret is not written anew, so its form stays to the byte."""
    with open_store(database) as store:
        prompt = records.prompt("plain").model_copy(
            update={"messages": (Message(role="user", content="plain"),)}
        )
        store.finish_trace(records.answered(records.trace(prompt=prompt))).result()
        assert Service(store).keeping.redact().changed == 0
