"""Texts stored once each: a blob is found by the hash of its content."""

from __future__ import annotations

import json
import sqlite3
import zlib
from hashlib import blake2b
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from p2re_eval.records import JSON

COMPRESS_ABOVE = 400
"""Bytes; below, zlib gains little and costs 16 us a text."""
_LEVEL = 1
"""zlib's fastest: texts of this size come out 4 % larger than at its best, a sixth sooner."""
SMALL = 4096
"""Bytes; up to here a small window finds as much, at a quarter of the time."""

_Model = TypeVar("_Model", bound=BaseModel)


def digest(content: bytes) -> bytes:
    """The 20 bytes that name a text: wide enough that two texts never meet, small in an index."""
    return blake2b(content, digest_size=20).digest()


class Text:
    """A text as it is stored, and the digest that names it. ``said`` is what full-text search
    reads of it, where that is known: what :func:`message_text` would find."""

    __slots__ = ("content", "name", "said")

    def __init__(self, text: str, said: str | None = None) -> None:
        self.content = text.encode()
        self.name = digest(self.content)
        self.said = said


def squeezed(content: bytes, *, known: bytes = b"") -> bytes:
    """Compressed; what is in ``known`` costs next to nothing, and is needed to get it back."""
    small = len(content) + len(known) <= SMALL
    window, memory = (12, 5) if small else (15, 8)
    if known:
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, window, memory, zdict=known)
    else:
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, window, memory)
    return compressor.compress(content) + compressor.flush()


def packed(content: bytes) -> str | bytes:
    """The text as a column holds it: compressed when that makes it smaller."""
    if len(content) > COMPRESS_ABOVE:
        compressed = squeezed(content)
        if len(compressed) < len(content):
            return compressed
    return content.decode()


def unpacked(body: str | bytes, *, known: bytes = b"") -> str:
    """What :func:`packed` or :func:`squeezed` was given."""
    if isinstance(body, str):
        return body
    decompressor = zlib.decompressobj(zdict=known) if known else zlib.decompressobj()
    return decompressor.decompress(body).decode()


def text_of(connection: sqlite3.Connection, blob: int | None) -> str | None:
    """The text of a blob; None when retention has dropped it."""
    if blob is None:
        return None
    found = connection.execute("SELECT body FROM blobs WHERE id = ?", (blob,)).fetchone()
    return None if found is None else unpacked(found[0])


def json_of(text: str | None, default: JSON = None) -> JSON:
    """A JSON column's value."""
    return default if text is None else json.loads(text)


def record_of(model: type[_Model], text: str) -> _Model:
    """A record from the JSON text of it."""
    try:
        return model.model_validate_json(text)
    except ValidationError:
        return model.model_validate(json.loads(text))  # json.loads accepts lone surrogates


def message_text(body: str | bytes | None) -> str | None:
    """What full-text search reads of a message blob; SQL calls it by this name.

    Never raises: one damaged text must not stop the index. Lone surrogates are escaped, as SQLite
    takes none.
    """
    if body is None:
        return None
    try:
        text = _said(json.loads(unpacked(body)))
    except (ValueError, LookupError, TypeError, zlib.error):
        return None
    return text.encode("utf-8", "backslashreplace").decode()


def _said(message: JSON) -> str:
    content = message.get("content", "")
    if not isinstance(content, str):
        content = "\n".join(part["text"] for part in content if "text" in part)
    calls = [f"{call['name']} {call['arguments']}" for call in message.get("tool_calls", ())]
    return "\n".join([content, *calls]) if calls else str(content)
