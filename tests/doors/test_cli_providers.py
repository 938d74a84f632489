"""``p2re providers``: who can be asked, and what is set; never a value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from p2re_eval.cli import main


def rows() -> dict[str, Any]:
    result = CliRunner().invoke(main, ["providers", "--json"])
    assert result.exit_code == 0
    return {row["name"]: row for row in json.loads(result.output)}


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in rows().values():
        for name in row["variables"]:
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(f"{name}_FILE", raising=False)


def test_every_registered_provider_is_listed() -> None:
    """Sorted by name, with address, variables and what is missing."""
    listed = rows()
    assert {"function", "groq", "local", "openai", "scripted", "vllm"} <= set(listed)
    assert list(listed) == sorted(listed)
    assert listed["groq"] == {
        "name": "groq",
        "ready": False,
        "base_url": "https://api.groq.com/openai/v1",
        "variables": {"GROQ_API_KEY": False},
        "note": "",
    }
    assert listed["vllm"]["ready"] is True
    assert listed["scripted"]["ready"] is True


def test_what_is_set_is_marked_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a key nor a password in an address."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789")
    monkeypatch.setenv("GROQ_API_KEY_FILE", "keys/groq")
    monkeypatch.setenv("XAI_BASE_URL", "https://me:hunter2@x.example/v1?key=hunter3")
    listed = rows()
    assert listed["openai"]["variables"] == {"OPENAI_API_KEY": True, "OPENAI_BASE_URL": False}
    assert listed["groq"]["ready"] is True
    assert listed["xai"]["base_url"] == "https://***@x.example/v1"
    result = CliRunner().invoke(main, ["providers"])
    assert "OPENAI_API_KEY* OPENAI_BASE_URL" in result.output
    for secret in ("sk-secret", "hunter2", "hunter3", "keys/groq"):
        assert secret not in result.output + json.dumps(listed)


def test_service_needs_its_address_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure is ready with both."""
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "az-1")
    assert rows()["azure"]["ready"] is False
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com")
    assert rows()["azure"]["ready"] is True
