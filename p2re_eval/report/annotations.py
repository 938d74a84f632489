"""GitHub's annotations: a line of the log for each failed case and gate, at its line of YAML.

Source: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from p2re_eval.records import Experiment, Place, Result
from p2re_eval.report.summary import Miss, Summary, gated_suites
from p2re_eval.report.wording import quarantine_text, reasons, visible

MOST = 50
"""GitHub shows ten errors and ten warnings of a step; the log keeps a few more."""
_LONGEST = 600

Level = Literal["error", "warning", "notice"]


def wanted_annotations(
    experiment: Experiment, summary: Summary, root: Path, environment: Mapping[str, str]
) -> Iterator[str]:
    """:func:`annotation_lines` where a GitHub workflow runs; ``root`` is the project's folder."""
    if environment.get("GITHUB_ACTIONS") != "true":
        return
    workspace = Path(environment.get("GITHUB_WORKSPACE") or root).resolve()
    below = root.resolve().is_relative_to(workspace)
    inside = root.resolve().relative_to(workspace).as_posix() if below else "."
    yield from annotation_lines(experiment, summary, prefix="" if inside == "." else f"{inside}/")


def annotation_lines(
    experiment: Experiment, summary: Summary, *, prefix: str = ""
) -> Iterator[str]:
    """Gates that are red, then cases that did not pass, then quarantined ones, as workflow
    commands.

    A case of a suite with gates is a warning, since the gates decide. ``prefix`` leads from the
    repository's top to the folder that places are relative to, "" or ending in a slash.
    """
    lines = [*_gates(experiment, prefix), *_cases(experiment, summary, prefix)]
    yield from lines[:MOST]
    if len(lines) > MOST:
        yield f"::notice::{len(lines) - MOST} more are in the report"


def _gates(experiment: Experiment, prefix: str) -> Iterator[str]:
    for verdict in experiment.verdicts:
        if verdict.passed is not True:
            word = "missed" if verdict.passed is False else "undecided"
            title = f"gate {word}: {verdict.gate}"
            yield _command("error", verdict.place, title, verdict.explanation, prefix)


def _cases(experiment: Experiment, summary: Summary, prefix: str) -> Iterator[str]:
    gated = gated_suites(experiment)
    for miss in summary.misses:
        result = miss.result
        tolerated = result.suite in gated and result.outcome == "failed"
        level: Level = "warning" if tolerated else "error"
        yield _command(level, result.place, _title(miss), "\n".join(_why(result)), prefix)
    for miss in summary.quarantine:
        title = f"in quarantine: {miss.result.case_id}"
        yield _command("notice", miss.result.place, title, quarantine_text(miss), prefix)


def _title(miss: Miss) -> str:
    result = miss.result
    word = {"error": "no answer", "unscored": "not scored"}.get(result.outcome, result.outcome)
    times = f", {miss.missed} of {miss.repeats} runs" if miss.repeats > 1 else ""
    return f"{result.case_id} {word}{times} ({result.prompt}, {result.model})"


def _why(result: Result) -> Iterable[str]:
    yield from reasons(result)
    if result.output_preview:
        yield f"answer: {result.output_preview}"


def _command(level: Level, place: Place | None, title: str, text: str, prefix: str) -> str:
    properties = {"title": title}
    if place is not None:
        properties = {
            "file": f"{prefix}{place.path}",
            "line": str(max(place.line, 1)),
            **properties,
        }
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {told}::{_message(text[:_LONGEST])}"


def _message(text: str) -> str:
    """What a model said can begin no command of its own: no line break stays one."""
    plain = visible(text, keep="\n")
    return plain.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    plain = _message(" ".join(text.split()))
    return plain.replace(":", "%3A").replace(",", "%2C")
