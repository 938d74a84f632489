"""A scorer's request for vectors: made within the engine's limits, recorded as a span."""

from __future__ import annotations

from collections.abc import Sequence

from p2re_eval.clock import new_span_id
from p2re_eval.engine.calls import Caller
from p2re_eval.errors import NotRecorded, ProviderError
from p2re_eval.interfaces import Clock
from p2re_eval.records import JSON, Embeddings, ModelSettings, Source, Span, Trace


async def recorded_vectors(
    caller: Caller, model: ModelSettings, texts: Sequence[str], *, clock: Clock, span: Span
) -> tuple[Span, Embeddings | ProviderError]:
    """The span as it ended, and the vectors or why there are none."""
    told: dict[str, JSON] = {"model": model.id, "texts": len(texts)}
    try:
        vectors = await caller.embed(model, texts)
    except ProviderError as error:
        failed = {"status": "ERROR", "status_message": str(error), "attributes": told}
        return span.model_copy(update={**failed, "end_ns": clock.now_ns()}), error
    told |= {"input_tokens": vectors.usage.input_tokens, "cost_usd": vectors.cost_usd}
    return span.model_copy(update={"attributes": told, "end_ns": clock.now_ns()}), vectors


def begun_vectors(trace: Trace, model: ModelSettings, source: Source, *, clock: Clock) -> Span:
    """The span of a request that begins now. Raises NotRecorded in replay."""
    if source == "replay":
        what = "embeddings are not recorded; run with --p2re-source live"
        raise NotRecorded(what, provider=model.provider or "", model=model.name or "")
    return Span(
        span_id=new_span_id(),
        trace_id=trace.trace_id,
        parent_id=trace.span_id,
        name=f"embed {model.id}",
        kind="EMBEDDING",
        start_ns=clock.now_ns(),
    )
