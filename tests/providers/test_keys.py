"""Which key goes to which address."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from p2re_eval.errors import AuthenticationFailed, DefinitionErrors
from p2re_eval.prompts.library import PromptLibrary
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.keys import key_for, spots
from p2re_eval.providers.openai import OpenAIProvider
from p2re_eval.providers.services import OPENAI, service
from p2re_eval.records import ModelSettings
from p2re_eval.suites import load_suite

SECRET = "sk-test-0123456789abcdef"


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1/chat/completions",
        "https://api.openai.com:443/elsewhere",
        "HTTPS://API.OpenAI.com/v1",
        "http://127.0.0.1:9/v1",
        "http://localhost/v1",
        "http://[::1]:8000/v1",
    ],
)
def test_key_goes_to_its_own_service_and_to_this_machine(url):
    """By scheme, host and port."""
    assert key_for(OPENAI, url).secret == SECRET


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v1",
        "http://api.openai.com/v1",
        "https://api.openai.com:8443/v1",
        "https://api.openai.com.evil.example/v1",
        "https://evil.example/api.openai.com",
        "https://evil.example\\.api.openai.com/v1",
        "https://evil.example#@api.openai.com/v1",
        "https://evil.example?@api.openai.com/v1",
        "https://api.openai.com./v1",
        "https://10.0.0.7/v1",
        "http://localhost.evil.example/v1",
    ],
)
def test_key_goes_nowhere_else(context, ask, url):
    """Not without TLS, not to a look-alike; the message names what to set and never the key."""
    assert key_for(OPENAI, url).secret == ""
    with pytest.raises(AuthenticationFailed, match=r"P2RE_KEYS='[^']+=OPENAI_API_KEY'") as caught:
        OpenAIProvider(context).check(ask(url))
    assert SECRET not in str(caught.value)


def test_address_of_the_environment_gets_the_key(monkeypatch):
    """Whoever sets OPENAI_BASE_URL means it: plain http, another port; but that address only."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://gateway.example:81/v1")
    assert key_for(OPENAI, "http://gateway.example:81/v1/chat/completions").secret == SECRET
    assert key_for(OPENAI, "http://gateway.example/v1").secret == ""


def test_map_of_keys_gives_a_host_its_key(context, ask, monkeypatch):
    """HOST=VARIABLE; https unless the entry says http; ``HOST=`` for a host that needs none."""
    monkeypatch.setenv("CORP_KEY", "corp")
    keys = "gateway.example=CORP_KEY, http://box:8000=CORP_KEY,open.example:444="
    monkeypatch.setenv("P2RE_KEYS", keys)
    assert key_for(OPENAI, "https://gateway.example/v1") == ("CORP_KEY", "corp", "")
    assert key_for(OPENAI, "http://box:8000/v1").secret == "corp"
    assert key_for(OPENAI, "https://open.example:444/v1") == ("OPENAI_API_KEY", "", "")
    assert "is not openai's own address" in key_for(OPENAI, "http://gateway.example/v1").refusal
    OpenAIProvider(context).check(ask("https://open.example:444/v1"))


def test_map_of_keys_wins_over_the_rule(monkeypatch):
    """This machine may be told to get none, and the official host another."""
    monkeypatch.setenv("P2RE_KEYS", "http://localhost:1=,api.openai.com=TEAM_KEY")
    monkeypatch.setenv("TEAM_KEY", "team")
    assert key_for(OPENAI, "http://localhost:1/v1").secret == ""
    assert key_for(OPENAI, "https://api.openai.com/v1").secret == "team"


@pytest.mark.parametrize("entry", ["gateway.example", "=X", "gateway.example=sk-live-12345678"])
def test_unreadable_map_of_keys_is_said_without_its_words(monkeypatch, entry):
    """Somebody may have written the key itself there."""
    monkeypatch.setenv("P2RE_KEYS", entry)
    key = key_for(OPENAI, "https://gateway.example/v1")
    assert key.secret == ""
    assert key.refusal.startswith("P2RE_KEYS cannot be read; write HOST=VARIABLE")
    assert "sk-live" not in key.refusal


def test_map_of_keys_with_an_unset_variable_is_said(monkeypatch):
    """The host is named, the variable is not: it may be a key."""
    monkeypatch.setenv("P2RE_KEYS", "gateway.example=gsk_0123456789")
    key = key_for(OPENAI, "https://gateway.example/v1")
    said = "the variable that P2RE_KEYS gives gateway.example is not set; set it"
    assert key.refusal == said


def test_local_servers_need_no_key_and_send_none_elsewhere(context, ask, monkeypatch):
    """vLLM on another machine is asked without a key, even when one is set."""
    monkeypatch.setenv("VLLM_API_KEY", "local-key")
    vllm = service("vllm")
    assert key_for(vllm, "http://localhost:8000/v1").secret == "local-key"
    assert key_for(vllm, "http://gpu-box:8000/v1") == ("VLLM_API_KEY", "", "")
    OpenAIProvider(context, vllm).check(ask("http://gpu-box:8000/v1"))


def test_key_of_one_service_is_not_sent_to_another(monkeypatch):
    """groq's provider at OpenAI's address: neither key goes."""
    monkeypatch.setenv("GROQ_API_KEY", "gsk-1")
    assert key_for(service("groq"), "https://api.openai.com/v1").secret == ""


def test_key_may_stand_in_a_file(monkeypatch, tmp_path):
    """NAME_FILE names it; a file that cannot be read is said."""
    monkeypatch.delenv("OPENAI_API_KEY")
    file = tmp_path / "key"
    file.write_text("from-file\n")
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(file))
    assert key_for(OPENAI, "https://api.openai.com/v1").secret == "from-file"
    file.unlink()
    refusal = key_for(OPENAI, "https://api.openai.com/v1").refusal
    assert refusal == "the file that OPENAI_API_KEY_FILE names cannot be read; correct it"


def test_secret_is_in_no_repr():
    """Tracebacks show the reprs of what was passed around."""
    assert SECRET not in repr(key_for(OPENAI, "https://api.openai.com/v1"))
    assert SECRET not in repr(Call("openai", "m", "https://api.openai.com", secret=SECRET))


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"extra": {"api_key": SECRET}}, "'extra' holds a key in 'api_key'"),
        ({"extra": {"Authorization": "Bearer x"}}, "'extra' holds a key in 'Authorization'"),
        ({"extra": {"extra_headers": {"x-api-key": "x"}}}, "in 'extra_headers.x-api-key'"),
        ({"extra": {"user": SECRET}}, "'extra' holds a key in 'user'"),
        ({"base_url": "https://me:hunter2@x.example"}, "carries a user name or password"),
        ({"base_url": "https://x.example/v1?key=hunter2"}, "'base_url' carries 'key'"),
    ],
)
def test_key_in_settings_is_refused_and_not_repeated(settings, what):
    """Settings are written down with every run, so a key may not be among them."""
    with pytest.raises(ValidationError) as caught:
        ModelSettings(**settings)
    assert what in str(caught.value)
    assert "a key does not belong in a file; put it in the environment" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "extra",
    [
        {"logprobs": True, "max_completion_tokens": 5, "prompt_cache_key": "a"},
        {"answers": {"password|api_key": "billing"}},
        {"key": "value", "user": "sk-8"},
    ],
)
def test_settings_that_only_sound_like_a_key_are_fine(extra):
    """Patterns of a script, cache keys and token limits."""
    assert ModelSettings(extra=extra).extra == extra


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("api_key: sk-hunter2-hunter2", "'api_key': a key does not belong in a file"),
        ("extra: {api_key: sk-hunter2-hunter2}", "'extra' holds a key in 'api_key'"),
        ("base_url: 'https://a:hunter2@x.example'", "'base_url' carries a user name or password"),
    ],
)
def test_key_in_a_prompt_file_is_refused_at_its_place(tmp_path, line, what):
    """Before any model is called, with file and line; the key is not repeated."""
    text = f"model:\n  provider: openai\n  name: m\n  {line}\nmessages: [user: hi]\n"
    (tmp_path / "say.yaml").write_text(text)
    _, mistakes = PromptLibrary(tmp_path).load_all()
    said = "\n".join(str(mistake) for mistake in mistakes)
    assert what in said
    assert "say.yaml:4:" in said
    assert "hunter2" not in said


def test_key_in_a_suite_file_is_refused_at_its_place(tmp_path):
    """As in a prompt."""
    model = "{provider: openai, name: m, extra: {api_key: hunter2}}"
    file = tmp_path / "say.yaml"
    file.write_text(f"prompt: say\nmodels:\n  - {model}\nscorers: [equals]\ncases: [{{id: a}}]\n")
    with pytest.raises(DefinitionErrors, match=r"say\.yaml:3:\d+: 'extra' holds a key") as caught:
        load_suite(file, root=tmp_path)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "extra",
    [
        {"aws_secret_access_key": "x"},
        {"aws_access_key_id": "x"},
        {"aws_session_token": "x"},
        {"vertex_credentials": "{}"},
        {"anything": "AKIAIOSFODNN7EXAMPLE"},
    ],
)
def test_credentials_of_other_sorts_are_refused_in_files_too(extra):
    """What LiteLLM or Amazon would take as a key is no setting of a prompt."""
    with pytest.raises(ValidationError, match="a key does not belong in a file"):
        ModelSettings(extra=extra)


def test_several_keys_stand_with_commas_between_them(monkeypatch, tmp_path):
    """In the variable or in the file it names; each has a number and none shows."""
    file = tmp_path / "keys"
    file.write_text("sk-one-0123456789,sk-two-0123456789\n")
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(file))
    found = spots(OPENAI, None)
    assert [spot.key.secret for spot in found] == ["sk-one-0123456789", "sk-two-0123456789"]
    assert [spot.name for spot in found] == [f"api.openai.com (OPENAI_API_KEY#{n})" for n in (1, 2)]


def test_several_addresses_stand_with_commas_between_them(monkeypatch, context):
    """Each is the user's own; together they are part of who answers."""
    vllm = service("vllm")
    monkeypatch.setenv("VLLM_BASE_URL", "http://b:8000/v1, http://a:8000/v1")
    assert [spot.name for spot in spots(vllm, None)] == ["b:8000", "a:8000"]
    provider = OpenAIProvider(context, vllm)
    model = ModelSettings(provider="vllm", name="m")
    assert list(provider.lanes(model)) == ["b:8000", "a:8000"]
    assert provider.identity(model) == "http://a:8000/v1,http://b:8000/v1"
    assert list(provider.lanes(model.model_copy(update={"base_url": "http://c/v1"}))) == ["c"]


def test_a_key_that_changes_meanwhile_is_used(monkeypatch, tmp_path):
    """What was looked up counts while the environment says the same; a file is read each time."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-one-0123456789")
    assert spots(OPENAI, None)[0].key.secret == "sk-one-0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-two-0123456789")
    assert spots(OPENAI, None)[0].key.secret == "sk-two-0123456789"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert spots(OPENAI, None)[0].base_url == "http://127.0.0.1:9/v1"
    monkeypatch.delenv("OPENAI_API_KEY")
    file = tmp_path / "key"
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(file))
    for secret in ("sk-three-0123456789", "sk-four-0123456789"):
        file.write_text(secret)
        assert spots(OPENAI, None)[0].key.secret == secret
