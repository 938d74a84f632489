"""Templates, versions and labels."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.errors import NoSuchRecord, StoreError, UsageError
from p2re_eval.service import Service


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
    assert [row.number for row in (*first.items, *second.items)] == [3, 2, 1]
    assert second.next_cursor is None


@pytest.mark.parametrize(
    ("reference", "number"), [("latest", 3), ("v2", 2), ("4f6e65", 1), ("live", 2)]
)
def test_a_version_is_found_by_number_label_or_hash(
    versions: Service, reference: str, number: int
) -> None:
    versions.prompts.label("route", "live", "v2")
    assert versions.prompts.get("route", reference).row.number == number


def test_saving_a_known_version_again_keeps_its_number(versions: Service, runs: Any) -> None:
    assert versions.prompts.save(runs.template("One")).number == 1


def test_a_label_moves_and_keeps_its_history(versions: Service) -> None:
    """Putting it where it stands is no move."""
    versions.prompts.label("route", "live", "v1")
    versions.prompts.label("route", "live", "v1")
    assert versions.prompts.label("route", "live", "v3").labels == ("live",)
    versions.prompts.unlabel("route", "live")
    moves = versions.prompts.label_history("route")
    assert [(move.label, move.number) for move in moves] == [
        ("live", None),
        ("live", 3),
        ("live", 1),
    ]
    assert versions.prompts.get("route").row.labels == ()


@pytest.mark.parametrize("label", ["v3", "latest", "abcdef01", "a b", "", "x@y"])
def test_a_label_cannot_read_like_a_version(versions: Service, label: str) -> None:
    with pytest.raises(UsageError, match="cannot be a label"):
        versions.prompts.label("route", label, "v1")


def test_what_is_not_there_is_suggested(versions: Service) -> None:
    with pytest.raises(NoSuchRecord, match="no prompt 'rout' was recorded; did you mean 'route'"):
        versions.prompts.get("rout")
    versions.prompts.label("route", "production", "v1")
    with pytest.raises(NoSuchRecord, match="'prodution'; did you mean 'production'"):
        versions.prompts.get("route", "prodution")
    with pytest.raises(StoreError, match="begins more than one version"):
        versions.prompts.get("route", "54")
