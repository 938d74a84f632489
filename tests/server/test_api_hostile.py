"""Every route of the OpenAPI document, asked with values nobody should send: no 5xx, ever."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

VALUES = [
    "%00",
    "%FF",
    "-1",
    "0",
    "9" * 40,
    "1e400",
    "NaN",
    "..%2F..%2Fetc%2Fpasswd",
    quote("' OR 1=1 --"),
    quote('"; DROP TABLE traces; --'),
    quote("<script>"),
    quote("\u202e\U0001f608"),
    "a" * 2100,
]


def routes(served: Any) -> list[tuple[str, dict[str, Any]]]:
    paths = served.get("/openapi.json").json["paths"]
    return [
        (path, found["get"])
        for path, found in paths.items()
        if "get" in found and not path.endswith("/stream")
    ]


@pytest.mark.parametrize("value", VALUES)
def test_no_value_breaks_a_route(served: Any, record: Any, value: str) -> None:
    """In the place of each part of a path, and of each parameter, alone."""
    record.agent()
    for path, operation in routes(served):
        asked = path
        parameters = operation.get("parameters", [])
        for one in parameters:
            if one["in"] == "path":
                asked = asked.replace(f"{{{one['name']}}}", value)
        queries = [one["name"] for one in parameters if one["in"] == "query"]
        for url in (asked, *(f"{asked}?{name}={value}" for name in queries)):
            answer = served.ask("GET", url)
            assert answer.status < 500, (url, answer.body[:300])
            if answer.status >= 400:
                assert answer.headers["content-type"] == "application/problem+json", url


@pytest.mark.parametrize(
    "q",
    [
        "(" * 3000,
        "not " * 400 + "a",
        'text ~ "*"',
        "text ~ NEAR(",
        'eval("") .score > 1',
        "cost_usd > 1e999",
        "latency < 9999999999999999999999h",
        'started > "not a time"',
        "tag == '\u0000'",
        "a and or b",
        "status in []",
        "model ~ " + "%" * 200,
    ],
)
def test_no_search_breaks_the_list(served: Any, record: Any, q: str) -> None:
    record.trace()
    assert served.get(f"/traces?q={quote(q)}").status in {200, 422}


def test_errors_outside_the_routes_are_problems_too(served: Any) -> None:
    for method, path in (("GET", "/api/p2re/nowhere/at/all"), ("PATCH", "/api/p2re/traces")):
        answer = served.ask(method, path)
        assert answer.status in {404, 405}
        assert answer.headers["content-type"] == "application/problem+json"


def test_no_number_breaks_an_experiment(served: Any) -> None:
    """Weights and amounts so small or large that their squares are none are refused; the largest
    that are taken can be averaged."""
    variants = [{"name": "old"}, {"name": "new", "weight": 1e-6}]
    tiny = [{"name": "old"}, {"name": "new", "weight": 1e-320}]
    new = {"name": "greeting", "outcome": "solved", "variants": variants, "effect": 1e-9}
    assert served.post("/experiments/online", {**new, "variants": tiny}).status == 422
    assert served.post("/experiments/online", {**new, "effect": 1e-200}).status == 422
    assert served.post("/experiments/online", new).status == 201
    for number, value in enumerate((1e100, -1e100, 0.5)):
        unit = f"user-{number}"
        assert served.post("/experiments/online/greeting/assign", {"unit": unit}).status == 200
        judged = {"unit": unit, "value": value}
        assert served.post("/experiments/online/greeting/outcome", judged).status == 204
    refused = served.post("/experiments/online/greeting/outcome", {"unit": "x", "value": 1e200})
    assert refused.status == 422
    found = served.get("/experiments/online/greeting")
    assert (found.status, found.json["variants"][0]["judged"]) == (200, 3)
