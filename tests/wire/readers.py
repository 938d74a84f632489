"""What an independent reader finds in recorded JSON; no code is shared with the adapters."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib

from wire.claims import adapter, body_of


def expected(row: dict) -> dict:
    """``{"error": [kinds]}`` or what the recorded JSON says; ``None`` stands for not said."""
    body = body_of(row)
    if row["status"] != 200:
        return {"error": _refused(row["status"], body.decode("utf-8", "replace"))}
    form = row["endpoint"] if adapter(row)[0] != "writer" else "chat.completions"
    form = "cohere" if adapter(row)[0] == "cohere" else form
    chunks = _chunks(row, body) if row["stream"] else [json.loads(body)]
    if row["stream"] and len(chunks) == 1 and isinstance(chunks[0], list):
        chunks = chunks[0]
    for chunk in chunks:
        if isinstance(chunk, dict) and (chunk.get("error") or chunk.get("type") == "error"):
            return {"error": ["ProviderError"]}
    found = _READERS[form](chunks)
    closed = form in {"chat.completions", "completions"} and b"[DONE]" in body
    if row["stream"] and found["finish"] is None and not closed:
        return {"error": ["TruncatedResponse", "ContentFiltered"]}
    return found


def _refused(status: int, body: str) -> list[str]:
    lowered = body.lower()
    if status == 429 and ("insufficient_quota" in lowered or "perday" in lowered):
        return ["QuotaExhausted"]
    by_status = {
        401: "AuthenticationFailed", 402: "QuotaExhausted", 403: "PermissionDenied",
        404: "NotFound", 408: "ProviderTimeout", 424: "ServerFault", 429: "RateLimited",
        503: "Overloaded", 529: "Overloaded",
    }  # fmt: skip
    kinds = [by_status.get(status, "InvalidRequest" if status < 500 else "ServerFault")]
    if status in {400, 403} and "api key" in lowered:
        kinds.append("AuthenticationFailed")
    if status in {400, 403, 429} and ("credit" in lowered or "balance" in lowered):
        kinds.append("QuotaExhausted")
    return kinds


def _chunks(row: dict, body: bytes) -> list:
    if row["endpoint"] == "converse":
        return list(_frames(body))
    text = body.decode("utf-8", "replace")
    if row["endpoint"] == "ollama.chat":
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    if text.lstrip()[:1] in {"{", "["}:
        return [json.loads(text)]
    found = []
    for event in re.split(r"\r?\n\r?\n", text):
        lines = [re.sub("^data: ?", "", x) for x in re.split(r"\r?\n", event) if x[:5] == "data:"]
        if lines and "".join(lines).strip() not in {"", "[DONE]"}:
            found.append(json.loads("\n".join(lines)))
    return found


def _frames(body: bytes):
    at = 0
    while at + 16 <= len(body):
        size, head = int.from_bytes(body[at : at + 4], "big"), int.from_bytes(body[at + 4 : at + 8])
        assert zlib.crc32(body[at : at + size - 4]) == int.from_bytes(
            body[at + size - 4 : at + size]
        )
        payload = json.loads(body[at + 12 + head : at + size - 4])
        exception = b":exception-type" in body[at + 12 : at + 12 + head]
        yield {"error": payload} if exception else payload
        at += size


def _answer(text, calls, finish, **more) -> dict:
    return {"text": text, "calls": calls, "finish": finish, **more}


def _parts(content, kind="text") -> str:
    if isinstance(content, str):
        return content if kind == "text" else ""
    return "".join(p.get(kind, "") for p in content or [] if p.get("type") in (kind, None))


def _chat(chunks: list) -> dict:
    text = reasoning = ""
    calls: dict = {}
    finish = model = answer_id = None
    usage: dict = {}
    for chunk in chunks:
        model, answer_id = chunk.get("model") or model, chunk.get("id") or answer_id
        usage = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") or usage
        for choice in chunk.get("choices") or []:
            if choice.get("index") not in (0, None):
                continue
            said = choice.get("message") or choice.get("delta") or {}
            text += _parts(said.get("content"))
            reasoning += said.get("reasoning_content") or said.get("reasoning") or ""
            for part in said["content"] if isinstance(said.get("content"), list) else []:
                if part.get("type") == "thinking":
                    reasoning += _parts(part["thinking"])
            last = choice.get("finish_reason")
            finish = finish if last in (None, "") else str(last)
            for called in said.get("tool_calls") or []:
                number = called.get("index")
                number = len(calls) if number is None else number
                kept = calls.setdefault(number, ["", "", ""])
                kept[0] = kept[0] or called.get("id")
                kept[1] = kept[1] or called["function"].get("name")
                given = called["function"].get("arguments")
                kept[2] += given if isinstance(given, str) else json.dumps(given) if given else ""
    details = usage.get("prompt_tokens_details") or usage.get("prompt_token_details") or {}
    given = (details.get("cached_tokens"), usage.get("cached_tokens"))
    given += (usage.get("prompt_cache_hit_tokens"),)
    cached = next((count for count in given if count is not None), None)
    return _answer(
        text,
        [tuple(c) for c in calls.values()],
        finish,
        model=model,
        id=answer_id,
        reasoning=reasoning or None,
        tokens=(usage.get("prompt_tokens"), usage.get("completion_tokens")),
        cached=cached,
    )


def _text(chunks: list) -> dict:
    usage = next((c["usage"] for c in reversed(chunks) if c.get("usage")), {})
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    finishes = [c["finish_reason"] for c in choices if c.get("finish_reason")]
    return _answer(
        "".join(choice["text"] for choice in choices),
        [],
        finishes[-1] if finishes else None,
        model=chunks[0].get("model"),
        id=chunks[0].get("id"),
        tokens=(usage.get("prompt_tokens"), usage.get("completion_tokens")),
    )


def _responses(chunks: list) -> dict:
    whole, items = chunks[-1], []
    for event in chunks:
        if event.get("type") == "response.output_item.done":
            items.append(event["item"])
        if str(event.get("type")) in {"response.completed", "response.incomplete"}:
            whole = event["response"]
    output = whole.get("output") or items
    parts = [p for i in output if i["type"] == "message" for p in i["content"]]
    calls = [
        (i["call_id"], i["name"], i["arguments"]) for i in output if i["type"] == "function_call"
    ]
    usage = whole.get("usage") or {}
    stopped = (whole.get("incomplete_details") or {}).get("reason")
    return _answer(
        "".join(p.get("text", "") for p in parts if p["type"] == "output_text"),
        calls,
        stopped or whole.get("status"),
        model=whole.get("model"),
        id=whole.get("id"),
        tokens=(usage.get("input_tokens"), usage.get("output_tokens")),
        cached=(usage.get("input_tokens_details") or {}).get("cached_tokens"),
    )


def _messages(chunks: list) -> dict:
    message, blocks, usage = {}, {}, {}
    for event in chunks:
        kind = event["type"]
        if kind == "message":
            message, blocks = event, dict(enumerate(event["content"]))
            usage = event["usage"]
        elif kind == "message_start":
            message, usage = dict(event["message"]), dict(event["message"]["usage"])
        elif kind == "content_block_start":
            blocks[event["index"]] = {**event["content_block"], "written": ""}
        elif kind == "content_block_delta":
            for name, piece in event["delta"].items():
                name = "written" if name == "partial_json" else name
                if isinstance(piece, str) and name in {"text", "thinking", "written"}:
                    block = blocks[event["index"]]
                    block[name] = block.get(name, "") + piece
        elif kind == "message_delta":
            message["stop_reason"] = event["delta"].get("stop_reason")
            usage |= {k: v for k, v in event["usage"].items() if v is not None}
    said = list(blocks.values())
    calls = [
        (b["id"], b["name"], b.get("written") or json.dumps(b["input"]))
        for b in said
        if b["type"] == "tool_use"
    ]
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return _answer(
        "".join(b["text"] for b in said if b["type"] == "text"),
        calls,
        message["stop_reason"],
        model=message["model"],
        id=message["id"],
        reasoning="".join(b["thinking"] for b in said if b["type"] == "thinking") or None,
        tokens=(sum(usage.get(n) or 0 for n in names), usage["output_tokens"]),
        cached=usage.get("cache_read_input_tokens"),
    )


def _generated(chunks: list) -> dict:
    text = reasoning = ""
    calls, usage, finish, model, answer_id = [], {}, None, None, None
    for chunk in chunks:
        usage |= chunk.get("usageMetadata") or {}
        model, answer_id = chunk.get("modelVersion") or model, chunk.get("responseId") or answer_id
        for candidate in (chunk.get("candidates") or [])[:1]:
            finish = candidate.get("finishReason") or finish
            for part in (candidate.get("content") or {}).get("parts") or []:
                if part.get("thought"):
                    reasoning += part.get("text", "")
                else:
                    text += part.get("text", "")
                if "functionCall" in part:
                    called = part["functionCall"]
                    calls.append((called.get("id"), called["name"], json.dumps(called["args"])))
    read = [usage.get("promptTokenCount"), usage.get("toolUsePromptTokenCount")]
    wrote = [usage.get("candidatesTokenCount"), usage.get("thoughtsTokenCount")]
    total = [sum(n or 0 for n in pair) if any(pair) else None for pair in (read, wrote)]
    return _answer(
        text,
        calls,
        None if finish is None else str(finish),
        model=model,
        id=answer_id,
        reasoning=reasoning or None,
        tokens=tuple(total),
        cached=usage.get("cachedContentTokenCount"),
    )


def _vectors(chunks: list) -> dict:
    (whole,) = chunks
    found = whole.get("data") or whole["embeddings"]
    rows = found["float"] if isinstance(found, dict) else found
    rows = [r if isinstance(r, list) else r.get("embedding") or r.get("values") for r in rows]
    usage = whole.get("usage") or {}
    return {
        "vectors": [_numbers(row) for row in rows],
        "model": whole.get("model"),
        "tokens": usage.get("prompt_tokens", usage.get("total_tokens")),
    }


def _numbers(value) -> list[float]:
    if isinstance(value, list):
        return value
    return [number for (number,) in struct.iter_unpack("<f", base64.b64decode(value))]


def _ollama(chunks: list) -> dict:
    calls = [c for chunk in chunks for c in chunk["message"].get("tool_calls") or []]
    last = chunks[-1]
    return _answer(
        "".join(chunk["message"].get("content") or "" for chunk in chunks),
        [
            (c.get("id"), c["function"]["name"], json.dumps(c["function"]["arguments"]))
            for c in calls
        ],
        last.get("done_reason"),
        model=last["model"],
        reasoning="".join(c["message"].get("thinking") or "" for c in chunks) or None,
        tokens=(last.get("prompt_eval_count"), last.get("eval_count")),
    )


def _cohere(chunks: list) -> dict:
    if "message" in chunks[0]:
        whole = chunks[0]
        content, calls = whole["message"].get("content"), whole["message"].get("tool_calls") or []
        plan, finish, usage = (
            whole["message"].get("tool_plan"),
            whole["finish_reason"],
            whole["usage"],
        )
        found = [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in calls]
        text, thought = _parts(content), _parts(content, "thinking")
    else:
        text = thought = plan = ""
        found = []
        for event in chunks:
            said = (event.get("delta") or {}).get("message") or {}
            content, called = said.get("content") or {}, said.get("tool_calls") or {}
            text += content.get("text", "") if isinstance(content, dict) else ""
            thought += content.get("thinking", "") if isinstance(content, dict) else ""
            plan += said.get("tool_plan") or ""
            if event["type"] == "tool-call-start":
                found.append([called["id"], called["function"]["name"], ""])
            if event["type"].startswith("tool-call-") and called:
                found[-1][2] += called["function"]["arguments"]
        finish, usage = chunks[-1]["delta"]["finish_reason"], chunks[-1]["delta"]["usage"]
        found = [tuple(call) for call in found]
    tokens = usage["tokens"]
    return _answer(
        text,
        found,
        finish,
        id=chunks[0]["id"],
        reasoning=thought or plan or None,
        tokens=(tokens["input_tokens"], tokens["output_tokens"]),
        cached=usage.get("cached_tokens"),
    )


def _converse(chunks: list) -> dict:
    if "output" in chunks[0]:
        whole = chunks[0]
        blocks = whole["output"]["message"]["content"]
        finish, usage = whole["stopReason"], whole["usage"]
    else:
        kept: dict = {}
        finish, usage = None, {}
        for event in chunks:
            finish, usage = event.get("stopReason") or finish, event.get("usage") or usage
            if "contentBlockIndex" in event:
                block = kept.setdefault(event["contentBlockIndex"], {})
                block |= event.get("start", {})
                delta = event.get("delta") or {}
                if "text" in delta:
                    block["text"] = block.get("text", "") + delta["text"]
                if "toolUse" in delta:
                    block["written"] = block.get("written", "") + delta["toolUse"]["input"]
                if "text" in delta.get("reasoningContent", {}):
                    thought = block.setdefault("reasoningContent", {"reasoningText": {"text": ""}})
                    thought["reasoningText"]["text"] += delta["reasoningContent"]["text"]
        blocks = [kept[index] for index in sorted(kept)]
    calls = [
        (
            b["toolUse"]["toolUseId"],
            b["toolUse"]["name"],
            b.get("written") or json.dumps(b["toolUse"].get("input", {})),
        )
        for b in blocks
        if "toolUse" in b and b["toolUse"].get("type") != "server_tool_use"
    ]
    thoughts = [b.get("reasoningContent", {}).get("reasoningText", {}) for b in blocks]
    names = ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
    return _answer(
        "".join(b.get("text", "") for b in blocks),
        calls,
        finish,
        reasoning="".join(t.get("text", "") for t in thoughts) or None,
        tokens=(sum(usage.get(n) or 0 for n in names), usage["outputTokens"]),
        cached=usage.get("cacheReadInputTokens"),
    )


_READERS = {
    "chat.completions": _chat,
    "completions": _text,
    "responses": _responses,
    "messages": _messages,
    "generateContent": _generated,
    "ollama.chat": _ollama,
    "cohere": _cohere,
    "embeddings": _vectors,
    "converse": _converse,
}
