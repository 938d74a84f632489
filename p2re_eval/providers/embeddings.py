"""Texts to vectors: the three forms in which services are asked for them, and their answers.

Sources: https://platform.openai.com/docs/api-reference/embeddings,
https://ai.google.dev/api/embeddings#method:-models.batchembedcontents and
https://docs.cohere.com/reference/embed
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Sequence

from p2re_eval.errors import MalformedResponse
from p2re_eval.providers.chat_answer import raise_carried_error, read_usage
from p2re_eval.providers.exchange import encoded
from p2re_eval.providers.http import HttpClient, decoded
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.prices import cost_usd
from p2re_eval.records import JSON, Embeddings, ModelSettings, Usage

Reader = Callable[[JSON], tuple[Sequence[JSON], Usage, str | None]]
"""Of a payload: the vectors in the order of the texts, the tokens, the model that answered.

Raises ValueError, KeyError or TypeError where the payload is no answer."""


async def embedded(
    http: HttpClient,
    call: Call,
    headers: dict[str, str],
    body: dict[str, JSON],
    *,
    read: Reader,
    model: ModelSettings,
    count: int,
) -> Embeddings:
    """One POST and its vectors. Raises ProviderError, MalformedResponse unless ``count`` came."""
    reply = await http.post(
        call, {"Content-Type": "application/json", **headers}, encoded(call, body)
    )
    payload = decoded(call, reply.body or b"")
    raise_carried_error(call, payload)
    try:
        found, usage, answered = read(payload)
        vectors = tuple(_vector(one) for one in found)
    except (KeyError, TypeError, ValueError, struct.error):
        vectors = ()
    if len(vectors) != count:
        what = f"{call.host} answered {count} texts with {len(vectors)} vectors; check the model"
        raise call.fault(MalformedResponse, what)
    priced = usage.model_copy(update={"output_tokens": 0})
    return Embeddings(
        vectors=vectors,
        model=answered,
        usage=usage,
        cost_usd=cost_usd(model, priced, answered_as=answered, url=call.url),
    )


def openai_embedding(model: ModelSettings, texts: Sequence[str]) -> dict[str, JSON]:
    """The form that most services share; base64 is a quarter of the bytes of decimal numbers."""
    body: dict[str, JSON] = {"model": model.name, "input": list(texts)}
    return {**body, "encoding_format": "base64", **(model.extra or {})}


def read_openai(payload: JSON) -> tuple[Sequence[JSON], Usage, str | None]:
    """Vectors by their index; a service that counts only totals counts what it read."""
    rows = sorted(payload["data"], key=lambda row: row.get("index", 0))
    usage = read_usage(payload)
    total = (payload.get("usage") or {}).get("total_tokens")
    if usage.input_tokens is None and isinstance(total, int):
        usage = Usage(input_tokens=total)
    return [row["embedding"] for row in rows], usage, payload.get("model")


def gemini_embedding(model: ModelSettings, texts: Sequence[str]) -> dict[str, JSON]:
    """One request for every text; ``extra`` (``taskType``, ``outputDimensionality``) joins each."""
    shared = {"model": f"models/{(model.name or '').removeprefix('models/')}"}
    shared |= model.extra or {}
    requests = [{"content": {"parts": [{"text": text}]}, **shared} for text in texts]
    return {"requests": requests}


def read_gemini(payload: JSON) -> tuple[Sequence[JSON], Usage, str | None]:
    """In the order of the requests; it counts no tokens."""
    return [one["values"] for one in payload["embeddings"]], Usage(), None


def cohere_embedding(model: ModelSettings, texts: Sequence[str]) -> dict[str, JSON]:
    """``extra`` says what the vectors are for: ``input_type`` is ``clustering`` unless given."""
    body: dict[str, JSON] = {"model": model.name, "texts": list(texts)}
    return {**body, "input_type": "clustering", "embedding_types": ["float"], **(model.extra or {})}


def read_cohere(payload: JSON) -> tuple[Sequence[JSON], Usage, str | None]:
    """The floats, and the tokens it bills."""
    billed = ((payload.get("meta") or {}).get("billed_units") or {}).get("input_tokens")
    usage = Usage(input_tokens=int(billed)) if billed is not None else Usage()
    return payload["embeddings"]["float"], usage, None


def _vector(value: JSON) -> tuple[float, ...]:
    """Numbers as they are, or little-endian 32-bit floats in base64."""
    if not isinstance(value, str):
        return tuple(float(number) for number in value)
    packed = base64.b64decode(value, validate=True)
    return struct.unpack(f"<{len(packed) // 4}f", packed)
