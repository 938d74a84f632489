"""Texts, and prompts made of them, on their way into the tables: each once."""

from __future__ import annotations

from collections.abc import Sequence

from p2re_eval.records import RenderedPrompt
from p2re_eval.store.columns import Insert
from p2re_eval.store.payloads import digest, packed, squeezed
from p2re_eval.store.transaction import Transaction

SMALL_VARIABLES = 48
"""Bytes that are not worth compressing, even against the messages."""

_FIND_PROMPT = "SELECT id FROM prompts WHERE hash = ?"
_INSERT_BLOB = Insert("blobs", "id hash body")
_INSERT_PROMPT = Insert("prompts", "id hash head variables")
_INSERT_MESSAGE = Insert("messages", "prompt position blob")


def keep_text(transaction: Transaction, text: str | None) -> int | None:
    """The id of the blob that holds this text, made if it is new."""
    if text is None:
        return None
    content = text.encode()
    name = digest(content)
    known = find_blob(transaction, name)
    return add_blob(transaction, name, content) if known is None else known


def find_blob(transaction: Transaction, name: bytes) -> int | None:
    """The blob of the text with this digest, where there is one."""
    blobs = transaction.memory.blobs
    known = blobs.get(name)
    if known is None:
        known = transaction.find("SELECT id FROM blobs WHERE hash = ?", name)
        if known is not None:
            blobs[name] = known
    return known


def add_blob(transaction: Transaction, name: bytes, content: bytes) -> int:
    """A new text, which nobody has found."""
    row = transaction.new_id("blobs")
    transaction.add(_INSERT_BLOB, (row, name, packed(content)))
    transaction.memory.blobs[name] = row
    return row


def keep_prompt(transaction: Transaction, prompt: RenderedPrompt) -> tuple[int, bool]:
    """The id of this rendered prompt, which has one row however often it runs, and whether its
    last message holds nothing suspicious."""
    redaction = transaction.redaction
    head = redaction.record(prompt, exclude={"messages", "variables"}).encode()
    variables = (redaction.json(prompt.variables) or "").encode()
    said = [redaction.said(message) for message in prompt.messages]
    # Parts are joined where they are shown: what is split over two of them is seen only there.
    clean = bool(said) and said[-1][1] and isinstance(prompt.messages[-1].content, str)
    contents = [head, *(text.encode() for text, _ in said)]
    names = [digest(content) for content in contents]
    name = digest(b"".join([names[0], digest(variables), *names[1:]]))
    known = transaction.memory.prompts.get(name)
    if known is not None:
        return known, clean
    blobs = [find_blob(transaction, one) for one in names]
    row = None if None in blobs else transaction.find(_FIND_PROMPT, name)
    if row is None:
        row = transaction.new_id("prompts")
        kept = [
            transaction.memory.blobs.get(one) or add_blob(transaction, one, content)
            for one, content in zip(names, contents, strict=True)
        ]
        beside = _beside(variables, contents[1:])
        transaction.add(_INSERT_PROMPT, (row, name, kept[0], beside))
        for position, blob in enumerate(kept[1:]):
            transaction.add(_INSERT_MESSAGE, (row, position, blob))
    transaction.memory.prompts[name] = row
    return row, clean


def _beside(variables: bytes, messages: Sequence[bytes]) -> str | bytes | None:
    if not variables:
        return None
    small = len(variables) <= SMALL_VARIABLES
    return variables.decode() if small else squeezed(variables, known=b"".join(messages))
