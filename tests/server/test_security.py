"""What a stranger tries: other hosts and origins, huge bodies, paths, writes where none may be."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from p2re_eval.server import Access, p2re_router


@pytest.mark.parametrize(
    "path", ["/", "/traces", "/static/app.js", "/api/p2re/traces", "/v1/traces"]
)
def test_a_rebound_name_gets_nothing(served: Any, path: str) -> None:
    answer = served.ask("GET", path, headers={"Host": "evil.example"})
    assert (answer.status, answer.headers["content-type"]) == (421, "application/problem+json")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_another_origin_changes_nothing(served: Any, record: Any, headers: dict[str, str]) -> None:
    path = f"/api/p2re/traces/{record.trace().trace_id}"
    assert served.ask("DELETE", path, headers=headers).status == 403
    assert served.ask("POST", "/v1/traces", body=b"{}", headers=headers).status == 403
    assert len(served.get("/traces").json["items"]) == 1


def test_a_form_cannot_stand_in_for_json(served: Any, record: Any) -> None:
    """What a page can send without asking first is refused even where the origin is hidden."""
    body = f'{{"trace_id": "{record.trace().trace_id}", "passed": true}}'.encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = served.ask(
            "POST", "/api/p2re/evaluations/feedback", body=body, headers={"Content-Type": kind}
        )
        assert answer.status == 422
    assert served.get("/evaluations").json["items"] == []


def test_read_only_refuses_every_change(serve: Any, record: Any) -> None:
    served = serve(read_only=True)
    trace_id = record.trace().trace_id
    changes = [
        ("DELETE", f"/api/p2re/traces/{trace_id}", None),
        ("PUT", f"/api/p2re/traces/{trace_id}/pin", {"pinned": True}),
        ("POST", f"/api/p2re/traces/{trace_id}/tags", {"add": ["x"]}),
        ("POST", "/api/p2re/traces/delete", {"trace_ids": [trace_id]}),
        ("POST", "/api/p2re/evaluations/feedback", {"trace_id": trace_id, "passed": True}),
        ("POST", "/api/p2re/evaluations", {"trace_id": trace_id, "name": "x"}),
        ("PUT", "/api/p2re/prompts/route/labels/production", {"version": "v1"}),
        ("POST", "/api/p2re/prompts/route/try", {}),
        ("POST", "/api/p2re/suites/cases", {"prompt": "route", "expected": "x"}),
        ("POST", "/v1/traces", {}),
    ]
    for method, path, body in changes:
        answer = served.ask(method, path, json_body=body)
        assert (answer.status, answer.json["detail"]) == (
            403,
            "this server only shows: it was started with --read-only",
        ), path
    assert served.get("/health").json["read_only"] is True


def test_every_changing_route_asks_for_permission(serve: Any) -> None:
    """A route that is added without asking would show up here."""
    served = serve(read_only=True)
    document = served.get("/openapi.json").json
    looking = {"/api/p2re/prompts/{name}/render"}  # fills a template in and keeps nothing
    for path, methods in document["paths"].items():
        for method in set(methods) - {"get", "parameters"}:
            if path in looking:
                continue
            asked = path
            for name in ("trace_id", "name", "label", "evaluation_id"):
                asked = asked.replace(f"{{{name}}}", "a")
            assert served.ask(method.upper(), asked, json_body={}).status == 403, (method, path)


def test_a_large_body_is_refused_declared_or_not(served: Any) -> None:
    body = b'{"trace_ids": ["' + b"a" * (1024 * 1024) + b'"]}'
    headers = {"Content-Type": "application/json"}
    path = "/api/p2re/traces/delete"
    assert served.ask("POST", path, body=body, headers=headers).status == 413
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as line:
        line.sendall(
            b"POST /api/p2re/traces/delete HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"40000\r\n"
            + b"a" * 0x40000
            + b"\r\n"
        )
        chunk = b"40000\r\n" + b"a" * 0x40000 + b"\r\n"
        for _ in range(4):
            line.sendall(chunk)
        assert line.recv(1000).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/static/%00",
        "/static/pages/../../access.py",
    ],
)
def test_no_path_leaves_the_files_of_the_app(served: Any, path: str) -> None:
    answer = served.ask("GET", path)
    assert answer.status == 404
    assert answer.body == b""


@pytest.mark.parametrize(
    "path", ["/", "/traces/abc", "/static/app.js", "/api/p2re/traces", "/nope.js"]
)
def test_every_answer_carries_the_policy(served: Any, path: str) -> None:
    headers = served.ask("GET", path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


def test_a_token_link_becomes_a_cookie(serve: Any) -> None:
    """The token leaves the address bar at once; a script cannot read it."""
    served = serve(token="s3cret")
    assert served.ask("GET", "/traces").status == 401
    assert served.ask("GET", "/traces?token=wrong").status == 401
    answer = served.ask("GET", "//evil.example/x?token=s3cret")
    assert (answer.status, answer.headers["location"]) == (303, "/evil.example/x")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    kept = answer.headers["set-cookie"].partition(";")[0]
    assert served.ask("GET", "/api/p2re/health", headers={"Cookie": kept}).status == 200
    assert served.get("/health", Authorization="Bearer s3cret").status == 200


def test_problems_do_not_echo_what_was_sent(served: Any) -> None:
    answer = served.get("/traces?limit=<script>")
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json["errors"][0]["where"] == "query.limit"
    assert "script" not in answer.body.decode()


def test_the_router_guards_itself_in_another_application(
    store: Any, record: Any, running_app: Any
) -> None:
    """`app.include_router(p2re_router(...))` is as careful as the server of our own."""
    record.trace()
    app = FastAPI()
    app.include_router(p2re_router(store, access=Access(read_only=True)))
    served = running_app(app)
    assert len(served.get("/traces").json["items"]) == 1
    assert served.get("/traces", Host="evil.example").status == 421
    assert served.get("/traces", Origin="http://evil.example").status == 403
    assert served.get("/traces/ffff").headers["content-type"] == "application/problem+json"
    assert served.ask("DELETE", "/api/p2re/traces/0").status == 403
    assert served.get("/traces").headers["x-content-type-options"] == "nosniff"


def test_the_router_opens_and_closes_a_database_it_is_only_told_the_place_of(
    tmp_path: Path, running_app: Any
) -> None:
    app = FastAPI()
    app.include_router(p2re_router(tmp_path / "own.db", prefix="/elsewhere"))
    served = running_app(app)
    assert served.ask("GET", "/elsewhere/health").json["database"] == "own.db"


def test_what_nobody_meant_is_no_secret_and_no_silence(serve: Any, store: Any) -> None:
    """A closed store is a sentence, not a traceback."""
    served = serve()
    store.close()
    answer = served.get("/traces")
    assert answer.status == 409
    assert "the store is closed" in answer.json["detail"]
