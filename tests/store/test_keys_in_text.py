"""Secrets that only their key gives away, in JSON that is text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2re_eval.records import Message
from p2re_eval.store.keys_in_text import without_keys
from p2re_eval.store.redaction import Redaction

PLAIN = Redaction(environ={}, folder=None)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('{"api_key": "abc123"}', '{"api_key": "[redacted api_key]"}'),
        ('{ "a" : 1,\n\t"Password"  :"x" }', '{ "a" : 1,\n\t"Password"  :"[redacted Password]" }'),
        (r'{"api_key": "a\"b\\"}', '{"api_key": "[redacted api_key]"}'),
        (r'{"a": "{\"secret\": \"s\\\"t\"}"}', r'{"a": "{\"secret\": \"[redacted secret]\"}"}'),
        (
            r'"{\"a\":\"{\\\"api-key\\\":\\\"z\\\\\\\"z\\\"}\"}"',
            r'"{\"a\":\"{\\\"api-key\\\":\\\"[redacted api-key]\\\"}\"}"',
        ),
        ('so {"auth_token": "t"} is', 'so {"auth_token": "[redacted auth_token]"} is'),
        ('{"api_key": "cut o', '{"api_key": "[redacted api_key]'),
        *[
            (text, text)
            for text in (
                '{"a": "x", "api_key": "',
                '{"api_key": ""}',
                '{"api_key": "[redacted api_key]"}',
                '{"api_key": null, "tokens": "12", "monkey": "kong"}',
                '{"password": {"type": "string"}}',
                '{"x": "api_key", "y": "z"}',
                '["api_key", "z"]',
            )
        ],
    ],
)
def test_only_the_value_goes(text: str, kept: str) -> None:
    assert without_keys(text) == kept
    assert PLAIN.text(text) == kept


def nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = {"inner": json.dumps(value)}
    return value


def opened(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = json.loads(value["inner"])
    return value


@given(
    secret=st.text(min_size=1).filter(lambda text: not text.startswith("[redacted ")),
    other=st.dictionaries(st.sampled_from(["a", "note", "b c"]), st.text(), max_size=3),
    depth=st.integers(0, 4),
    indent=st.sampled_from([None, 1]),
)
def test_what_was_json_is_json_and_says_the_rest(
    secret: str, other: dict[str, str], depth: int, indent: int | None
) -> None:
    """At any depth, with any characters in the secret and around it."""
    value = nested({**other, "api_key": secret, "end": other}, depth)
    clean = json.loads(without_keys(json.dumps(value, indent=indent)))
    assert opened(clean, depth) == {**other, "api_key": "[redacted api_key]", "end": other}


@given(st.text(alphabet='"\\:{}ab ' + "\n", max_size=60), st.integers(0, 3))
def test_any_text_is_read_to_its_end(text: str, depth: int) -> None:
    """Doing it twice changes nothing more."""
    begun = '{"api_key": "' + text * (depth + 1)
    once = without_keys(begun)
    assert without_keys(once) == once


def test_a_text_of_many_megabytes_takes_one_pass() -> None:
    """Backslashes and quotes without end are the worst that can come."""
    for piece in ("\\" * 63, '"' * 64, '"api_key": "\\', '"a":', '"' + "\\" * 63):
        without_keys('{"api_key": "x", ' + piece * 60_000)


def test_a_message_and_an_attribute_pass_the_same_gate() -> None:
    told = '{"api_key": "abc123", "n": 1}'
    said, passed = PLAIN.said(Message(role="user", content=told))
    assert json.loads(said.content)["content"] == '{"api_key": "[redacted api_key]", "n": 1}'
    assert not passed
    attributes = PLAIN.json({"input.value": told, "llm.model_name": "m"})
    assert attributes is not None
    assert json.loads(attributes)["input.value"] == '{"api_key": "[redacted api_key]", "n": 1}'
