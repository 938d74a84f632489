"""One form of address for everything that is recorded, the same at every door."""

from __future__ import annotations

from typing import Literal, get_args

from p2re_eval.errors import UsageError
from p2re_eval.explain import did_you_mean
from p2re_eval.records import Record

ArtifactKind = Literal["trace", "prompt", "evaluation", "experiment", "session"]


class Address(Record):
    """``trace:ID``, ``prompt:NAME@VERSION``, ``evaluation:ID``, ``experiment:ID``, ``session:ID``.

    ``version`` is a prompt's only: ``v3``, ``latest``, a label, or the beginning of a hash.
    """

    kind: ArtifactKind
    id: str
    version: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}" + (f"@{self.version}" if self.version else "")


def parse_address(text: str) -> Address:
    """The address that a person or a link gave. Raises UsageError."""
    kind, colon, rest = text.strip().partition(":")
    kinds: tuple[ArtifactKind, ...] = get_args(ArtifactKind)
    found = next((one for one in kinds if one == kind.lower()), None)
    if found is None:
        hint = did_you_mean(kind, kinds) if colon else f"; begin it with one of {', '.join(kinds)}:"
        raise UsageError(f"'{text}' is no address: unknown kind '{kind}'{hint}")
    if not rest:
        raise UsageError(f"'{text}' names no {found}; write {found}:ID")
    if found != "prompt":
        return Address(kind=found, id=rest)
    name, at, version = rest.partition("@")
    if not name or (at and not version):
        raise UsageError(f"'{text}' is no address; write prompt:NAME or prompt:NAME@VERSION")
    return Address(kind=found, id=name, version=version or None)
