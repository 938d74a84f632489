"""The one gate that every text passes on its way to the disk.

Secrets are taken out by default (:mod:`p2re_eval.store.secret_shapes`); the user's own patterns
(:mod:`p2re_eval.store.redaction_rules`) and a hook may do more, and ``P2RE_REDACT_DEFAULTS=off``
turns the shapes off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json

from p2re_eval.records import JSON, Message, ModelSettings, RenderedPrompt
from p2re_eval.records.base import Role
from p2re_eval.store.payloads import Text
from p2re_eval.store.redaction_rules import own_rules
from p2re_eval.store.secret_shapes import Secrets, value_of_key

Redact: TypeAlias = Callable[[str], str]
"""Takes one text as the user knows it (never its JSON form) and gives what may be stored."""
_SHORT = 2_000
"""Characters; longer texts hardly ever come again, and would fill the memory."""


_HEADS = 256
"""Prompts whose settings are remembered."""


class Redaction:
    """Texts and records as they are written.

    ``redact`` sees every string inside them, after the secrets that are known by their shape are
    gone. Without it and without a pattern of the user's, what nothing suspects is written fast.
    """

    def __init__(
        self,
        redact: Redact | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        folder: Path | None = Path(),
    ) -> None:
        environ = os.environ if environ is None else environ
        off = environ.get("P2RE_REDACT_DEFAULTS", "").lower() in {"off", "0", "no", "false"}
        self._secrets = None if off else Secrets(environ)
        self._own = own_rules(environ, folder)
        self._hook = redact
        self._must_look = redact is not None or bool(self._own)
        # Instructions, settings and attributes come again and again.
        self._seen = lru_cache(maxsize=2048)(self._look)
        self._heads: dict[tuple[str, str | None, int], tuple[ModelSettings, Text]] = {}
        self._known_plain = lru_cache(maxsize=2048)(self._is_plain)
        self._heard = lru_cache(maxsize=2048)(self._listen)

    @property
    def hooked(self) -> bool:
        """Whether somebody's own function sees every text, and should see it once."""
        return self._hook is not None

    def text(self, text: str | None) -> str | None:
        """A text column; lone surrogates, which UTF-8 cannot hold, are written as ``\\udXXX``."""
        if text is None:
            return None
        if self._must_look or (self._secrets is not None and self._secrets.suspects(text)):
            text = self.clean_text(text)
        return self.storable(text)

    def storable(self, text: str) -> str:
        """A text as a column can hold it."""
        if text.isascii():
            return text
        return text.encode("utf-8", "backslashreplace").decode()

    def json(self, value: JSON) -> str | None:
        """JSON text, or None for a value that says nothing (None, an empty list or mapping)."""
        if value is None or (not value and value in ({}, [], ())):
            return None
        if isinstance(value, BaseModel):
            return self.record(value)
        text = _dumps(value)
        if self._passes(text):
            return text
        return _dumps(self.clean(json.loads(text)))

    def record(self, record: BaseModel, *, exclude: set[str] | None = None) -> str:
        """A record's JSON text without its defaults."""
        return self._dump(record, exclude_defaults=True, exclude=exclude)[0]

    def raw(self, value: Mapping[str, JSON], texts: Sequence[str] | None) -> tuple[str, bool]:
        """JSON text with everything that reading it back needs, and whether nothing in it is
        suspicious. ``texts`` are all that are in it, where they are known."""
        written = _dumps(value)
        if texts is None:
            if self._passes(written):
                return written, False  # what is JSON inside of its texts was not looked into
        elif all(map(self._plain, texts)):
            return written, True
        return _dumps(self.clean(json.loads(written))), False

    def head(self, prompt: RenderedPrompt) -> Text:
        """What a prompt is beside its messages and variables: the same for all cases of a suite,
        whose settings are one and the same object."""
        if self._must_look or prompt.tools or prompt.output_schema is not None:
            return Text(self.record(prompt, exclude={"messages", "variables"}))
        key = (prompt.name, prompt.version, id(prompt.model))
        known = self._heads.get(key)
        if known is None:
            if len(self._heads) >= _HEADS:
                self._heads.clear()
            text = Text(self.record(prompt, exclude={"messages", "variables"}))
            known = self._heads[key] = (prompt.model, text)
        return known[1]

    def said(self, message: Message) -> tuple[Text, bool]:
        """A message's JSON text, and whether nothing in it is suspicious; parts keep their
        ``type``, a default that tells them apart."""
        content = message.content
        if not isinstance(content, str):
            text, passed = self._dump(message, exclude_none=True)
            return Text(text), passed
        more = message.tool_calls or message.tool_call_id or message.name
        if more or self._must_look:
            text, passed = self._dump(message, exclude_defaults=True)
            return Text(text), passed
        return self.plainly_said(message.role, content)

    def plainly_said(self, role: Role, content: str) -> tuple[Text, bool]:
        """The same for a message that has nothing but its text."""
        if self._must_look or len(content) > _SHORT:
            return self._listen(role, content)
        return self._heard(role, content)

    def _listen(self, role: Role, content: str) -> tuple[Text, bool]:
        """As the message's record would be dumped."""
        try:
            said = f',"content":{to_json(content).decode()}' if content else ""
            text = f'{{"role":"{role}"{said}}}'
            if self._passes(text):
                return Text(text, content), True
        except PydanticSerializationError:
            pass
        return Text(
            self._dump(Message(role=role, content=content), exclude_defaults=True)[0]
        ), False

    def clean(self, value: JSON) -> JSON:
        """A JSON value without secrets, in its texts and under the names of keys."""
        if isinstance(value, str):
            return self.clean_text(value)
        if isinstance(value, dict):
            return {self.clean(name): self._clean_under(name, item) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.clean(item) for item in value]
        return value

    def clean_text(self, text: str) -> str:
        """A text without secrets."""
        if self._secrets is not None and self._secrets.suspects(text):
            text = self._secrets.replaced(text)
        for rule in self._own:
            text = rule.replaced(text)
        return text if self._hook is None else self._hook(text)

    def _clean_under(self, name: JSON, value: JSON) -> JSON:
        return self.clean(value if self._secrets is None else value_of_key(name, value))

    def _plain(self, text: str) -> bool:
        """Whether it passes, and says nothing else when it is read as JSON."""
        if self._must_look:
            return False
        return self._known_plain(text) if len(text) <= _SHORT else self._is_plain(text)

    def _is_plain(self, text: str) -> bool:
        return "\\u" not in text and "\\/" not in text and self._look(text)

    def _passes(self, text: str) -> bool:
        """Whether JSON text can be written as it is."""
        if self._must_look:
            return False
        return self._seen(text) if len(text) <= _SHORT else self._look(text)

    def _look(self, text: str) -> bool:
        return self._secrets is None or not self._secrets.suspects(text)

    def _dump(self, record: BaseModel, **options: Any) -> tuple[str, bool]:
        """The JSON text, and whether it passed as it is: then so does every text inside it."""
        try:
            text = record.model_dump_json(**options)
            if self._passes(text):
                return text, True
        except PydanticSerializationError:
            pass  # a lone surrogate, or something that only str() can write: the slow way
        return _dumps(self.clean(record.model_dump(**options))), False


WRITES_ONLY = Redaction(environ={"P2RE_REDACT_DEFAULTS": "off"}, folder=None)
"""For what has been looked at before: it only writes."""


def _dumps(value: JSON) -> str:
    try:
        return to_json(value, inf_nan_mode="constants", fallback=str).decode()
    except PydanticSerializationError:
        return json.dumps(value, default=str)  # escapes lone surrogates instead of refusing them
