"""The options of ``no_regression``, checked before any model is called."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, get_args

from p2re_eval.documents import did_you_mean
from p2re_eval.errors import UnknownName, WrongType
from p2re_eval.gates.gate import DEFAULT_MARGIN, NO_REGRESSION, Gate, NoRegression
from p2re_eval.gates.mistakes import check_scorer, mistake
from p2re_eval.records import JSON, GateSpec, Judgement
from p2re_eval.stats import CONFIDENCE

OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "margin": "the drop that does not matter, 0.02 or 2%",
        "confidence": "0.95 or 95%",
        "scorers": "scorers whose mean is compared instead of the pass rate",
        "fail_on": "the judgements that fail the gate, [regression] when absent",
        "strict": "true: insufficient data fails as well",
    }
)


def parse_no_regression(spec: GateSpec, scorers: Collection[str] | None) -> Gate:
    """The gate that these options mean; they may also stand in the text, as a report shows it.

    Raises UnknownName and WrongType at its place.
    """
    if not spec.options:
        spec = spec.model_copy(update={"options": _options_in(spec.text)})
    options = spec.options
    for name in options:
        if name not in {*OPTIONS, "scorer"}:
            what = f"'{NO_REGRESSION}' has no option '{name}'" + did_you_mean(name, OPTIONS)
            raise mistake(UnknownName, spec, what)
    asked = NoRegression(
        margin=_share(spec, "margin", options.get("margin", DEFAULT_MARGIN), least=0.0),
        confidence=_share(spec, "confidence", options.get("confidence", CONFIDENCE), least=0.5),
        metrics=_metrics(spec, scorers),
        fails_on=_fails_on(spec),
    )
    return Gate(
        text=_text(options),
        metric=NO_REGRESSION,
        op=">=",
        threshold=-asked.margin,
        relative=asked,
        place=spec.place,
        spec=spec,
    )


def _text(options: Mapping[str, JSON]) -> str:
    """``no_regression(margin 0.01, scorers equals)``: what tells two of them apart in a report."""
    if not options:
        return NO_REGRESSION
    said = (f"{name} {_said(value)}" for name, value in options.items())
    return f"{NO_REGRESSION}({', '.join(said)})"


def _options_in(text: str) -> dict[str, JSON]:
    """What :func:`_text` wrote."""
    inside = text.strip().removeprefix(NO_REGRESSION).strip().removeprefix("(").removesuffix(")")
    found: dict[str, JSON] = {}
    for part in filter(None, (piece.strip() for piece in inside.split(","))):
        name, _, value = part.partition(" ")
        words = value.split()
        if name in {"scorers", "fail_on"}:
            found[name] = words if name == "scorers" else _judgements(value)
        else:
            found[name] = {"true": True, "false": False}.get(value, value)
    return found


def _judgements(text: str) -> list[str]:
    """The judgements in a row of words; two of them are two words long."""
    return [word for word in get_args(Judgement) if word in text] or [text]


def _said(value: JSON) -> str:
    if isinstance(value, list):
        return " ".join(str(one) for one in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _share(spec: GateSpec, name: str, value: JSON, *, least: float) -> float:
    number = value
    if isinstance(value, str):
        try:
            number = float(value.removesuffix("%").strip()) / (100 if value.endswith("%") else 1)
        except ValueError:
            number = None
    if isinstance(number, bool) or not isinstance(number, int | float) or not least <= number < 1:
        what = f"'{name}: {value}' must be a share of at least {least:g} and below 1: "
        raise mistake(WrongType, spec, what + OPTIONS[name])
    return float(number)


def _metrics(spec: GateSpec, scorers: Collection[str] | None) -> tuple[str, ...]:
    given = spec.options.get("scorers", spec.options.get("scorer"))
    if given is None:
        return ("pass_rate",)
    names: list[Any] = given if isinstance(given, list) else [given]
    if not names or not all(isinstance(name, str) for name in names):
        what = f"'scorers: {given}' must name scorers, as in [equals, llm_judge]"
        raise mistake(WrongType, spec, what)
    for name in names:
        if name != "pass_rate":
            check_scorer(spec, name, scorers)
    return tuple(name if name == "pass_rate" else f"mean({name})" for name in names)


def _fails_on(spec: GateSpec) -> frozenset[Judgement]:
    known = get_args(Judgement)
    given = spec.options.get("fail_on", ["regression"])
    words = given if isinstance(given, list) else [given]
    for word in words:
        if word not in known:
            what = f"'fail_on' knows no '{word}'" + did_you_mean(str(word), known)
            raise mistake(UnknownName, spec, what)
    strict = spec.options.get("strict", False)
    if not isinstance(strict, bool):
        raise mistake(WrongType, spec, f"'strict: {strict}' must be true or false")
    return frozenset(words) | ({"insufficient data"} if strict else frozenset())
