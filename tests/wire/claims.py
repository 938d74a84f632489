"""Which recorded calls are claimed, by which provider, and why the others are not."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

WIRE = Path(__file__).parents[2] / ".." / "shared" / "data" / "wire_dev.jsonl"
NOT_CLAIMED = {
    "count_tokens": "counts tokens; nothing is completed",
    "rerank": "ranks documents; nothing is completed",
    "invoke_model": "each vendor's own form inside InvokeModel; bedrock/MODEL asks Converse",
    "ollama.generate": "no chat form; ollama/MODEL asks /api/chat",
    "threads": "the Assistants API",
    "cohere v1": "the retired v1 form; cohere/MODEL asks v2",
    "writer stream": "ends without a word, so that half of one looks whole",
}
_SERVICES = {
    "azure-openai": "azure",
    "bedrock": "bedrock-mantle",
    "localhost": "vllm",
    "anthropic": "anthropic-openai",
    "gemini": "gemini-openai",
    "vertex": "gemini-openai",
    "ollama": "ollama-openai",
}


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def adapter(row: dict) -> tuple[str, str]:
    """The provider that reads this row and what stands before its method in the address, or ""
    and why none does."""
    url = row["request"]["url"].partition("?")[0].partition("#")[0]
    endpoint = row["endpoint"]
    if endpoint == "chat.completions":
        return _SERVICES.get(row["provider"], row["provider"]), "/v1"
    if endpoint == "responses":
        return "openai-responses", "/v1"
    if endpoint == "messages":
        return ("anthropic", "/v1") if "/threads/" not in url else ("", "threads")
    if endpoint == "chat":
        if row["provider"] == "writer":
            return "writer", "/v1"
        return ("cohere", "/v2") if url.endswith("/v2/chat") else ("", "cohere v1")
    if endpoint == "completions":
        unclaimed = row["provider"] == "writer" and row["stream"]
        return ("", "writer stream") if unclaimed else ("openai-completions", "/v1")
    if endpoint == "embeddings":
        bases = {"gemini": "/v1beta", "cohere": "/v2", "azure-openai": ""}
        name = {"azure-openai": "azure"}.get(row["provider"], row["provider"])
        return name, bases.get(row["provider"], "/v1")
    others = {"generateContent": ("gemini", "/v1beta"), "ollama.chat": ("ollama", "")}
    others["converse"] = ("bedrock", "")
    return others.get(endpoint, ("", endpoint))


def asked_model(row: dict) -> str:
    body, url = row["request"]["body"], row["request"]["url"].partition("?")[0]
    found = re.search(r"/models?/([^/]+?)(?::\w+|/[\w-]+)$", url)
    return (body.get("model") if isinstance(body, dict) else None) or (found and found[1]) or "m"


def asked_texts(row: dict) -> list[str]:
    """What a request for embeddings asked about."""
    body = row["request"]["body"]
    texts = body.get("input") or body.get("texts") or ["x"] * len(body.get("requests") or [1])
    return [texts] if isinstance(texts, str) else texts


def body_of(row: dict) -> bytes:
    response = row["response"]
    if response["body"] is None:
        return base64.b64decode(response["body_b64"])
    return response["body"].encode()
