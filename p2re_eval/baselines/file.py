"""A baseline as a file to commit: one line a case, sorted, so that a diff says what changed.

JSON lines. The first names the experiment; then, for each prompt and model of a suite, one line of
what they stand on (``prompt``, ``scorers`` with the beginnings of their versions) and one for each
case: ``ran`` has a letter for each repeat (P passed, F failed, E error, U unscored, N not run),
``scores`` the value of each scorer for each repeat.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from p2re_eval.errors import MissingFile, P2REError, SyntaxMistake
from p2re_eval.records import (
    JSON,
    Evaluation,
    EvaluationKind,
    Experiment,
    Outcome,
    Result,
    Revision,
    Score,
)

FORMAT = 1
_DIGITS = 12
"""How much of each hash is kept: enough to see a change, short enough to read."""
_LETTERS: dict[Outcome, str] = {
    "passed": "P",
    "failed": "F",
    "error": "E",
    "unscored": "U",
    "not_run": "N",
}
_OUTCOMES: dict[str, Outcome] = {letter: outcome for outcome, letter in _LETTERS.items()}

Group = tuple[str, str, str]


def write_baseline(path: Path, experiment: Experiment, results: Iterable[Result]) -> int:
    """Write the file, whole or not at all; gives the number of cases. Raises OSError."""
    groups: dict[Group, dict[str, list[Result]]] = {}
    for result in results:
        group = groups.setdefault((result.suite, result.prompt, result.model), {})
        group.setdefault(result.case_id, []).append(result)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(_dumped(line) + "\n" for line in _lines(experiment, groups))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return sum(len(cases) for cases in groups.values())


def _lines(
    experiment: Experiment, groups: dict[Group, dict[str, list[Result]]]
) -> Iterator[dict[str, JSON]]:
    revision = experiment.revision
    yield {
        "baseline": FORMAT,
        "experiment": experiment.experiment_id,
        "started_ns": experiment.started_ns,
        "commit": None if revision is None else revision.commit,
        "dirty": revision is not None and revision.dirty,
        "packages": experiment.packages,
    }
    for group, cases in sorted(groups.items()):
        first = next(iter(cases.values()))[0]
        scorers = _scorers(cases.values())
        yield {
            "suite": group[0],
            "prompt": group[1],
            "model": group[2],
            "version": (first.prompt_version or "")[:_DIGITS],
            "answered": first.model_answered,
            "scorers": scorers,
        }
        for case_id, repeats in sorted(cases.items()):
            yield _case(case_id, sorted(repeats, key=lambda r: r.repeat))


def _scorers(cases: Iterable[list[Result]]) -> dict[str, JSON]:
    found: dict[str, JSON] = {}
    for repeats in cases:
        for result in repeats:
            for one in result.evaluations:
                found[one.name] = [one.kind, one.scorer_version[:_DIGITS], one.weight]
    return dict(sorted(found.items()))


def _case(case_id: str, repeats: list[Result]) -> dict[str, JSON]:
    first = repeats[0]
    line: dict[str, JSON] = {
        "case": case_id,
        "ran": "".join(_LETTERS[result.outcome] for result in repeats),
        "row": _beginning(first.row_hash),
        "rules": _beginning(first.rules_hash),
        "asked": _beginning(first.fingerprint),
        "cluster": first.cluster,
        "scores": {name: _values(name, repeats) for name in _scorers([repeats])},
    }
    return {name: value for name, value in line.items() if value not in (None, {}, "")}


def _values(name: str, repeats: list[Result]) -> list[float | None]:
    values = []
    for result in repeats:
        said = next((one for one in result.evaluations if one.name == name), None)
        values.append(None if said is None or said.score is None else said.score.value)
    return values


def _beginning(text: str | None) -> str | None:
    return text and text[:_DIGITS]


def _dumped(line: dict[str, JSON]) -> str:
    return json.dumps(line, ensure_ascii=False, separators=(", ", ": "))


def read_baseline(path: Path) -> tuple[Experiment, list[Result]]:
    """The experiment that the file keeps, without its texts.

    Raises MissingFile, and SyntaxMistake with the line that is wrong.
    """
    if not path.is_file():
        what = f"there is no baseline file; write it with `p2re experiments bless -o {path}`"
        raise MissingFile(what, path=str(path))
    reader = _Reader(path)
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if text.strip():
            reader.read(number, text)
    return reader.finished()


class _Reader:
    """Reads line after line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._experiment: Experiment | None = None
        self._group: dict[str, Any] | None = None
        self._results: list[Result] = []

    def read(self, number: int, text: str) -> None:
        try:
            line = json.loads(text)
            if "baseline" in line:
                self._experiment = self._head(line)
            elif "suite" in line:
                self._group = line
            else:
                self._results += self._case(line)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            what = f"this is no line of a baseline ({type(error).__name__}: {error}); "
            what += "write the file anew with `p2re experiments bless`"
            raise SyntaxMistake(what, path=str(self._path), line=number) from None

    def finished(self) -> tuple[Experiment, list[Result]]:
        if self._experiment is None:
            what = "this is no baseline file: its first line does not say so"
            raise SyntaxMistake(what, path=str(self._path), line=1)
        return self._experiment, self._results

    def _head(self, line: dict[str, Any]) -> Experiment:
        if line["baseline"] != FORMAT:
            raise P2REError(
                f"{self._path}: a newer p2re_eval wrote this baseline (format {line['baseline']}, "
                f"this one knows {FORMAT}); upgrade p2re-eval"
            )
        commit = line.get("commit")
        return Experiment(
            experiment_id=line["experiment"],
            name=self._path.stem,
            started_ns=line["started_ns"],
            status="COMPLETE",
            revision=Revision(commit=commit, dirty=line["dirty"]) if commit else None,
            packages=line.get("packages", {}),
        )

    def _case(self, line: dict[str, Any]) -> Iterator[Result]:
        group = self._group
        if self._experiment is None or group is None:
            raise ValueError("a case before its prompt")
        for repeat, letter in enumerate(line["ran"]):
            evaluations = tuple(self._evaluations(group["scorers"], line.get("scores", {}), repeat))
            outcome = _OUTCOMES[letter]
            yield Result(
                experiment_id=self._experiment.experiment_id,
                item=f"{group['suite']}::{group['prompt']}::{line['case']}",
                suite=group["suite"],
                prompt=group["prompt"],
                prompt_version=group["version"] or None,
                model=group["model"],
                case_id=line["case"],
                repeat=repeat,
                cluster=line.get("cluster"),
                outcome=outcome,
                value=_weighted(evaluations),
                source="replay",
                recorded=False,
                evaluations=evaluations,
                row_hash=line.get("row"),
                rules_hash=line.get("rules"),
                fingerprint=line.get("asked"),
                model_answered=group.get("answered"),
            )

    def _evaluations(
        self, scorers: dict[str, tuple[EvaluationKind, str, float]], scores: JSON, repeat: int
    ) -> Iterator[Evaluation]:
        for name, values in scores.items():
            kind, version, weight = scorers[name]
            yield Evaluation(
                evaluation_id="",
                trace_id="",
                name=name,
                scorer=name,
                scorer_version=version,
                kind=kind,
                score=None if values[repeat] is None else Score(value=values[repeat]),
                weight=weight,
            )


def _weighted(evaluations: Iterable[Evaluation]) -> float | None:
    counting = [one for one in evaluations if one.weight > 0]
    values = [
        (one.score.value, one.weight)
        for one in counting
        if one.score is not None and one.score.value is not None
    ]
    if not values or len(values) < len(counting):
        return None
    return sum(value * weight for value, weight in values) / sum(weight for _, weight in values)
