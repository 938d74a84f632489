"""A search expression and the filters of a list, as one search."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from p2re_eval.store import TraceFilter
from p2re_eval.store.expression import ExpressionError

_FIELD_OF = {"experiment_id": "experiment", "session_id": "session"}


def narrowed(expression: str, wanted: TraceFilter) -> str:
    """The expression with the filters that are given joined to it."""
    words = [f"({expression})"] if expression.strip() else []
    return " and ".join([*words, *_conditions(wanted)])


def in_what_was_written(error: ExpressionError, written: str) -> ExpressionError:
    """The mistake in a narrowed expression, shown in what the user wrote of it."""
    column = min(max(1, error.column - 1), len(written) + 1)
    return ExpressionError(error.what, expression=written, column=column)


def _conditions(wanted: TraceFilter) -> Iterator[str]:
    for name, value in wanted.model_dump(exclude_none=True).items():
        if name == "since_ns":
            begun = datetime.fromtimestamp(value / 1e9, UTC)
            yield f'started >= "{begun.isoformat(timespec="seconds")}"'
        else:
            yield f"{_FIELD_OF.get(name, name)} == {json.dumps(value, ensure_ascii=False)}"
