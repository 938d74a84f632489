"""Templates, versions and labels."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.errors import NoSuchRecord, StoreError, UsageError
from p2re_eval.service import Service

ONE, TWO = "4f6e65", "54776f"
"""How the versions of these texts begin."""


@pytest.fixture
def versions(service: Service, runs: Any) -> Service:
    """Three versions of ``route`` and one of ``greet``."""
    for text in ("One", "Two", "Three"):
        service.prompts.save(runs.template(text))
    service.prompts.save(runs.template("Hi", name="greet"))
    return service


def test_templates_are_listed_by_name(versions: Service) -> None:
    first = versions.prompts.list(limit=1)
    second = versions.prompts.list(limit=1, cursor=first.next_cursor)
    [greet], [route] = first.items, second.items
    assert (greet.name, greet.versions, route.name, route.versions) == ("greet", 1, "route", 3)


def test_versions_page_downward(versions: Service) -> None:
    first = versions.prompts.versions("route", limit=2)
    second = versions.prompts.versions("route", limit=2, cursor=first.next_cursor)
    found = [row.version[:6] for row in (*first.items, *second.items)]
    assert found == ["546872", "54776f", "4f6e65"]
    assert second.next_cursor is None


@pytest.mark.parametrize(
    ("reference", "text"), [("latest", "Three"), ("4f6e65", "One"), ("live", "Two")]
)
def test_a_version_is_found_by_label_or_hash(versions: Service, reference: str, text: str) -> None:
    versions.prompts.label("route", "live", TWO)
    found = versions.prompts.get("route", reference)
    assert found.template.messages[0].content == text
    assert (found.row.number, found.row.shown) == (None, found.row.version[:12])


def test_a_number_is_gits_and_never_the_order_of_recording(versions: Service) -> None:
    """The database alone does not know what v2 is, and says what to give instead."""
    with pytest.raises(NoSuchRecord, match="'v2' is the number of a version in git, and no projec"):
        versions.prompts.get("route", "v2")
    with pytest.raises(NoSuchRecord, match="give a label, 'latest', or the beginning"):
        versions.prompts.label("route", "live", "v2")


def test_saving_a_known_version_again_keeps_its_row(versions: Service, runs: Any) -> None:
    known = versions.prompts.get("route", ONE).row
    assert versions.prompts.save(runs.template("One")) == known


def test_a_label_moves_and_keeps_its_history(versions: Service) -> None:
    """Putting it where it stands is no move."""
    versions.prompts.label("route", "live", ONE)
    versions.prompts.label("route", "live", ONE)
    assert versions.prompts.label("route", "live", "latest").labels == ("live",)
    versions.prompts.unlabel("route", "live")
    moves = versions.prompts.label_history("route")
    assert [(move.label, (move.version or "")[:6]) for move in moves] == [
        ("live", ""),
        ("live", "546872"),
        ("live", "4f6e65"),
    ]
    assert versions.prompts.get("route").row.labels == ()


@pytest.mark.parametrize("label", ["v3", "latest", "abcdef01", "a b", "", "x@y"])
def test_a_label_cannot_read_like_a_version(versions: Service, label: str) -> None:
    with pytest.raises(UsageError, match="cannot be a label"):
        versions.prompts.label("route", label, ONE)


def test_what_is_not_there_is_suggested(versions: Service) -> None:
    with pytest.raises(NoSuchRecord, match="no prompt 'rout' was recorded; did you mean 'route'"):
        versions.prompts.get("rout")
    versions.prompts.label("route", "production", ONE)
    with pytest.raises(NoSuchRecord, match="'prodution'; did you mean 'production'"):
        versions.prompts.get("route", "prodution")
    with pytest.raises(StoreError, match="begins more than one version"):
        versions.prompts.get("route", "54")
