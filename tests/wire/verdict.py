"""Whether an adapter made of a row what its independent reading says, and the table of it all."""

from __future__ import annotations

import json

from tabulate import tabulate

from p2re_eval import errors
from p2re_eval.errors import ProviderError
from p2re_eval.records import Embeddings
from wire.claims import adapter
from wire.readers import expected

_WORDS = {
    "stop": "stop eos end_turn stop_sequence STOP COMPLETE STOP_SEQUENCE completed",
    "length": "length max_tokens MAX_TOKENS max_output_tokens model_length",
    "tool_calls": "tool_calls tool_use TOOL_CALL function_call",
    "content_filter": "content_filter refusal SAFETY guardrail_intervened content_filtered",
}


def _word(row: dict, said: str | None, calls: bool) -> str:
    """Some services say the same word after tool calls as after text."""
    if said in {None, "STOP", "1", "completed"} or (
        said == "stop" and "/api/chat" in row["request"]["url"]
    ):
        return "tool_calls" if calls else {None: "other"}.get(said, "stop")
    return next((word for word, all_ in _WORDS.items() if said in all_.split()), "other")


def differences(row: dict, outcome) -> list[str]:
    """What the adapter made of a row that its independent reading does not say; [] when right."""
    try:
        wanted = expected(row)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        return [f"the independent reader cannot read it: {error!r}; the adapter: {outcome!r}"]
    if "error" in wanted:
        kinds = tuple(getattr(errors, name) for name in wanted["error"])
        right = isinstance(outcome, kinds) and (
            row["status"] == 200 or outcome.status == row["status"]
        )
        return [] if right else [f"{outcome!r} is none of {wanted['error']}"]
    if isinstance(outcome, ProviderError):
        return [f"raised {outcome!r}"]
    if isinstance(outcome, Embeddings):
        told = {"vectors": [list(vector) for vector in outcome.vectors], "model": outcome.model}
        told["tokens"] = outcome.usage.input_tokens
        return [name for name, value in wanted.items() if told[name] != value]
    completion, streamed = outcome
    got = {
        "text": completion.text,
        "calls": _comparable([(c.id, c.name, c.arguments) for c in completion.tool_calls]),
        "finish": completion.raw_finish_reason,
        "word": completion.finish_reason,
        "tokens": (completion.usage.input_tokens, completion.usage.output_tokens),
        "cached": completion.usage.cached_tokens,
        "model": completion.model,
        "id": completion.response_id,
        "reasoning": completion.reasoning,
        "streamed": streamed,
    }
    calls = [(given or f"call_{n}", *rest) for n, (given, *rest) in enumerate(wanted["calls"])]
    wanted |= {"calls": _comparable(calls), "word": _word(row, wanted["finish"], bool(calls))}
    wanted["streamed"] = wanted["text"] if row["stream"] else ""
    return [
        f"{name}: {got[name]!r} is not {value!r}"
        for name, value in wanted.items()
        if got[name] != value
    ]


def _comparable(calls: list) -> list:
    def parsed(text: str):
        try:
            return json.loads(text or "{}")
        except ValueError:
            return text

    return [(given, name, parsed(arguments)) for given, name, arguments in calls]


def table(rows: list[dict], found: list) -> tuple[str, dict[str, list[str]]]:
    """Rows, claimed and right per service, and what is wrong by the row's id."""
    counts: dict[str, list[int]] = {}
    wrong: dict[str, list[str]] = {}
    for row, outcome in zip(rows, found, strict=True):
        count = counts.setdefault(row["provider"], [0, 0, 0])
        count[0] += 1
        if adapter(row)[0]:
            problems = differences(row, outcome)
            count[1] += 1
            count[2] += not problems
            if problems:
                wrong[f"{row['provider']}-{row['endpoint']}-{row['id']}"] = problems
    lines = [[name, *count] for name, count in sorted(counts.items())]
    lines.append(["all", *(sum(column) for column in zip(*counts.values(), strict=True))])
    return tabulate(lines, headers=["service", "rows", "claimed", "right"]), wrong
