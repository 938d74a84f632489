"""Cases from .jsonl files: one object a line, nested or flat."""

from __future__ import annotations

import json
from typing import Any

import pytest

from p2re_eval.errors import DuplicateKey, SyntaxMistake, UnknownName, WrongType
from p2re_eval.records import Case

SUITE = "prompt: p\ndataset: d.jsonl"


def cases(project: Any, content: str | bytes) -> tuple[Case, ...]:
    project.write("suites/d.jsonl", content)
    return tuple(project.load(SUITE).cases)


def test_nested_and_flat_lines(project: Any) -> None:
    """With an `inputs` object the other keys are a case's; without it unknown keys are inputs."""
    nested, flat, dotted = cases(
        project,
        '{"id": "a", "inputs": {"t": "x", "n": 3}, "expected": {"team": "b"}, "tags": ["u"], '
        '"cluster": 7, "threshold": 0.5, "metadata": {"k": [1]}, "scorers": ["equals"]}\n'
        '{"id": 5, "t": "y", "n": null, "expected": 0, "metadata": {"k": 1}, "scorers": []}\n'
        '{"inputs.id": "z", "metadata.k": 2}\n',
    )
    assert (nested.id, nested.inputs, nested.expected) == ("a", {"t": "x", "n": 3}, {"team": "b"})
    assert (nested.tags, nested.cluster, nested.threshold) == (("u",), "7", 0.5)
    assert nested.metadata == {"k": [1]}
    assert [(spec.name, str(spec.place)) for spec in nested.scorers] == [
        ("equals", "suites/d.jsonl:1")
    ]
    assert (flat.id, flat.inputs, flat.expected) == ("5", {"t": "y", "n": None}, 0)
    assert flat.metadata == {"k": 1}
    assert (dotted.id, dotted.inputs, dotted.metadata) == ("row-0003", {"id": "z"}, {"k": 2})


def test_an_input_may_be_called_inputs(project: Any) -> None:
    """Only an object under that name makes a line nested."""
    (case,) = cases(project, '{"inputs": "text", "t": 1}')
    assert case.inputs == {"inputs": "text", "t": 1}


@pytest.mark.parametrize(
    "content",
    [
        '\ufeff{"t": "ü"}\n'.encode(),
        '{"t": "ü"}\r\n'.encode(),
        '\n  \r\n {"t": "ü"}  \n\n'.encode(),
        b'{"t": "\\u00fc"}',
    ],
)
def test_files_as_programs_write_them(project: Any, content: bytes) -> None:
    """Byte order marks, blank lines, line ends and escapes do not matter."""
    (case,) = cases(project, content)
    assert (case.id, case.inputs) == ("row-0001", {"t": "ü"})


def test_unusual_line_separators_are_text(project: Any) -> None:
    """Only a line feed ends a line of JSON Lines."""
    (case,) = cases(project, '{"t": "a\u2028b\x85c"}\n'.encode())
    assert case.inputs == {"t": "a\u2028b\x85c"}


def test_escaped_backslashes_are_not_escapes(project: Any) -> None:
    """Text that shows `\\u0000` holds no NUL character."""
    (case,) = cases(project, r'{"t": "\\u0000 and \\ud800 and \ud83d\ude00"}')
    assert case.inputs == {"t": "\\u0000 and \\ud800 and 😀"}


@pytest.mark.parametrize(
    ("line", "expected", "kind"),
    [
        ('{"t": 1', ":2:8: not JSON: expecting ',' delimiter; write one object", SyntaxMistake),
        ("{'t': 1}", ":2:2: not JSON: expecting property name enclosed in double", SyntaxMistake),
        ('  {"t": x}', ":2:9: not JSON: expecting value; write one object a line", SyntaxMistake),
        ('{"t": 1} {"t": 2}', ":2:9: something follows the object; write one", SyntaxMistake),
        ('{"t": "a\tb"}', ":2:9: not JSON: invalid control character at; write", SyntaxMistake),
        ("[1]", ":2: a line must be one JSON object: {...}", WrongType),
        ('"text"', ":2: a line must be one JSON object: {...}", WrongType),
        ("null", ":2: a line must be one JSON object: {...}", WrongType),
        ('{"t": NaN}', ":2: NaN is not JSON; use null, or text in quotes", SyntaxMistake),
        ('{"t": -Infinity}', ":2: -Infinity is not JSON; use null, or", SyntaxMistake),
        ('{"t": 1e999}', ":2: the number 1e999 is too large for JSON; put it in", SyntaxMistake),
        ('{"t": ' + "9" * 5000 + "}", ":2: a number is too large for JSON; put", SyntaxMistake),
        ('{"t": 1, "t": 2}', ":2: duplicate key 't'; remove one of the two", DuplicateKey),
        ('{"inputs": {"a": 1, "a": 2}}', ":2: duplicate key 'a'; remove one", DuplicateKey),
        ('{"t": "\\u0000"}', ":2: a NUL character or half a surrogate pair can", SyntaxMistake),
        ('{"t": [{"k": "\\ud800"}]}', ":2: a NUL character or half a surrogate", SyntaxMistake),
        ('{"\\udfff": 1}', ":2: a NUL character or half a surrogate pair cannot", SyntaxMistake),
        ('{"t": ' + "[" * 200 + "]" * 200 + "}", ":2: nested deeper than 100", SyntaxMistake),
        ('{"t": ' + "[" * 99_999 + "}", ":2: nested deeper than 100 levels", SyntaxMistake),
        ('{"inputs": {}, "expcted": 1}', ":2: unknown key 'expcted'; did you", UnknownName),
        ('{"inputs": {}, "tags": "a"}', ":2: 'tags' must be a list, found the", WrongType),
        ('{"id": true, "t": 1}', ":2: 'id' must be text (put it in quotes), fou", WrongType),
        ('{"inputs": {}, "scorers": [{}]}', ":2: a scorer is missing its name", WrongType),
    ],
)
def test_a_mistake_names_its_line(project: Any, line: str, expected: str, kind: type) -> None:
    """And its column where JSON itself is broken; other lines are not complained about."""
    project.write("suites/d.jsonl", f'{{"t": "fine"}}\n{line}\n{{"t": "fine"}}\n')
    (mistake,) = project.errors(SUITE)
    assert str(mistake).startswith(f"suites/d.jsonl{expected}"), str(mistake)
    assert type(mistake) is kind


def test_another_encoding_names_its_line(project: Any) -> None:
    """Lines before and after it are read all the same."""
    project.write("suites/d.jsonl", b'{"t": "a"}\n{"t": "caf\xe9"}\n{"t": \n')
    assert project.mistakes(SUITE) == [
        "suites/d.jsonl:2: byte 0xe9 is not UTF-8; save the file as UTF-8",
        "suites/d.jsonl:3:6: not JSON: expecting value; write one object a line",
    ]


def test_twenty_mistakes_are_enough(project: Any) -> None:
    """A pretty-printed JSON file does not scroll the screen away."""
    project.write("suites/d.jsonl", json.dumps([{"t": n} for n in range(20)], indent=1))
    found = project.mistakes(SUITE)
    assert len(found) == 21
    assert found[-1] == "suites/d.jsonl: and 42 more mistakes in this file"


def test_deep_but_allowed_values_are_kept(project: Any) -> None:
    """Many brackets side by side are not depth."""
    wide = [[[n]] for n in range(200)]
    (case,) = cases(project, json.dumps({"t": wide}))
    assert case.inputs == {"t": wide}


def test_many_rows(project: Any) -> None:
    """Ten thousand rows keep their order, ids, places and values."""
    lines = [
        json.dumps({"id": f"c{n}", "inputs": {"t": f"text {n}"}, "expected": n})
        for n in range(10_000)
    ]
    found = cases(project, "\n".join(lines))
    assert len(found) == 10_000
    last = found[-1]
    assert (last.id, last.inputs, last.expected) == ("c9999", {"t": "text 9999"}, 9999)
    assert str(last.place) == "suites/d.jsonl:10000"
