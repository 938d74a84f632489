"""The user's own patterns: from the environment and the project, checked before they are used."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from p2re_eval.errors import UsageError
from p2re_eval.store import redaction_rules
from p2re_eval.store.careful_patterns import never_ends
from p2re_eval.store.redaction import Redaction
from p2re_eval.store.redaction_rules import own_rules


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that wants its customers' numbers out, entered at a folder inside it."""
    (tmp_path / "pyproject.toml").write_text('[tool.p2re]\nredact = ["ACME-[0-9]{6}"]\n')
    inside = tmp_path / "src" / "app"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    return tmp_path


def test_a_projects_patterns_hold_beside_the_environments(project: Path) -> None:
    """From any folder inside it; the note says where the pattern stands."""
    redaction = Redaction(environ={"P2RE_REDACT": "Ann"})
    assert redaction.text("Ann, ACME-123456") == (
        "[redacted by P2RE_REDACT], [redacted by pyproject.toml]"
    )
    assert redaction.json({"a": ["ACME-123456"]}) == '{"a":["[redacted by pyproject.toml]"]}'


def test_the_nearest_project_counts(project: Path) -> None:
    """One inside another is a project of its own."""
    (project / "src" / "pyproject.toml").write_text("[project]\n")
    assert own_rules({}, Path.cwd()) == ()


def test_the_table_may_be_written_in_any_way(project: Path) -> None:
    """What TOML reads as the same means the same: no pattern is left out without a word."""
    for text in ('[tool]\np2re = {redact = ["A"]}\n', '[tool."p2re"]\nredact = ["A"]\n'):
        (project / "pyproject.toml").write_text(text)
        assert len(own_rules({}, project)) == 1, text
    (project / "pyproject.toml").write_text('[tool]\np2re = "redact"\n')
    with pytest.raises(UsageError, match=r"\[tool.p2re\] cannot be read"):
        own_rules({}, project)


def test_a_changed_file_is_read_again(project: Path) -> None:
    """A notebook's kernel lives long."""
    assert len(own_rules({}, project)) == 1
    (project / "pyproject.toml").write_text('[tool.p2re]\nredact = ["aa", "bbb"]\n')
    assert len(own_rules({}, project)) == 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('redact = ["("]', "pyproject.toml is no regular expression: missing ), unterminated"),
        ('redact = "ACME"', "redact in [tool.p2re] must be a list of patterns"),
        ('redact = ["', "is no TOML"),
        (
            "redact = ['(\\w+\\s?)*$']",
            "pyproject.toml: the pattern '(\\\\w+\\\\s?)*$' can take for ever on some texts, as it "
            "repeats what repeats itself; make the inner repetition possessive ('++', '*+')",
        ),
    ],
)
def test_a_mistake_is_a_sentence(project: Path, content: str, sentence: str) -> None:
    """Said before anything is written: a pattern that does not work must not let texts through."""
    (project / "pyproject.toml").write_text(f"[tool.p2re]\n{content}\n")
    with pytest.raises(UsageError) as caught:
        Redaction(environ={})
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    [r"(a+)+", r"(\w+\s?)*$", r"(?:a|a)*b", r"(.*)*", r"(x{1,100}){1,100}", r"(?:foo|\w+)+",
     r"(a?b*)+?"],
)  # fmt: skip
def test_patterns_that_may_never_end_are_told_apart(pattern: str) -> None:
    """Python's engine tries all ways to split a text, and cannot be stopped meanwhile."""
    assert never_ends(pattern)


@pytest.mark.parametrize(
    "pattern",
    [r"ACME-[0-9]{6}", r"(\w++\s?)*+$", r"(?>a+)+", r"(?:\d{1,3}\.){3}\d{1,3}", r"(?:ab|cd)+",
     r"[\w.]+@[\w.]+", r"(?i)iban [a-z0-9 ]{15,34}", r"(?:a{2})+", r"(?<=id: )\d+"],
)  # fmt: skip
def test_ordinary_patterns_are_not(pattern: str) -> None:
    """Fixed lengths, possessive repetitions and choices that begin differently end soon."""
    assert not never_ends(pattern)


def test_a_slow_pattern_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is only slow is used, and said."""
    monkeypatch.setattr(redaction_rules, "SLOW_S", -1.0)
    caplog.set_level(logging.WARNING, "p2re_eval.store")
    Redaction(environ={"P2RE_REDACT": "A+nn"}).text("Ann")
    assert "p2re: P2RE_REDACT: the pattern 'A+nn' took" in caplog.messages[0]
