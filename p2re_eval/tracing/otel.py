"""OpenTelemetry's SDK as a source of spans: a processor, a provider of our own, steps.

The only file of this room that imports it (extra ``capture``).
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - see own_provider
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from p2re_eval.clock import new_span_id, new_trace_id
from p2re_eval.errors import MissingExtra, UsageError
from p2re_eval.records import JSON, MODEL_KINDS
from p2re_eval.store import default_path
from p2re_eval.tracing.context import belonging
from p2re_eval.tracing.conventions import Attributes, about_models, kind_of
from p2re_eval.tracing.raw import RawEvent, RawSpan
from p2re_eval.tracing.recorder import LOG, Recorder

try:
    from opentelemetry import context as otel_context
    from opentelemetry import trace as otel_trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace import Span as SdkSpan
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON
    from opentelemetry.trace import Span, SpanContext, StatusCode, Tracer
except ImportError as error:
    raise MissingExtra(
        "recording the calls of SDKs needs OpenTelemetry; pip install 'p2re-eval[capture]', or "
        "use capture(sdks=False), which records @trace and span() alone"
    ) from error

_STATUS: dict[StatusCode, Literal["UNSET", "OK", "ERROR"]] = {
    StatusCode.UNSET: "UNSET",
    StatusCode.OK: "OK",
    StatusCode.ERROR: "ERROR",
}


_LANGCHAIN = "openinference.instrumentation.langchain"
_RUNNABLE: ContextVar[SpanContext | None] = ContextVar("p2re_runnable", default=None)
"""LangChain's span that began last here. Its instrumentor never makes a span the current one, so
the SDK's call inside would look like a call of its own, and be counted twice."""


@dataclass
class _Open:
    """A span that has begun; ``above`` is its parent, ``known`` when that is recorded here,
    ``wanted`` when it, or something inside it, involves a model."""

    above: SpanContext | None
    known: bool
    wanted: bool


class StoreSpanProcessor(SpanProcessor):
    """Writes spans to the database as they end: ``provider.add_span_processor(...)``.

    Kept are the spans about models and those that enclose them; a web framework's or a database's
    own are not. A call to a model is on disk when its span has ended. It never raises.
    """

    def __init__(
        self,
        db: Path | str | None = None,
        *,
        recorder: Callable[[], Recorder | None] | None = None,
    ) -> None:
        own = None if recorder is not None else Recorder(Path(db or default_path()))
        self._own = own
        self._recorder = recorder or (lambda: own)
        self._open: dict[int, _Open] = {}

    def on_start(self, span: SdkSpan, parent_context: otel_context.Context | None = None) -> None:
        try:
            self._begun(span)
        except Exception as error:  # noqa: BLE001 - a record must not break what it records
            LOG.error("p2re: the beginning of a span was not understood: %r", error)

    def on_end(self, span: ReadableSpan) -> None:
        try:
            self._ended(span)
        except Exception as error:  # noqa: BLE001 - a record must not break what it records
            LOG.error("p2re: the end of a span was not understood: %r", error)

    def shutdown(self) -> None:
        if self._own is not None:
            self._own.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def _begun(self, span: SdkSpan) -> None:
        recorder = self._recorder()
        if recorder is None:
            return
        given = span.attributes or {}
        for name, value in belonging().attributes().items():
            if name not in given:
                span.set_attribute(name, value)
        above, own = self._above(span), _own_context(span)
        known = above is not None and above.span_id in self._open
        about = about_models(span.attributes or {})
        self._open[own.span_id] = _Open(above, known, about)
        if _scope(span) == _LANGCHAIN:
            _RUNNABLE.set(own)
        elif not known and _lasts(span):
            recorder.begin(raw_span(span, above, remote_parent=above is not None))

    def _above(self, span: ReadableSpan) -> SpanContext | None:
        runnable = _RUNNABLE.get()
        if span.parent is None and runnable is not None and runnable.span_id in self._open:
            return None if _scope(span) == _LANGCHAIN else runnable
        return span.parent

    def _ended(self, span: ReadableSpan) -> None:
        mine = self._open.pop(_own_context(span).span_id, None)
        recorder = self._recorder()
        if recorder is None or mine is None:
            return
        if mine.wanted or about_models(span.attributes or {}):
            if mine.above is not None and mine.above.span_id in self._open:
                self._open[mine.above.span_id].wanted = True
            elsewhere = mine.above is not None and not mine.known
            recorder.record(raw_span(span, mine.above, remote_parent=elsewhere))


def raw_span(
    span: ReadableSpan, above: SpanContext | None, *, remote_parent: bool = False
) -> RawSpan:
    """An SDK span below this one in our terms; ``remote_parent`` when that is not recorded here."""
    own = _own_context(span)
    return RawSpan(
        trace_id=f"{(own if above is None else above).trace_id:032x}",
        span_id=f"{own.span_id:016x}",
        parent_id=None if above is None else f"{above.span_id:016x}",
        name=span.name,
        start_ns=span.start_time or time.time_ns(),
        end_ns=span.end_time,
        attributes=Attributes(_copied(span.attributes)),
        status=_STATUS[span.status.status_code],
        status_message=span.status.description,
        events=[RawEvent(e.name, e.timestamp, _copied(e.attributes)) for e in span.events],
        links=[
            {
                "trace_id": f"{link.context.trace_id:032x}",
                "span_id": f"{link.context.span_id:016x}",
                "attributes": _copied(link.attributes),
            }
            for link in span.links
        ],
        resource=_copied(span.resource.attributes),
        scope=_scope(span),
        remote_parent=remote_parent,
    )


def _copied(attributes: Mapping[str, object] | None) -> dict[str, JSON]:
    """A copy in one piece: taken one by one, each is a lookup behind a lock."""
    copy = getattr(attributes, "copy", None)
    return dict(attributes or {}) if copy is None else copy()


def _lasts(span: ReadableSpan) -> bool:
    """Whether a trace is worth showing before its end: an agent is, a single call is not."""
    attributes = span.attributes or {}
    single = any(name.startswith("llm.") for name in attributes)
    return about_models(attributes) and not single and kind_of(attributes) not in MODEL_KINDS


def _scope(span: ReadableSpan) -> str:
    return "" if span.instrumentation_scope is None else span.instrumentation_scope.name


def _own_context(span: ReadableSpan) -> SpanContext:
    context = span.get_span_context()
    assert context is not None  # an SDK span always has one
    return context


class _Ids(IdGenerator):
    """Ids that sort by time, which the database's indexes like."""

    def generate_trace_id(self) -> int:
        return int(new_trace_id(time.time_ns()), 16)

    def generate_span_id(self) -> int:
        return int(new_span_id(), 16)


def own_provider(processor: SpanProcessor) -> TracerProvider:
    """A provider that nobody else sees: every span whole, whatever the environment limits.

    In a forked child the provider uses a thread pool at once, and what was registered first for a
    fork is called first: without the import above, the pool's lock would still be held there.
    """
    unlimited = SpanLimits(
        max_attributes=SpanLimits.UNSET,
        max_span_attributes=SpanLimits.UNSET,
        max_events=SpanLimits.UNSET,
        max_attribute_length=SpanLimits.UNSET,
        max_span_attribute_length=SpanLimits.UNSET,
    )
    provider = TracerProvider(
        sampler=ALWAYS_ON,
        resource=Resource({}),
        id_generator=_Ids(),
        span_limits=unlimited,
        shutdown_on_exit=False,
    )
    provider.add_span_processor(processor)
    return provider


class Listener:
    """Hears what is begun at providers of the program, each once."""

    def __init__(self, processor: SpanProcessor) -> None:
        self._processor = processor
        self._heard: weakref.WeakSet[TracerProvider] = weakref.WeakSet()

    def hear(self, provider: object = None) -> None:
        """The provider, or the program's global one. Raises UsageError for something else."""
        found = otel_trace.get_tracer_provider() if provider is None else provider
        if isinstance(found, TracerProvider) and found not in self._heard:
            self._heard.add(found)
            found.add_span_processor(self._processor)
        elif provider is not None and not isinstance(found, TracerProvider):
            raise UsageError(f"provider must be an SDK TracerProvider, not {type(found).__name__}")


class OtelSteps:
    """Steps as spans of a provider, so that an SDK's calls inside become their children."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer: Tracer = provider.get_tracer("p2re_eval")

    def start(self, name: str, attributes: Mapping[str, JSON]) -> OtelStep:
        return OtelStep(self._tracer.start_span(name, attributes=dict(attributes)))


class OtelStep:
    """One such span."""

    def __init__(self, span: Span) -> None:
        context = span.get_span_context()
        self._span = span
        self.trace_id = f"{context.trace_id:032x}"
        self.span_id = f"{context.span_id:016x}"

    @contextmanager
    def active(self) -> Iterator[None]:
        token = otel_context.attach(otel_trace.set_span_in_context(self._span))
        try:
            yield
        finally:
            otel_context.detach(token)

    def set(self, attributes: Mapping[str, JSON]) -> None:
        self._span.set_attributes(dict(attributes))

    def end(self, error: BaseException | None = None) -> None:
        if error is not None:
            self._span.record_exception(error)
            self._span.set_status(StatusCode.ERROR, str(error))
        self._span.end()
