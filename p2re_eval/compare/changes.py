"""What the two sides do not share, part by part of what makes an answer and its score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from p2re_eval.compare.pairing import GroupKey, Pair, Pairing, differ, scorer_versions
from p2re_eval.compare.sample import Sample
from p2re_eval.records import (
    JSON,
    Change,
    ChangeKind,
    EvaluationKind,
    Experiment,
    Observation,
    RenderedPrompt,
    canonical_json,
)

_LOOKED_AT = 3
"""How many pairs of traces tell which part of a rendered prompt changed."""
_DIGITS = 12


def changes_of(pairing: Pairing, before: Sample, after: Sample) -> Iterator[Change]:
    """The changes of every group, then those of the whole experiment."""
    seen: set[Change] = set()
    for group, pairs in pairing.groups.items():
        for change in _of_group(group, pairs, pairing, before, after):
            if change not in seen:
                seen.add(change)
                yield change
    refused = pairing.refused.get("the dataset row changed")
    if refused:
        names = sorted({key.suite for key in refused})
        yield Change(what="dataset row", name=", ".join(names), cases=len(refused))
    yield from _packages(before.experiment, after.experiment)


def _of_group(
    group: GroupKey, pairs: Sequence[Pair], pairing: Pairing, before: Sample, after: Sample
) -> Iterator[Change]:
    if group in pairing.models:
        yield _change("model", group.prompt, pairing.models[group], group.model)
    asked = [pair for pair in pairs if _asked_otherwise(pair)]
    parts = dict(_rendered_parts(asked, before, after))
    versions = [{one.prompt_version for one in _side(pairs, late)} for late in (False, True)]
    if versions[0] != versions[1] and (not parts or "rendered text" in parts):
        old, new = (_short(side) for side in versions)
        yield _change("wording", group.prompt, old, new)
    for what, (was, now) in parts.items():
        yield _change(what, group.prompt, was, now, cases=len(asked))
    if asked and not parts:
        yield _change("rendered text", group.prompt, None, None, cases=len(asked))
    answered = [{one.model_answered for one in _side(pairs, late)} for late in (False, True)]
    if None not in answered[0] | answered[1] and answered[0] != answered[1]:
        old, new = (", ".join(sorted(str(name) for name in side)) for side in answered)
        yield _change("model answered", group.model, old, new)
    yield from _scorers(pairs)


def _change(
    what: ChangeKind, name: str, before: str | None, after: str | None, cases: int | None = None
) -> Change:
    return Change(what=what, name=name, before=before, after=after, cases=cases)


def _side(pairs: Sequence[Pair], late: bool) -> Iterator[Observation]:
    for pair in pairs:
        yield from pair.after if late else pair.before


def _short(versions: set[str | None]) -> str:
    return ", ".join(sorted((version or "?")[:_DIGITS] for version in versions))


def _asked_otherwise(pair: Pair) -> bool:
    return differ(pair.before[0].fingerprint, pair.after[0].fingerprint)


def _rendered_parts(
    pairs: Sequence[Pair], before: Sample, after: Sample
) -> Iterator[tuple[ChangeKind, tuple[str | None, str | None]]]:
    """Which part of what was asked differs, by the first traces that are still there."""
    found: dict[ChangeKind, tuple[str | None, str | None]] = {}
    for pair in pairs[:_LOOKED_AT]:
        old, new = _prompt(pair.before[0].trace_id, before), _prompt(pair.after[0].trace_id, after)
        if old is None or new is None:
            continue
        if _texts(old) != _texts(new):
            found.setdefault("rendered text", (None, None))
        settings = _settings_that_differ(old, new)
        if settings is not None:
            found.setdefault("parameters", settings)
    yield from found.items()


def _prompt(trace_id: str | None, sample: Sample) -> RenderedPrompt | None:
    trace = None if trace_id is None else sample.trace(trace_id)
    return None if trace is None else trace.prompt


def _texts(prompt: RenderedPrompt) -> JSON:
    return prompt.messages, prompt.tools, prompt.output_schema


def _settings_that_differ(old: RenderedPrompt, new: RenderedPrompt) -> tuple[str, str] | None:
    before, after = old.model.asked(), new.model.asked()
    names = sorted(
        name
        for name in {*before, *after} - {"provider", "name"}
        if before.get(name) != after.get(name)
    )
    if not names:
        return None
    return _listed(before, names), _listed(after, names)


def _listed(settings: dict[str, JSON], names: Sequence[str]) -> str:
    given = (
        f"{name} {canonical_json(settings[name])}" if name in settings else f"no {name}"
        for name in names
    )
    return ", ".join(given)


def _scorers(pairs: Sequence[Pair]) -> Iterator[Change]:
    counts: Counter[tuple[str, str | None, str | None]] = Counter()
    kinds: dict[str, EvaluationKind] = {}
    for pair in pairs:
        old, new = scorer_versions(pair.before), scorer_versions(pair.after)
        if not old or not new or old == new:
            continue
        kinds |= {s.name: s.kind for one in (*pair.before, *pair.after) for s in one.scores}
        for name in {**old, **new}:
            was, now = old.get(name), new.get(name)
            if was is None or now is None or differ(was, now):
                counts[(name, was and was[:_DIGITS], now and now[:_DIGITS])] += 1
    for (name, was, now), cases in counts.items():
        what: ChangeKind = "judge" if kinds[name] == "LLM" else "scorer"
        yield _change(what, name, was, now, cases=cases)


def _packages(before: Experiment, after: Experiment) -> Iterator[Change]:
    old, new = before.packages, after.packages
    if not old or not new:
        return
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield _change("packages", name, old.get(name), new.get(name))
