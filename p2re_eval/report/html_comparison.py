"""A comparison as the HTML page shows it: flips with both answers, and how far metrics moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from p2re_eval.errors import StoreError
from p2re_eval.quantities import count_text, p_text
from p2re_eval.records import Comparison, Delta, Flip, Trace
from p2re_eval.report.comparison_wording import (
    change_line,
    delta_texts,
    figure_rows,
    flips_line,
    left_out_lines,
    side_line,
    tries_text,
    worth_showing,
)
from p2re_eval.report.html_results import MOST_CHARACTERS
from p2re_eval.report.word_diff import Piece, word_diff

MOST_FLIPS = 200
"""How many flips the page shows with both answers."""
_OPEN = 2
"""How many of the worst stand open."""
_SCALES = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)

Tone = Literal["pass", "fail", ""]


@dataclass(frozen=True)
class FlipCard:
    """One case that moved; ``note`` says why an answer is not here."""

    flip: Flip
    tone: Tone
    word: str
    moved: str
    where: str
    chance: str
    open: bool
    before: tuple[Piece, ...]
    after: tuple[Piece, ...]
    note: str


@dataclass(frozen=True)
class DeltaLine:
    """A metric's move; ``low``, ``point`` and ``high`` are places on a line of 0 to 100, whose
    middle is no change. ``None``: no interval."""

    delta: Delta
    tone: Tone
    was: str
    now: str
    moved: str
    interval: str
    p: str
    cases: str
    point: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Compared:
    """Everything the page says of a comparison."""

    lead: str
    label: str
    side: str
    note: str
    cards: tuple[FlipCard, ...]
    more: int
    deltas: tuple[DeltaLine, ...]
    scale: str
    changes: tuple[str, ...]
    left_out: tuple[str, ...]
    figures: tuple[tuple[str, str, str], ...]
    several: tuple[bool, bool, bool]


def compared(comparison: Comparison, details: Callable[[str], Trace]) -> Compared:
    """The page's view; ``details`` gives the full answers where they are still there."""
    deltas = worth_showing(comparison.deltas)
    reach = _reach(deltas)
    several = _several(comparison)
    flips = comparison.flips[:MOST_FLIPS]
    return Compared(
        lead=flips_line(comparison),
        label=comparison.before.label,
        side=side_line(comparison.before),
        note=comparison.note,
        cards=tuple(
            _card(flip, details, several, opened=place < _OPEN and flip.worse)
            for place, flip in enumerate(flips)
        ),
        more=comparison.broke + comparison.fixed - len(flips),
        deltas=tuple(_line(delta, reach) for delta in deltas),
        scale=f"{reach * 100:g}",
        changes=tuple(change_line(change) for change in comparison.changes),
        left_out=tuple(left_out_lines(comparison)),
        figures=tuple(_figures(comparison)),
        several=several,
    )


def _several(comparison: Comparison) -> tuple[bool, bool, bool]:
    """Whether suite, prompt and model tell flips or metrics apart."""
    names = [(d.suite, d.prompt, d.model) for d in comparison.deltas]
    names += [(f.suite, f.prompt, f.model) for f in comparison.flips]
    suites, prompts, models = (len({name[place] for name in names}) > 1 for place in range(3))
    return suites, prompts, models


def _card(
    flip: Flip, details: Callable[[str], Trace], several: tuple[bool, bool, bool], *, opened: bool
) -> FlipCard:
    before = _answer(flip.before_trace, flip.before_output, details)
    after = _answer(flip.after_trace, flip.after_output, details)
    known = before is not None and after is not None
    pieces = word_diff(before or "", after or "") if known else _whole(before, after)
    names = zip((flip.suite, flip.prompt, flip.model), several, strict=True)
    return FlipCard(
        flip=flip,
        tone="fail" if flip.worse else "pass",
        word=_word(flip),
        moved=f"{tries_text(flip.before)} \N{RIGHTWARDS ARROW} {tries_text(flip.after)}",
        where=", ".join(name for name, shown in names if shown),
        chance="" if flip.p_value is None else f"p {p_text(flip.p_value)}",
        open=opened,
        before=pieces[0],
        after=pieces[1],
        note="" if known else "Not every answer is here: a baseline file keeps no texts.",
    )


def _word(flip: Flip) -> str:
    whole = flip.before.rate in {0.0, 1.0} and flip.after.rate in {0.0, 1.0}
    if whole:
        return "broke" if flip.worse else "fixed"
    return "worse" if flip.worse else "better"


def _answer(trace_id: str | None, preview: str, details: Callable[[str], Trace]) -> str | None:
    """The answer in full, else its preview; ``None`` when nobody kept it."""
    if trace_id is not None:
        try:
            completion = details(trace_id).completion
        except StoreError:
            completion = None
        if completion is not None and completion.text:
            return completion.text[:MOST_CHARACTERS]
    return preview or (None if trace_id is None else "")


def _whole(before: str | None, after: str | None) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    first, second = ((Piece(text, False),) if text else () for text in (before, after))
    return first, second


def _reach(deltas: Sequence[Delta]) -> float:
    """How far the lines reach to each side: the least round size that holds every interval."""
    bounds = [abs(bound) for d in deltas for bound in (d.low, d.high, d.difference) if bound]
    most = max(bounds, default=0.0)
    return next((scale for scale in _SCALES if most <= scale), most)


def _line(delta: Delta, reach: float) -> DeltaLine:
    texts = delta_texts(delta)
    return DeltaLine(
        delta=delta,
        tone=_tone(delta),
        was=texts.was,
        now=texts.now,
        moved=texts.moved,
        interval=texts.interval,
        p=texts.p,
        cases=f"{delta.cases:,}{texts.repeats}",
        point=_placed(delta.difference, reach),
        low=_placed(delta.low, reach),
        high=_placed(delta.high, reach),
    )


def _tone(delta: Delta) -> Tone:
    """A colour only where the interval leaves no change out."""
    if delta.high is not None and delta.high < 0:
        return "fail"
    return "pass" if delta.low is not None and delta.low > 0 else ""


def _placed(value: float | None, reach: float) -> float | None:
    if value is None or reach <= 0:
        return None
    return min(max(50 + 50 * value / reach, 0.0), 100.0)


def _figures(comparison: Comparison) -> Iterator[tuple[str, str, str]]:
    """What the compared cases took, and where their answers came from: (name, then, now)."""
    old, new = comparison.before.figures, comparison.after.figures
    yield from ((name.capitalize(), was, now) for name, was, now in figure_rows(comparison))
    sources = (
        ("Live calls", old.live, new.live),
        ("Cached or replayed", old.cache + old.replay, new.cache + new.replay),
    )
    yield from ((name, f"{was:,}", f"{now:,}") for name, was, now in sources if was or now)


def more_text(compared: Compared) -> str:
    """``and 12 more``, "" when every flip is shown."""
    return f"and {count_text(compared.more, 'more', 'more')}" if compared.more > 0 else ""
