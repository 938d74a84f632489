"""What looks like a secret is taken out; what only resembles one stays."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2re_eval.errors import UsageError
from p2re_eval.records import Message
from p2re_eval.store.redaction import Redaction
from p2re_eval.store.secret_shapes import names_a_secret

# Put together here, so that no scanner takes this file for a leak.
DIGITS = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
SECRETS = {
    "openai": "sk-" + DIGITS,
    "openai project": "sk-proj-" + DIGITS + "_-" + DIGITS,
    "anthropic": "sk-ant-api03-" + DIGITS,
    "openrouter": "sk-or-v1-" + DIGITS,
    "stripe": "sk_live_" + DIGITS,
    "groq": "gsk_" + DIGITS,
    "xai": "xai-" + DIGITS,
    "nvidia": "nvapi-" + DIGITS,
    "perplexity": "pplx-" + DIGITS,
    "replicate": "r8_" + DIGITS,
    "hugging face": "hf_" + DIGITS,
    "fireworks": "fw_" + DIGITS,
    "langsmith": "lsv2_pt_" + DIGITS,
    "github": "ghp_" + DIGITS,
    "github fine": "github_pat_" + DIGITS,
    "gitlab": "glpat-" + DIGITS,
    "slack": "xoxb-" + "1234567890-" + DIGITS,
    "google": "AIza" + DIGITS[:35],
    "google token": "ya29." + DIGITS,
    "aws": "AKIA" + "ABCDEFGH12345678",
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0In0.c2lnbmF0dXJl",
}


@pytest.fixture
def redaction() -> Redaction:
    return Redaction(environ={})


@pytest.mark.parametrize("name", SECRETS)
def test_the_key_of_every_service_is_taken_out(redaction: Redaction, name: str) -> None:
    """At the start, in the middle, in quotes, in JSON; and what stands around it stays."""
    secret = SECRETS[name]
    for before, after in (("", ""), ("my key is ", ", keep it"), ('{"k": "', '"}'), ("(", ").")):
        found = redaction.text(before + secret + after)
        assert found is not None
        assert secret[8:] not in found
        assert found.startswith(before + "[redacted ")
        assert found.endswith("]" + after)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer abc.def", "Authorization: [redacted authorization]"),
        ("authorization=token xyzxyz", "authorization=[redacted authorization]"),
        ('"x-api-key": "opensesame"', '"x-api-key": "[redacted authorization]"'),
        ("curl -H 'Bearer 1234abcd5678'", "curl -H 'Bearer [redacted bearer token]'"),
        ("Basic dXNlcjpwYXNzd29yZA==", "Basic [redacted basic credentials]"),
        ("postgres://ann:hunter2@db/x", "postgres://ann:[redacted password]@db/x"),
        ("https://:tok3n@host/", "https://:[redacted password]@host/"),
        ("GET /v1?api_key=abcdef123&x=1", "GET /v1?api_key=[redacted key in an address]&x=1"),
        ("?access_token=abcdef", "?access_token=[redacted key in an address]"),
        ("MY_APP_SECRET=correcthorse", "MY_APP_SECRET=[redacted variable]"),
        ("export DB_PASSWORD='hunter2hunter2'", "export DB_PASSWORD='[redacted variable]'"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMII\nabc\n-----END RSA PRIVATE KEY-----\nend",
            "[redacted private key]\nend",
        ),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\ncut o", "[redacted private key]"),
    ],
)
def test_headers_addresses_and_private_keys(redaction: Redaction, text: str, expected: str) -> None:
    assert redaction.text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn-compatible-estimators-are-nice",
        "the task-1234567890abcdef12345 is done",
        "the bearer of good tidings, the bearer certificates",
        "basic information and Basic Auth",
        "https://example.org/a:b@c",
        "see https://host:8080/path and mail ann@example.org",
        "?page=2&key=1",
        "the secret ingredient is a token of love",
        "AKIAlowercase0000000 ASIA and AIza",
        "max_tokens: 4096, prompt_tokens: 12345678",
        "eyJust.eyJoking.no",
        "-----BEGIN CERTIFICATE-----",
        "hf_ and r8_ are prefixes",
    ],
)
def test_what_is_no_secret_stays(redaction: Redaction, text: str) -> None:
    """Prompts are about such things: too eager a net would spoil them."""
    assert redaction.text(text) == text


def test_names_of_keys_hide_their_values(redaction: Redaction) -> None:
    """Whatever the value looks like; usage and settings that only sound alike stay."""
    given = {
        "api_key": "hunter2",
        "headers": {"Authorization": "abc", "Accept": "json"},
        "password": "",
        "max_tokens": 5,
        "usage": {"prompt_tokens": 7},
        "deep": [{"client_secret": "s3"}],
    }
    assert json.loads(redaction.json(given) or "") == {
        "api_key": "[redacted api_key]",
        "headers": {"Authorization": "[redacted Authorization]", "Accept": "json"},
        "password": "",
        "max_tokens": 5,
        "usage": {"prompt_tokens": 7},
        "deep": [{"client_secret": "[redacted client_secret]"}],
    }


def test_values_of_the_environment_are_taken_out_wherever_they_stand() -> None:
    """Also escaped in JSON; paths, short values and harmless names are left alone."""
    environ = {
        "SHOP_TOKEN": 'pa"ss\\wörd',
        "SSH_KEY": "/home/ann/.ssh/id",
        "PIN_SECRET": "1234",
        "GREETING": "good morning",
    }
    redaction = Redaction(environ=environ)
    assert redaction.text('say pa"ss\\wörd!') == "say [redacted $SHOP_TOKEN]!"
    assert json.loads(redaction.json({"a": ['x pa"ss\\wörd']}) or "") == {
        "a": ["x [redacted $SHOP_TOKEN]"]
    }
    for value in ("/home/ann/.ssh/id", "1234", "good morning"):
        assert redaction.text(value) == value


@pytest.mark.parametrize(
    ("name", "secret"),
    [("OPENAI_API_KEY", True), ("GITHUB_TOKEN", True), ("DB_PASSWORD", True), ("MY_AUTH", True),
     ("PATH", False), ("TOKENIZERS_PARALLELISM", False), ("SSH_AUTH_SOCK", False), ("HOME", False)],
)  # fmt: skip
def test_which_variables_hold_secrets(name: str, secret: bool) -> None:
    assert names_a_secret(name) is secret


def test_the_users_pattern_and_hook_come_on_top() -> None:
    redaction = Redaction(
        lambda text: text.replace("Ann", "A."), environ={"P2RE_REDACT": r"\b\d{4} \d{4}\b"}
    )
    assert redaction.text(f"Ann 1234 5678 {SECRETS['openai']}") == (
        "A. [redacted by P2RE_REDACT] [redacted key]"
    )


def test_a_pattern_that_is_none_is_said_at_the_opening() -> None:
    with pytest.raises(UsageError, match="P2RE_REDACT is no regular expression"):
        Redaction(environ={"P2RE_REDACT": "("})


def test_the_defaults_can_be_turned_off() -> None:
    off = Redaction(environ={"P2RE_REDACT_DEFAULTS": "off", "A_TOKEN": "abcdefgh1"})
    assert off.text("abcdefgh1 " + SECRETS["openai"]) == "abcdefgh1 " + SECRETS["openai"]


@given(
    st.lists(
        st.sampled_from([*SECRETS.values(), "Bearer ", "Authorization: ", " ", "://a:", "@", "=",
                         "?key=", "A_KEY", "Basic ", "dXNlcjpwYXNz", "\n", "[redacted key]"])
    )
)  # fmt: skip
def test_what_is_clean_stays_as_it_is(pieces: list[str]) -> None:
    """Redacting twice changes nothing, and no key survives once."""
    redaction = Redaction(environ={})
    once = redaction.text("".join(pieces))
    assert redaction.text(once) == once


def test_text_without_secrets_costs_little(redaction: Redaction) -> None:
    """A typical run's texts pass the needles; this guards against a pattern run on all of them."""
    text = "The customer was charged twice for one order and wants a refund. " * 40
    begun = time.perf_counter()
    for _ in range(200):
        redaction.text(text)
    assert (time.perf_counter() - begun) / 200 < 0.001


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_the_quick_look_misses_nothing(redaction: Redaction, secret: str) -> None:
    """In plain text and as JSON, where structures are searched only if their text is suspect."""
    assert json.loads(redaction.json({"a": [secret]}) or "") != {"a": [secret]}
    assert redaction.text(f"x {secret}") != f"x {secret}"


PIECES = [
    *SECRETS.values(), "sk-", "AKIA", "eyJhbGciOi.eyJzdWIiOi", "ya29.", "Bearer ", "BASIC ", "@h",
    "-----BEGIN PRIVATE KEY-----", "x-api-key: ", "https://u:", "pass1word", "?", "&", "sig=", "= ",
    "Api_Key=", "OPENAI_API_KEY", "dXNlcjpwYXNz", "abcdef0123456789", "-", "_", "\n", '"', "\\",
    'in"the\\environment', "é",
]  # fmt: skip
NAMES = ["api_key", "aws_access_key_id", "AccessKeyId", "session-token", "client_secret",
         "Authorization", "password", "credentials", " api key", "apikey ", "topic"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_quick_look_sees_every_name_of_a_key(name: str) -> None:
    """However it is written, and with nothing else suspicious about."""
    value = {"a": [{name: "plain"}]}
    redaction = Redaction(environ={})
    assert json.loads(redaction.json(value) or "") == redaction.clean(value)


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.sampled_from(NAMES))
def test_the_quick_look_hides_nothing_from_the_full_one(text: str, name: str) -> None:
    """What the full pass would change, the quick look suspects: in a text, under a key's name, in
    a message."""
    redaction = Redaction(environ={"MY_TOKEN": 'in"the\\environment'})
    assert redaction.text(text) == redaction.clean_text(text)
    value = {name: text, "more": ['in"the\\environment', text]}
    assert json.loads(redaction.json(value) or "") == redaction.clean(value)
    said, untouched = redaction.said(Message(role="user", content=text))
    assert json.loads(said.content).get("content", "") == redaction.clean_text(text)
    assert not untouched or redaction.clean_text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        '{"api_key": "hunter2abcdef"}',
        '{"api_key" : "hunter2abcdef"}',
        '{"api_key"\n:"hunter2abcdef"}',
        '{\\"api_key\\": \\"hunter2abcdef\\"}',
    ],
)
def test_a_key_inside_json_inside_a_text_is_not_passed(text: str) -> None:
    """What is parsed out of such a text is looked at again, so it must not count as seen."""
    redaction = Redaction(environ={})
    assert redaction.raw({"metadata": text}, [text])[1] is False
    assert redaction.raw({"metadata": text, "reasons": ["stop"]}, None)[1] is False
