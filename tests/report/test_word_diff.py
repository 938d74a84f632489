"""What changed between two answers, word by word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2re_eval.report.word_diff import MOST_WORDS, word_diff


def marked(before: str, after: str) -> tuple[str, str]:
    """The changed pieces in brackets."""
    left, right = word_diff(before, after)
    return (
        "".join(f"[{piece.text}]" if piece.changed else piece.text for piece in left),
        "".join(f"[{piece.text}]" if piece.changed else piece.text for piece in right),
    )


def test_a_changed_word_is_marked_on_both_sides() -> None:
    """And nothing else is."""
    assert marked("The team is billing.", "The team is technical.") == (
        "The team is [billing].",
        "The team is [technical].",
    )


def test_what_one_side_lacks_is_marked_on_the_other() -> None:
    """Added and removed words."""
    assert marked("Yes.", "Yes, of course.") == ("Yes.", "Yes[, of course].")


def test_a_space_between_two_changes_joins_them() -> None:
    """Islands of one space or comma would only tear the text."""
    assert marked("red green", "blue yellow") == ("[red green]", "[blue yellow]")


def test_equal_texts_have_no_change() -> None:
    """One piece each."""
    assert marked("same", "same") == ("same", "same")
    assert marked("", "new") == ("", "[new]")


def test_very_long_texts_are_left_whole() -> None:
    """The page is written in time."""
    text = "word " * MOST_WORDS
    assert marked(text, text + "end") == (text, text + "end")


@given(st.text(), st.text())
def test_the_pieces_are_the_texts(before: str, after: str) -> None:
    """Whatever they hold, nothing is lost or added."""
    left, right = word_diff(before, after)
    assert "".join(piece.text for piece in left) == before
    assert "".join(piece.text for piece in right) == after
