"""What an open span is to the code around it, and the kind that needs no OpenTelemetry."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Protocol

from p2re_eval.clock import new_span_id, new_trace_id
from p2re_eval.records import JSON, MODEL_KINDS
from p2re_eval.tracing.context import belonging
from p2re_eval.tracing.conventions import kind_of
from p2re_eval.tracing.raw import RawEvent, RawSpan
from p2re_eval.tracing.recorder import Recorder


class Step(Protocol):
    """A span that is open."""

    trace_id: str
    span_id: str

    def active(self) -> AbstractContextManager[None]:
        """Spans begun inside are children of this one."""

    def set(self, attributes: Mapping[str, JSON]) -> None:
        """Say more about it."""

    def end(self, error: BaseException | None = None) -> None:
        """It is over, and failed when there is an error."""


class Steps(Protocol):
    """What makes steps."""

    def start(self, name: str, attributes: Mapping[str, JSON]) -> Step:
        """A step below the one that is active here."""


_ABOVE: ContextVar[tuple[str, str] | None] = ContextVar("p2re_step", default=None)
"""Trace and span id of the step that is active."""


class OwnSteps:
    """Spans made here, where OpenTelemetry is not wanted."""

    def __init__(self, recorder: Callable[[], Recorder | None]) -> None:
        self._recorder = recorder

    def start(self, name: str, attributes: Mapping[str, JSON]) -> OwnStep:
        return OwnStep(name, {**belonging().attributes(), **attributes}, self._recorder)


class OwnStep:
    """A step as a raw span in the making."""

    def __init__(
        self, name: str, attributes: dict[str, JSON], recorder: Callable[[], Recorder | None]
    ) -> None:
        above = _ABOVE.get()
        self._recorder = recorder
        self._name = name
        self._start_ns = time.time_ns()
        self._began = time.monotonic_ns()
        self._attributes = attributes
        self._parent_id = None if above is None else above[1]
        self.trace_id = new_trace_id(self._start_ns) if above is None else above[0]
        self.span_id = new_span_id()
        single = kind_of(attributes) in MODEL_KINDS
        if above is None and not single and (current := recorder()) is not None:
            current.begin(self._raw())

    @contextmanager
    def active(self) -> Iterator[None]:
        token = _ABOVE.set((self.trace_id, self.span_id))
        try:
            yield
        finally:
            _ABOVE.reset(token)

    def set(self, attributes: Mapping[str, JSON]) -> None:
        self._attributes.update(attributes)

    def end(self, error: BaseException | None = None) -> None:
        recorder = self._recorder()
        if recorder is not None:
            recorder.record(self._raw(error, ended=True))

    def _raw(self, error: BaseException | None = None, *, ended: bool = False) -> RawSpan:
        end_ns = self._start_ns + time.monotonic_ns() - self._began
        return RawSpan(
            trace_id=self.trace_id,
            span_id=self.span_id,
            parent_id=self._parent_id,
            name=self._name,
            start_ns=self._start_ns,
            end_ns=end_ns if ended else None,
            attributes=dict(self._attributes),
            status="UNSET" if error is None else "ERROR",
            events=() if error is None else (_exception(error, end_ns),),
        )


def _exception(error: BaseException, time_ns: int) -> RawEvent:
    kind = type(error)
    attributes = {
        "exception.type": f"{kind.__module__}.{kind.__qualname__}",
        "exception.message": str(error),
    }
    return RawEvent("exception", time_ns, attributes)
