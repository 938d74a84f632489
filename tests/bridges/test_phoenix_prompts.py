"""Prompt versions and labels with a real Phoenix: mapped both ways, and none is made twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from p2re_eval.bridges.http import Peer
from p2re_eval.bridges.phoenix.client import Phoenix
from p2re_eval.bridges.phoenix.templates import (
    Unconvertible,
    name_there,
    template_of,
    version_there,
)
from p2re_eval.clock import SystemClock
from p2re_eval.prompts.versions import version_of
from p2re_eval.records import ModelSettings, PromptTemplate, TemplateMessage, Tool
from p2re_eval.service.prompts import Prompts
from p2re_eval.store import Store
from tests.bridges.conftest import PhoenixServer, sync


def template(user: str = "{{ ticket }}", **given: Any) -> PromptTemplate:
    made = PromptTemplate(
        **{
            "name": "Route Ticket",
            "version": "",
            "description": "Who owns it.",
            "model": ModelSettings(provider="openai", name="gpt-5-mini", temperature=0.5),
            "inputs": {"ticket": {"type": "string"}},
            "messages": (
                TemplateMessage(role="system", content="Route it."),
                TemplateMessage(role="user", content=user),
            ),
            **given,
        }
    )
    return made.model_copy(update={"version": version_of(made)})


def there(format_: str, *contents: str, **given: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": content} for content in contents]
    return {
        "id": "UHJvbXB0VmVyc2lvbjox",
        "description": None,
        "metadata": {},
        "model_provider": "ANTHROPIC",
        "model_name": "claude",
        "template": {"type": "chat", "messages": messages},
        "template_type": "CHAT",
        "template_format": format_,
        "invocation_parameters": {"type": "anthropic", "anthropic": {"max_tokens": 9}},
        **given,
    }


def test_mustache_and_f_strings_become_jinja() -> None:
    """Variables become inputs; what looks like Jinja and is none is left alone."""
    made = template_of("n", there("MUSTACHE", "Hello {{name}}, {% not a tag %}"))
    assert made.messages[0].content == "Hello {{ name }}{% raw %}, {% not a tag %}{% endraw %}"
    assert made.inputs == {"name": {}}
    assert made.model == ModelSettings(provider="anthropic", name="claude", max_tokens=9)
    braces = template_of("n", there("F_STRING", "{name} says {{}}"))
    assert braces.messages[0].content == "{{ name }} says {}"
    assert template_of("n", there("NONE", "{{ x }}")).inputs == {}


@pytest.mark.parametrize(
    ("version", "why"),
    [
        (there("MUSTACHE", "{{#items}}x{{/items}}"), "sections"),
        (there("MUSTACHE", "{{{raw}}}"), "unescaped"),
        (there("JINJA", "x"), "its format is JINJA"),
    ],
)
def test_what_cannot_be_said_in_jinja_is_named(version: dict[str, Any], why: str) -> None:
    """It is not imported half."""
    with pytest.raises(Unconvertible, match=why):
        template_of("n", version)


def test_ours_comes_back_whole() -> None:
    """Partials, examples, history and schema have no place there but the metadata."""
    whole = template(
        "{% if ticket %}{{ ticket }}{% endif %}",
        partials={"a.jinja": "x"},
        tools=(Tool(name="find", parameters={"type": "object"}),),
        output_schema={"type": "object"},
    )
    sent = version_there(whole)
    assert sent["template_format"] == "NONE"
    assert sent["template"]["messages"][1]["content"].startswith("{% if")
    assert template_of("x", sent) == whole
    assert version_there(template())["template_format"] == "MUSTACHE"


def test_names_fit_the_other_side() -> None:
    """Lower case, letters, digits, - and _."""
    assert name_there("Route Ticket (v2)") == "route-ticket-v2"
    assert name_there("...") == "prompt"


def asked(server: PhoenixServer, method: str, path: str, body: Any = None) -> Any:
    async def ask() -> Any:
        async with Peer(server.address, SystemClock()) as peer:
            if method == "POST":
                return (await peer.post(path, body)).json
            return await Phoenix(peer, "").items(path)

    return asyncio.run(ask())


@pytest.mark.usefixtures("clean")
def test_versions_and_labels_go_both_ways(
    phoenix: PhoenixServer, project: str, store: Store, elsewhere: Store
) -> None:
    """Ours are sent once and tagged; theirs are imported; a tag that moves there moves here."""
    prompts = Prompts(store)
    first, second = template(), template("Please: {{ ticket }}")
    for one in (first, second):
        prompts.save(one)
    prompts.label("Route Ticket", "production", first.version)
    sent = sync(store, phoenix.address, project)
    assert sent.counts == {"prompts_pushed": 2, "labels_moved": 1}
    assert not sync(store, phoenix.address, project).changed
    versions = asked(phoenix, "GET", "/v1/prompts/route-ticket/versions")
    assert len(versions) == 2

    newest, oldest = versions
    asked(phoenix, "POST", f"/v1/prompt_versions/{newest['id']}/tags", {"name": "production"})
    theirs = {**newest, "metadata": {}, "description": "by hand"}
    theirs["template"]["messages"][1]["content"] = "Kindly: {{ticket}}"
    asked(phoenix, "POST", "/v1/prompts/route-ticket/versions", {"version": _writable(theirs)})
    taken = sync(store, phoenix.address, project)
    assert taken.counts == {"prompts_pulled": 1, "labels_moved": 1}
    assert prompts.get("Route Ticket", "production").row.version == second.version
    latest = prompts.get("Route Ticket").template
    assert latest.messages[1].content == "Kindly: {{ ticket }}"
    assert not sync(store, phoenix.address, project).changed
    assert len(asked(phoenix, "GET", "/v1/prompts/route-ticket/versions")) == 3

    copied = sync(elsewhere, phoenix.address, project)
    assert copied.counts == {"prompts_pulled": 3, "labels_moved": 1}
    there = Prompts(elsewhere).get("Route Ticket", first.version[:12])
    assert there.template.version == first.version
    assert oldest["metadata"]["p2re"]["version"] == first.version


def _writable(version: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in version.items() if name != "id"}
