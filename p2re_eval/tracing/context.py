"""Whose calls these are: session, user, tags and experiments of what is done inside a block."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from p2re_eval.records import JSON, Exposure


@dataclass(frozen=True)
class Belonging:
    """What every span begun here is marked with."""

    session_id: str | None = None
    user: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, JSON] = field(default_factory=dict)
    exposures: tuple[Exposure, ...] = ()

    def attributes(self) -> dict[str, JSON]:
        """As attributes of OpenInference's names, so that other exporters see them too."""
        found: dict[str, JSON] = {}
        if self.session_id is not None:
            found["session.id"] = self.session_id
        if self.user is not None:
            found["user.id"] = self.user
        if self.tags:
            found["tag.tags"] = list(self.tags)
        if self.metadata:
            found["metadata"] = json.dumps(self.metadata, default=str)
        if self.exposures:
            shown = [[one.experiment, one.variant, one.unit] for one in self.exposures]
            found["p2re.exposures"] = json.dumps(shown)
        return found


_NOBODY = Belonging()
_BELONGING: ContextVar[Belonging] = ContextVar("p2re_belonging", default=_NOBODY)


def belonging() -> Belonging:
    """What holds for calls made here and now."""
    return _BELONGING.get()


@contextmanager
def session(
    session_id: str | None = None,
    *,
    user: str | None = None,
    tags: Sequence[str] = (),
    metadata: Mapping[str, JSON] | None = None,
) -> Iterator[None]:
    """Calls inside belong to this conversation, user and these tags; blocks may stand in blocks.

    It holds for the code inside and for the tasks it starts, as context variables do; a thread of
    your own starts without it. It is a decorator too.
    """
    outer = belonging()
    inner = replace(
        outer,
        session_id=outer.session_id if session_id is None else session_id,
        user=outer.user if user is None else user,
        tags=tuple(dict.fromkeys([*outer.tags, *tags])),
        metadata={**outer.metadata, **(metadata or {})},
    )
    with belonging_to(inner):
        yield


@contextmanager
def belonging_to(inner: Belonging) -> Iterator[None]:
    """Exactly this holds for calls made inside."""
    token = _BELONGING.set(inner)
    try:
        yield
    finally:
        _BELONGING.reset(token)


def expose(exposure: Exposure) -> None:
    """Calls made from here on, in this context, have met this variant."""
    outer = belonging()
    others = tuple(one for one in outer.exposures if one.experiment != exposure.experiment)
    _BELONGING.set(replace(outer, exposures=(*others, exposure)))
