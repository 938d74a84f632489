"""How long a service asks to wait: headers, sentences and details, read as seconds."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from p2re_eval.records import JSON

_UNIT = r"(?:milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h)"
_DURATION = rf"(?:\d+(?:\.\d+)?\s*{_UNIT}(?![a-z])[\s,]*)+"
_HINT = re.compile(
    rf"(?:try again|retry)(?: your request)? (?:in|after)[:\s]+({_DURATION})", re.IGNORECASE
)
_WHOLE = re.compile(_DURATION, re.IGNORECASE)
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)
_SECONDS_OF_UNIT = {"s": 1.0, "m": 60.0, "h": 3600.0}
_EPOCH_S = 1e9
_EPOCH_MS = 1e12


def retry_after_s(
    headers: Mapping[str, str], message: str, error: Mapping[str, JSON]
) -> float | None:
    """Seconds the service asks to wait, from the most to the least explicit of its hints.

    ``error`` is the error object of the body, for services that put the delay there.
    Source: RFC 9110 section 10.2.3 for Retry-After; the others are the services' own habits.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    for hint in (_named(headers), _google_delay(error), _in_sentence(message)):
        if hint is not None:
            return hint
    return max(_limit_resets(headers), default=None)


def _named(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "")
    seconds = _number(value)
    return _until_date(value, headers) if seconds is None else seconds


def _google_delay(error: Mapping[str, JSON]) -> float | None:
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        if isinstance(detail, dict) and isinstance(detail.get("retryDelay"), str):
            return _duration_s(detail["retryDelay"])
    return None


def _in_sentence(message: str) -> float | None:
    hint = _HINT.search(message)
    return _duration_s(hint.group(1)) if hint else None


def _limit_resets(headers: Mapping[str, str]) -> Iterator[float]:
    """When each limit that is used up opens again."""
    for name in headers:
        lowered = name.lower()
        if "ratelimit" in lowered and "remaining" in lowered and _number(headers[name]) == 0.0:
            seconds = _reset_s(headers.get(lowered.replace("remaining", "reset"), ""), headers)
            if seconds is not None:
                yield seconds


def _reset_s(value: str, headers: Mapping[str, str]) -> float | None:
    number = _number(value)
    if number is None:
        seconds = _duration_s(value)
        return _until_date(value, headers) if seconds is None else seconds
    if number < _EPOCH_S:
        return number
    return max(0.0, number / (1000 if number > _EPOCH_MS else 1) - _now_s(headers))


def _duration_s(text: str) -> float | None:
    """``26.604s``, ``6ms``, ``1m30s`` or ``2 minutes`` in seconds."""
    if not _WHOLE.fullmatch(text.strip()):
        return None
    return math.fsum(float(number) * _unit_s(unit) for number, unit in _AMOUNT.findall(text))


def _unit_s(unit: str) -> float:
    unit = unit.lower()
    return 0.001 if unit.startswith(("ms", "mil")) else _SECONDS_OF_UNIT[unit[0]]


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return max(0.0, value) if math.isfinite(value) else None


def _until_date(text: str, headers: Mapping[str, str]) -> float | None:
    then = _date_s(text)
    return None if then is None else max(0.0, then - _now_s(headers))


def _now_s(headers: Mapping[str, str]) -> float:
    """The service's own clock when it sends one, so that a skewed machine waits the right time."""
    date_s = _date_s(headers.get("date", ""))
    return time.time() if date_s is None else date_s


def _date_s(text: str) -> float | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            return read(text).timestamp()
        except ValueError:
            continue
    return None
