"""What OpenTelemetry's GenAI conventions call the things that OpenInference has names for.

Source: OpenTelemetry semantic conventions for generative AI (status "development").
"""

from __future__ import annotations

import json

from p2re_eval.records import (
    JSON,
    Completion,
    Message,
    RenderedPrompt,
    SpanKind,
    TextPart,
    canonical_json,
)

_OPERATIONS: dict[SpanKind, str] = {
    "LLM": "chat",
    "TOOL": "execute_tool",
    "AGENT": "invoke_agent",
    "EMBEDDING": "embeddings",
}


def genai_attributes(
    kind: SpanKind, prompt: RenderedPrompt | None, completion: Completion | None
) -> dict[str, JSON]:
    """The call under ``gen_ai.*``; messages as one JSON text each way."""
    said: dict[str, JSON] = {"gen_ai.operation.name": _OPERATIONS.get(kind)}
    if prompt is not None:
        said |= _asked(prompt)
    if completion is not None:
        said |= _answered(completion)
    return {name: value for name, value in said.items() if value is not None}


def said_by_genai(*, session: str | None, user: str | None) -> dict[str, JSON]:
    """The conversation and the person."""
    return {
        name: value
        for name, value in {"gen_ai.conversation.id": session, "enduser.id": user}.items()
        if value is not None
    }


def _asked(prompt: RenderedPrompt) -> dict[str, JSON]:
    model = prompt.model
    tools = [tool.model_dump(mode="json", exclude_none=True) for tool in prompt.tools]
    return {
        "gen_ai.provider.name": model.provider,
        "gen_ai.request.model": model.name,
        "gen_ai.request.temperature": model.temperature,
        "gen_ai.request.top_p": model.top_p,
        "gen_ai.request.max_tokens": model.max_tokens,
        "gen_ai.request.seed": model.seed,
        "gen_ai.request.stop_sequences": list(model.stop) if model.stop else None,
        "gen_ai.input.messages": (
            canonical_json([_message(message) for message in prompt.messages])
            if prompt.messages
            else None
        ),
        "gen_ai.tool.definitions": (
            canonical_json([{"type": "function", **tool} for tool in tools]) if tools else None
        ),
    }


def _answered(completion: Completion) -> dict[str, JSON]:
    usage = completion.usage
    answer = Message(
        role="assistant",
        content=completion.text or completion.refusal or "",
        tool_calls=completion.tool_calls,
    )
    said = {**_message(answer), "finish_reason": completion.finish_reason}
    if completion.reasoning:
        said["parts"].insert(0, {"type": "reasoning", "content": completion.reasoning})
    first_token = completion.time_to_first_token_ns
    return {
        "gen_ai.response.model": completion.model,
        "gen_ai.response.id": completion.response_id,
        "gen_ai.response.finish_reasons": [
            completion.raw_finish_reason or completion.finish_reason
        ],
        "gen_ai.response.time_to_first_chunk": None if first_token is None else first_token / 1e9,
        "gen_ai.output.messages": canonical_json([said]),
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
    }


def _message(message: Message) -> dict[str, JSON]:
    if message.role == "tool":
        answer = {
            "type": "tool_call_response",
            "id": message.tool_call_id,
            "response": message.text,
        }
        return {"role": "tool", "parts": [answer]}
    content = message.content
    pieces = (TextPart(text=content),) if isinstance(content, str) and content else content or ()
    parts: list[JSON] = [
        {"type": "text", "content": piece.text}
        if isinstance(piece, TextPart)
        else {"type": "uri", "modality": "image", "uri": piece.url}
        for piece in pieces
        if not isinstance(piece, str)
    ]
    parts += [
        {
            "type": "tool_call",
            "id": call.id,
            "name": call.name,
            "arguments": _json_or_text(call.arguments),
        }
        for call in message.tool_calls
    ]
    return {"role": message.role, "parts": parts}


def _json_or_text(text: str) -> JSON:
    try:
        return json.loads(text)
    except ValueError:
        return text
