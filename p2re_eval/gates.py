"""Gates: one line of a suite that turns its results into a verdict.

``METRIC OP NUMBER``: ``pass_rate >= 0.9``, ``p95_latency <= 3s``, ``cost_usd <= $0.10``. A gate
that cannot be evaluated is neither passed nor failed: its verdict is ``None``, with the reason.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from p2re_eval.documents import did_you_mean
from p2re_eval.errors import DefinitionError, SyntaxMistake, UnknownName, WrongType
from p2re_eval.quantities import count_text, duration_text, money_text, share_text, tokens_text
from p2re_eval.records import GateSpec, GateVerdict, Place, Result
from p2re_eval.tally import CaseKey, Repeats, Sum, Tally, Values

Kind = Literal["rate", "score", "latency", "cost", "tokens"]

_GATE = re.compile(r"(?P<metric>.*?)\s*(?P<op>[<>=!≤≥]+)\s*(?P<threshold>.*)\Z", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(\d[\d_]*(\.\d*)?|\.\d+)([eE][-+]?\d+)?\Z")
_MEAN = re.compile(r"mean\s*\(\s*(?P<scorer>.+?)\s*\)\Z")
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {
        ">=": operator.ge,
        "<=": operator.le,
        ">": operator.gt,
        "<": operator.lt,
        "==": operator.eq,
    }
)
_UNITS: Mapping[Kind, Mapping[str, float]] = MappingProxyType(
    {
        "latency": {"ms": 1e6, "s": 1e9, "min": 60e9},
        "tokens": {"k": 1e3, "M": 1e6},
    }
)
_EXAMPLES: Mapping[Kind, str] = MappingProxyType(
    {
        "rate": "0.9, 90% or 2/3",
        "score": "0.9, 90% or 2/3",
        "latency": "3s, 150ms or 2min",
        "cost": "0.10 or $0.10",
        "tokens": "5000, 12k or 1.5M",
    }
)
_SLACK = 1e-12
"""Sums of decimals miss by less than this; such a value counts as equal to the threshold."""


@dataclass(frozen=True)
class Gate:
    """A gate that can be evaluated; ``threshold`` in the metric's own unit (share, ns, dollars)."""

    text: str
    metric: str
    op: str
    threshold: float
    scorer: str | None = None
    place: Place | None = None

    @property
    def wanted(self) -> str:
        """The part after the metric, as the user wrote it: ``>= 90%``."""
        found = _GATE.match(self.text.strip())
        return f"{self.op} {found['threshold'].strip()}" if found else self.op

    def holds(self, value: float) -> bool:
        """Whether this value satisfies the gate; rounding errors of a sum do not decide."""
        if math.isclose(value, self.threshold, rel_tol=_SLACK, abs_tol=_SLACK):
            return self.op in {">=", "<=", "=="}
        return _OPERATORS[self.op](value, self.threshold)


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


def parse_gate(spec: GateSpec, *, scorers: Collection[str] | None = None) -> Gate:
    """The gate that this text means.

    ``scorers`` are the labels that ``mean(LABEL)`` may name; without them any is taken. Raises
    UnknownName, SyntaxMistake and WrongType at the gate's place.
    """
    text = spec.text.strip()
    found = _GATE.match(text)
    if found is None or spec.options:
        raise _not_a_comparison(spec, text)
    metric, scorer = _metric(spec, found["metric"].strip(), scorers)
    op = _operator(spec, found["op"], metric)
    threshold = _threshold(spec, found["threshold"].strip(), METRICS[metric].kind)
    return Gate(
        text=spec.text, metric=metric, op=op, threshold=threshold, scorer=scorer, place=spec.place
    )


def evaluate(gate: Gate, results: Iterable[Result]) -> GateVerdict:
    """The gate's verdict on these results, in one pass over them."""
    counted = Tally()
    suites: dict[str, None] = {}
    for result in results:
        suites.setdefault(result.suite)
        counted.add(result)
    return decide(gate, counted, suite=", ".join(suites))


def decide(gate: Gate, counted: Tally, *, suite: str = "") -> GateVerdict:
    """The gate's verdict on results that are counted already."""
    reading = METRICS[gate.metric].read(counted, gate)
    passed = reading.passed
    if passed is None and reading.value is not None:
        passed = gate.holds(reading.value)
    if passed is None and reading.at_least is not None:
        passed = _decided_early(gate, reading.at_least)
    left_out = _left_out(counted)
    return GateVerdict(
        gate=gate.text,
        suite=suite,
        passed=passed,
        value=reading.value,
        explanation=f"{_sentence(gate, reading, passed)}{left_out}",
        place=gate.place,
    )


def _decided_early(gate: Gate, at_least: float) -> bool | None:
    """What a value that is not known, but certainly reaches this, decides already."""
    if gate.holds(at_least) and gate.op in {">=", ">"}:
        return True
    if not gate.holds(at_least) and gate.op in {"<=", "<"}:
        return False
    return None


def _sentence(gate: Gate, reading: Reading, passed: bool | None) -> str:
    if passed is None:
        return f"cannot be decided: {reading.told}"
    word = "meets" if passed else "misses"
    return f"{reading.told}; {word} {gate.wanted}"


def _left_out(counted: Tally) -> str:
    """The runs that do not count: `` (runs: 2 errored, 1 not run)``."""
    outcomes = counted.outcomes
    found = [
        (outcomes["error"], "errored"),
        (outcomes["unscored"], "unscored"),
        (counted.unpaid, "not run"),
        (counted.stopped_early, "stopped early"),
        (counted.quarantined.total(), "in quarantine"),
    ]
    parts = [f"{number:,} {word}" for number, word in found if number]
    return f" (runs: {', '.join(parts)})" if parts else ""


# --- reading the text ----------------------------------------------------------------------------


def _mistake(kind: type[DefinitionError], spec: GateSpec, what: str) -> DefinitionError:
    place = spec.place
    if place is None:
        return kind(what)
    return kind(what, path=place.path, line=place.line, column=place.column)


def _not_a_comparison(spec: GateSpec, text: str) -> DefinitionError:
    name = text.split()[0] if text else ""
    metric = _GATE.match(text)
    if spec.options and (name in METRICS or metric):
        what = f"the gate '{text}' takes no options; write it as text: {name} >= 0.9"
        return _mistake(WrongType, spec, what)
    if name in METRICS or _MEAN.match(text):
        example = _EXAMPLES[METRICS[name if name in METRICS else "mean"].kind].split(",")[0]
        what = f"the gate '{text}' compares with nothing; write for example '{text} >= {example}'"
        return _mistake(SyntaxMistake, spec, what)
    return _mistake(UnknownName, spec, f"unknown gate '{name}'" + did_you_mean(name, _known()))


def _known() -> list[str]:
    return [*METRICS, "mean(SCORER)"]


def _metric(spec: GateSpec, name: str, scorers: Collection[str] | None) -> tuple[str, str | None]:
    """The metric's key and the scorer it is about."""
    found = _MEAN.match(name)
    if found:
        scorer = found["scorer"].strip("'\"")
        if scorers is not None and scorer not in scorers:
            what = f"the gate names an unknown scorer '{scorer}'" + did_you_mean(scorer, scorers)
            raise _mistake(UnknownName, spec, what)
        return "mean", scorer
    plain = re.sub(r"\s+", "", name)
    if plain in METRICS:
        return plain, None
    if not name or _NUMBER.match(name.rstrip("%")):
        what = f"a gate names its metric first, as in 'pass_rate >= 0.9'; found '{spec.text}'"
        raise _mistake(SyntaxMistake, spec, what)
    raise _mistake(UnknownName, spec, f"unknown gate '{name}'" + did_you_mean(name, _known()))


def _operator(spec: GateSpec, op: str, metric: str) -> str:
    written = {"≥": ">=", "≤": "<="}.get(op, op)
    if written not in _OPERATORS:
        meant = {"=": "==", "=>": ">=", "=<": "<="}.get(written)
        hint = f"write '{meant}'" if meant else "use one of >= > <= < =="
        raise _mistake(SyntaxMistake, spec, f"unknown comparison '{op}' in a gate; {hint}")
    if metric == "case_pass_rate" and written not in {">=", ">"}:
        what = f"'case_pass_rate' takes >= or >, found '{op}'; it is a least share for every case"
        raise _mistake(WrongType, spec, what)
    return written


def _threshold(spec: GateSpec, text: str, kind: Kind) -> float:
    value = _number(text, kind)
    if value is None:
        what = f"'{text}' is no threshold here; write {_EXAMPLES[kind]}"
        raise _mistake(WrongType, spec, what)
    if kind == "rate" and not 0 <= value <= 1:
        hint = f"; write {text}%" if 1 < value <= 100 and text.isdigit() else ""
        what = f"'{text}' is outside 0 to 1, where a rate lies{hint}"
        raise _mistake(WrongType, spec, what)
    if kind != "score" and value < 0:
        raise _mistake(WrongType, spec, f"'{text}' is below 0, where nothing lies")
    return value


def _number(text: str, kind: Kind) -> float | None:
    """The threshold in the metric's own unit; ``None`` when it cannot be one."""
    if kind == "cost":
        return _plain_number(text.removeprefix("$").strip())
    if kind in {"rate", "score"}:
        return _share(text)
    for unit, size in sorted(_UNITS[kind].items(), key=lambda item: -len(item[0])):
        if text.endswith(unit):
            value = _plain_number(text.removesuffix(unit).strip())
            return None if value is None else value * size
    value = _plain_number(text)
    return None if value is None else value * (1e9 if kind == "latency" else 1)


def _share(text: str) -> float | None:
    if text.endswith("%"):
        value = _plain_number(text[:-1].strip())
        return None if value is None else value / 100
    over, slash, under = text.partition("/")
    if not slash:
        return _plain_number(text)
    top, bottom = _plain_number(over.strip()), _plain_number(under.strip())
    return top / bottom if top is not None and bottom else None


def _plain_number(text: str) -> float | None:
    if not _NUMBER.match(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


# --- reading the results -------------------------------------------------------------------------


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


def _error_rate(counted: Tally, gate: Gate) -> Reading:
    run = counted.runs - counted.outcomes["not_run"]
    if not run:
        return Reading(None, "nothing was run")
    broken = counted.outcomes["error"] + counted.outcomes["unscored"]
    told = f"error_rate is {_shown(broken / run, gate)}, {broken:,} of {count_text(run, 'run')}"
    return Reading(broken / run, told)


def _mean(counted: Tally, gate: Gate) -> Reading:
    name = "mean" if gate.scorer is None else f"mean({gate.scorer})"
    values = counted.value if gate.scorer is None else counted.scores.get(gate.scorer)
    if values is None:
        known = did_you_mean(str(gate.scorer), counted.scores)
        return Reading(None, f"no result has a score named '{gate.scorer}'{known}")
    value = values.mean
    if value is None:
        return Reading(None, f"{name} has no value{_score_counts(values)}")
    told = f"{name} is {_shown(value, gate)} over {count_text(values.cases, 'case')}"
    return Reading(value, told + _score_counts(values))


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
            if known is not None and _decided_early(gate, known) is not None:
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
            if known is not None and _decided_early(gate, known) is not None:
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
        "error_rate": Metric("rate", _error_rate),
        "mean": Metric("score", _mean),
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
``mean(SCORER)``."""
