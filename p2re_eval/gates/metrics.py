"""What gates can be about: each metric, and how it is read from counted results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from p2re_eval import stats
from p2re_eval.documents import did_you_mean
from p2re_eval.gates.gate import Gate, Kind
from p2re_eval.quantities import count_text, duration_text, money_text, share_text, tokens_text
from p2re_eval.tally import CaseKey, Repeats, Sum, Tally, Values


@dataclass(frozen=True)
class Reading:
    """What a metric says. ``value`` ``None``: not known, and ``told`` says why; ``at_least`` is
    what it certainly reaches all the same."""

    value: float | None
    told: str
    at_least: float | None = None
    passed: bool | None = None


@dataclass(frozen=True)
class Metric:
    """What a gate may ask for: the kind of its numbers and how it is read."""

    kind: Kind
    read: Callable[[Tally, Gate], Reading]


def decided_early(gate: Gate, at_least: float) -> bool | None:
    """What a value that is not known, but certainly reaches this, decides already."""
    if gate.holds(at_least) and gate.op in {">=", ">"}:
        return True
    if not gate.holds(at_least) and gate.op in {"<=", "<"}:
        return False
    return None


def _pass_rate(counted: Tally, gate: Gate) -> Reading:
    rate = counted.pass_rate()
    if rate is None:
        return _nothing_scored(counted)
    told = f"pass_rate is {_shown(rate.rate, gate)} over {_basis(rate.n, counted)}"
    interval = f"95 % interval {_shown(rate.low, gate)} to {_shown(rate.high, gate)}"
    return Reading(rate.rate, f"{told}, {interval}")


def _lower_bound(counted: Tally, gate: Gate) -> Reading:
    rate = counted.pass_rate()
    if rate is None:
        return _nothing_scored(counted)
    told = f"the lower bound of pass_rate is {_shown(rate.low, gate)} (95 % Wilson interval"
    told += f" up to {_shown(rate.high, gate)}, pass_rate {_shown(rate.rate, gate)})"
    return Reading(rate.low, f"{told} over {_basis(rate.n, counted)}")


def _case_pass_rate(counted: Tally, gate: Gate) -> Reading:
    """Every case for itself. A repeat without a score could still go either way, and only a case
    that both ways agree on is decided."""
    below = [(k, r) for k, r in counted.cases.items() if not gate.holds(r.highest)]
    if below:
        key, worst = min(below, key=lambda pair: pair[1].highest)
        told = f"{count_text(len(below), 'case')} of {len(counted.cases):,} passed too seldom: "
        told += f"{_case_text(key, worst)}{', ...' if len(below) > 1 else ''}"
        return Reading(worst.passed / worst.total, told, passed=False)
    if not counted.scored:
        return _nothing_scored(counted)
    open_cases = [(k, r) for k, r in counted.cases.items() if not gate.holds(r.lowest)]
    if open_cases:
        key, first = open_cases[0]
        told = f"{count_text(len(open_cases), 'case')} of {len(counted.cases):,} could still fall"
        return Reading(None, f"{told} either way: {_case_text(key, first)}")
    key, worst = min(counted.cases.items(), key=lambda pair: pair[1].lowest)
    told = f"the lowest of {count_text(len(counted.cases), 'case')} is {_case_text(key, worst)}"
    return Reading(worst.lowest, told, passed=True)


def _case_text(key: CaseKey, repeats: Repeats) -> str:
    broken = repeats.broken + repeats.not_run
    text = f"{key.case_id} ({key.prompt}, {key.model}) with {repeats.passed}/{repeats.total}"
    return f"{text}, {broken} without a score" if broken else text


def _all_tries(counted: Tally, gate: Gate) -> Reading:
    return _tries(counted, gate, stats.pass_hat_k, f"pass^{gate.tries}")


def _any_try(counted: Tally, gate: Gate) -> Reading:
    return _tries(counted, gate, stats.pass_at_k, f"pass@{gate.tries}")


def _tries(
    counted: Tally, gate: Gate, chance: Callable[[int, int, int], float], name: str
) -> Reading:
    """The mean over the cases, each of which needs at least k scored repeats."""
    k = gate.tries
    if not counted.scored:
        return _nothing_scored(counted)
    short = [(key, r) for key, r in counted.cases.items() if r.scored < k]
    if short:
        key, first = short[0]
        told = f"{name} needs {count_text(k, 'scored repeat')} of every case, and "
        told += f"{count_text(len(short), 'case')} of {len(counted.cases):,} "
        told += f"{'has' if len(short) == 1 else 'have'} fewer: {_case_text(key, first)}"
        return Reading(None, f"{told}; raise `repeat`")
    value = stats.mean([chance(r.passed, r.scored, k) for r in counted.cases.values()])
    told = f"{name} is {_shown(value, gate)} over {_basis(len(counted.cases), counted)}"
    return Reading(value, told)


def _error_rate(counted: Tally, gate: Gate) -> Reading:
    run = counted.runs - counted.outcomes["not_run"]
    if not run:
        return Reading(None, "nothing was run")
    broken = counted.outcomes["error"] + counted.outcomes["unscored"]
    told = f"error_rate is {_shown(broken / run, gate)}, {broken:,} of {count_text(run, 'run')}"
    return Reading(broken / run, told)


def _mean(counted: Tally, gate: Gate) -> Reading:
    found = _mean_of(counted, gate)
    if isinstance(found, Reading):
        return found
    told = f"{_mean_name(gate)} is {_shown(found.value, gate)} over {count_text(found.n, 'case')}"
    if found.low is not None and found.high is not None:
        told += f", 95 % interval {_shown(found.low, gate)} to {_shown(found.high, gate)}"
    return Reading(found.value, told + _score_counts(_values(counted, gate)))


def _mean_bound(counted: Tally, gate: Gate) -> Reading:
    found = _mean_of(counted, gate)
    if isinstance(found, Reading):
        return found
    name = _mean_name(gate)
    if found.low is None or found.high is None:
        return Reading(None, f"{name} of one case has no interval")
    told = f"the lower bound of {name} is {_shown(found.low, gate)} (95 % interval up to "
    told += f"{_shown(found.high, gate)}, {name} {_shown(found.value, gate)}) over "
    told += count_text(found.n, "case")
    return Reading(found.low, told + _score_counts(_values(counted, gate)))


def _mean_name(gate: Gate) -> str:
    return "mean" if gate.scorer is None else f"mean({gate.scorer})"


def _values(counted: Tally, gate: Gate) -> Values:
    if gate.scorer is None:
        return counted.value
    return counted.scores.get(gate.scorer) or Values()


def _mean_of(counted: Tally, gate: Gate) -> stats.Mean | Reading:
    """The mean with its interval, or why there is none."""
    if gate.scorer is not None and gate.scorer not in counted.scores:
        known = did_you_mean(str(gate.scorer), counted.scores)
        return Reading(None, f"no result has a score named '{gate.scorer}'{known}")
    values = _values(counted, gate)
    found = values.interval(counted.clusters)
    if found is None:
        return Reading(None, f"{_mean_name(gate)} has no value{_score_counts(values)}")
    return found


def _score_counts(values: Values) -> str:
    missing = [
        f"{n:,} {word}"
        for n, word in (
            (values.errored, "scorer errors"),
            (values.without_value, "without a value"),
        )
        if n
    ]
    return f" ({values.scored:,} scored, {', '.join(missing)})" if missing else ""


def _latency(name: str, q: float) -> Callable[[Tally, Gate], Reading]:
    def read(counted: Tally, gate: Gate) -> Reading:
        value, unknown = counted.latency_ns(q), counted.unknown_durations
        if not counted.answered:
            return Reading(None, "no run got an answer")
        if unknown or value is None:
            known = max(counted.durations_ns, default=None) if q == 1 else None
            told = f"{count_text(unknown, 'answer')} of {counted.answered:,} took an unknown time"
            if known is not None and decided_early(gate, known) is not None:
                told = f"{name} is at least {duration_text(known)}; {told}"
            return Reading(None, told, at_least=known)
        over = count_text(len(counted.durations_ns), "answer")
        return Reading(value, f"{name} is {duration_text(value)} over {over}")

    return read


def _total(
    name: str, what: str, pick: Callable[[Tally], Sum], text: Callable[[float], str]
) -> Callable[[Tally, Gate], Reading]:
    def read(counted: Tally, gate: Gate) -> Reading:
        total = pick(counted)
        if not counted.answered:
            return Reading(None, "no run got an answer")
        if total.unknown:
            told = f"{total.unknown:,} of {count_text(counted.answered, 'answer')}"
            told = f"{told} {'has' if total.unknown == 1 else 'have'} no known {what}"
            known = total.total if total.known else None
            if known is not None and decided_early(gate, known) is not None:
                told = f"{name} is at least {text(known)}; {told}"
            return Reading(None, told, at_least=known)
        over = count_text(counted.answered, "answer")
        return Reading(total.total, f"{name} is {text(total.total)} over {over}")

    return read


def _nothing_scored(counted: Tally) -> Reading:
    return Reading(None, "no case was scored" if counted.runs else "there are no results")


def _basis(n: int, counted: Tally) -> str:
    cases = f"{count_text(n, 'case')} scored"
    return f"{cases} in {count_text(counted.scored, 'run')}" if counted.scored != n else cases


def _shown(value: float, gate: Gate) -> str:
    """A share the way the gate writes its own, with digits enough to tell the two apart."""
    if "%" in gate.text:
        return share_text(value)
    digits = 3
    while digits < 9 and value != gate.threshold and round(value, digits) == gate.threshold:
        digits += 1
    return f"{value:.{digits}f}"


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "pass_rate": Metric("rate", _pass_rate),
        "lower_bound(pass_rate)": Metric("rate", _lower_bound),
        "case_pass_rate": Metric("rate", _case_pass_rate),
        "pass^k": Metric("rate", _all_tries),
        "pass@k": Metric("rate", _any_try),
        "error_rate": Metric("rate", _error_rate),
        "mean": Metric("score", _mean),
        "lower_bound(mean)": Metric("score", _mean_bound),
        "p50_latency": Metric("latency", _latency("p50_latency", 0.5)),
        "p95_latency": Metric("latency", _latency("p95_latency", 0.95)),
        "max_latency": Metric("latency", _latency("max_latency", 1.0)),
        "cost_usd": Metric("cost", _total("cost_usd", "cost", lambda t: t.cost_usd, money_text)),
        "input_tokens": Metric(
            "tokens", _total("input_tokens", "input tokens", lambda t: t.input_tokens, tokens_text)
        ),
        "output_tokens": Metric(
            "tokens",
            _total("output_tokens", "output tokens", lambda t: t.output_tokens, tokens_text),
        ),
        "total_tokens": Metric(
            "tokens", _total("total_tokens", "tokens", lambda t: t.total_tokens, tokens_text)
        ),
    }
)
"""Everything a gate may be about, by the name it is written with; ``mean`` also as
``mean(SCORER)``, and a number for k."""
