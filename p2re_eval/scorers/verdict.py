"""What a scorer returned becomes a Score that has decided: negated, against its threshold."""

from __future__ import annotations

import math
import numbers

from p2re_eval.errors import ScorerError
from p2re_eval.records import Score, ScorerSpec


def as_score(returned: object, label: str) -> Score:
    """A bool, a number or a Score as a Score.

    Raises ScorerError for anything else, and for a value that is no finite number.
    """
    if isinstance(returned, numbers.Real):
        returned = Score(value=float(returned))
    if not isinstance(returned, Score):
        raise ScorerError(
            f"'{label}' returned {_named(returned)}; return a Score, a bool or a number"
        )
    if returned.value is not None and not math.isfinite(returned.value):
        raise ScorerError(f"'{label}' returned the value {returned.value}; it must be finite")
    if returned.value is None and returned.passed is not None:
        return returned.model_copy(update={"value": float(returned.passed)})
    return returned


def decided(score: Score, spec: ScorerSpec) -> Score:
    """The score as the suite counts it.

    The threshold decides where there is one, else the scorer, else ``value >= 0.5``. Negation turns
    the verdict round, and a value within 0 to 1 with it; the threshold is for the value shown.
    Raises ScorerError when there is nothing to decide by, unless the weight is 0.
    """
    value, passed = score.value, score.passed
    if value is None:
        if spec.weight == 0 and spec.threshold is None:
            return score
        raise ScorerError(
            f"'{spec.label}' gave neither a value nor passed; give one, or set weight: 0 to only "
            "measure"
        )
    if passed is None:
        passed = value >= 0.5
    turned = spec.negate and 0 <= value <= 1
    if turned:
        value = round(1 - value, 12)  # 1 - 0.9 is 0.09999999999999998
    if spec.threshold is not None:
        passed = value >= spec.threshold
        if spec.negate and not turned:
            passed = not passed
    elif spec.negate:
        passed = not passed
    update: dict[str, object] = {"value": value, "passed": passed}
    if spec.threshold is not None:
        update["explanation"] = _with_threshold(score.explanation, value, spec.threshold)
    return score.model_copy(update=update)


def _with_threshold(explanation: str | None, value: float, threshold: float) -> str:
    """What the scorer said, and on which side of the threshold its value is."""
    side = "reaches" if value >= threshold else "is below"
    note = f"{value:.4g} {side} the threshold {threshold:g}"
    return f"{explanation}; {note}" if explanation else note


def _named(returned: object) -> str:
    if returned is None:
        return "nothing"
    name = type(returned).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
