"""Numbers as people read them: durations, money, tokens, shares. Unknown is never shown as 0."""

from __future__ import annotations

UNKNOWN = "-"
"""What stands where a number is not known."""

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000


def duration_text(duration_ns: float | None) -> str:
    """``340 ms``, ``1.2 s``, ``2 min 5 s``."""
    if duration_ns is None:
        return UNKNOWN
    if duration_ns < 0.9995 * _NS_PER_S:
        ms = duration_ns / _NS_PER_MS
        return f"{ms:.0f} ms" if ms >= 9.95 or ms == 0 else f"{ms:.1f} ms"
    seconds = duration_ns / _NS_PER_S
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def money_text(cost_usd: float | None) -> str:
    """``$0.0012``, ``$1.23``, ``$1,234.50``: two significant digits below a cent."""
    if cost_usd is None:
        return UNKNOWN
    if cost_usd == 0:
        return "$0"
    sign = "-" if cost_usd < 0 else ""
    size = abs(cost_usd)
    if size >= 0.995:
        return f"{sign}${size:,.2f}"
    if size >= 0.0995:
        return f"{sign}${size:.3f}"
    digits = 1 - int(f"{size:e}".partition("e")[2])
    return f"{sign}${size:.{digits}f}"


def tokens_text(tokens: float | None) -> str:
    """``812``, ``1.23k``, ``12.3k``, ``4.56M``."""
    return UNKNOWN if tokens is None else _scaled(tokens)


def _scaled(number: float) -> str:
    if number < 999.5:
        return f"{number:.0f}"
    for size, unit in ((1e3, "k"), (1e6, "M")):
        if number < 999.5 * size:
            return f"{number / size:#.3g}".rstrip(".") + unit
    return f"{number / 1e9:,.3g}G"


def share_text(share: float | None) -> str:
    """``93.3 %``; what is not all or nothing never rounds to 100 or 0."""
    if share is None:
        return UNKNOWN
    if 0.9995 <= share < 1:
        return ">99.9 %"
    if 0 < share < 0.0005:
        return "<0.1 %"
    return "100 %" if share == 1 else "0 %" if share == 0 else f"{share * 100:.1f} %"


def number_text(number: float | None) -> str:
    """``0.93``, ``4.20``, ``87.5``: a score; what is not 0 never rounds to it."""
    if number is None:
        return UNKNOWN
    if number and abs(number) < 0.005:
        return f"{number:.1g}"
    return f"{number:.2f}" if abs(number) < 10 else f"{number:.4g}"


def count_text(count: int, one: str, many: str | None = None) -> str:
    """``1 case``, ``3 cases``, ``1,200 cases``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def change_text(share: float) -> str:
    """A change of a share in percentage points, with its sign: ``-5.0``, ``+0.4``, ``0``."""
    points = share * 100
    if abs(points) < 0.05:
        return "0" if abs(points) < 5e-10 else f"{points:+.2g}"
    return f"{points:+.1f}"


def signed_text(number: float) -> str:
    """A change of a score with its sign: ``-0.12``, ``+3.4``, ``0``."""
    return f"{number:+.2g}" if abs(number) > 5e-12 else "0"


def p_text(p_value: float | None) -> str:
    """``0.031``, ``<0.001``."""
    if p_value is None:
        return "-"
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}" if p_value < 0.9995 else "1"
