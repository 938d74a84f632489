"""Prompts as the record knows them: templates, their numbered versions, and labels that move."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from pydantic import Field

from p2re_eval.errors import NoSuchRecord, StoreError
from p2re_eval.explain import did_you_mean
from p2re_eval.records import PromptTemplate, Record
from p2re_eval.store.payloads import record_of, unpacked
from p2re_eval.store.transaction import Transaction


class TemplateRow(Record):
    """A prompt as lists show it; ``versions`` counts, ``newest`` is the last one's number."""

    id: int
    name: str
    created_ns: int
    versions: int
    newest: str | None = None
    newest_ns: int | None = None
    labels: dict[str, int] = Field(default_factory=dict)


class VersionRow(Record):
    """One immutable version of a prompt; ``number`` counts from 1 in the order of recording."""

    id: int
    name: str
    number: int
    version: str
    path: str | None = None
    commit: str | None = None
    created_ns: int
    labels: tuple[str, ...] = ()

    @property
    def short_version(self) -> str:
        """The first twelve digits, as tables show it."""
        return self.version[:12]


class LabelMove(Record):
    """A label's step from version to version; ``number`` None means that it was taken away."""

    label: str
    number: int | None
    version: str | None
    moved_ns: int


_VERSION = (
    'SELECT v.id, p.name, v.number, v.version, v.path, v."commit", v.created_ns, v.template '
    "FROM versions v JOIN prompt_templates p ON p.id = v.template "
)
_LABELS_NOW = (
    "SELECT l.label, v.number, l.version FROM labels l LEFT JOIN versions v ON v.id = l.version "
    "WHERE l.template = ? AND l.version IS NOT NULL AND NOT EXISTS (SELECT 1 FROM labels n "
    "WHERE n.template = l.template AND n.label = l.label "
    "AND (n.moved_ns, n.id) > (l.moved_ns, l.id)) ORDER BY l.label"
)


def list_templates(
    connection: sqlite3.Connection, *, limit: int, after: str | None = None
) -> list[TemplateRow]:
    """Templates by name, from after this one."""
    rows = connection.execute(
        "SELECT p.id, p.name, p.created_ns, v.number AS versions, v.version AS newest, "
        "v.created_ns AS newest_ns FROM prompt_templates p LEFT JOIN versions v ON v.id = "
        "(SELECT id FROM versions WHERE template = p.id ORDER BY number DESC LIMIT 1) "
        "WHERE p.name > ? ORDER BY p.name LIMIT ?",
        (after or "", limit),
    ).fetchall()
    return [
        TemplateRow(
            **{**dict(row), "versions": row["versions"] or 0},
            labels=_labels_now(connection, row["id"]),
        )
        for row in rows
    ]


def list_versions(
    connection: sqlite3.Connection, name: str, path: Path, *, limit: int, before: int | None = None
) -> list[VersionRow]:
    """The newest versions first, below the number ``before``. Raises NoSuchRecord."""
    template = _template(connection, name, path)
    rows = connection.execute(
        f"{_VERSION} WHERE v.template = ? AND v.number < ? ORDER BY v.number DESC LIMIT ?",
        (template, before or 1 << 62, limit),
    ).fetchall()
    labels = _labels_now(connection, template)
    return [_version_row(row, labels) for row in rows]


def find_version(
    connection: sqlite3.Connection, name: str, reference: str, path: Path
) -> VersionRow:
    """A version by ``v3``, ``latest``, a label, or the beginning of its hash.

    Raises NoSuchRecord, and StoreError when more than one begins so.
    """
    template = _template(connection, name, path)
    labels = _labels_now(connection, template)
    number = _number(connection, template, reference, labels)
    if number is not None:
        rows = connection.execute(
            f"{_VERSION} WHERE v.template = ? AND v.number = ?", (template, number)
        ).fetchall()
    else:
        rows = connection.execute(
            f"{_VERSION} WHERE v.template = ? AND substr(v.version, 1, ?) = ? LIMIT 2",
            (template, len(reference), reference),
        ).fetchall()
    if not rows or not reference:
        choices = [*labels, "latest", f"v{_newest(connection, template)}"]
        hint = did_you_mean(reference, choices)
        what = f"{path}: the prompt '{name}' has no version or label '{reference}'{hint}"
        raise NoSuchRecord(what, path=path)
    if len(rows) > 1:
        what = f"{path}: '{reference}' begins more than one version of '{name}'; give more of it"
        raise StoreError(what, path=path)
    return _version_row(rows[0], labels)


def read_template(connection: sqlite3.Connection, version: VersionRow) -> PromptTemplate:
    """The prompt as it was in this version."""
    body = connection.execute("SELECT body FROM versions WHERE id = ?", (version.id,)).fetchone()
    return record_of(PromptTemplate, unpacked(body[0]))


def labels_now(connection: sqlite3.Connection, name: str, path: Path) -> dict[str, int]:
    """The labels of a prompt and the number of each one's version. Raises NoSuchRecord."""
    return _labels_now(connection, _template(connection, name, path))


def label_history(
    connection: sqlite3.Connection, name: str, path: Path, label: str | None = None
) -> list[LabelMove]:
    """Where a prompt's labels went, the newest move first. Raises NoSuchRecord."""
    rows = connection.execute(
        "SELECT l.label, v.number, v.version, l.moved_ns FROM labels l "
        "LEFT JOIN versions v ON v.id = l.version "
        "WHERE l.template = ? AND (? IS NULL OR l.label = ?) ORDER BY l.moved_ns DESC, l.id DESC",
        (_template(connection, name, path), label, label),
    )
    return [LabelMove(**dict(row)) for row in rows]


def move_label(transaction: Transaction, version: VersionRow, label: str) -> None:
    """Put a label on a version; where it stands already, its history gets no second entry."""
    connection = transaction.connection
    owner = connection.execute(
        "SELECT template FROM versions WHERE id = ?", (version.id,)
    ).fetchone()[0]
    now = connection.execute(
        "SELECT version FROM labels WHERE template = ? AND label = ? "
        "ORDER BY moved_ns DESC, id DESC LIMIT 1",
        (owner, label),
    ).fetchone()
    if now is None or now[0] != version.id:
        connection.execute(
            "INSERT INTO labels(template, label, version, moved_ns) VALUES (?, ?, ?, ?)",
            (owner, label, version.id, transaction.now_ns),
        )


def remove_label(transaction: Transaction, version: VersionRow, label: str) -> None:
    """Take a label away; its history stays."""
    transaction.connection.execute(
        "INSERT INTO labels(template, label, version, moved_ns) "
        "SELECT template, ?, NULL, ? FROM versions WHERE id = ?",
        (label, transaction.now_ns, version.id),
    )


def _template(connection: sqlite3.Connection, name: str, path: Path) -> int:
    found = connection.execute("SELECT id FROM prompt_templates WHERE name = ?", (name,)).fetchone()
    if found is None:
        known = [row[0] for row in connection.execute("SELECT name FROM prompt_templates LIMIT 99")]
        what = f"{path}: no prompt '{name}' was recorded{did_you_mean(name, known)}"
        raise NoSuchRecord(what, path=path)
    return int(found[0])


def _number(
    connection: sqlite3.Connection, template: int, reference: str, labels: dict[str, int]
) -> int | None:
    if reference in labels:
        return labels[reference]
    if reference == "latest":
        return _newest(connection, template)
    return int(reference[1:]) if reference[:1] == "v" and reference[1:].isdecimal() else None


def _newest(connection: sqlite3.Connection, template: int) -> int:
    sql = "SELECT coalesce(max(number), 0) FROM versions WHERE template = ?"
    return int(connection.execute(sql, (template,)).fetchone()[0])


def _labels_now(connection: sqlite3.Connection, template: int) -> dict[str, int]:
    rows = connection.execute(_LABELS_NOW, (template,))
    return {row["label"]: row["number"] for row in rows}


def _version_row(row: sqlite3.Row, labels: dict[str, int]) -> VersionRow:
    values = {key: row[key] for key in row.keys() if key != "template"}  # noqa: SIM118 - a Row is not a mapping
    carried = tuple(label for label, number in labels.items() if number == row["number"])
    return VersionRow(**values, labels=carried)
