"""What came back: completions, faults, spans and the trace of a run."""

from pydantic import Field

from p2re_eval.records.base import JSON, FinishReason, Record, Source, SpanKind, TraceStatus
from p2re_eval.records.prompt import RenderedPrompt, ToolCall


class Usage(Record):
    """Token counts; ``input_tokens`` includes the cached ones."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class Completion(Record):
    """A provider's answer.

    ``model`` is the name the service answered with; ``raw`` its payload; ``duration_ns`` the time
    of the attempt that succeeded; ``time_to_first_token_ns`` is known only for streams.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    refusal: str | None = None
    reasoning: str | None = None
    model: str | None = None
    finish_reason: FinishReason = "stop"
    raw_finish_reason: str | None = None
    usage: Usage = Usage()
    cost_usd: float | None = None
    response_id: str | None = None
    duration_ns: int | None = None
    time_to_first_token_ns: int | None = None
    rate_limit: dict[str, str] = Field(default_factory=dict)
    raw: JSON = None


class Embeddings(Record):
    """A provider's vectors, one for each text and in their order."""

    vectors: tuple[tuple[float, ...], ...]
    model: str | None = None
    usage: Usage = Usage()
    cost_usd: float | None = None


class Fault(Record):
    """Why there is no answer or no score; ``kind`` is :attr:`ProviderError.kind` or ``scorer``."""

    kind: str
    message: str
    status: int | None = None
    attempts: int = 1
    partial: str | None = None


class Span(Record):
    """One step inside a trace, OpenTelemetry shaped; ids are 16 and 32 (trace) hex digits."""

    span_id: str
    trace_id: str
    parent_id: str | None = None
    name: str
    kind: SpanKind = "LLM"
    status: TraceStatus = "OK"
    status_message: str | None = None
    start_ns: int
    end_ns: int | None = None
    attributes: dict[str, JSON] = Field(default_factory=dict)
    events: tuple[dict[str, JSON], ...] = ()
    prompt: RenderedPrompt | None = None
    completion: Completion | None = None
    run_key: str = ""


class Exposure(Record):
    """That a unit (a user, a conversation) met a variant of an A/B experiment in a trace."""

    experiment: str
    variant: str
    unit: str


class Trace(Record):
    """One recorded run: what was asked, what came back, when, at what price.

    The root span is the run itself; ``spans`` holds only its children (a judge's call, a tool).
    ``run_key`` is the cache key. A trace with ``fault`` has no completion. ``kind``, ``user``,
    ``attributes`` and ``events`` are the root span's, where another program made the trace; usage
    and cost of a root that is no model call are the sums of the calls below it.
    """

    trace_id: str
    span_id: str
    name: str
    kind: SpanKind = "LLM"
    status: TraceStatus = "RUNNING"
    start_ns: int
    end_ns: int | None = None
    prompt: RenderedPrompt
    completion: Completion | None = None
    fault: Fault | None = None
    attempts: int = 1
    run_key: str = ""
    source: Source = "live"
    experiment_id: str | None = None
    session_id: str | None = None
    user: str | None = None
    suite: str | None = None
    case_id: str | None = None
    repeat: int = 0
    tags: tuple[str, ...] = ()
    metadata: dict[str, JSON] = Field(default_factory=dict)
    attributes: dict[str, JSON] = Field(default_factory=dict)
    events: tuple[dict[str, JSON], ...] = ()
    exposures: tuple[Exposure, ...] = ()
    spans: tuple[Span, ...] = ()
