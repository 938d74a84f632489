"""A suite as YAML text: what was tried in Python becomes a file that `pytest --p2re` runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import yaml

from p2re_eval.errors import UsageError
from p2re_eval.records import JSON, Case, ScorerSpec

_WIDTH = 100


def suite_text(
    *,
    prompts: Sequence[str],
    cases: Iterable[Mapping[str, JSON]],
    scorers: Sequence[JSON] = (),
    models: Sequence[JSON] = (),
    repeat: int = 1,
    gates: Sequence[JSON] = (),
    description: str | None = None,
) -> str:
    """The text of a suite file; entries are as the file writes them. Keys that say nothing new are
    left out, texts of several lines are written as blocks."""
    named: dict[str, JSON] = {"prompt": prompts[0]} if len(prompts) == 1 else {"prompts": prompts}
    body = {
        "description": description,
        **named,
        "models": list(models),
        "repeat": repeat if repeat > 1 else None,
        "scorers": list(scorers),
        "gates": list(gates),
        "cases": [dict(case) for case in cases],
    }
    kept = {key: value for key, value in body.items() if value not in (None, [], ())}
    try:
        return yaml.dump(
            _plain(kept), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH
        )
    except yaml.representer.RepresenterError as error:
        what = f"{error.args[-1]!r:.60} cannot be written into a suite; make it text, a number or"
        raise UsageError(f"{what} a list or mapping of those") from None


def case_entry(case: Case) -> dict[str, JSON]:
    """A case as a suite file writes it."""
    entry: dict[str, JSON] = {"id": case.id, "inputs": dict(case.inputs)}
    if case.expected is not None:
        entry["expected"] = case.expected
    if case.tags:
        entry["tags"] = list(case.tags)
    if case.cluster is not None:
        entry["cluster"] = case.cluster
    if case.metadata:
        entry["metadata"] = dict(case.metadata)
    if case.scorers:
        entry["scorers"] = [scorer_entry(spec) for spec in case.scorers]
    if case.threshold is not None:
        entry["threshold"] = case.threshold
    return entry


def scorer_entry(spec: ScorerSpec) -> JSON:
    """A scorer as a suite file writes it: its name alone, or with its options."""
    name = f"not-{spec.name}" if spec.negate else spec.name
    more: dict[str, JSON] = dict(spec.options)
    if spec.label != name:
        more["name"] = spec.label
    if spec.weight != 1:
        more["weight"] = spec.weight
    if spec.threshold is not None:
        more["threshold"] = spec.threshold
    if spec.has_argument and not more:
        return {name: spec.argument}
    return {name: more} if more else name


class _Dumper(yaml.SafeDumper):
    """Indented lists, and blocks for texts of several lines."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text.strip("\n") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _plain(value: JSON) -> JSON:
    """Tuples as lists, numpy's numbers and arrays as Python's own."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist") and not isinstance(value, (str, int, float, bool)):
        return _plain(value.tolist())
    return value
