"""The report as one HTML file that asks nobody for anything: style, script and data are inside.

Everything a model, a prompt or a user wrote is escaped by the template; the page's policy allows
only its own style and script, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from p2re_eval.quantities import count_text, duration_text, number_text, share_text
from p2re_eval.records import Comparison, Experiment, Result, Trace
from p2re_eval.report.distributions import Distributions
from p2re_eval.report.html_comparison import compared, more_text
from p2re_eval.report.html_results import ResultRow, result_row
from p2re_eval.report.summary import Summary, headline, summarize
from p2re_eval.report.wording import (
    again,
    answers_text,
    budget_text,
    cost_text,
    limits_text,
    quarantine_text,
    refused_text,
    revision_text,
    saved_text,
    sum_text,
    tokens_used_text,
)
from p2re_eval.tally import CaseKey

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class PageLimits:
    """What one page may hold: runs with their full texts, bytes with texts, bytes altogether."""

    texts: int = 2_000
    bytes_with_texts: int = 16_000_000
    bytes: int = 24_000_000


def html_report(
    experiment: Experiment,
    results_factory: Callable[[], Iterable[Result]],
    details: Callable[[str], Trace],
    comparison: Comparison | None = None,
    *,
    limits: PageLimits | None = None,
) -> Iterator[str]:
    """The page in pieces: flips first where there is a comparison. Results that did not pass come
    first and keep their full texts first; what passes the limits is left out, and the page says so.

    ``results_factory`` is called three times; ``details`` once for each run shown in full.
    """
    tags: set[str] = set()
    spread = Distributions()
    summary = summarize(spread.watching(_noting_tags(results_factory(), tags)))
    moved = {} if comparison is None else _moved(comparison)
    listing = _Listing(results_factory, details, limits or PageLimits(), moved)
    style, script = _asset("report.css"), _asset("report.js")
    template = _environment().get_template("report.html.jinja")
    page: Iterator[str] = template.generate(
        experiment=experiment,
        summary=summary,
        verdict=headline(experiment, summary),
        facts=_facts(experiment, summary),
        compared=None if comparison is None else compared(comparison, details),
        histograms=spread.histograms(),
        filters=_filters(summary, tags, moved),
        listing=listing,
        scorers=_scorers(summary),
        style=style,
        script=script,
        policy=_policy(style, script),
        several_suites=len({row.suite for row in summary.rows}) > 1,
        several_prompts=len({row.prompt for row in summary.rows}) > 1,
        several_models=len({row.model for row in summary.rows}) > 1,
    )
    return page


@dataclass
class _Listing:
    """The rows, made while the page is written; afterwards it knows what it left out."""

    results_factory: Callable[[], Iterable[Result]]
    details: Callable[[str], Trace]
    limits: PageLimits
    moved: Mapping[CaseKey, str]
    listed: int = 0
    in_full: int = 0
    left_out: int = 0
    written: int = field(default=0)

    def rows(self) -> Iterator[ResultRow]:
        for wanted in (False, True):
            for result in self.results_factory():
                if (result.outcome == "passed" or result.quarantine is not None) is wanted:
                    yield from self._row(result)

    def _row(self, result: Result) -> Iterator[ResultRow]:
        if self.written > self.limits.bytes:
            self.left_out += 1
            return
        full = self.in_full < self.limits.texts and self.written < self.limits.bytes_with_texts
        self.listed += 1
        self.in_full += full
        key = CaseKey(result.suite, result.prompt, result.model, result.case_id)
        change = self.moved.get(key, "")
        yield result_row(result, self.listed, self.details if full else None, change=change)

    def count(self, html: str) -> str:
        """Pass a finished row through, counted."""
        self.written += len(html)
        return html

    @property
    def note(self) -> str:
        """What is not on the page; "" when everything is."""
        parts = []
        short = self.listed - self.in_full
        if short:
            parts.append(f"{count_text(short, 'run')} of {self.listed:,} with previews only")
        if self.left_out:
            parts.append(f"{count_text(self.left_out, 'run')} not listed at all")
        if not parts:
            return ""
        return (
            f"This page would be too large with everything: {', '.join(parts)}. "
            "Runs that did not pass come first. The database has all of them: p2re traces list."
        )


def _environment() -> Any:
    """The template environment; ``Any``, because Jinja is imported when a page is written."""
    import jinja2  # 50 ms to import, and most sessions write no page

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: "" if value is None else value,
    )
    environment.filters |= {
        "duration": duration_text,
        "share": share_text,
        "number": number_text,
        "total": sum_text,
        "quarantined": quarantine_text,
        "more": more_text,
        "breakable": _breakable,
    }
    return environment


def _breakable(name: str) -> Any:
    """A name that may go on in the next line after its marks rather than inside a word."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"([/_-])(?=\w)", r"\1<wbr>", str(escape(name))))  # noqa: S704


def _asset(name: str) -> Any:
    """A file of our own, marked as safe: it stands in the page as it is."""
    from markupsafe import Markup

    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704


def _policy(style: str, script: str) -> str:
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _digest(text: str) -> str:
    """The hash of an inline element as a content security policy names it."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _noting_tags(results: Iterable[Result], tags: set[str]) -> Iterator[Result]:
    for result in results:
        tags.update(result.tags)
        yield result


def _moved(comparison: Comparison) -> dict[CaseKey, str]:
    """The cases that flipped, as far as the comparison lists them."""
    return {
        CaseKey(flip.suite, flip.prompt, flip.model, flip.case_id): (
            "worse" if flip.worse else "better"
        )
        for flip in comparison.flips
    }


def _filters(
    summary: Summary, tags: set[str], moved: Mapping[CaseKey, str]
) -> list[tuple[str, str, list[str]]]:
    """The choices that are worth a menu: those with more than one entry."""
    rows = summary.rows
    found = [
        ("suite", "Suite", sorted({row.suite for row in rows}), 2),
        ("prompt", "Prompt", sorted({row.prompt for row in rows}), 2),
        ("model", "Model", sorted({row.model for row in rows}), 2),
        ("tag", "Tag", sorted(tags), 1),
        ("change", "Change", sorted(set(moved.values())), 1),
    ]
    return [
        (name, label, choices) for name, label, choices, least in found if len(choices) >= least
    ]


def _scorers(summary: Summary) -> list[str]:
    """The scorers in the order in which the suites name them."""
    names: dict[str, None] = {}
    for row in summary.rows:
        for score in row.figures.scores:
            names.setdefault(score.name)
    return list(names)


def _facts(experiment: Experiment, summary: Summary) -> Sequence[tuple[str, str]]:
    started = datetime.fromtimestamp(experiment.started_ns / 1e9, UTC)
    took = None if experiment.ended_ns is None else experiment.ended_ns - experiment.started_ns
    packages = ", ".join(f"{name} {version}" for name, version in experiment.packages.items())
    facts = [
        ("Started", f"{started:%Y-%m-%d %H:%M:%S} UTC"),
        ("Took", None if took is None else duration_text(took)),
        ("Answers", answers_text(summary)),
        ("Tokens", tokens_used_text(summary)),
        ("Cost", cost_text(summary)),
        ("Budget", budget_text(experiment)),
        ("Not run", refused_text(summary)),
        ("Saved by early stop", saved_text(summary)),
        ("Revision", revision_text(experiment)),
        *(("Limits", text) for text in limits_text(experiment)),
        ("Experiment", experiment.experiment_id),
        ("Run again", again(experiment)),
        ("Packages", packages),
    ]
    return [(name, fact) for name, fact in facts if fact]
