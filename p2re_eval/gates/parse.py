"""A gate's text becomes a gate, or a mistake at its place."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple

from p2re_eval.documents import did_you_mean
from p2re_eval.errors import DefinitionError, SyntaxMistake, UnknownName, WrongType
from p2re_eval.gates.gate import COMPARISON, GROUPS, NO_REGRESSION, Gate, Kind
from p2re_eval.gates.metrics import METRICS
from p2re_eval.gates.mistakes import check_scorer, mistake
from p2re_eval.gates.no_regression import parse_no_regression
from p2re_eval.records import GateSpec

_NUMBER = re.compile(r"[-+]?(\d[\d_]*(\.\d*)?|\.\d+)([eE][-+]?\d+)?\Z")
_MEAN = re.compile(
    r"(?P<bound>lower_bound\s*\(\s*)?mean\s*\(\s*(?P<scorer>.+?)\s*\)(?(bound)\s*\))\Z"
)
_TRIES = re.compile(r"pass\s*(?P<sign>[@^])\s*(?P<k>\d+)\Z")
_GROUP = re.compile(r"(?P<metric>.*?)\s*\[(?P<group>[^\]]*)\]\Z", re.DOTALL)
_OPERATORS = frozenset({">=", "<=", ">", "<", "=="})
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


class _Named(NamedTuple):
    """What stands before the comparison."""

    metric: str
    scorer: str | None = None
    tries: int = 1


def parse_gate(spec: GateSpec, *, scorers: Collection[str] | None = None) -> Gate:
    """The gate that this text means.

    ``scorers`` are the labels that ``mean(LABEL)`` may name; without them any is taken. Raises
    UnknownName, SyntaxMistake and WrongType at the gate's place.
    """
    text = spec.text.strip()
    if text == NO_REGRESSION or text.startswith(f"{NO_REGRESSION}("):
        return parse_no_regression(spec, scorers)
    found = COMPARISON.match(text)
    if found is None or spec.options:
        raise _not_a_comparison(spec, text)
    name, group = _group(spec, found["metric"].strip())
    named = _metric(spec, name, scorers)
    return Gate(
        text=spec.text,
        metric=named.metric,
        op=_operator(spec, found["op"], named.metric),
        threshold=_threshold(spec, found["threshold"].strip(), METRICS[named.metric].kind),
        scorer=named.scorer,
        tries=named.tries,
        group=group,
        place=spec.place,
        spec=spec,
    )


def _group(spec: GateSpec, name: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The metric without its brackets, and what they say: ``pass_rate[tag=refund, case=a*]``."""
    found = _GROUP.match(name)
    if found is None:
        return name, ()
    pairs = []
    for part in found["group"].split(","):
        key, equals, pattern = (piece.strip() for piece in part.partition("="))
        if not equals or not pattern:
            what = f"'[{found['group']}]' names no group; write for example [tag=refund]"
            raise mistake(SyntaxMistake, spec, what)
        if key not in GROUPS:
            what = f"a gate cannot be narrowed by '{key}'{did_you_mean(key, GROUPS)}"
            raise mistake(UnknownName, spec, what)
        pairs.append((key, pattern.strip("'\"")))
    return found["metric"], tuple(pairs)


def _not_a_comparison(spec: GateSpec, text: str) -> DefinitionError:
    name = text.split()[0] if text else ""
    metric = COMPARISON.match(text)
    if spec.options and (name in METRICS or metric):
        what = f"the gate '{text}' takes no options; write it as text: {name} >= 0.9"
        return mistake(WrongType, spec, what)
    if name in METRICS or _MEAN.match(text):
        example = _EXAMPLES[METRICS[name if name in METRICS else "mean"].kind].split(",")[0]
        what = f"the gate '{text}' compares with nothing; write for example '{text} >= {example}'"
        return mistake(SyntaxMistake, spec, what)
    return mistake(UnknownName, spec, f"unknown gate '{name}'" + did_you_mean(name, _known()))


def _known() -> list[str]:
    return [*METRICS, "mean(SCORER)", "lower_bound(mean(SCORER))", NO_REGRESSION]


def _metric(spec: GateSpec, name: str, scorers: Collection[str] | None) -> _Named:
    """The metric's key, the scorer it is about, and k of ``pass^k``."""
    found = _MEAN.match(name)
    if found:
        scorer = found["scorer"].strip("'\"")
        check_scorer(spec, scorer, scorers)
        return _Named("lower_bound(mean)" if found["bound"] else "mean", scorer)
    found = _TRIES.match(name)
    if found and int(found["k"]):
        return _Named(f"pass{found['sign']}k", tries=int(found["k"]))
    plain = re.sub(r"\s+", "", name)
    if plain in METRICS:
        if plain in {"pass^k", "pass@k"}:
            what = f"'{plain}' needs a number for k, as in '{plain[:-1]}3 >= 0.8'"
            raise mistake(SyntaxMistake, spec, what)
        return _Named(plain)
    if not name or _NUMBER.match(name.rstrip("%")):
        what = f"a gate names its metric first, as in 'pass_rate >= 0.9'; found '{spec.text}'"
        raise mistake(SyntaxMistake, spec, what)
    raise mistake(UnknownName, spec, f"unknown gate '{name}'" + did_you_mean(name, _known()))


def _operator(spec: GateSpec, op: str, metric: str) -> str:
    written = {"≥": ">=", "≤": "<="}.get(op, op)
    if written not in _OPERATORS:
        meant = {"=": "==", "=>": ">=", "=<": "<="}.get(written)
        hint = f"write '{meant}'" if meant else "use one of >= > <= < =="
        raise mistake(SyntaxMistake, spec, f"unknown comparison '{op}' in a gate; {hint}")
    if metric == "case_pass_rate" and written not in {">=", ">"}:
        what = f"'case_pass_rate' takes >= or >, found '{op}'; it is a least share for every case"
        raise mistake(WrongType, spec, what)
    return written


def _threshold(spec: GateSpec, text: str, kind: Kind) -> float:
    value = _number(text, kind)
    if value is None:
        what = f"'{text}' is no threshold here; write {_EXAMPLES[kind]}"
        raise mistake(WrongType, spec, what)
    if kind == "rate" and not 0 <= value <= 1:
        hint = f"; write {text}%" if 1 < value <= 100 and text.isdigit() else ""
        what = f"'{text}' is outside 0 to 1, where a rate lies{hint}"
        raise mistake(WrongType, spec, what)
    if kind != "score" and value < 0:
        raise mistake(WrongType, spec, f"'{text}' is below 0, where nothing lies")
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
