"""Texts, and prompts made of them, on their way into the tables: each once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from p2re_eval.store.columns import Insert
from p2re_eval.store.contents import Asked
from p2re_eval.store.payloads import Text, packed, squeezed
from p2re_eval.store.steps.texts_nearby import NEARBY
from p2re_eval.store.transaction import Transaction

SMALL_VARIABLES = 48
"""Bytes that are not worth compressing, even against the messages."""
_STEPS_BACK = 4
"""How far back a text is looked for, in steps of 131,072 texts."""
_AT_ONCE = 64
"""Texts looked for in one query."""

_FIND = (
    f"SELECT hash, id FROM {{}} WHERE id >> {NEARBY} IN ({{}}) "  # noqa: S608 - our own names
    "AND substr(hash, 1, 8) IN ({})"
)
_INSERT_BLOB = Insert("blobs", "id hash body")
_INSERT_PROMPT = Insert("prompts", "id hash head variables")
_INSERT_MESSAGE = Insert("messages", "prompt position blob")


def keep_prompt(transaction: Transaction, asked: Asked) -> int:
    """The id of this rendered prompt, which has one row however often it runs."""
    known = transaction.memory.prompts.get(asked.name)
    if known is not None:
        return known
    blobs = transaction.memory.blobs
    if any(text.name not in blobs and text.name not in transaction.absent for text in asked.texts):
        look_up(transaction, asked.texts)
    old = all(text.name in blobs for text in asked.texts)
    row = _find(transaction, "prompts", [asked.name]).get(asked.name) if old else None
    if row is None:
        row = transaction.new_id("prompts")
        kept = [keep_text(transaction, text) for text in asked.texts]
        beside = _beside(asked.variables, [text.content for text in asked.texts[1:]])
        transaction.add(_INSERT_PROMPT, (row, asked.name, kept[0], beside))
        for position, blob in enumerate(kept[1:]):
            transaction.add(_INSERT_MESSAGE, (row, position, blob))
    transaction.memory.prompts[asked.name] = row
    return row


def keep_text(transaction: Transaction, text: Text) -> int:
    """The id of the blob that holds this text, made if it is new."""
    blobs = transaction.memory.blobs
    row = blobs.get(text.name)
    if row is None and text.name not in transaction.absent:
        look_up(transaction, [text])
        row = blobs.get(text.name)
    if row is None:
        row = blobs[text.name] = transaction.new_id("blobs")
        transaction.add(_INSERT_BLOB, (row, text.name, packed(text.content)))
        transaction.memory.heard(row, text.said)
    return row


def look_up(transaction: Transaction, texts: Iterable[Text]) -> None:
    """Learn which of these texts are stored already, all in one go."""
    memory = transaction.memory
    wanted = [
        name
        for name in {text.name: None for text in texts}
        if name not in memory.blobs and name not in transaction.absent
    ]
    if wanted:
        memory.blobs.update(_find(transaction, "blobs", wanted))
        transaction.absent.update(wanted)


def _find(transaction: Transaction, table: str, names: Sequence[bytes]) -> dict[bytes, int]:
    """The newest row of each name that is there, in the last steps of the table."""
    step = (transaction.next_id(table) - 1) >> NEARBY
    steps = range(max(0, step - _STEPS_BACK + 1), step + 1)
    found: dict[bytes, int] = dict.fromkeys(names, 0)
    for first in range(0, len(names), _AT_ONCE):
        starts = [name[:8] for name in names[first : first + _AT_ONCE]]
        size = 1 if len(starts) == 1 else _AT_ONCE
        sql = _FIND.format(table, ", ".join(map(str, steps)), ", ".join("?" * size))
        for name, row in transaction.rows(sql, starts + starts[:1] * (size - len(starts))):
            if name in found:
                found[name] = max(row, found[name])
    return {name: row for name, row in found.items() if row}


def _beside(variables: bytes, messages: Sequence[bytes]) -> str | bytes | None:
    if not variables:
        return None
    small = len(variables) <= SMALL_VARIABLES
    return variables.decode() if small else squeezed(variables, known=b"".join(messages))
