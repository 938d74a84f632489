"""Which case of one side belongs to which of the other, and which must not be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from p2re_eval.compare.sample import case_key
from p2re_eval.records import Incomparable, Observation
from p2re_eval.tally import CaseKey

MOST_EXAMPLES = 5
HASH_DIGITS = 12
"""How much of a hash a baseline file keeps: all that is compared."""

Repeats = tuple[Observation, ...]
Cases = Mapping[CaseKey, Repeats]


class GroupKey(NamedTuple):
    """One row of the table: a prompt with a model (as the newer side names it) in a suite."""

    suite: str
    prompt: str
    model: str


@dataclass(frozen=True, slots=True)
class Pair:
    """One case on both sides, all its repeats. ``refused`` says why passed and failed must not be
    compared (single scorers still may be, each by its own version)."""

    key: CaseKey
    before: Repeats
    after: Repeats
    refused: str | None = None

    @property
    def old_key(self) -> CaseKey:
        """How the older side names the case."""
        return case_key(self.before[0])


@dataclass
class Pairing:
    """All pairs by group; what has no partner; what was refused altogether, by reason."""

    groups: dict[GroupKey, list[Pair]] = field(default_factory=dict)
    only_before: list[CaseKey] = field(default_factory=list)
    only_after: list[CaseKey] = field(default_factory=list)
    refused: dict[str, list[CaseKey]] = field(default_factory=dict)
    models: dict[GroupKey, str] = field(default_factory=dict)

    @property
    def pairs(self) -> Iterator[Pair]:
        """Every pair that at least a scorer can be compared on."""
        for pairs in self.groups.values():
            yield from pairs

    def incomparable(self) -> tuple[Incomparable, ...]:
        """What was refused, by reason."""
        return tuple(listed(reason, keys) for reason, keys in sorted(self.refused.items()))


def by_case(observations: Iterable[Observation]) -> dict[CaseKey, Repeats]:
    """The observations by case, each case's repeats in order."""
    found: dict[CaseKey, Repeats] = {}
    for one in observations:
        key = CaseKey(one.suite, one.prompt, one.model, one.case_id)
        known = found.get(key)
        found[key] = (one,) if known is None else (*known, one)
    return found


def pair_up(before: Cases, after: Cases) -> Pairing:
    """Cases by (suite, prompt, model, id). Where each side has one model for a prompt, and not the
    same, they pair all the same: the model is then what changed."""
    pairing = Pairing()
    renamed = _other_models(before, after)
    seen: set[CaseKey] = set()
    for key, repeats in after.items():
        group = GroupKey(key.suite, key.prompt, key.model)
        old_model = renamed.get(group, key.model)
        old_key = key if old_model == key.model else key._replace(model=old_model)
        old = before.get(old_key)
        if old is None:
            pairing.only_after.append(key)
            continue
        seen.add(old_key)
        if old_model != key.model:
            pairing.models[group] = old_model
        _add(pairing, group, key, old, repeats)
    pairing.only_before = [key for key in before if key not in seen]
    return pairing


def _add(pairing: Pairing, group: GroupKey, key: CaseKey, old: Repeats, new: Repeats) -> None:
    if differ(old[0].row_hash, new[0].row_hash):
        pairing.refused.setdefault("the dataset row changed", []).append(key)
        return
    if new[0].quarantined:
        pairing.refused.setdefault("in quarantine", []).append(key)
        return
    why = _changed_rules(old, new)
    if why is not None:
        pairing.refused.setdefault(why, []).append(key)
    pairing.groups.setdefault(group, []).append(Pair(key, old, new, why))


def differ(one: str | None, other: str | None) -> bool:
    """Whether two hashes are known to differ; a baseline file keeps only their beginnings."""
    if one is None or other is None or one is other:
        return False
    return one[:HASH_DIGITS] != other[:HASH_DIGITS]


def _changed_rules(old: Repeats, new: Repeats) -> str | None:
    if not differ(old[0].rules_hash, new[0].rules_hash):
        return None
    before, after = scorer_versions(old), scorer_versions(new)
    if not before or not after:
        return "what decides between passed and failed changed"
    kinds = {score.name: score.kind for one in (*old, *new) for score in one.scores}
    changed = [n for n in before if n in after and differ(before[n], after[n])]
    if changed:
        name = changed[0]
        return f"the {'judge' if kinds[name] == 'LLM' else 'scorer'} '{name}' changed"
    added = [name for name in after if name not in before]
    removed = [name for name in before if name not in after]
    if added:
        return f"the scorer '{added[0]}' was added"
    if removed:
        return f"the scorer '{removed[0]}' was removed"
    return "a weight or the threshold changed"


def scorer_versions(repeats: Repeats) -> dict[str, str]:
    """The version of each scorer that said anything of a case."""
    return {score.name: score.version for one in repeats for score in one.scores}


def _other_models(before: Cases, after: Cases) -> dict[GroupKey, str]:
    """The older side's model for each group whose own model it does not have."""
    old, new = _models(before), _models(after)
    found = {}
    for (suite, prompt), models in new.items():
        others = old.get((suite, prompt), set())
        if len(models) == 1 and len(others) == 1 and models != others:
            (model,), (other,) = models, others
            found[GroupKey(suite, prompt, model)] = other
    return found


def _models(cases: Cases) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for key in cases:
        found.setdefault((key.suite, key.prompt), set()).add(key.model)
    return found


def listed(reason: str, keys: list[CaseKey]) -> Incomparable:
    """The cases as a report tells them: how many, and the first few."""
    examples = tuple(dict.fromkeys(key.case_id for key in keys[:MOST_EXAMPLES]))
    return Incomparable(reason=reason, cases=len(keys), examples=examples)
