"""Case entries, from the suite or its datasets, become cases with an id of their own."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import ValidationError

from p2re_eval.errors import DuplicateKey, WrongType
from p2re_eval.records import JSON, Case, ScorerSpec
from p2re_eval.suites.entries import scorer_specs
from p2re_eval.suites.format import CaseEntry, Defaults
from p2re_eval.suites.spots import Mistakes, Spot

LONGEST_SLUG = 40
_SHORT_TEXT = 200
_FORBIDDEN = re.compile(r"::|[\x00-\x1f\x7f\[\]]")


class _Draft(NamedTuple):
    """A checked entry; ``fallback`` is its id unless it has one."""

    values: dict[str, JSON]
    spot: Spot
    fallback: str


class CaseBuilder:
    """Collects entries and then makes all cases at once: only then is known which ids are free.

    ``labels`` are those of the suite's own scorers, which come before a case's.
    """

    def __init__(
        self, defaults: Defaults, spot: Spot, labels: set[str], mistakes: Mistakes
    ) -> None:
        self._defaults = defaults
        self._mistakes = mistakes
        self._labels = set(labels)
        self._scorers = scorer_specs(
            defaults.scorers, spot.within("scorers"), mistakes, self._labels
        )
        self._drafts: list[_Draft] = []

    def add(self, raw: JSON, spot: Spot, fallback: str, *, from_text: bool = False) -> None:
        """Take an entry; without an id it is called ``fallback``, or ``from_text`` by its text."""
        try:
            values = _checked(raw)
        except ValidationError as error:
            self._mistakes.explain(error, CaseEntry, spot)
            return
        if from_text and values.get("id") is None:
            fallback = _slug(values.get("inputs", {})) or fallback
        self._drafts.append(_Draft(values, spot, fallback))

    def cases(self) -> tuple[Case, ...]:
        """The cases in the order in which they were added."""
        taken = self._given_ids()
        return tuple([self._case(draft, taken) for draft in self._drafts])

    def _given_ids(self) -> set[str]:
        taken: dict[str, Spot] = {}
        for values, spot, _ in self._drafts:
            case_id = values.get("id")
            if case_id is None:
                continue
            fault = _id_fault(case_id)
            if fault:
                self._mistakes.note(WrongType, fault, spot, "id")
            if case_id in taken:
                first = taken[case_id].place("id")
                what = f"the case id '{case_id}' is taken by the case at {first}; change one"
                self._mistakes.note(DuplicateKey, what, spot, "id")
            else:
                taken[case_id] = spot
        return set(taken)

    def _case(self, draft: _Draft, taken: set[str]) -> Case:
        values, defaults = dict(draft.values), self._defaults
        if values.get("id") is None:
            values["id"] = _free(draft.fallback, taken)
        values["scorers"] = self._case_scorers(values.get("scorers"), draft.spot)
        values["place"] = draft.spot.place()
        if defaults.tags:
            values["tags"] = list(dict.fromkeys((*defaults.tags, *values.get("tags", ()))))
        if defaults.inputs:
            values["inputs"] = {**defaults.inputs, **values.get("inputs", {})}
        if defaults.metadata:
            values["metadata"] = {**defaults.metadata, **values.get("metadata", {})}
        return Case.model_validate(values)

    def _case_scorers(self, entries: list[JSON] | None, spot: Spot) -> tuple[ScorerSpec, ...]:
        if not entries:
            return self._scorers
        labels = set(self._labels)
        own = scorer_specs(entries, spot.within("scorers"), self._mistakes, labels)
        return (*self._scorers, *own)


_PLAIN_KEYS = {"id", "inputs", "expected", "tags"}


def _checked(raw: JSON) -> dict[str, JSON]:
    """The entry's values, once they are known to be well-formed. Raises pydantic's error.

    Most rows of a large dataset are plain, and looking is several times cheaper than validating.
    """
    if isinstance(raw, dict) and raw.keys() <= _PLAIN_KEYS and _is_plain(raw):
        return raw
    return dict(CaseEntry.model_validate(raw))


def _is_plain(raw: dict[str, JSON]) -> bool:
    case_id, tags = raw.get("id", "x"), raw.get("tags", [])
    return (
        type(raw.get("inputs")) is dict
        and type(case_id) is str
        and case_id != ""
        and type(tags) is list
        and {str}.issuperset(map(type, tags))
    )


def _id_fault(case_id: str) -> str:
    if _FORBIDDEN.search(case_id):
        return (
            f"the case id {case_id!r} may not hold '::', brackets or control characters; change it"
        )
    if case_id != case_id.strip():
        return f"the case id '{case_id}' starts or ends with a space; remove it"
    return ""


def _slug(inputs: Mapping[str, JSON]) -> str:
    """The first words of the first short text, so that the id stays when cases move around."""
    for value in inputs.values():
        if isinstance(value, str) and len(value) <= _SHORT_TEXT:
            text = unicodedata.normalize("NFKC", value[: 3 * LONGEST_SLUG]).lower()
            slug = "-".join("".join(c if _in_a_word(c) else " " for c in text).split())
            if len(slug) > LONGEST_SLUG:
                slug = slug[: LONGEST_SLUG + 1].rpartition("-")[0] or slug[:LONGEST_SLUG]
            if slug:
                return slug
    return ""


def _in_a_word(character: str) -> bool:
    """Letters and digits of any script, with the marks that belong to them."""
    return character.isalnum() or unicodedata.category(character).startswith("M")


def _free(name: str, taken: set[str]) -> str:
    """This name, or with a number when it is taken; taken from now on."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    taken.add(free)
    return free
