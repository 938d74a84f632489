"""YAML as this project reads it: no surprises in values, and for each mistake a sentence."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from p2re_eval.documents import did_you_mean, read_document, read_text
from p2re_eval.errors import (
    DefinitionError,
    DefinitionErrors,
    DuplicateKey,
    MissingFile,
    MissingValue,
    SyntaxMistake,
    UnknownName,
    WrongType,
)
from p2re_eval.records import JSON


def value(text: str) -> JSON:
    return read_document("f.yaml", text).value


def mistakes(text: str) -> list[str]:
    with pytest.raises(DefinitionErrors) as caught:
        read_document("f.yaml", text)
    return [str(error) for error in caught.value.errors]


TEXTS = """
no yes on off y N tRUE 12:30 1:30:15 2024-05-01 2024-05-01T10:00:00Z 007 0777 -01 1_000
.inf -.inf .nan .NaN NaN Infinity = 1.2.3 0x 1e + . 1e+ --1
"""


@pytest.mark.parametrize("text", TEXTS.split())
def test_plain_text_stays_text(text: str) -> None:
    """What YAML 1.1 turns into a boolean, a date, a time or an octal number is text here."""
    assert value(f"a: {text} # comment") == {"a": text}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-0", 0),
        ("42", 42),
        ("+42", 42),
        ("-17", -17),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("1.5E-3", 0.0015),
        ("18446744073709551616", 2**64),
        ("'42'", "42"),
        ('"true"', "true"),
        ("!!str 42", "42"),
        ("|\n  42\n", "42\n"),
    ],
)
def test_values_have_the_types_of_json(text: str, expected: JSON) -> None:
    """Numbers, true, false and null are typed; whatever is quoted or a block is text."""
    found = value(f"a: {text}")["a"]
    assert found == expected
    assert type(found) is type(expected)


def test_keys_are_text() -> None:
    """A key is never a number, a boolean or null."""
    assert value("1: a\ntrue: b\n~: c\n2024-05-01: d\n? e\n: f") == {
        "1": "a",
        "true": "b",
        "~": "c",
        "2024-05-01": "d",
        "e": "f",
    }


def test_line_ends_and_byte_order_marks_do_not_matter(tmp_path: Path) -> None:
    """A file saved on Windows reads like any other, and its places are the same."""
    file = tmp_path / "windows.yaml"
    file.write_bytes("\ufeffname: ü\r\ntext: |\r\n  one\r\n  two\r\n".encode())
    document = read_document(file)
    assert document.value == {"name": "ü", "text": "one\ntwo\n"}
    assert (document.place("text").line, document.place("name", key=True).column) == (2, 1)


def test_aliases_and_merges() -> None:
    """An alias repeats a value; `<<` fills in what a mapping does not say itself."""
    text = "base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\nout:\n  <<: [*b, *m]\n  x: 0\nsame: *b"
    assert value(text)["out"] == {"x": 0, "y": 2, "z": 4}
    assert value(text)["same"] == {"x": 1, "y": 2}
    assert value("'<<': 1") == {"<<": 1}


def test_an_alias_gives_a_value_of_its_own() -> None:
    """Changing one repetition cannot change the other."""
    read = value("a: &x [1]\nb: *x")
    read["a"].append(2)
    assert read["b"] == [1]


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "\ufeff"])
def test_an_empty_file_is_nothing(text: str) -> None:
    """Whether that is a mistake is for the reader of the file to say."""
    document = read_document("f.yaml", text)
    assert document.value is None
    assert document.place("x").line >= 1


@pytest.mark.parametrize(("text", "expected"), [("- 1\n- b", [1, "b"]), ("word", "word"), ("3", 3)])
def test_the_top_may_be_a_list_or_a_scalar(text: str, expected: JSON) -> None:
    """The dialect does not say what a file is about."""
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml:3:1: duplicate key 'a'; remove one of the two"),
        ("a: {b: 1, b: 2}", "f.yaml:1:11: duplicate key 'b'; remove one of the two"),
        ("a: 1\n---\nb: 2", "f.yaml:2:1: a second '---' document; keep one document a file"),
        ("a: !Template x", "f.yaml:1:4: the tag !Template is not supported; remove it"),
        ("a: !Template {x: 1}", "f.yaml:1:4: the tag !Template is not supported; remove it"),
        ("a: !!python/name:os.system", "f.yaml:1:4: the tag !!python/name:os.system is not"),
        ("a: !!binary aGk=", "f.yaml:1:4: the tag !!binary is not supported; remove it"),
        ("a: !!set {x}", "f.yaml:1:4: the tag !!set is not supported; remove it"),
        ("a:\n\tb: 1", "f.yaml:2:1: a tab cannot indent YAML; use spaces"),
        ("a: @x", "f.yaml:1:4: text that starts with '@' needs quotes in YAML"),
        ("a: `x`", "f.yaml:1:4: text that starts with '`' needs quotes in YAML"),
        ("a: %x", "f.yaml:1:4: text that starts with '%' needs quotes in YAML"),
        ("a: {{ name }}", "f.yaml:1:5: '{{' starts a mapping in YAML; put the text in quotes"),
        ("[a]: b", "f.yaml:1:1: a key must be text; put it in quotes"),
        ("a: b: c", "f.yaml:1:5: a ':' where no key can be; check the indentation, and quote"),
        ("a: 1\n b: 2", "f.yaml:2:3: a ':' where no key can be; check the indentation"),
        ("a: 1\nno colon here\nb: 2", "f.yaml:3:1: this line is no 'key: value'; check"),
        ('a: 1\nb: "never closed\n\n', "f.yaml:2:4: the quote that opens here is never closed"),
        ("a: [1, 2\nb: 3", "f.yaml:2:2: not YAML: did not find expected ',' or ']'; check"),
        ("a: *nothing", "f.yaml:1:4: no anchor has this name; define it above, or quote"),
        ("a: &x 1\nb: &x 2", "f.yaml:2:4: this anchor is defined twice; rename one of them"),
        ("a: &a [*a]", "f.yaml:1:4: this alias contains itself; write the value out"),
        ("&a {b: *a}", "f.yaml:1:1: this alias contains itself; write the value out"),
        ("a: {<<: 3}", "f.yaml:1:9: '<<' merges mappings only"),
        ("a: 1e999", "f.yaml:1:4: this number is too large for JSON; put it in quotes"),
        ("a: -" + "9" * 5000, "f.yaml:1:4: this number is too large for JSON; put it in quotes"),
        ("a: 0x" + "f" * 5000, "f.yaml:1:4: this number is too large for JSON; put it in quotes"),
        ('a: "x\\0"', "f.yaml:1:4: a NUL character (\\0) cannot be kept; remove it"),
        (
            "a: 1\nb: x\0",
            "f.yaml:2:5: the control character U+0000 cannot stand in YAML; remove it",
        ),
        ("a: \x07", "f.yaml:1:4: the control character U+0007 cannot stand in YAML; remove it"),
        ('a: "\\ud800"', "f.yaml:1:7: not a character; write it out"),
        ("a: \ud800", "f.yaml:1:4: half a surrogate pair, U+D800 cannot stand in YAML; remove it"),
    ],
)
def test_a_mistake_is_one_sentence_at_its_place(text: str, sentence: str) -> None:
    """FILE:LINE:COLUMN, what is wrong, what to do."""
    found = mistakes(text)
    assert found[0].startswith(sentence)
    assert len(found) == 1


def test_all_mistakes_of_a_readable_file_are_reported() -> None:
    """One mistake does not hide the next."""
    assert mistakes("a: !x 1\na: 1e999\nb: {c: 1, c: 2}") == [
        "f.yaml:1:4: the tag !x is not supported; remove it",
        "f.yaml:2:1: duplicate key 'a'; remove one of the two",
        "f.yaml:2:4: this number is too large for JSON; put it in quotes",
        "f.yaml:3:11: duplicate key 'c'; remove one of the two",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[" * 50_000 + "]" * 50_000, 1),
        ("{a: " * 50_000 + "}" * 50_000, 1),
        ("- " * 50_000 + "a", 1),
        ("\n".join(" " * n + "a:" for n in range(500)), 100),
    ],
    ids=["lists", "mappings", "dashes", "indentation"],
)
def test_deep_nesting_is_a_sentence(text: str, line: int) -> None:
    """Neither a RecursionError nor, from libyaml's own recursion, the end of the process."""
    (mistake,) = mistakes(text)
    assert mistake.startswith(f"f.yaml:{line}:")
    assert mistake.endswith("nested deeper than 100 levels; flatten it")


def test_a_hundred_levels_are_allowed() -> None:
    """The limit is where the sentence says."""
    assert value("[" * 99 + "]" * 99) is not None
    assert mistakes("[" * 101 + "]" * 101)


def test_aliases_nested_in_aliases_cannot_get_too_deep() -> None:
    """Depth adds up over aliases, which each look shallow."""
    deep = "[" * 60 + "x" + "]" * 60
    joined = "[" * 60 + "*a" + "]" * 60
    assert mistakes(f"a: &a {deep}\nb: {joined}") == [
        "f.yaml:1:46: nested deeper than 100 levels; flatten it"
    ]


def test_exploding_aliases_are_refused() -> None:
    """Ten short lines may not become a billion values."""
    names = "abcdefghij"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{n}: &{n} [{', '.join([f'*{m}'] * 10)}]" for m, n in itertools.pairwise(names)]
    (mistake,) = mistakes("\n".join(lines))
    assert mistake.endswith(
        "aliases expand to too many values; use a .jsonl dataset for large data"
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "a: 1\nb: caf\xe9\n".encode("latin-1"),
            ":2: byte 0xe9 is not UTF-8; save the file as UTF-8",
        ),
        ("a: 1".encode("utf-16"), ":1: byte 0xff is not UTF-8; save the file as UTF-8"),
    ],
)
def test_another_encoding_is_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    """The line of the first byte that cannot be read is named."""
    file = tmp_path / "f.yaml"
    file.write_bytes(content)
    with pytest.raises(DefinitionErrors) as caught:
        read_document(file)
    (mistake,) = caught.value.errors
    assert isinstance(mistake, SyntaxMistake)
    assert str(mistake) == f"{file}{sentence}"


def test_a_file_that_cannot_be_opened_is_a_sentence(tmp_path: Path) -> None:
    """Absent, or a folder; the message names it as the user does."""
    with pytest.raises(DefinitionErrors, match=r"cannot read this file \(No such file") as caught:
        read_text(tmp_path / "absent.yaml", shown="suites/absent.yaml")
    assert str(caught.value).startswith("suites/absent.yaml: ")
    assert isinstance(caught.value.errors[0], MissingFile)
    with pytest.raises(DefinitionErrors, match=r"cannot read this file \(Is a directory"):
        read_document(tmp_path)


# --- places --------------------------------------------------------------------------------------

NESTED = """\
name: x
cases:
  - id: one
    inputs: {ticket: "a, b"}
  - id: two
    inputs: &shared
      ticket: c
  - <<: {id: three}
    inputs: *shared
"""


@pytest.mark.parametrize(
    ("steps", "key", "line", "column"),
    [
        ((), False, 1, 1),
        (("name",), False, 1, 7),
        (("name",), True, 1, 1),
        (("cases", 0), False, 3, 5),
        (("cases", 0, "inputs", "ticket"), False, 4, 22),
        (("cases", 1, "inputs", "ticket"), True, 7, 7),
        (("cases", 2, "id"), False, 8, 14),
        (("cases", 2, "inputs", "ticket"), False, 7, 15),
        (("cases", 1, "nothing"), False, 5, 5),
        (("cases", 9), False, 3, 3),
        (("nowhere", "at", "all"), False, 1, 1),
    ],
)
def test_places(steps: tuple[str | int, ...], key: bool, line: int, column: int) -> None:
    """Every key and value has a place; steps that lead nowhere give the nearest known one."""
    place = read_document("f.yaml", NESTED).place(*steps, key=key)
    assert (place.path, place.line, place.column) == ("f.yaml", line, column)


def test_a_mistake_of_the_callers_points_at_its_steps() -> None:
    """Readers of a document report what they find in its words and places."""
    document = read_document("f.yaml", NESTED)
    mistake = document.mistake(UnknownName, "no such case", "cases", 1, "id")
    assert str(mistake) == "f.yaml:5:9: no such case"


# --- models --------------------------------------------------------------------------------------


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    size: int = 1
    ratio: float = 1.0
    flag: bool = False


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    inner: Inner | None = None
    items: list[Inner] = []
    words: list[str] = []
    count: int = Field(1, ge=1, le=9)
    label: str = Field("x", min_length=1)
    mode: Literal["live", "cache"] = "live"


def parsed(text: str) -> list[str]:
    document = read_document("f.yaml", text)
    with pytest.raises(DefinitionErrors) as caught:
        document.parse(Outer)
    return [str(error) for error in caught.value.errors]


def test_a_model_is_filled_from_a_document() -> None:
    """Or from a part of it."""
    document = read_document("f.yaml", "name: x\ninner: {size: 3}")
    assert document.parse(Outer).inner == Inner(size=3)
    assert document.parse(Inner, document.value["inner"], "inner").size == 3


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        (
            "nam: x",
            [
                "f.yaml:1:1: 'name' is required; add it",
                "f.yaml:1:1: unknown key 'nam'; did you mean 'name'?",
            ],
        ),
        ("name: 3", ["f.yaml:1:7: 'name' must be text (put it in quotes), found the number 3"]),
        ("name:", ["f.yaml:1:6: 'name' must be text (put it in quotes), found nothing"]),
        ("name: x\nwords: one", ["f.yaml:2:8: 'words' must be a list, found the text 'one'"]),
        (
            "name: x\nwords: [a, 2]",
            ["f.yaml:2:12: 'words' must be text (put it in quotes), found the number 2"],
        ),
        ("name: x\ninner: [1]", ["f.yaml:2:8: 'inner' must be a mapping, found a list"]),
        (
            "name: x\ninner: {size: 1.5}",
            ["f.yaml:2:15: 'size' must be a whole number, found the number 1.5"],
        ),
        (
            "name: x\ninner: {flag: no}",
            ["f.yaml:2:15: 'flag' must be true or false, found the text 'no'"],
        ),
        ("name: x\ninner: {ratio: {}}", ["f.yaml:2:16: 'ratio' must be a number, found a mapping"]),
        (
            "name: x\nitems:\n  - size: 1\n  - sise: 2",
            ["f.yaml:4:5: unknown key 'sise'; did you mean 'size'?"],
        ),
        (
            "name: x\ncount: 0\nmode: taped\nlabel: ''",
            [
                "f.yaml:2:8: 'count' must be at least 1, found the number 0",
                "f.yaml:3:7: 'mode' must be 'live' or 'cache', found the text 'taped'",
                "f.yaml:4:8: 'label' is empty; fill it in or remove it",
            ],
        ),
        ("name: x\ncount: 10", ["f.yaml:2:8: 'count' must be at most 9, found the number 10"]),
        ("3", ["f.yaml:1:1: this must be a mapping, found the number 3"]),
        ("name: x\ninner: {zzz: 1}", ["f.yaml:2:9: unknown key 'zzz'; known: flag, ratio, size"]),
    ],
)
def test_pydantic_speaks_like_the_rest(text: str, sentences: list[str]) -> None:
    """A model's findings are sentences at the key or value they are about."""
    assert sorted(parsed(text)) == sorted(sentences)


def test_kinds_of_a_models_findings() -> None:
    """What is missing, unknown and of a wrong type can be told apart."""
    document = read_document("f.yaml", "nam: x\nwords: 1")
    with pytest.raises(DefinitionErrors) as caught:
        document.parse(Outer)
    assert {type(error) for error in caught.value.errors} == {MissingValue, UnknownName, WrongType}


def test_a_duplicate_key_is_its_own_kind() -> None:
    """Importers and editors may treat it apart."""
    with pytest.raises(DefinitionErrors) as caught:
        read_document("f.yaml", "a: 1\na: 2")
    assert isinstance(caught.value.errors[0], DuplicateKey)


@pytest.mark.parametrize(
    ("name", "choices", "expected"),
    [
        ("contry", ["country", "city"], "; did you mean 'country'?"),
        ("zzz", ["b", "a"], "; known: a, b"),
        ("zzz", [], "; there is none at all"),
        ("zzz", [f"n{i:02}" for i in range(14)], " n10, n11 and 2 more"),
    ],
)
def test_did_you_mean(name: str, choices: list[str], expected: str) -> None:
    """The nearest name, or the first of those there are."""
    assert did_you_mean(name, choices).endswith(expected)


# --- what no list of examples covers -------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abcxyz<&*", max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


class QuotedText(yaml.SafeDumper):
    """PyYAML writes YAML 1.1, where ``0E0`` is text and needs no quotes; here it is a number."""


QuotedText.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


@settings(deadline=None)
@given(json_values)
@example(original="0E0")
def test_json_written_as_yaml_reads_back(original: JSON) -> None:
    """Whatever PyYAML writes from JSON values, with text in quotes, means the same here."""
    text = yaml.dump(original, Dumper=QuotedText, allow_unicode=True)
    assert value(text) == original


def mistakes_or_none(text: str) -> Sequence[DefinitionError]:
    try:
        read_document("f.yaml", text)
    except DefinitionErrors as caught:
        return caught.errors
    return []


@settings(deadline=None)
@given(st.text(max_size=60) | st.text("ab:-[]{}&*!|>'\"#%@`,? \n<0.", max_size=40))
def test_any_text_is_a_value_or_a_sentence(text: str) -> None:
    """Nothing but DefinitionErrors ever comes out, and each has a place in the file."""
    for error in mistakes_or_none(text):
        assert error.what
        assert error.line >= 1
        assert error.column >= 1


# --- real files ----------------------------------------------------------------------------------


def test_real_suites_of_another_tool_are_read(shared_data: Path) -> None:
    """promptfoo's example files are YAML that this dialect reads, all of them."""
    files = sorted((shared_data / "promptfoo_suites").glob("*.yaml"))
    assert files
    for file in files:
        assert isinstance(read_document(file).value, dict)


def test_real_prompts_with_custom_tags_say_so(shared_data: Path) -> None:
    """promptsource marks its templates with !Template; that is named, with the line."""
    files = sorted((shared_data / "promptsource").rglob("*.yaml"))
    assert files
    for file in files:
        with pytest.raises(DefinitionErrors) as caught:
            read_document(file)
        first = caught.value.errors[0]
        assert first.what.startswith("the tag !Template"), file
        assert "!Template" in file.read_text().splitlines()[first.line - 1]


def test_the_reader_without_libyaml_agrees(tmp_path: Path) -> None:
    """PyYAML may be installed without its C part; values and nesting come out the same."""
    text = "a: [no, 007, 1e3, 0o17, {b: ~}]\nc: '1'\nd: &x {y: 1}\ne: {<<: *x}\n"
    (tmp_path / "f.yaml").write_text(text)
    (tmp_path / "deep.yaml").write_text("[" * 150 + "]" * 150)
    code = (
        "import yaml; del yaml.CSafeLoader\n"
        "from p2re_eval.documents import read_document\n"
        "from p2re_eval.errors import DefinitionErrors\n"
        "print(read_document('f.yaml').value)\n"
        "try: read_document('deep.yaml')\n"
        "except DefinitionErrors as error: print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    first, second = run.stdout.splitlines()
    assert first == str(read_document("f.yaml", text).value)
    assert second.endswith("nested deeper than 100 levels; flatten it")
