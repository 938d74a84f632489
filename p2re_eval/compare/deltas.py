"""How far each metric of each prompt and model moved, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from p2re_eval import stats
from p2re_eval.compare.pairing import GroupKey, Pair, Pairing, Repeats, differ, scorer_versions
from p2re_eval.records import Delta, Observation

PASS_RATE = "pass_rate"  # noqa: S105 - a metric, no password
MEAN = "mean"


@dataclass(frozen=True)
class Asked:
    """What every delta of a comparison shares."""

    confidence: float
    seed: int
    resamples: int = stats.RESAMPLES
    metrics: frozenset[str] | None = None
    """Those that are wanted; ``None``: all."""

    def wants(self, metric: str) -> bool:
        return self.metrics is None or metric in self.metrics


def deltas_of(pairing: Pairing, asked: Asked) -> Iterator[Delta]:
    """Pass rate, mean and every scorer's mean of each group, in that order."""
    for group, pairs in pairing.groups.items():
        fair = [pair for pair in pairs if pair.refused is None]
        if fair and asked.wants(PASS_RATE):
            yield pass_rate_delta(group, fair, asked)
        if fair and asked.wants(MEAN) and _says_more(fair):
            yield _mean_delta(group, MEAN, fair, _value, asked)
        for name in _scorers(pairs):
            metric = f"mean({name})"
            same = [pair for pair in pairs if asked.wants(metric) and _same_version(pair, name)]
            if same:
                yield _mean_delta(group, metric, same, _score(name), asked)


def passed_scored(repeats: Repeats) -> tuple[int, int]:
    """How many of a case's repeats passed, and how many were scored."""
    if len(repeats) == 1:
        outcome = repeats[0].outcome
        return int(outcome == "passed"), int(outcome in {"passed", "failed"})
    passed = sum(one.outcome == "passed" for one in repeats)
    return passed, passed + sum(one.outcome == "failed" for one in repeats)


def pass_rate_delta(group: GroupKey, pairs: Sequence[Pair], asked: Asked) -> Delta:
    """How far the pass rate moved: by flips where every case ran once, by case means else."""
    counted = [(pair, passed_scored(pair.before), passed_scored(pair.after)) for pair in pairs]
    usable = [one for one in counted if one[1][1] and one[2][1]]
    clusters = [_cluster(pair) for pair, _, _ in usable]
    outcomes = [(before, after) for _, before, after in usable]
    return outcome_delta(
        group, outcomes, asked, clusters=clusters, left_out=len(counted) - len(usable)
    )


def outcome_delta(
    group: GroupKey,
    outcomes: Sequence[tuple[tuple[int, int], tuple[int, int]]],
    asked: Asked,
    *,
    clusters: Sequence[str | None] = (),
    left_out: int = 0,
) -> Delta:
    """The same from bare numbers: each case's (passed, scored) before and after, scored above 0."""
    rates = [(b[0] / b[1], a[0] / a[1]) for b, a in outcomes]
    once = all(b[1] == a[1] == 1 for b, a in outcomes)
    differences = [after - before for before, after in rates]
    broke, fixed = sum(d < 0 for d in differences), sum(d > 0 for d in differences)
    found = None
    if outcomes and once and not any(clusters):
        found = stats.flip_difference(broke, fixed, len(outcomes), asked.confidence)
    elif outcomes:
        found = _difference(differences, clusters, asked, scale=1.0)
    return _delta(
        group,
        PASS_RATE,
        found,
        asked,
        before=[before for before, _ in rates],
        after=[after for _, after in rates],
        left_out=left_out,
    ).model_copy(
        update={
            "broke": broke,
            "fixed": fixed,
            "repeats": max((max(b[1], a[1]) for b, a in outcomes), default=1),
            "within": _within(outcomes),
        }
    )


def _within(outcomes: Sequence[tuple[tuple[int, int], tuple[int, int]]]) -> float | None:
    """The variance of a case's difference that more repeats would take away; ``None`` when no case
    has repeats to tell by."""
    repeated = [pair for pair in outcomes if pair[0][1] > 1 and pair[1][1] > 1]
    if not repeated:
        return None
    shares = [(p / n) * (1 - p / n) / (n - 1) for pair in repeated for p, n in pair]
    return math.fsum(shares) / len(repeated)


def _mean_delta(
    group: GroupKey,
    metric: str,
    pairs: Sequence[Pair],
    read: Callable[[Observation], float | None],
    asked: Asked,
) -> Delta:
    means = [(pair, _case_mean(pair.before, read), _case_mean(pair.after, read)) for pair in pairs]
    usable = [(pair, b, a) for pair, b, a in means if b is not None and a is not None]
    before, after = [b for _, b, _ in usable], [a for _, _, a in usable]
    found = None
    if usable:
        clusters = [_cluster(pair) for pair, _, _ in usable]
        once = all(len(pair.before) == len(pair.after) == 1 for pair, _, _ in usable)
        found = _mean_difference(before, after, clusters, asked, once=once)
    left_out = len(means) - len(usable)
    made = _delta(group, metric, found, asked, before=before, after=after, left_out=left_out)
    repeats = max((max(len(p.before), len(p.after)) for p, _, _ in usable), default=1)
    return made.model_copy(update={"repeats": repeats})


def _mean_difference(
    before: Sequence[float],
    after: Sequence[float],
    clusters: Sequence[str | None],
    asked: Asked,
    *,
    once: bool,
) -> stats.Difference:
    """Scores that only say yes or no flip as cases do."""
    differences = [a - b for b, a in zip(before, after, strict=True)]
    if once and not any(clusters) and {*before, *after} <= {0.0, 1.0}:
        broke, fixed = differences.count(-1.0), differences.count(1.0)
        return stats.flip_difference(broke, fixed, len(before), asked.confidence)
    return _difference(differences, clusters, asked, scale=_scale(before, after))


def _scale(before: Sequence[float], after: Sequence[float]) -> float:
    """How far one case could move: 1 for scores between 0 and 1, else the range that was seen."""
    values = [*before, *after]
    low, high = min(values), max(values)
    return 1.0 if low >= 0 and high <= 1 else max(high - low, abs(high), abs(low))


def _difference(
    differences: Sequence[float],
    clusters: Sequence[str | None],
    asked: Asked,
    *,
    scale: float,
) -> stats.Difference:
    named: list[object] | None = None
    if any(clusters):  # a case without a cluster is one of its own
        named = [cluster or index for index, cluster in enumerate(clusters)]
    return stats.mean_difference(
        differences,
        named,
        asked.confidence,
        seed=asked.seed,
        resamples=asked.resamples,
        scale=scale,
    )


def _delta(
    group: GroupKey,
    metric: str,
    found: stats.Difference | None,
    asked: Asked,
    *,
    before: Sequence[float],
    after: Sequence[float],
    left_out: int,
) -> Delta:
    base = Delta(
        suite=group.suite,
        prompt=group.prompt,
        model=group.model,
        metric=metric,
        cases=len(before),
        left_out=left_out,
        confidence=asked.confidence,
        seed=asked.seed,
    )
    if found is None:
        return base
    return base.model_copy(
        update={
            "before": stats.mean(before),
            "after": stats.mean(after),
            "difference": found.value,
            "low": found.low,
            "high": found.high,
            "p_value": found.p_value,
            "p_direction": found.p_direction,
            "sd": found.sd,
            "method": found.method,
        }
    )


def _case_mean(repeats: Repeats, read: Callable[[Observation], float | None]) -> float | None:
    values = [v for one in repeats if (v := read(one)) is not None and math.isfinite(v)]
    return stats.mean(values) if values else None


def _value(one: Observation) -> float | None:
    return one.value if one.outcome in {"passed", "failed"} else None


def _score(name: str) -> Callable[[Observation], float | None]:
    def read(one: Observation) -> float | None:
        return next((score.value for score in one.scores if score.name == name), None)

    return read


def _says_more(pairs: Sequence[Pair]) -> bool:
    """Whether the mean score is anything else than the pass rate."""
    return any(
        one.value is not None and one.value != (one.outcome == "passed")
        for pair in pairs
        for side in (pair.before, pair.after)
        for one in side
    )


def _scorers(pairs: Sequence[Pair]) -> list[str]:
    seen: dict[str, None] = {}
    for pair in pairs:
        for one in (*pair.before, *pair.after):
            for score in one.scores:
                seen[score.name] = None
    return list(seen)


def _same_version(pair: Pair, name: str) -> bool:
    """Also of a case that one side did not score at all: it is then left out, and counted."""
    before, after = scorer_versions(pair.before), scorer_versions(pair.after)
    if not before or not after:
        return name in before or name in after
    return name in before and name in after and not differ(before[name], after[name])


def _cluster(pair: Pair) -> str | None:
    return pair.after[0].cluster or pair.before[0].cluster
