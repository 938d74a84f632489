"""The table of services, and how a request differs from row to row."""

from __future__ import annotations

import asyncio
import json

import pytest

from p2re_eval.errors import AuthenticationFailed, InvalidRequest, Unsupported
from p2re_eval.providers.azure import azure_base_url
from p2re_eval.providers.openai import OpenAIProvider
from p2re_eval.providers.services import SERVICES, service

HI = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'


@pytest.fixture
def seen(context, ask, serving, http_reply):
    """Asks a service's provider at a loopback server: the request as (head, body)."""

    def request(row, path="", **settings):
        heads: list[bytes] = []

        async def respond(sent, writer):
            heads.append(sent)
            writer.write(http_reply(HI))

        async def run():
            provider = OpenAIProvider(context, service(row))
            async with serving(respond) as base_url:
                base_url = base_url.removesuffix("/v1") + path if path else base_url
                await provider.complete(ask(base_url, **settings))
                await provider.close()

        asyncio.run(run())
        head, _, body = heads[0].partition(b"\r\n\r\n")
        return head.decode(), json.loads(body)

    return request


@pytest.mark.parametrize("row", SERVICES, ids=lambda row: row.name)
def test_row_is_whole(row):
    """A https address or one of this machine, or a variable that says it; keys by name."""
    local = row.base_url.startswith("http://localhost:")
    assert row.base_url.startswith("https://") or local or row.base_url_name
    assert not row.base_url.endswith("/")
    assert row.key_names
    assert row.needs_key is not local
    assert all(name == name.upper() for name in row.variables)


def test_names_are_unique():
    """A provider is registered once."""
    assert len({row.name for row in SERVICES}) == len(SERVICES)


@pytest.mark.parametrize(
    "row", [r for r in SERVICES if r.base_url and r.form != "vectors"], ids=lambda row: row.name
)
def test_key_of_each_service_goes_to_its_own_address(row, context, ask, monkeypatch):
    """And without it the message names the variable, where one is needed."""
    for name in row.variables:
        monkeypatch.delenv(name, raising=False)
    provider = OpenAIProvider(context, row)
    if row.needs_key:
        with pytest.raises(AuthenticationFailed, match=f"set {row.key_names[0]}"):
            provider.check(ask())
    monkeypatch.setenv(row.key_names[0], "secret-of-this-service")
    provider.check(ask())
    call = provider._call(ask().model)
    assert call.secret == "secret-of-this-service"
    assert call.url == f"{row.base_url}{row.path}"
    assert (call.provider, call.key_name) == (row.name, row.key_names[0])


def test_service_sends_its_own_key(seen, monkeypatch):
    """The key of its row, as a bearer token."""
    monkeypatch.setenv("GROQ_API_KEY", "gsk-1")
    head, _ = seen("groq")
    assert "\r\nAuthorization: Bearer gsk-1\r\n" in head
    assert "sk-test" not in head


def test_mistral_has_its_own_name_for_the_seed(seen):
    """``random_seed``; and no stream_options, which it refuses."""
    _, body = seen("mistral", seed=7, stream=True)
    assert body["random_seed"] == 7
    assert "seed" not in body
    assert "stream_options" not in body


def test_writer_has_its_own_path(seen):
    """``/chat`` instead of ``/chat/completions``."""
    head, _ = seen("writer")
    assert head.startswith("POST /v1/chat HTTP/1.1\r\n")


def test_azure_by_deployment(seen, monkeypatch):
    """A dated version: the deployment's path, the version in the query, the key in its header."""
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "az-1")
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")
    head, body = seen("azure", path="/", name="gpt-5", max_tokens=3)
    start = "POST /openai/deployments/gpt-5/chat/completions?api-version=2024-10-21 HTTP/1.1\r\n"
    assert head.startswith(start)
    assert "\r\napi-key: az-1\r\n" in head
    assert "authorization" not in head.lower()
    assert body["max_completion_tokens"] == 3


@pytest.mark.parametrize(
    ("endpoint", "version", "url"),
    [
        ("https://a.example", "", "https://a.example/openai/v1"),
        ("https://a.example/", "preview", "https://a.example/openai/v1?api-version=preview"),
        ("https://a.example/openai/v1/", "2024-10-21", "https://a.example/openai/v1"),
        (
            "https://a.example/openai",
            "2024-10-21",
            "https://a.example/openai/deployments/d%20e?api-version=2024-10-21",
        ),
        (
            "https://a.example/openai/deployments/x?api-version=2023-05-15",
            "2024-10-21",
            "https://a.example/openai/deployments/x?api-version=2023-05-15",
        ),
    ],
)
def test_azure_address(endpoint, version, url):
    """The form that the address says, else the one that the version asks for."""
    assert azure_base_url(endpoint, "d e", version) == url


def test_azure_key_stays_with_its_resource(context, ask, monkeypatch):
    """Another resource of Azure is another address."""
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "az-1")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com")
    provider = OpenAIProvider(context, service("azure"))
    assert provider._call(ask().model).secret == "az-1"
    assert provider._call(ask("https://theirs.openai.azure.com").model).secret == ""


def test_service_without_an_address_says_which_variable(context, ask, monkeypatch):
    """Azure and Snowflake have an address for every account."""
    monkeypatch.delenv("AZURE_OPENAI_ENDPOINT", raising=False)
    with pytest.raises(InvalidRequest, match="set AZURE_OPENAI_ENDPOINT"):
        OpenAIProvider(context, service("azure")).check(ask())


def test_service_that_enforces_no_schema_says_so(context, ask, monkeypatch):
    """Before the call; ``response_format`` in extra is the user's own way."""
    monkeypatch.setenv("DEEPSEEK_API_KEY", "ds-1")
    provider = OpenAIProvider(context, service("deepseek"))
    schema = {"output_schema": {"type": "object"}}
    with pytest.raises(Unsupported, match="deepseek enforces no JSON Schema"):
        provider.check(ask().model_copy(update=schema))
    free = ask(extra={"response_format": {"type": "json_object"}})
    provider.check(free.model_copy(update=schema))


def test_address_of_the_environment_is_each_services_own(context, ask, monkeypatch):
    """XAI_BASE_URL moves xai, and is part of its identity."""
    monkeypatch.setenv("XAI_BASE_URL", "https://gateway.example/v1")
    xai = OpenAIProvider(context, service("xai"))
    assert xai._call(ask().model).host == "gateway.example"
    assert xai.identity(ask().model) == "https://gateway.example/v1"
    assert OpenAIProvider(context).identity(ask().model) == ""
