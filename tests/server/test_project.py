"""The project beside the database: its files, their history, trying a prompt, saving a case."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from p2re_eval.records import ModelSettings, PromptTemplate, TemplateMessage
from p2re_eval.suites.load import load_suite

PROMPT = """\
description: Route a ticket.
model: {{provider: scripted, name: router, extra: {{answers: {{"charged": billing, ".*": other}}}}}}
inputs:
  ticket: {{type: string}}
messages:
  - user: "{text}: {{{{ ticket }}}}"
"""
GIT = ["git", "-c", "user.name=Mira", "-c", "user.email=mira@example.org"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository whose prompt was changed once."""
    folder = tmp_path / "project"
    (folder / "prompts").mkdir(parents=True)
    (folder / "suites").mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main", folder], check=True)
    for text in ("Sort", "Route"):
        (folder / "prompts" / "route.yaml").write_text(PROMPT.format(text=text))
        subprocess.run([*GIT, "-C", folder, "add", "."], check=True)
        subprocess.run([*GIT, "-C", folder, "commit", "-qm", f"prompt: {text}"], check=True)
    return folder


@pytest.fixture
def shown(serve: Callable[..., Any], root: Path) -> Any:
    return serve(root=root, write_files=True)


def test_files_are_listed_beside_what_was_recorded(shown: Any, record: Any) -> None:
    record.version("Hello", name="older")
    items = {one["name"]: one for one in shown.get("/prompts").json["items"]}
    assert items["route"]["file"] == "prompts/route.yaml"
    assert items["route"]["recorded"] is None
    assert items["older"]["file"] is None


def test_a_broken_file_does_not_hide_the_others(shown: Any, root: Path) -> None:
    (root / "prompts" / "broken.yaml").write_text("messages: [")
    found = shown.get("/prompts").json
    assert [one["name"] for one in found["items"]] == ["route"]
    assert "broken.yaml" in found["mistakes"][0]


def test_history_and_versions_come_from_git(shown: Any) -> None:
    entries = shown.get("/prompts/route/log").json["entries"]
    assert [(one["number"], one["author"], one["subject"]) for one in entries] == [
        (2, "Mira", "prompt: Route"),
        (1, "Mira", "prompt: Sort"),
    ]
    old = shown.get(f"/prompts/route/versions/{entries[1]['commit']}").json
    assert old["template"]["messages"][0]["content"] == "Sort: {{ ticket }}"
    assert old["row"] is None
    assert shown.get("/prompts/route/versions").json["items"] == []


def test_a_number_is_the_same_for_every_page(shown: Any, record: Any) -> None:
    """v1 is git's first version, though the database met another one before it."""
    record.version("Something else")
    first = shown.get("/prompts/route/versions/v1").json
    assert (first["template"]["messages"][0]["content"], first["row"]) == (
        "Sort: {{ ticket }}",
        None,
    )
    version = first["template"]["version"]
    path = "/api/p2re/prompts/route/labels/production"
    moved = shown.ask("PUT", path, json_body={"version": "v1"}).json
    assert (moved["version"], moved["number"]) == (version, 1)
    opened = shown.get("/artifacts/prompt:route@v1").json
    assert opened["address"] == f"prompt:route@{version}"
    rows = shown.get("/prompts/route/versions").json["items"]
    assert [row["number"] for row in rows] == [1, None]
    asked = "prompt == route and version == v1"
    assert shown.get(f"/traces?q={quote(asked)}").json["note"] is None


def test_rendering_says_what_is_wrong_with_the_inputs(shown: Any) -> None:
    rendered = shown.post("/prompts/route/render", {"inputs": {"ticket": "I was charged."}}).json
    assert rendered["messages"][0]["content"] == "Route: I was charged."
    old = shown.post("/prompts/route/render", {"inputs": {"ticket": "x"}, "version": "v1"}).json
    assert old["messages"][0]["content"] == "Sort: x"
    wrong = shown.post("/prompts/route/render", {"inputs": {"tikcet": "x"}})
    assert wrong.status == 422
    assert "tikcet" in wrong.json["detail"]


def test_trying_records_a_run_for_each_model(shown: Any) -> None:
    assert shown.get("/prompts/models").json == {"models": ["scripted/router"]}
    body = {"inputs": {"ticket": "I was charged."}, "models": ["scripted/router"]}
    (trace_id,) = shown.post("/prompts/route/try", body).json["trace_ids"]
    trace = shown.get(f"/traces/{trace_id}").json["trace"]
    assert trace["completion"]["text"] == "billing"
    assert trace["prompt"]["variables"] == {"ticket": "I was charged."}
    (version,) = shown.get("/prompts/route/versions").json["items"]
    assert version["version"] == trace["prompt"]["version"]


def recorded(store: Any, text: str, of: str = "route", **model: Any) -> str:
    """A version that no file and no commit has; it answers as the file's model does."""
    answers = {"answers": {"charged": "billing", ".*": "other"}}
    settings = {"provider": "scripted", "name": "router", "extra": answers, **model}
    template = PromptTemplate(
        name=of,
        version=(text.encode().hex() + "0" * 64)[:64],
        messages=(TemplateMessage(role="user", content=text),),
        inputs={"ticket": {"type": "string"}},
        model=ModelSettings(**settings),
        commit="f" * 40,  # of somebody else's repository
    )
    store.save_prompt_version(template).result()
    return template.version


@pytest.mark.parametrize("name", ["route", "gone"])
def test_a_version_of_the_database_alone_is_tried_as_it_was_recorded(
    shown: Any, store: Any, name: str
) -> None:
    """Of a prompt that has a file now, and of one whose file is gone."""
    version = recorded(store, "Judge this: {{ ticket }}", name)
    body = {"inputs": {"ticket": "I was charged."}, "version": version}
    rendered = shown.post(f"/prompts/{name}/render", body).json
    assert rendered["messages"][0]["content"] == "Judge this: I was charged."
    tried = shown.post(f"/prompts/{name}/try", body)
    assert tried.status == 200, tried.json
    (trace_id,) = tried.json["trace_ids"]
    trace = shown.get(f"/traces/{trace_id}").json["trace"]
    assert trace["completion"]["text"] == "billing"
    assert trace["prompt"]["version"] == version
    assert len(shown.get(f"/prompts/{name}/versions").json["items"]) == 1


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ({"base_url": "http://elsewhere.example"}, "'base_url' to what no file of this project"),
        ({"extra": {"answers": {".*": "mine"}}}, "'extra' to what no file of this project has"),
        ({"provider": "function", "name": "os:getcwd"}, "is named by no prompt or suite"),
    ],
)
def test_a_version_of_the_database_reaches_nothing_new(
    shown: Any, store: Any, model: dict[str, Any], why: str
) -> None:
    """A database may come from somebody else: it names no address and no code."""
    version = recorded(store, "Judge this: {{ ticket }}", **model)
    answer = shown.post("/prompts/route/try", {"inputs": {"ticket": "x"}, "version": version})
    assert (answer.status, why in answer.json["detail"]) == (422, True), answer.json
    assert shown.get("/traces").json["items"] == []


def test_an_unknown_version_is_said_so(shown: Any) -> None:
    answer = shown.post("/prompts/route/try", {"inputs": {}, "version": "abcdef1234"})
    assert answer.status in {404, 409, 422}
    assert "abcdef1234" in answer.json["detail"]


@pytest.mark.parametrize("model", ["function/os:getcwd", "local/../../secret.gguf", "openai/o9"])
def test_only_models_of_the_project_can_be_asked(shown: Any, model: str) -> None:
    """A request can name no code and no file."""
    answer = shown.post("/prompts/route/try", {"inputs": {"ticket": "x"}, "models": [model]})
    assert answer.status == 422
    assert "is named by no prompt or suite of this project" in answer.json["detail"]


def test_an_image_from_a_request_is_never_a_path(shown: Any, root: Path) -> None:
    (root / "prompts" / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\nsecret")
    (root / "prompts" / "look.yaml").write_text(
        "model: {provider: scripted, name: router}\n"
        "inputs: {photo: {type: string}}\n"
        'messages: [{user: [{text: Look}, {image: "{{ photo }}"}]}]\n'
    )
    answer = shown.post("/prompts/look/render", {"inputs": {"photo": "secret.png"}})
    assert answer.status == 422
    assert "must be an address or a data: URI" in answer.json["detail"]
    kept = shown.post("/prompts/look/render", {"inputs": {"photo": "data:image/png;base64,AAAA"}})
    assert kept.status == 200


def test_a_case_is_saved_where_a_suite_finds_it(shown: Any, root: Path) -> None:
    for ticket in ("I was charged: twice", "no"):
        body = {"prompt": "route", "inputs": {"ticket": ticket}, "expected": "billing"}
        answer = shown.post("/suites/cases", body)
        assert (answer.status, answer.json) == (201, {"file": "suites/saved/route.yaml"})
    suite = load_suite(root / "suites" / "saved" / "route.yaml", root=root)
    assert [(case.id, case.inputs["ticket"], case.expected) for case in suite.cases] == [
        ("saved-1", "I was charged: twice", "billing"),
        ("saved-2", "no", "billing"),
    ]
    assert [path.name for path in (root / "suites" / "saved").iterdir()] == ["route.yaml"]


def test_a_suite_that_a_case_would_break_stays_as_it_was(shown: Any, root: Path) -> None:
    body = {"prompt": "route", "inputs": {"ticket": "x"}, "expected": "billing"}
    shown.post("/suites/cases", body)
    path = root / "suites" / "saved" / "route.yaml"
    mine = path.read_text() + "gates: [pass_rate >= 1]\n"
    path.write_text(mine)
    assert shown.post("/suites/cases", body).status == 422
    assert path.read_text() == mine


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "missing"])
def test_no_name_in_a_request_becomes_a_path(shown: Any, root: Path, name: str) -> None:
    before = sorted(root.rglob("*.yaml"))
    body = {"prompt": name, "inputs": {}, "expected": "x"}
    answer = shown.post("/suites/cases", body)
    assert answer.status == 422
    assert f"no prompt is called '{name}'" in answer.json["detail"]
    assert sorted(root.rglob("*.yaml")) == before


def test_files_are_written_only_with_permission(serve: Callable[..., Any], root: Path) -> None:
    body = {"prompt": "route", "inputs": {}, "expected": "x"}
    answer = serve(root=root).post("/suites/cases", body)
    assert answer.status == 403
    assert "--allow-write" in answer.json["detail"]
    assert not (root / "suites" / "saved").exists()


def test_without_a_project_the_record_is_still_shown(served: Any) -> None:
    assert served.get("/prompts").json == {"items": [], "mistakes": []}
    answer = served.post("/prompts/route/render", {"inputs": {}})
    assert answer.status == 409
    assert "shows no project" in answer.json["detail"]


def test_the_openapi_document_describes_it_all(served: Any) -> None:
    document = served.get("/openapi.json").json
    assert json.dumps(document)
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert len(operations) >= 40
    assert all(one.get("summary") and one.get("description") for one in operations)
    for one in operations:
        assert "application/problem+json" in one["responses"]["default"]["content"]
