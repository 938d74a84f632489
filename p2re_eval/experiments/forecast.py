"""What a session would run, what that would cost, and what it could show: nothing is called.

Tokens come from recorded calls of the same prompt on the same model. Where there are none, input
is guessed from the texts' length and output from ``max_tokens``; what nobody knows stays unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from p2re_eval import stats
from p2re_eval.engine.budget import most_usd
from p2re_eval.engine.runs import key_of
from p2re_eval.errors import ProviderError, StoreError
from p2re_eval.interfaces import Provider
from p2re_eval.pipeline import Harness, rendered
from p2re_eval.planning import PlannedRun
from p2re_eval.providers.prices import quoted_usd
from p2re_eval.records import RenderedPrompt, Usage
from p2re_eval.store import History, Store, open_store
from p2re_eval.tally import tally

CHARACTERS_A_TOKEN = 4
ASSUMED_RATE = 0.9
"""The pass rate of a suite that nobody has run yet."""
_LOOKED_AT = 200


class Expected(NamedTuple):
    """One prompt with one model of a suite: how many runs from where, and what the live ones would
    use. ``most_usd`` is the most the live runs can cost without their judges."""

    suite: str
    prompt: str
    model: str
    runs: int
    live: int
    cached: int
    replayed: int
    missing: int
    reusable: int
    judge_calls: int
    basis: Literal["recorded", "estimated"]
    recorded_calls: int
    input_tokens: float | None
    output_tokens: float | None
    cost_usd: float | None
    judged_usd: float | None
    most_usd: float | None


class Detectable(NamedTuple):
    """The smallest drop of a suite's pass rate that a comparison would find four times of five;
    ``None``: so few cases find none. ``known`` when the pass rate is a recorded one."""

    suite: str
    cases: int
    repeats: int
    pass_rate: float
    known: bool
    drop: float | None


@dataclass(frozen=True)
class Forecast:
    """Everything expected; ``note`` says why recorded calls could not be looked at."""

    rows: tuple[Expected, ...]
    suites: tuple[Detectable, ...]
    note: str = ""


@dataclass
class _Group:
    """The runs of a row, counted."""

    provider: Provider | None
    runs: int = 0
    live: int = 0
    cached: int = 0
    replayed: int = 0
    missing: int = 0
    reusable: int = 0
    judge_calls: int = 0
    characters: int = 0
    most_usd: float | None = 0.0
    output_limits: list[int | None] = field(default_factory=list)


def forecast(harness: Harness, runs: Sequence[PlannedRun]) -> Forecast:
    """What these runs would come to. Opens no socket and writes nothing."""
    with ExitStack() as opened:
        store, note = _recorded(harness, opened)
        groups: dict[tuple[str, str, str], _Group] = {}
        firsts: dict[tuple[str, str, str], PlannedRun] = {}
        for run in runs:
            key = (run.suite.path, run.prompt, run.model)
            if key not in groups:
                firsts[key] = run
                groups[key] = _Group(_provider(harness, run))
            _count(groups[key], run, rendered(run, harness.library), store)
        rows = [_expected(firsts[key], group, store) for key, group in groups.items()]
        return Forecast(tuple(rows), tuple(_detectable(runs, store)), note)


def _recorded(harness: Harness, opened: ExitStack) -> tuple[Store | None, str]:
    path = harness.settings.db_path
    if not path.exists():
        return None, ""
    try:
        store = opened.enter_context(open_store(path, read_only=True))
        store.check()
    except StoreError as error:
        return None, f"recorded calls cannot be looked at: {error}"
    return store, ""


def _provider(harness: Harness, run: PlannedRun) -> Provider | None:
    try:
        return harness.providers.get(run.settings.provider or "")
    except ProviderError:
        return None  # its runs will say so


def _count(group: _Group, run: PlannedRun, prompt: RenderedPrompt, store: Store | None) -> None:
    group.runs += 1
    if run.source == "replay":
        found = run.tape is not None and run.tape.find(prompt, run.repeat) is not None
        group.replayed += found
        group.missing += not found
        return
    known = store is not None and _has_run(group, run, prompt, store)
    if known and run.source == "cache":
        group.cached += 1
        return
    group.live += 1
    group.reusable += known
    group.judge_calls += sum(scorer.kind == "LLM" for scorer in run.scorers)
    group.characters += sum(len(message.text) for message in prompt.messages)
    group.output_limits.append(prompt.model.max_tokens)
    most = None if group.provider is None else most_usd(group.provider, prompt)
    group.most_usd = None if most is None or group.most_usd is None else group.most_usd + most


def _has_run(group: _Group, run: PlannedRun, prompt: RenderedPrompt, store: Store) -> bool:
    if group.provider is None:
        return False
    try:
        key = key_of(group.provider, prompt, run.repeat)
    except ProviderError:
        return False
    return bool(key) and store.has_run(key)


def _expected(first: PlannedRun, group: _Group, store: Store | None) -> Expected:
    name, model = first.template.name, first.settings.id
    before = History() if store is None else store.history(name, model)
    recorded = before.calls > 0 and before.output_tokens is not None
    read, written = before.input_tokens, before.output_tokens
    if not recorded and group.live:
        read = group.characters / group.live / CHARACTERS_A_TOKEN
        limits = [limit for limit in group.output_limits if limit is not None]
        written = sum(limits) / len(limits) if len(limits) == group.live else None
    return Expected(
        suite=first.suite.path,
        prompt=first.prompt,
        model=model,
        runs=group.runs,
        live=group.live,
        cached=group.cached,
        replayed=group.replayed,
        missing=group.missing,
        reusable=group.reusable,
        judge_calls=group.judge_calls,
        basis="recorded" if recorded else "estimated",
        recorded_calls=before.calls,
        input_tokens=_times(read, group.live),
        output_tokens=_times(written, group.live),
        cost_usd=_times(_cost_usd(first, group, before, read, written), group.live),
        judged_usd=_judged(group, before),
        most_usd=group.most_usd,
    )


def _cost_usd(
    first: PlannedRun, group: _Group, before: History, read: float | None, written: float | None
) -> float | None:
    """What one live run costs: at today's price, or else what such runs cost before."""
    if group.provider is not None and read is not None and written is not None:
        usage = Usage(input_tokens=round(read), output_tokens=round(written))
        quoted = quoted_usd(group.provider, first.settings, usage)
        if quoted is not None:
            return quoted
    return before.cost_usd


def _judged(group: _Group, before: History) -> float | None:
    if not group.judge_calls:
        return 0.0
    return _times(before.judged_usd, group.live)


def _times(value: float | None, number: int) -> float | None:
    return 0.0 if not number else None if value is None else value * number


def _detectable(runs: Iterable[PlannedRun], store: Store | None) -> Iterable[Detectable]:
    """A comparison looks at one prompt with one model: its cases, and the repeats of each."""
    cases: dict[str, dict[tuple[str, str], dict[str, int]]] = {}
    for run in runs:
        groups = cases.setdefault(run.suite.path, {})
        repeats = groups.setdefault((run.prompt, run.model), {})
        repeats[run.case.id] = repeats.get(run.case.id, 0) + 1
    rates = _pass_rates(store, cases)
    for suite, groups in cases.items():
        smallest = min(groups.values(), key=len)
        repeated = min(smallest.values())
        rate = rates.get(suite, ASSUMED_RATE)
        variance = stats.chance_variance(rate, repeated)
        drop = stats.detectable_drop(stats.Design(len(smallest), variance, repeated, rate))
        yield Detectable(suite, len(smallest), repeated, rate, suite in rates, drop)


def _pass_rates(store: Store | None, suites: Mapping[str, object]) -> dict[str, float]:
    """Of each suite, what its newest complete experiment came to."""
    found: dict[str, float] = {}
    for experiment in () if store is None else store.list_experiments(_LOOKED_AT):
        wanted = set(suites) & set(experiment.suites) - found.keys()
        if experiment.status != "COMPLETE" or not wanted or store is None:
            continue
        results = list(store.results(experiment.experiment_id))
        for suite in wanted:
            rate = tally(result for result in results if result.suite == suite).pass_rate()
            if rate is not None:
                found[suite] = rate.rate
    return found
