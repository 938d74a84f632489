"""Cells of a CSV file as what the prompt wants: numbers, booleans, lists."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from p2re_eval.records import JSON, Case, PromptTemplate


def typed(case: Case, template: PromptTemplate) -> Mapping[str, JSON]:
    """A CSV cell is text; where the prompt wants a number or a boolean, it becomes one."""
    if case.place is None or not case.place.path.endswith(".csv"):
        return case.inputs
    return {
        name: _from_cell(value, template.inputs.get(name, {}).get("type"))
        for name, value in case.inputs.items()
    }


def _from_cell(value: JSON, wanted: JSON) -> JSON:
    if not isinstance(value, str):
        return value
    if isinstance(wanted, list):
        read = (_from_cell(value, one) for one in wanted if one != "string")
        return next((typed for typed in read if typed != value), value)
    if wanted in ("integer", "number"):
        return _number_or_text(value, whole=wanted == "integer")
    if wanted == "boolean":
        return {"true": True, "false": False}.get(value.lower(), value)
    if wanted in ("array", "object"):
        return _json_or_text(value)
    return value


def _number_or_text(value: str, *, whole: bool) -> JSON:
    """``3`` stays whole where any number will do: a prompt shows what the cell shows."""
    try:
        return int(value)
    except ValueError:
        pass
    try:
        number = float(value)
    except ValueError:
        return value
    return value if whole or not math.isfinite(number) else number


def _json_or_text(value: str) -> JSON:
    try:
        return json.loads(value)
    except ValueError:
        return value
