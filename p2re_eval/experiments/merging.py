"""The databases of the shards of one run become one experiment, as one machine would have made it.

Every share must be there, once, of the same commit and the same selection. Results, their traces
and evaluations are copied; the gates, which no share could decide, are decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from p2re_eval.baselines import Baseline
from p2re_eval.baselines.choose import from_store
from p2re_eval.clock import new_trace_id
from p2re_eval.compare import compare, match, recorded
from p2re_eval.engine.lanes import merged
from p2re_eval.errors import NoSuchRecord, UsageError
from p2re_eval.gates import decide_regression, parse_gate
from p2re_eval.gates.verdicts import partial_text, verdict_of
from p2re_eval.interfaces import Clock
from p2re_eval.records import (
    JSON,
    Comparison,
    Evaluation,
    Experiment,
    GateSpec,
    GateVerdict,
    Result,
)
from p2re_eval.store import Store

_WORST_LAST = ("COMPLETE", "RUNNING", "ABANDONED", "INTERRUPTED")
_LOOKED_AT = 1000
_OWN_OPTIONS = ("--p2re-shard", "--p2re-db")
"""Options in which the shards' commands differ, and which the one machine's would not have."""


@dataclass(frozen=True)
class Share:
    """The newest shard that a database holds."""

    store: Store
    experiment: Experiment

    @property
    def shard(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.experiment.settings["p2re_shard"]
        return found

    def __str__(self) -> str:
        return f"{self.store.path} ({self.shard['number']}/{self.shard['of']})"


@dataclass(frozen=True)
class Merged:
    """The whole; ``comparison`` where the shards or the caller had something to compare with."""

    experiment: Experiment
    comparison: Comparison | None = None


def merge(
    stores: Sequence[Store],
    out: Store,
    *,
    clock: Clock,
    baseline: Callable[[Experiment], Baseline] | None = None,
) -> Merged:
    """Put the newest shard of each database into ``out``, decide the gates, and give the whole.

    ``baseline`` chooses what the whole is compared with, unless the shards ran --p2re-against.
    Raises UsageError when the shares do not make a whole, and P2REError.
    """
    shares = sorted((_share(store) for store in stores), key=lambda share: share.shard["number"])
    _check_whole(shares)
    now_ns = clock.now_ns()
    whole = _whole(shares, new_trace_id(now_ns))
    _put(shares, out, whole)
    other = _other_side(shares, out, whole, new_trace_id(now_ns))
    if other is None and baseline is not None:
        other = baseline(whole)
    verdicts = tuple(_verdicts(shares[0].shard, out, whole, other))
    whole = whole.model_copy(update={"verdicts": verdicts})
    out.finish_experiment(whole)
    return Merged(whole, None if other is None else _compared(out, whole, other, shares[0].shard))


def _put(shares: Sequence[Share], out: Store, whole: Experiment) -> None:
    out.start_experiment(whole)
    for share in shares:
        _copy(share, out, whole.experiment_id)


def _other_side(
    shares: Sequence[Share], out: Store, whole: Experiment, experiment_id: str
) -> Baseline | None:
    """What the shards ran of a revision's prompts (--p2re-against), merged as well."""
    others = [other for share in shares if (other := _beside(share)) is not None]
    if len(others) < len(shares):
        return None
    first = others[0].experiment
    update = {"experiment_id": experiment_id, "status": whole.status, "suites": whole.suites}
    settings = {**first.settings, "baseline_of": whole.experiment_id}
    merged = first.model_copy(update={**update, "settings": settings, "planned": whole.planned})
    _put(others, out, merged)
    out.finish_experiment(merged)
    commit = "" if first.revision is None else f" ({first.revision.commit[:7]})"
    return from_store(out, merged, label=f"{settings['against']}{commit}")


def _beside(share: Share) -> Share | None:
    for experiment in share.store.list_experiments(_LOOKED_AT):
        if experiment.settings.get("baseline_of") == share.experiment.experiment_id:
            return Share(share.store, experiment)
    return None


def _compared(
    out: Store, whole: Experiment, other: Baseline, shard: Mapping[str, Any]
) -> Comparison:
    after = recorded(out, whole, label="now")
    selected = sum(suite["selected"] for suite in shard["suites"])
    planned = sum(suite["planned"] for suite in shard["suites"])
    return compare(other.sample(None), after, partial=partial_text(selected, planned))


def _share(store: Store) -> Share:
    for experiment in store.list_experiments(_LOOKED_AT):
        if isinstance(experiment.settings.get("p2re_shard"), dict):
            return Share(store, experiment)
    raise UsageError(f"{store.path}: holds no shard; run the suites with --p2re-shard K/N")


def _check_whole(shares: Sequence[Share]) -> None:
    if not shares:
        raise UsageError("name the databases of the shards to merge")
    first = shares[0]
    for share in shares[1:]:
        _check_alike(first, share)
    of = first.shard["of"]
    numbers = [share.shard["number"] for share in shares]
    for before, after in pairwise(shares):
        if before.shard["number"] == after.shard["number"]:
            raise UsageError(f"{before} and {after} hold the same share; leave one out")
    missing = [str(number) for number in range(1, of + 1) if number not in numbers]
    if missing:
        what = f"share {', '.join(missing)} of {of} is missing; name its database too"
        raise UsageError(what)


def _check_alike(first: Share, share: Share) -> None:
    if share.shard["of"] != first.shard["of"]:
        raise UsageError(f"{first} and {share} are not shares of one run")
    commits = [one.experiment.revision and one.experiment.revision.commit for one in (first, share)]
    if commits[0] != commits[1]:
        what = f"{first} ran at commit {commits[0]}, {share} at {commits[1]}; merge one commit's"
        raise UsageError(what)
    for key in ("suites", "gates"):
        if share.shard[key] != first.shard[key]:
            what = f"{first} and {share} selected other runs or have other {key}; "
            raise UsageError(what + "give every shard the same arguments and files")


def _whole(shares: Sequence[Share], experiment_id: str) -> Experiment:
    """What one machine would have written down."""
    experiments = [share.experiment for share in shares]
    first = experiments[0]
    ended = [one.ended_ns for one in experiments]
    selected: list[dict[str, Any]] = first.settings["p2re_shard"]["suites"]
    return first.model_copy(
        update={
            "experiment_id": experiment_id,
            "started_ns": min(one.started_ns for one in experiments),
            "ended_ns": None if None in ended else max(end for end in ended if end is not None),
            "status": max((one.status for one in experiments), key=_WORST_LAST.index),
            "suites": tuple(suite["suite"] for suite in selected),
            "settings": _settings(experiments),
            "planned": sum(suite["selected"] for suite in selected),
            "verdicts": (),
        }
    )


def _settings(experiments: Sequence[Experiment]) -> dict[str, JSON]:
    settings = dict(experiments[0].settings)
    del settings["p2re_shard"]
    for name in ("p2re_budget", "p2re_spent"):
        if name in settings:
            settings[name] = sum(one.settings.get(name, 0.0) for one in experiments)
    limits = merged([one.settings.get("limits", {}) for one in experiments])
    if limits:
        settings["limits"] = limits
    if isinstance(settings.get("args"), list):
        settings["args"] = list(_without_own_options(settings["args"]))
    return settings


def _without_own_options(arguments: Sequence[str]) -> Iterator[str]:
    left_out = False
    for argument in arguments:
        if left_out:
            left_out = False
        elif argument in _OWN_OPTIONS:
            left_out = True
        elif argument.partition("=")[0] not in _OWN_OPTIONS:
            yield argument


def _copy(share: Share, out: Store, experiment_id: str) -> None:
    """A share's results with the traces behind them; one that retention took stays away."""
    written = None
    for result in share.store.results(share.experiment.experiment_id):
        if result.trace_id is not None:
            try:
                trace = share.store.read_trace(result.trace_id)
            except NoSuchRecord:
                trace = None
            if trace is not None:
                mine = trace.experiment_id == share.experiment.experiment_id
                update = {"experiment_id": experiment_id} if mine else {}
                out.finish_trace(trace.model_copy(update=update))
        moved = _moved(result, experiment_id)
        written = out.save_result(moved, moved.evaluations)
    if written is not None:
        written.result()


def _moved(result: Result, experiment_id: str) -> Result:
    evaluations = tuple(_moved_evaluation(one, experiment_id) for one in result.evaluations)
    return result.model_copy(update={"experiment_id": experiment_id, "evaluations": evaluations})


def _moved_evaluation(evaluation: Evaluation, experiment_id: str) -> Evaluation:
    before, colon, rest = evaluation.identifier.partition(":")
    own = colon and before == evaluation.experiment_id
    return evaluation.model_copy(
        update={
            "experiment_id": experiment_id,
            "identifier": f"{experiment_id}:{rest}" if own else evaluation.identifier,
        }
    )


def _verdicts(
    shard: Mapping[str, Any], out: Store, whole: Experiment, other: Baseline | None
) -> Iterator[GateVerdict]:
    counts = {suite["suite"]: suite for suite in shard["suites"]}
    for wanted in shard["gates"]:
        suite = wanted["suite"]
        gate = parse_gate(GateSpec.model_validate(wanted["spec"]))
        counted = counts.get(suite, {"selected": 0, "planned": 0})
        selected, planned = counted["selected"], counted["planned"]
        if gate.relative is not None:
            matched = None
            if other is not None:
                after = recorded(out, whole, label="now", suite=suite)
                partial = partial_text(selected, planned)
                matched = match(other.sample(suite), after, partial=partial)
            verdict = decide_regression(gate, matched, suite=suite)
        else:
            results = (r for r in out.results(whole.experiment_id) if r.suite == suite)
            verdict = verdict_of(gate, results, selected=selected, planned=planned)
        yield verdict.model_copy(update={"suite": suite})
