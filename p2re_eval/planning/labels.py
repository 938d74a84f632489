"""What the models of a suite are called, where one of them comes with several settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from p2re_eval.records import JSON, ModelSettings, canonical_json


def labels(models: Sequence[ModelSettings]) -> list[str]:
    """``provider/name`` of each; of the same model with other settings also these:
    ``openai/gpt-5-mini,temperature=1``. Two that differ in nothing get the same label."""
    alike: dict[str, list[Mapping[str, JSON]]] = {}
    settings = [model.model_dump(mode="json", exclude={"provider", "name"}) for model in models]
    for model, given in zip(models, settings, strict=True):
        alike.setdefault(model.id, []).append(given)
    return [
        ",".join([model.id, *_told_apart(given, alike[model.id])])
        for model, given in zip(models, settings, strict=True)
    ]


def _told_apart(given: Mapping[str, JSON], others: Sequence[Mapping[str, JSON]]) -> list[str]:
    """What is left to the service is not said."""
    said = {key: value for key, value in given.items() if value is not None}
    differing = (key for key in said if any(other[key] != said[key] for other in others))
    return [f"{key}={_short(said[key])}" for key in differing]


def _short(value: JSON) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    # Brackets and colons have a meaning in the ids of pytest.
    text = value if isinstance(value, str) else canonical_json(value)
    return text.translate(_IN_IDS)[:60]


_IN_IDS = str.maketrans({"[": "(", "]": ")", ":": "=", "#": " ", "/": "|"})
