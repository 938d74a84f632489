"""Results as rows for a data frame; pandas and polars are the user's own choice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from p2re_eval.errors import UsageError
from p2re_eval.records import Result

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


def result_rows(results: Iterable[Result]) -> list[dict[str, object]]:
    """One mapping a result; absent values are ``None``, never 0. Times in seconds."""
    return [_row(result) for result in results]


def to_pandas(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Raises UsageError where pandas is not installed."""
    try:
        import pandas as pd
    except ImportError:
        raise UsageError("this needs pandas; pip install 'p2re-eval[notebook]'") from None
    return pd.DataFrame(rows)


def to_polars(rows: list[dict[str, object]]) -> pl.DataFrame:
    """Raises UsageError where polars is not installed."""
    try:
        import polars as pl
    except ImportError:
        raise UsageError("this needs polars; pip install polars") from None
    return pl.DataFrame(rows, infer_schema_length=None)


def _row(result: Result) -> dict[str, object]:
    row: dict[str, object] = {
        "suite": result.suite,
        "prompt": result.prompt,
        "prompt_version": result.prompt_version,
        "model": result.model,
        "case_id": result.case_id,
        "repeat": result.repeat,
        "outcome": result.outcome,
        "value": result.value,
        "input": result.inputs_preview,
        "output": result.output_preview,
        "expected": result.expected_preview,
        "input_tokens": result.usage.input_tokens,
        "output_tokens": result.usage.output_tokens,
        "cost_usd": result.cost_usd,
        "latency_s": None if result.duration_ns is None else result.duration_ns / 1e9,
        "source": result.source,
        "fault": None if result.fault is None else result.fault.message,
        "trace_id": result.trace_id,
    }
    return row | _scores(result)


def _scores(result: Result) -> dict[str, object]:
    return {
        f"score:{one.name}": None if one.score is None else one.score.value
        for one in result.evaluations
    }
