"""How a structured answer is asked of the Messages API: by its output format, or by a tool."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from p2re_eval.records import JSON, RenderedPrompt

_TOOL = "structured_answer"
_OLDER = re.compile(
    r"claude-(?:instant|v?[0-3](?!\d)|[a-z]+-4(?:[-.][01])?(?:[-@]\d{8}|[^\d.-]|$))"
)
_NOT_IN_FORMAT = frozenset(
    {
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "pattern", "maxItems", "uniqueItems", "contains"),
        *("prefixItems", "oneOf", "not", "if", "then", "else", "patternProperties"),
        *("propertyNames", "minProperties", "maxProperties", "dependentRequired"),
        *("dependentSchemas", "unevaluatedProperties", "unevaluatedItems"),
    }
)


def answer_tool(prompt: RenderedPrompt) -> str | None:
    """The name of the tool whose arguments will be the answer; ``None`` when none is needed.

    Models before Claude 4.5, and other services' models, know no output format; nor can it enforce
    every schema. Any model can call a tool that takes the schema's object.
    """
    schema = prompt.output_schema
    if schema is None or (_knows_format(prompt.model.name or "") and fits_format(schema)):
        return None
    taken = {tool.name for tool in prompt.tools}
    name = _TOOL
    while name in taken:
        name += "_"
    return name


def fits_format(schema: JSON) -> bool:
    """Whether the output format can enforce this schema: closed objects, no bounds on numbers and
    lengths, no recursion.

    Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs
    """
    return _fits(schema, schema, ())


def _knows_format(model: str) -> bool:
    return "claude-" in model and not _OLDER.search(model)


def _fits(schema: JSON, root: JSON, inside: tuple[str, ...]) -> bool:
    if not isinstance(schema, dict) or not _NOT_IN_FORMAT.isdisjoint(schema):
        return False
    reference = schema.get("$ref")
    if reference is not None:
        if not isinstance(reference, str) or reference in inside:
            return False
        return _fits(_referred(root, reference), root, (*inside, reference))
    is_object = "properties" in schema or "object" in _listed(schema.get("type"))
    if is_object and schema.get("additionalProperties") is not False:
        return False
    if schema.get("minItems", 0) not in (0, 1):
        return False
    return all(_fits(below, root, inside) for below in _below(schema))


def _referred(root: JSON, reference: str) -> JSON:
    """The schema at ``#/$defs/NAME``; ``None`` when it is not in this document."""
    if not reference.startswith("#/"):
        return None
    found = root
    for step in reference[2:].split("/"):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _below(schema: dict[str, JSON]) -> Iterator[JSON]:
    properties = schema.get("properties")
    yield from properties.values() if isinstance(properties, dict) else ()
    yield from ([schema["items"]] if "items" in schema else [])
    for name in ("anyOf", "allOf"):
        yield from _listed(schema.get(name))


def _listed(value: JSON) -> Iterable[JSON]:
    return value if isinstance(value, list) else [value] if value is not None else []
