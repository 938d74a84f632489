"""The one gate that every text passes on its way to the disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json

from p2re_eval.records import JSON, Message

Redact: TypeAlias = Callable[[str], str]
"""Takes one text as the user knows it (never its JSON form) and gives what may be stored."""


class Redaction:
    """Texts and records as they are written; ``redact`` sees every string inside them first."""

    def __init__(self, redact: Redact | None = None) -> None:
        self._redact = redact

    def text(self, text: str | None) -> str | None:
        """A text column; lone surrogates, which UTF-8 cannot hold, are written as ``\\udXXX``."""
        if text is None:
            return None
        if self._redact is not None:
            text = self._redact(text)
        if text.isascii():
            return text
        return text.encode("utf-8", "backslashreplace").decode()

    def json(self, value: JSON) -> str | None:
        """JSON text, or None for a value that says nothing (None, an empty list or mapping)."""
        if value is None or value in ({}, [], ()):
            return None
        if isinstance(value, BaseModel):
            return self.record(value)
        if self._redact is not None:
            value = self._clean(json.loads(_dumps(value)))
        return _dumps(value)

    def record(self, record: BaseModel, *, exclude: set[str] | None = None) -> str:
        """A record's JSON text without its defaults."""
        return self._dump(record, exclude_defaults=True, exclude=exclude)

    def message(self, message: Message) -> str:
        """A message's JSON text; parts keep their ``type``, a default that tells them apart."""
        in_parts = not isinstance(message.content, str)
        return self._dump(message, exclude_defaults=not in_parts, exclude_none=in_parts)

    def _dump(self, record: BaseModel, **options: Any) -> str:
        if self._redact is None:
            try:
                return record.model_dump_json(**options)
            except PydanticSerializationError:
                pass  # a lone surrogate, or something that only str() can write: the slow way
        plain = record.model_dump(**options)
        return _dumps(plain if self._redact is None else self._clean(plain))

    def _clean(self, value: JSON) -> JSON:
        if isinstance(value, str):
            return self._redact(value) if self._redact else value
        if isinstance(value, dict):
            return {self._clean(key): self._clean(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._clean(item) for item in value]
        return value


def _dumps(value: JSON) -> str:
    try:
        return to_json(value, inf_nan_mode="constants", fallback=str).decode()
    except PydanticSerializationError:
        return json.dumps(value, default=str)  # escapes lone surrogates instead of refusing them
