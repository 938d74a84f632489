"""The header of a model file: enough of GGUF to know what a model can do before loading it.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from p2re_eval.records import JSON

_MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
_FORMATS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_LONGEST_STRING = 1 << 24


class GGUFError(ValueError):
    """The file is no model of this format, or is damaged."""


@dataclass(frozen=True, slots=True)
class ModelHeader:
    """What a model says of itself; ``context`` is the length it was trained for."""

    architecture: str
    context: int | None
    chat_template: str

    @property
    def takes_tools(self) -> bool:
        """Whether the chat template shows tools to the model at all."""
        return "tools" in self.chat_template


def read_header(path: Path) -> ModelHeader:
    """Read the metadata, without the tensors. Raises GGUFError, or OSError."""
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            raise GGUFError("it does not begin like a GGUF file")
        version, _tensors, entries = _unpack(file, "<IQQ")
        if version < 2 or entries > 100_000:
            raise GGUFError(f"GGUF version {version} is not supported")
        metadata = {}
        for _ in range(entries):
            name = _string(file)
            (kind,) = _unpack(file, "<I")
            metadata[name] = _value(file, kind)
    architecture = str(metadata.get("general.architecture", ""))
    context = metadata.get(f"{architecture}.context_length")
    return ModelHeader(
        architecture=architecture,
        context=context if isinstance(context, int) else None,
        chat_template=str(metadata.get("tokenizer.chat_template", "")),
    )


def _value(file: BinaryIO, kind: int) -> JSON:
    """One value; arrays (the vocabulary) are passed over."""
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        return _skip_array(file)
    if kind not in _FORMATS:
        raise GGUFError(f"its metadata has a value of unknown type {kind}")
    return _unpack(file, f"<{_FORMATS[kind]}")[0]


def _skip_array(file: BinaryIO) -> None:
    kind, length = _unpack(file, "<IQ")
    if kind in _FORMATS:
        file.seek(length * struct.calcsize(f"<{_FORMATS[kind]}"), 1)
        return
    for _ in range(length):
        if kind == _STRING:
            (size,) = _unpack(file, "<Q")
            file.seek(size, 1)
        else:
            _value(file, kind)


def _string(file: BinaryIO) -> str:
    (size,) = _unpack(file, "<Q")
    if size > _LONGEST_STRING:
        raise GGUFError("its metadata is damaged")
    return file.read(size).decode("utf-8", "replace")


def _unpack(file: BinaryIO, layout: str) -> tuple[int, ...]:
    size = struct.calcsize(layout)
    content = file.read(size)
    if len(content) < size:
        raise GGUFError("it ends in the middle of its header")
    return struct.unpack(layout, content)
