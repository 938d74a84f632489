"""Options that many commands share, and how their values are read."""

from __future__ import annotations

import re
import time
from datetime import datetime
from pathlib import Path

import click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

HOW_MANY = click.IntRange(min=1, max=1_000_000)
"""Rows of a list; who wants more exports."""
_LAST_MOMENT = (1 << 63) - 1
"""As many nanoseconds as the database can hold: the year 2262."""

db_option = click.option("--db", type=click.Path(path_type=Path), help="The database.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def moment_of(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """``30m``, ``2h``, ``7d`` ago, or a date and time of ISO 8601, as nanoseconds UTC."""
    if value is None:
        return None
    ago = re.fullmatch(r"(\d+)([smhdw])", value)
    if ago:
        return max(0, time.time_ns() - int(ago[1]) * _UNITS[ago[2]] * 1_000_000_000)
    try:
        moment = int(datetime.fromisoformat(value).timestamp()) * 1_000_000_000
        return max(0, min(moment, _LAST_MOMENT))
    except ValueError:
        what = f"'{value}' is neither like 30m, 2h or 7d nor like 2026-01-31T09:00"
        raise click.BadParameter(what, context, option) from None
