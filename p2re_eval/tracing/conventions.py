"""The names under which other programs say what we keep: one table for every convention.

First the name of OpenInference, then OpenTelemetry's, the newest first, then those of libraries
that have names of their own. A name ending in ``.`` begins a numbered list (``NAME.0.role``).

Source: OpenInference semantic conventions (openinference-semantic-conventions 0.1.42);
OpenTelemetry semantic conventions for generative AI (status "development", 1.42 and, for the
legacy names, 1.27 to 1.36).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TypeAlias

from p2re_eval.records import JSON, SpanKind

VERSION = "2026-11"
"""Of this table. A span that was read with an older one can be read again: its raw attributes are
kept."""

NAMES: dict[str, tuple[str, ...]] = {
    "kind": ("openinference.span.kind", "traceloop.span.kind"),
    "operation": ("gen_ai.operation.name", "llm.request.type"),
    "provider": (
        "llm.provider",
        "gen_ai.provider.name",
        "llm.system",
        "gen_ai.system",
        "ls_provider",
    ),
    "service": ("llm.provider", "gen_ai.provider.name", "gen_ai.system"),
    "model_asked": ("llm.request.model_name", "gen_ai.request.model"),
    "model": (
        "llm.request.model_name",
        "gen_ai.request.model",
        "llm.model_name",
        "embedding.model_name",
        "reranker.model_name",
        "llm.response.model_name",
        "gen_ai.response.model",
    ),
    "model_answered": ("llm.response.model_name", "gen_ai.response.model", "llm.model_name"),
    "parameters": ("llm.invocation_parameters", "embedding.invocation_parameters"),
    "temperature": ("gen_ai.request.temperature", "llm.temperature"),
    "top_p": ("gen_ai.request.top_p", "llm.top_p"),
    "max_tokens": ("gen_ai.request.max_tokens", "llm.request.max_tokens"),
    "seed": ("gen_ai.request.seed", "gen_ai.openai.request.seed"),
    "stop": ("gen_ai.request.stop_sequences",),
    "address": ("server.address", "gen_ai.openai.api_base", "llm.openai.api_base"),
    "instructions": ("gen_ai.system_instructions",),
    "messages_in": (
        "llm.input_messages.",
        "gen_ai.input.messages",
        "gen_ai.prompt.",
        "gen_ai.prompt",
        "pydantic_ai.all_messages",
    ),
    "messages_out": (
        "llm.output_messages.",
        "gen_ai.output.messages",
        "gen_ai.completion.",
        "gen_ai.completion",
    ),
    "prompts": ("llm.prompts.",),
    "choices": ("llm.choices.",),
    "embedded": ("embedding.embeddings.",),
    "input": (
        "input.value",
        "gen_ai.tool.call.arguments",
        "traceloop.entity.input",
        "tool_arguments",
        "gcp.vertex.agent.tool_call_args",
        "reranker.query",
    ),
    "output": (
        "output.value",
        "gen_ai.tool.call.result",
        "traceloop.entity.output",
        "tool_response",
        "gcp.vertex.agent.tool_response",
        "final_result",
    ),
    "input_tokens": (
        "llm.token_count.prompt",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.usage.prompt_tokens",
    ),
    "output_tokens": (
        "llm.token_count.completion",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens",
    ),
    "cached_tokens": (
        "llm.token_count.prompt_details.cache_read",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "gen_ai.usage.details.cached_tokens",
    ),
    "reasoning_tokens": (
        "llm.token_count.completion_details.reasoning",
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
    ),
    "cost_usd": ("llm.cost.total", "gen_ai.usage.cost", "operation.cost"),
    "finish_reason": (
        "llm.finish_reason",
        "gen_ai.response.finish_reasons",
        "llm.response.finish_reason",
    ),
    "response_id": ("gen_ai.response.id",),
    "first_token_s": ("gen_ai.response.time_to_first_chunk",),
    "session": (
        "session.id",
        "gen_ai.conversation.id",
        "traceloop.association.properties.session_id",
    ),
    "user": ("user.id", "enduser.id", "traceloop.association.properties.user_id"),
    "tags": ("tag.tags",),
    "metadata": ("metadata",),
    "template": ("gen_ai.prompt.name", "prompt.id", "traceloop.prompt.key"),
    "template_version": (
        "llm.prompt_template.version",
        "gen_ai.prompt.version",
        "traceloop.prompt.version",
    ),
    "variables": ("llm.prompt_template.variables",),
    "tools": ("llm.tools.", "gen_ai.tool.definitions"),
    "tool_name": ("tool.name", "gen_ai.tool.name"),
    "agent_name": ("agent.name", "gen_ai.agent.name"),
    "evaluations": ("annotations.", "evaluations."),
    "error_type": ("error.type",),
    "exposures": ("p2re.exposures",),
}

KINDS: dict[str, SpanKind] = {
    "LLM": "LLM",
    "TOOL": "TOOL",
    "CHAIN": "CHAIN",
    "AGENT": "AGENT",
    "RETRIEVER": "RETRIEVER",
    "RERANKER": "RERANKER",
    "EMBEDDING": "EMBEDDING",
    "GUARDRAIL": "GUARDRAIL",
    "EVALUATOR": "EVALUATOR",
    # OpenTelemetry's operations, and the older ones of instrumentations
    "CHAT": "LLM",
    "COMPLETION": "LLM",
    "TEXT_COMPLETION": "LLM",
    "GENERATE_CONTENT": "LLM",
    "RESPONSES": "LLM",
    "EMBEDDINGS": "EMBEDDING",
    "EXECUTE_TOOL": "TOOL",
    "INVOKE_AGENT": "AGENT",
    "CREATE_AGENT": "AGENT",
    "INVOKE_WORKFLOW": "CHAIN",
    "RETRIEVAL": "RETRIEVER",
    "RERANK": "RERANKER",
    "WORKFLOW": "CHAIN",
    "TASK": "CHAIN",
}

ABOUT_MODELS = ("openinference.", "gen_ai.", "llm.", "traceloop.", "p2re.")
"""What the attributes of a step that involves a model begin with."""


Names: TypeAlias = "tuple[tuple[str, str], ...]"
"""The names of one entry of a numbered list: what follows the number, and the whole name."""
_LOOK_ALIKE = 64
"""Names; spans with more seldom have the same ones again."""


class Index:
    """Where the fields and the numbered lists are among these names of attributes."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self.fields = {
            field: present
            for field, known in NAMES.items()
            if (present := tuple(name for name in known if name in names))
        }
        self._lists: dict[str, tuple[Names, ...]] = {}

    def entries(self, prefix: str) -> tuple[Names, ...]:
        """``PREFIX0.role``, ``PREFIX1.role`` ...: the names of each number, in order."""
        found = self._lists.get(prefix)
        if found is None:
            found = self._lists[prefix] = tuple(entries(self._names, prefix))
        return found


class Attributes(dict[str, JSON]):
    """A span's attributes, whose index is made once for all spans that look alike."""

    def __init__(self, attributes: Mapping[str, JSON]) -> None:
        super().__init__(attributes)
        make = _index if len(self) <= _LOOK_ALIKE else Index
        self.index = make(tuple(self))


_index = lru_cache(maxsize=256)(Index)


def entries(names: tuple[str, ...], prefix: str) -> Iterator[Names]:
    """The names of each entry of the numbered list, in the order of the numbers."""
    found: dict[int, list[tuple[str, str]]] = {}
    for name in names:
        if name.startswith(prefix):
            digits, _, rest = name[len(prefix) :].partition(".")
            if digits.isdigit():
                found.setdefault(int(digits), []).append((rest, name))
    for number in sorted(found):
        yield tuple(found[number])


def said(attributes: Mapping[str, JSON], field: str) -> JSON:
    """The first value that the attributes have for one of the field's names; None without one."""
    names = NAMES[field]
    if isinstance(attributes, Attributes):
        names = attributes.index.fields.get(field, ())
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            return value
    return None


def about_models(attributes: Mapping[str, JSON]) -> bool:
    """Whether a span is a step of an AI program at all, and not, say, a database query."""
    return any(name.startswith(ABOUT_MODELS) for name in attributes)


def kind_of(attributes: Mapping[str, JSON]) -> SpanKind:
    """What the span is, by its kind or operation; what cannot be told is a CHAIN."""
    for field in ("kind", "operation"):
        value = said(attributes, field)
        known = KINDS.get(str(value).upper()) if value is not None else None
        if known is not None:
            return known
    if said(attributes, "tool_name") is not None:
        return "TOOL"
    if said(attributes, "agent_name") is not None:
        return "AGENT"
    asked = said(attributes, "model") is not None
    return "LLM" if asked and said(attributes, "provider") is not None else "CHAIN"
