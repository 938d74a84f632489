"""The Messages form of a question: turns, tools, schema and parameters as JSON."""

from __future__ import annotations

from p2re_eval.errors import Unsupported
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.messages_schema import answer_tool
from p2re_eval.providers.messages_turns import Turn, as_blocks, conversation
from p2re_eval.records import JSON, ModelSettings, RenderedPrompt, Tool

DEFAULT_MAX_TOKENS = 4096
"""The service demands a limit; this is what every model since Claude 2 can write."""
OWN_KEYS = frozenset({"model", "messages", "system", "stream"})
"""What a prompt file says in its own words; in ``extra`` these would contradict it."""
_PLACED = {"betas": list, "cache_control": dict, "output_config": dict, "tools": list}


def messages_body(call: Call, prompt: RenderedPrompt, *, stream: bool) -> dict[str, JSON]:
    """The request body; ``extra`` comes last and so wins over what is derived here.

    Four of its keys have a place of their own: ``tools`` (the service's own tools) follow the
    prompt's, ``output_config`` joins the schema, ``betas`` become a header, and ``cache_control``
    marks the end of what the cases of a suite share. Raises Unsupported.

    Source: https://platform.claude.com/docs/en/api/messages
    """
    model, extra = prompt.model, dict(prompt.model.extra or {})
    _refuse_settings(call, model)
    system, turns = conversation(call, prompt.messages)
    body: dict[str, JSON] = {"model": model.name, "max_tokens": _limit(model), "messages": turns}
    parameters: dict[str, JSON] = {
        "system": system or None,
        "temperature": model.temperature,
        "top_p": model.top_p,
        "stop_sequences": model.stop and list(model.stop),
        "stream": stream or None,
        "tools": [*map(_tool, prompt.tools), *_copied(extra.get("tools"))] or None,
        "output_config": extra.get("output_config"),
    }
    body.update((name, value) for name, value in parameters.items() if value is not None)
    if prompt.output_schema is not None:
        _ask_for_schema(call, prompt, body)
    if extra.get("cache_control"):
        _mark_shared(body, turns, extra["cache_control"])
    body.update((name, value) for name, value in extra.items() if name not in _PLACED)
    return body


def _refuse_settings(call: Call, model: ModelSettings) -> None:
    if model.seed is not None:
        raise call.fault(Unsupported, "the Messages API has no seed; remove it for this model")
    official = call.host.endswith("anthropic.com")
    if official and model.temperature is not None and model.temperature > 1:
        what = f"the Messages API takes a temperature from 0 to 1, not {model.temperature:g}"
        raise call.fault(Unsupported, f"{what}; lower it for this model")
    for name, kind in _PLACED.items():
        value = (model.extra or {}).get(name)
        if value is not None and not isinstance(value, kind):
            called = "list" if kind is list else "mapping"
            raise call.fault(Unsupported, f"'{name}' in extra is no {called}; write it as one")


def _limit(model: ModelSettings) -> int:
    """The limit on new tokens; thinking counts towards it, so its budget comes on top."""
    if model.max_tokens is not None:
        return model.max_tokens
    thinking = (model.extra or {}).get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    return DEFAULT_MAX_TOKENS + (budget if isinstance(budget, int) else 0)


def _tool(tool: Tool) -> dict[str, JSON]:
    described = {} if tool.description is None else {"description": tool.description}
    schema = tool.parameters or {"properties": {}}
    return {"name": tool.name, **described, "input_schema": {"type": "object", **schema}}


def _copied(tools: JSON) -> list[JSON]:
    """The service's own tools, so that marking one leaves the prompt's settings as they were."""
    return [dict(tool) if isinstance(tool, dict) else tool for tool in tools or ()]


def _ask_for_schema(call: Call, prompt: RenderedPrompt, body: dict[str, JSON]) -> None:
    schema = prompt.output_schema or {}
    name = answer_tool(prompt)
    if name is None:
        wanted = {"format": {"type": "json_schema", "schema": schema}}
        body["output_config"] = {**wanted, **(body.get("output_config") or {})}
        return
    if schema.get("type", "object") != "object":
        what = "this model gives structured answers as objects only"
        raise call.fault(Unsupported, f"{what}; wrap the schema of the output in an object")
    described = "Give the final answer by calling this tool."
    tool = Tool(name=name, description=described, parameters=schema)
    others = body.get("tools", [])
    body["tools"] = [*others, _tool(tool)]
    body["tool_choice"] = _choice(name, others, prompt.model)


def _choice(name: str, others: list[JSON], model: ModelSettings) -> dict[str, JSON]:
    thinking = (model.extra or {}).get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") != "disabled":
        return {"type": "auto"}  # the service refuses to force a tool on a model that thinks
    if others:
        return {"type": "any"}
    return {"type": "tool", "name": name, "disable_parallel_tool_use": True}


def _mark_shared(body: dict[str, JSON], turns: list[Turn], control: JSON) -> None:
    """Cache up to where cases begin to differ: before the last user turn, or, when nothing comes
    before it, that turn itself. Left to the service, the mark would end at the case's own text,
    and no other case would ever read what was written."""
    users = [number for number, turn in enumerate(turns) if turn["role"] == "user"]
    last = users[-1] if users else 0
    before = body.get("system") or body.get("tools")
    if last > 0 or not before:
        turn = turns[max(last - 1, 0)]
        before = turn["content"] = as_blocks(turn["content"])
    before[-1] = {**before[-1], "cache_control": control}
