"""Redaction of what is on disk already: texts, index, and the pages that once held them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from p2re_eval.errors import StoreLocked
from p2re_eval.records import Record
from p2re_eval.store.payloads import digest, packed, squeezed, text_of, unpacked
from p2re_eval.store.redaction import Redaction
from p2re_eval.store.schema import TABLES, statements
from p2re_eval.store.search import watermark
from p2re_eval.store.texts import SMALL_VARIABLES

_COLUMNS = {
    "traces": "name input_preview output_preview tags metadata user",
    "spans": "name status_message attributes events",
    "responses": "refusal rate_limit fault",
    "evaluations": "label explanation metadata fault",
    "evaluation_history": "label explanation",
    "experiments": "name settings verdicts packages",
    "results": "inputs_preview output_preview expected_preview fault tags",
    "sessions": "name user metadata",
    "sync_ledger": "detail",
}
"""Text columns outside the content-addressed texts."""


class RedactionReport(Record):
    """How many texts and rows held something that may not be kept."""

    texts: int
    prompts: int
    rows: dict[str, int]
    versions: int

    @property
    def changed(self) -> int:
        """Everything together."""
        return self.texts + self.prompts + self.versions + sum(self.rows.values())


class _DryRun(Exception):
    """Takes everything back."""


def redact_history(
    connection: sqlite3.Connection, path: Path, redaction: Redaction, *, dry_run: bool = False
) -> RedactionReport:
    """Rewrite every text as the redaction would write it today, in one transaction; then rebuild
    the index and the file, so that no page and no log keeps the old words.

    Other programs wait meanwhile. Raises StoreLocked when another keeps the old pages in use.
    """
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("BEGIN IMMEDIATE")
    try:
        report = _rewrite(connection, redaction)
        if dry_run:
            raise _DryRun
        if report.changed:
            _reindex(connection)
        connection.execute("COMMIT")
    except BaseException as error:
        connection.execute("ROLLBACK")
        if isinstance(error, _DryRun):
            return report
        raise
    if report.changed:
        rebuild_file(connection, path)
    return report


def rebuild_file(connection: sqlite3.Connection, path: Path) -> None:
    """Write the whole file anew and empty its log. Raises StoreLocked."""
    connection.execute("VACUUM")
    busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    if busy:
        what = (
            f"{path}: the texts are rewritten, but another program still reads the old pages; "
            "close it and run this again"
        )
        raise StoreLocked(what, path=path)


def _rewrite(connection: sqlite3.Connection, redaction: Redaction) -> RedactionReport:
    moved = _rewrite_texts(connection, redaction)
    prompts = _rewrite_variables(connection, redaction, moved)
    _repoint(connection, moved)
    rows = {
        table: sum(_rewrite_column(connection, redaction, table, name) for name in names.split())
        for table, names in _COLUMNS.items()
    }
    return RedactionReport(
        texts=len(moved),
        prompts=prompts,
        rows={table: count for table, count in rows.items() if count},
        versions=_rewrite_versions(connection, redaction),
    )


def _cleaned(redaction: Redaction, text: str) -> str:
    """A text without secrets; JSON stays JSON, with the same keys."""
    try:
        value = json.loads(text)
    except ValueError:
        return redaction.text(text) or ""
    if not isinstance(value, (dict, list)):
        return redaction.text(text) or ""
    clean = redaction.clean(value)
    return text if clean == value else redaction.json(clean) or text


def _rewrite_texts(connection: sqlite3.Connection, redaction: Redaction) -> dict[int, int]:
    """Old rows of ``blobs`` to those that hold their clean texts now."""
    moved: dict[int, int] = {}
    written: dict[bytes, int] = {}
    for row, body in _walk(connection, "SELECT id, body FROM blobs WHERE id > ? ORDER BY id"):
        text = unpacked(body)
        clean = _cleaned(redaction, text)
        if clean != text:
            content = clean.encode()
            name = digest(content)
            if name not in written:
                sql = "INSERT INTO blobs(hash, body) VALUES (?, ?)"
                new = connection.execute(sql, (name, packed(content))).lastrowid
                assert new is not None
                written[name] = new
            moved[row] = written[name]
    return moved


def _rewrite_variables(
    connection: sqlite3.Connection, redaction: Redaction, moved: dict[int, int]
) -> int:
    """Variables are compressed against their prompt's messages: both change together."""
    changed = 0
    sql = "SELECT id, variables FROM prompts WHERE id > ? AND variables IS NOT NULL ORDER BY id"
    for row, variables in _walk(connection, sql):
        blobs = [
            one[0]
            for one in connection.execute(
                "SELECT blob FROM messages WHERE prompt = ? ORDER BY position", (row,)
            )
        ]
        text = unpacked(variables, known=_joined(connection, blobs))
        clean = _cleaned(redaction, text)
        if clean != text or any(blob in moved for blob in blobs):
            content = clean.encode()
            known = _joined(connection, [moved.get(blob, blob) for blob in blobs])
            small = len(content) <= SMALL_VARIABLES
            kept = clean if small else squeezed(content, known=known)
            connection.execute("UPDATE prompts SET variables = ? WHERE id = ?", (kept, row))
            changed += clean != text
    return changed


def _joined(connection: sqlite3.Connection, blobs: Iterable[int]) -> bytes:
    return "".join(text_of(connection, blob) or "" for blob in blobs).encode()


def _repoint(connection: sqlite3.Connection, moved: dict[int, int]) -> None:
    if not moved:
        return
    connection.execute("CREATE TEMP TABLE moved(old INTEGER PRIMARY KEY, new INTEGER)")
    connection.executemany("INSERT INTO moved VALUES (?, ?)", moved.items())
    for table, names in {
        "messages": "blob",
        "prompts": "head",
        "responses": "message reasoning raw",
    }.items():
        for name in names.split():
            connection.execute(
                f"UPDATE {table} SET {name} = (SELECT new FROM moved WHERE old = {name}) "  # noqa: S608 - our own names
                f"WHERE {name} IN (SELECT old FROM moved)"
            )
    connection.execute("DELETE FROM blobs WHERE id IN (SELECT old FROM moved)")
    connection.execute("DROP TABLE moved")


def _rewrite_column(
    connection: sqlite3.Connection, redaction: Redaction, table: str, name: str
) -> int:
    changed = 0
    sql = f"SELECT id, {name} FROM {table} WHERE id > ? AND {name} IS NOT NULL ORDER BY id"  # noqa: S608 - our own names
    for row, text in _walk(connection, sql):
        clean = _cleaned(redaction, text)
        if clean != text:
            update = f"UPDATE {table} SET {name} = ? WHERE id = ?"  # noqa: S608 - our own names
            connection.execute(update, (clean, row))
            changed += 1
    return changed


def _rewrite_versions(connection: sqlite3.Connection, redaction: Redaction) -> int:
    """Versions never change but for this: the trigger that says so is put back at once."""
    changes = []
    for row, body in _walk(connection, "SELECT id, body FROM versions WHERE id > ? ORDER BY id"):
        text = unpacked(body)
        clean = _cleaned(redaction, text)
        if clean != text:
            changes.append((packed(clean.encode()), row))
    if changes:
        connection.execute("DROP TRIGGER versions_do_not_change")
        connection.executemany("UPDATE versions SET body = ? WHERE id = ?", changes)
        for statement in statements(TABLES):
            if "TRIGGER versions_do_not_change" in statement:
                connection.execute(statement)
    return len(changes)


def _reindex(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO search(search) VALUES ('delete-all')")
    connection.execute(
        "INSERT INTO search(rowid, prompt, response) SELECT s.id, s.prompt, s.response "
        "FROM responses r JOIN traces t ON t.id = r.trace JOIN search_texts s ON s.id = r.trace "
        "WHERE r.id <= ? AND r.span IS NULL AND t.prompt IS NOT NULL",
        (watermark(connection),),
    )


def _walk(connection: sqlite3.Connection, sql: str, size: int = 500) -> Iterable[tuple[int, str]]:
    """Rows by id, a page at a time, so that they may change meanwhile."""
    last = 0
    while True:
        page = connection.execute(f"{sql} LIMIT ?", (last, size)).fetchall()
        yield from page
        if len(page) < size:
            return
        last = page[-1][0]
