"""Prompts as the record knows them: templates, their versions, and labels that move."""

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
    """A prompt as lists show it; ``versions`` counts, ``newest`` and the labels name hashes."""

    id: int
    name: str
    created_ns: int
    versions: int
    newest: str | None = None
    newest_ns: int | None = None
    labels: dict[str, str] = Field(default_factory=dict)


class VersionRow(Record):
    """One immutable version of a prompt; ``number`` is that of git's history, where it is known."""

    id: int
    name: str
    number: int | None = None
    version: str
    path: str | None = None
    commit: str | None = None
    created_ns: int
    labels: tuple[str, ...] = ()

    @property
    def short_version(self) -> str:
        """The first twelve digits, as tables show it."""
        return self.version[:12]

    @property
    def shown(self) -> str:
        """``v3 (1a2b3c4d5e6f)``, or the digits alone where git does not number it."""
        digits = self.short_version
        return digits if self.number is None else f"v{self.number} ({digits})"


class LabelMove(Record):
    """A label's step from version to version; ``version`` None means that it was taken away."""

    label: str
    version: str | None
    moved_ns: int


_VERSION = (
    'SELECT v.id, p.name, v.version, v.path, v."commit", v.created_ns, v.template '
    "FROM versions v JOIN prompt_templates p ON p.id = v.template "
)
_LABELS_NOW = (
    "SELECT l.label, v.version FROM labels l JOIN versions v ON v.id = l.version "
    "WHERE l.template = ? AND NOT EXISTS (SELECT 1 FROM labels n "
    "WHERE n.template = l.template AND n.label = l.label "
    "AND (n.moved_ns, n.id) > (l.moved_ns, l.id)) ORDER BY l.label"
)


def list_templates(
    connection: sqlite3.Connection,
    *,
    limit: int,
    after: str | None = None,
    text: str | None = None,
) -> list[TemplateRow]:
    """Templates by name, from after this one; ``text`` stands in the name."""
    rows = connection.execute(
        "SELECT p.id, p.name, p.created_ns, v.number AS versions, v.version AS newest, "
        "v.created_ns AS newest_ns FROM prompt_templates p LEFT JOIN versions v ON v.id = "
        "(SELECT id FROM versions WHERE template = p.id ORDER BY number DESC LIMIT 1) "
        "WHERE p.name > ? AND (? IS NULL OR instr(lower(p.name), lower(?))) "
        "ORDER BY p.name LIMIT ?",
        (after or "", text, text, limit),
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
    """The newest recorded first, below the row ``before``. Raises NoSuchRecord."""
    template = _template(connection, name, path)
    rows = connection.execute(
        f"{_VERSION} WHERE v.template = ? AND v.id < ? ORDER BY v.id DESC LIMIT ?",
        (template, before or 1 << 62, limit),
    ).fetchall()
    labels = _labels_now(connection, template)
    return [_version_row(row, labels) for row in rows]


def find_version(
    connection: sqlite3.Connection, name: str, reference: str, path: Path
) -> VersionRow:
    """A version by ``latest``, a label, or the beginning of its hash.

    Raises NoSuchRecord, and StoreError when more than one begins so.
    """
    template = _template(connection, name, path)
    labels = _labels_now(connection, template)
    newest = _newest(connection, template)
    digits = newest if reference == "latest" else labels.get(reference, reference)
    rows = connection.execute(
        f"{_VERSION} WHERE v.template = ? AND substr(v.version, 1, ?) = ? LIMIT 2",
        (template, len(digits), digits),
    ).fetchall()
    if not rows or not reference:
        hint = did_you_mean(reference, [*labels, "latest", newest[:12]])
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


def labels_now(connection: sqlite3.Connection, name: str, path: Path) -> dict[str, str]:
    """The labels of a prompt and the hash of each one's version. Raises NoSuchRecord."""
    return _labels_now(connection, _template(connection, name, path))


def label_history(
    connection: sqlite3.Connection, name: str, path: Path, label: str | None = None
) -> list[LabelMove]:
    """Where a prompt's labels went, the newest move first. Raises NoSuchRecord."""
    rows = connection.execute(
        "SELECT l.label, v.version, l.moved_ns FROM labels l "
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


def _newest(connection: sqlite3.Connection, template: int) -> str:
    sql = "SELECT version FROM versions WHERE template = ? ORDER BY id DESC LIMIT 1"
    row = connection.execute(sql, (template,)).fetchone()
    return "" if row is None else str(row[0])


def _labels_now(connection: sqlite3.Connection, template: int) -> dict[str, str]:
    rows = connection.execute(_LABELS_NOW, (template,))
    return {row["label"]: row["version"] for row in rows}


def _version_row(row: sqlite3.Row, labels: dict[str, str]) -> VersionRow:
    values = {key: row[key] for key in row.keys() if key != "template"}  # noqa: SIM118 - a Row is not a mapping
    carried = tuple(label for label, version in labels.items() if version == row["version"])
    return VersionRow(**values, labels=carried)
