"""The entries of a suite's lists: scorers, gates, models and prompts, each checked by itself."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from pydantic import ValidationError

from p2re_eval.errors import DuplicateKey, MissingValue, WrongType
from p2re_eval.records import JSON, GateSpec, ModelSettings, ScorerSpec
from p2re_eval.suites.spots import Mistakes, Spot

NEGATION = "not-"
_SCORER_FORMS = "write NAME, {NAME: VALUE} or {NAME: {OPTION: VALUE}}"
_GATE_FORMS = "write it like `pass_rate >= 0.9`, or as {NAME: {OPTION: VALUE}}"


def scorer_specs(
    entries: Sequence[JSON], spot: Spot, mistakes: Mistakes, labels: set[str]
) -> tuple[ScorerSpec, ...]:
    """What these entries ask for; their labels join ``labels``.

    A scorer listed again without a ``name:`` of its own gets a number: ``contains-2``.
    """
    specs = [
        _scorer_spec(entry, spot.within(index), mistakes, labels)
        for index, entry in enumerate(entries)
    ]
    return tuple(spec for spec in specs if spec is not None)


def _scorer_spec(
    entry: JSON, spot: Spot, mistakes: Mistakes, labels: set[str]
) -> ScorerSpec | None:
    name, value = _name_and_value(entry)
    bare = name.removeprefix(NEGATION)
    if not bare or len(bare.split()) != 1 or bare != bare.strip():
        mistakes.note(WrongType, f"{_not_one_name(entry, 'scorer')}; {_SCORER_FORMS}", spot)
        return None
    within = spot.within(name) if isinstance(entry, dict) else spot
    options = dict(value) if isinstance(value, dict) else {}
    has_argument = value is not None and not isinstance(value, dict)
    weight = _number(options, "weight", within, mistakes, least=0.0)
    return ScorerSpec(
        name=bare,
        options=options,
        argument=value if has_argument else None,
        has_argument=has_argument,
        negate=name != bare,
        weight=1.0 if weight is None else weight,
        threshold=_number(options, "threshold", within, mistakes),
        label=_label(name, options, within, mistakes, labels),
        place=spot.place(),
    )


def _name_and_value(entry: JSON) -> tuple[str, JSON]:
    if isinstance(entry, str):
        return entry, None
    if isinstance(entry, dict) and len(entry) == 1:
        name, value = next(iter(entry.items()))
        return name, value
    return "", None


def _not_one_name(entry: JSON, noun: str) -> str:
    if isinstance(entry, dict) and len(entry) > 1:
        return f"a {noun} is one name, found {' and '.join(repr(key) for key in entry)} together"
    if isinstance(entry, str) and entry:
        return f"'{entry}' is no {noun}'s name"
    return f"a {noun} is missing its name"


def _number(
    options: dict[str, JSON], name: str, spot: Spot, mistakes: Mistakes, least: float = -math.inf
) -> float | None:
    """Takes this option out of the options."""
    value = options.pop(name, None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        mistakes.note(WrongType, f"'{name}' must be a number", spot, name)
        return None
    if value < least:
        mistakes.note(WrongType, f"'{name}' must be at least {least:g}, found {value}", spot, name)
        return None
    return float(value)


def _label(
    name: str, options: dict[str, JSON], spot: Spot, mistakes: Mistakes, labels: set[str]
) -> str:
    own = options.pop("name", None)
    if own is None:
        label, number = name, 1
        while label in labels:
            number += 1
            label = f"{name}-{number}"
    elif isinstance(own, str) and own.strip():
        label = own.strip()
        if label in labels:
            what = f"two scorers are called '{label}'; give one another `name:`"
            mistakes.note(DuplicateKey, what, spot, "name")
    else:
        mistakes.note(WrongType, "'name' must be text", spot, "name")
        label = name
    labels.add(label)
    return label


def gate_specs(entries: Sequence[JSON], spot: Spot, mistakes: Mistakes) -> tuple[GateSpec, ...]:
    """The gates as written; what they mean is found out later."""
    specs = []
    for index, entry in enumerate(entries):
        name, options = _name_and_value(entry)
        if not name.strip() or not isinstance(options, dict | None):
            what = f"{_not_one_name(entry, 'gate')}; {_GATE_FORMS}"
            if name.strip():
                what = f"the gate '{name}' takes options, not a value; {_GATE_FORMS}"
            mistakes.note(WrongType, what, spot, index)
            continue
        place = spot.place(index)
        specs.append(GateSpec(text=name.strip(), options=options or {}, place=place))
    return tuple(specs)


def model_settings(
    entries: Sequence[JSON], spot: Spot, mistakes: Mistakes
) -> tuple[ModelSettings, ...]:
    """Models as ``provider/name`` (the name may hold slashes and colons) or as full settings."""
    found = [_model(entry, spot.within(index), mistakes) for index, entry in enumerate(entries)]
    return tuple(model for model in found if model is not None)


def _model(entry: JSON, spot: Spot, mistakes: Mistakes) -> ModelSettings | None:
    if isinstance(entry, str):
        provider, _, name = entry.partition("/")
        if provider.strip() and name.strip() and entry.split() == [entry]:
            return ModelSettings(provider=provider, name=name)
        what = f"the model '{entry}' must be PROVIDER/NAME, such as local/smollm2-135m"
        mistakes.note(WrongType, what, spot)
        return None
    if not isinstance(entry, dict):
        what = "a model must be PROVIDER/NAME, or settings with `provider` and `name`"
        mistakes.note(WrongType, what, spot)
        return None
    settings = settings_entry(entry, spot, mistakes)
    for key in ("provider", "name"):
        if settings is not None and not getattr(settings, key):
            mistakes.note(MissingValue, f"this model has no `{key}:`; add it", spot)
            settings = None
    return settings


def settings_entry(entry: JSON, spot: Spot, mistakes: Mistakes) -> ModelSettings | None:
    """Settings of a model, or ``None`` when they cannot be read."""
    try:
        # strict, so that "5" is not 5; as JSON, so that a list may become a tuple nevertheless
        return ModelSettings.model_validate_json(json.dumps(entry), strict=True)
    except ValidationError as error:
        mistakes.explain(error, ModelSettings, spot)
        return None


def common_settings(entry: JSON, spot: Spot, mistakes: Mistakes) -> ModelSettings:
    """The suite's ``settings:``, which hold for every model and so name none."""
    settings = settings_entry(entry, spot, mistakes) or ModelSettings()
    for key in ("provider", "name"):
        if getattr(settings, key) is not None:
            what = f"'{key}' stands in `models:`, not in `settings:`; move it"
            mistakes.note(WrongType, what, spot, key, key=True)
    return settings


def prompt_names(
    one: JSON, several: Sequence[JSON] | None, spot: Spot, mistakes: Mistakes
) -> tuple[str, ...]:
    """The names under ``prompt:`` or ``prompts:``; each at most once."""
    if one is not None and several is not None:
        what = "give either `prompt:` or `prompts:`, not both"
        mistakes.note(DuplicateKey, what, spot, "prompts", key=True)
    names: list[str] = []
    for steps, name in _prompt_entries(one, several):
        if not isinstance(name, str) or not name or name.split() != [name]:
            what = "a prompt is named by one word, such as route_ticket or route_ticket@main"
            mistakes.note(WrongType, what, spot, *steps)
        elif name in names:
            mistakes.note(DuplicateKey, f"the prompt '{name}' is listed twice", spot, *steps)
        else:
            names.append(name)
    return tuple(names)


def _prompt_entries(
    one: JSON, several: Sequence[JSON] | None
) -> list[tuple[tuple[str | int, ...], JSON]]:
    entries: list[tuple[tuple[str | int, ...], JSON]] = []
    if one is not None:
        entries.append((("prompt",), one))
    entries += [(("prompts", index), name) for index, name in enumerate(several or ())]
    return entries
