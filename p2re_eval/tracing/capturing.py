"""Turning capture on and off, for the whole process."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from p2re_eval.records import JSON
from p2re_eval.store import Redact, default_path
from p2re_eval.tracing.context import session as in_session
from p2re_eval.tracing.recorder import Recorder
from p2re_eval.tracing.steps import OwnSteps, Steps

if TYPE_CHECKING:
    from p2re_eval.tracing.instrumentors import Instrumentors
    from p2re_eval.tracing.otel import Listener


class Capture:
    """A capture that is on, until :meth:`stop` or the end of its ``with`` block.

    ``recorded``, ``rescued`` and ``lost`` count spans; ``why`` is the first reason of a loss.
    """

    def __init__(self, recorder: Recorder, *, sdks: bool, belongs: ExitStack) -> None:
        self._recorder = recorder
        self._belongs = belongs
        self.sdks = sdks

    @property
    def recorder(self) -> Recorder:
        """Where its spans go; its counts are the capture's."""
        return self._recorder

    @property
    def path(self) -> Path:
        """The database."""
        return self._recorder.path

    @property
    def recorded(self) -> int:
        return self._recorder.recorded

    @property
    def rescued(self) -> int:
        return self._recorder.rescued

    @property
    def lost(self) -> int:
        return self._recorder.lost

    @property
    def why(self) -> str | None:
        return self._recorder.why

    def stop(self) -> None:
        """Write what is queued and record no more. Safe to call twice."""
        if _SWITCH.off(self):
            self._belongs.close()
            self._recorder.close()

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Capture: {self._recorder!r}>"


def capture(
    db: Path | str | None = None,
    *,
    sdks: bool = True,
    session: str | None = None,
    user: str | None = None,
    tags: Sequence[str] = (),
    metadata: Mapping[str, JSON] | None = None,
    redact: Redact | None = None,
    provider: object = None,
) -> Capture:
    """Record every call to a model that this process makes, from now on.

    ``with capture(): ...`` ends with the block; ``capture()`` alone with the process. ``db`` is the
    database (default: ``P2RE_DB`` or ``~/.aikh/p2re.db``); session, user, tags and metadata hold
    for the calls of this context; ``redact`` sees every text before the disk does. ``sdks=False``
    records ``@trace``, ``span()`` and ``record_calls()`` alone and needs no OpenTelemetry.
    ``provider``: the program's own OpenTelemetry provider, where it is not the global one.

    A database that cannot be written is said in the log and counted; it breaks no call.
    Raises MissingExtra without OpenTelemetry, unless ``sdks=False``.
    """
    recorder = Recorder(Path(db or default_path()).expanduser().absolute(), redact=redact)
    belongs = ExitStack()
    made = Capture(recorder, sdks=sdks, belongs=belongs)
    _SWITCH.on(made, provider)
    recorder.open()
    if session or user or tags or metadata:
        belongs.enter_context(in_session(session, user=user, tags=tags, metadata=metadata))
    return made


def current_recorder() -> Recorder | None:
    """Where spans go now: to the capture that was turned on last."""
    return _SWITCH.recorder


def current_steps() -> Steps | None:
    """What makes steps now; None while nothing is captured."""
    return _SWITCH.steps


class _Otel(NamedTuple):
    """What OpenTelemetry gives, once it is wanted."""

    steps: Steps
    instrumentors: Instrumentors
    listener: Listener


class _Switch:
    """Which captures are on. A process has one: libraries are patched once or not at all."""

    def __init__(self) -> None:
        self._on: list[Capture] = []
        self._lock = threading.Lock()
        self._own = OwnSteps(lambda: self.recorder)
        self._otel: _Otel | None = None
        self.recorder: Recorder | None = None
        self.steps: Steps | None = None

    def on(self, one: Capture, provider: object) -> None:
        with self._lock:
            if one.sdks:
                self._otel = self._otel or self._with_opentelemetry()
                self._otel.listener.hear(provider)
            self._on.append(one)
            self._settle()
        atexit.register(one.stop)

    def off(self, one: Capture) -> bool:
        """Whether it was on."""
        with self._lock:
            if one not in self._on:
                return False
            self._on.remove(one)
            self._settle()
        atexit.unregister(one.stop)
        return True

    def _with_opentelemetry(self) -> _Otel:
        from p2re_eval.tracing.instrumentors import Instrumentors
        from p2re_eval.tracing.otel import Listener, OtelSteps, StoreSpanProcessor, own_provider

        processor = StoreSpanProcessor(recorder=lambda: self.recorder)
        provider = own_provider(processor)
        return _Otel(OtelSteps(provider), Instrumentors(provider), Listener(processor))

    def _settle(self) -> None:
        newest = self._on[-1] if self._on else None
        self.recorder = None if newest is None else newest.recorder
        with_sdks = any(one.sdks for one in self._on)
        self.steps = None if newest is None else self._own
        if self._otel is not None:
            if with_sdks:
                self.steps = self._otel.steps
                self._otel.instrumentors.on()
            else:
                self._otel.instrumentors.off()


_SWITCH = _Switch()
