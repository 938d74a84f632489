"""Who may ask what, as a table of requests."""

from __future__ import annotations

import pytest

from p2re_eval.server import Access
from p2re_eval.server.access import cookie_token, host_name

HOME = {"host": "127.0.0.1:8765"}


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", HOME, None),
        ("GET", {"host": "localhost"}, None),
        ("GET", {"host": "LOCALHOST:1"}, None),
        ("GET", {"host": "[::1]:8765"}, None),
        ("GET", {"host": "evil.example:8765"}, 421),
        ("GET", {"host": "127.0.0.1.evil.example"}, 421),
        ("GET", {"host": ""}, 421),
        ("GET", {}, 421),
        ("POST", {**HOME, "origin": "http://127.0.0.1:8765"}, None),
        ("POST", {**HOME, "origin": "http://evil.example"}, 403),
        ("POST", {**HOME, "origin": "null"}, 403),
        ("POST", {**HOME, "origin": "http://127.0.0.1:9999"}, 403),
        ("POST", {**HOME, "sec-fetch-site": "cross-site"}, 403),
        ("POST", {**HOME, "sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"}, 403),
        ("GET", {**HOME, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, None),
        ("GET", {**HOME, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ("GET", {**HOME, "sec-fetch-site": "same-origin"}, None),
    ],
)
def test_only_requests_meant_for_this_server_come_in(
    method: str, headers: dict[str, str], status: int | None
) -> None:
    refusal = Access().refusal(method, headers)
    assert (None if refusal is None else refusal.status) == status


def test_a_host_can_be_added() -> None:
    access = Access(hosts=frozenset({"box.lan"}))
    assert access.refusal("GET", {"host": "box.lan:80"}) is None
    assert access.refusal("GET", {"host": "127.0.0.1"}) is not None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "Bearer s3cret"}, None),
        ({"authorization": "bearer  s3cret"}, None),
        ({"cookie": "a=b; p2re_token=s3cret"}, None),
        ({"authorization": "Bearer s3cre"}, 401),
        ({"authorization": "Basic s3cret"}, 401),
        ({"authorization": "Bearer \u00e9"}, 401),
        ({"cookie": "p2re_token"}, 401),
        ({}, 401),
    ],
)
def test_a_token_is_asked_of_every_request(headers: dict[str, str], status: int | None) -> None:
    """With it a request may be addressed to any name: a rebound page has no token."""
    refusal = Access(token="s3cret").refusal("GET", {"host": "any.name", **headers})
    assert (None if refusal is None else refusal.status) == status


def test_a_token_does_not_excuse_another_origin() -> None:
    headers = {"host": "a", "authorization": "Bearer t", "origin": "http://b"}
    refusal = Access(token="t").refusal("POST", headers)
    assert refusal is not None
    assert refusal.status == 403


def test_host_names_lose_their_port_only() -> None:
    assert host_name("[::1]:80") == "[::1]"
    assert host_name("A.b.:80") == "a.b"
    assert cookie_token({"cookie": "p2re_token=\x00bad"}) == ""
