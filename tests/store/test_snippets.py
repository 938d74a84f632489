"""The place in a text that has what was looked for, as the index splits words."""

from __future__ import annotations

import pytest

from p2re_eval.store.snippets import snippet_of


@pytest.mark.parametrize(
    ("text", "queries", "marked"),
    [
        ("my Refund, please refund", ['("refund")'], ["Refund", "refund"]),
        ("refunds are no match", ['("refund")'], None),
        ("refunds begin so", ['("refund"*)'], ["refund"]),
        ("a refund -- of money", ['("refund of money")'], ["refund -- of money"]),
        ("snake_refund splits", ['("refund")'], ["refund"]),
        ("it's here", ['("it\'s")'], ["it's"]),
        ("only there", ['(response : ("there"))'], None),
        ("both are here", ['("here" "both")'], ["both", "here"]),
        ("nothing", [], None),
        (None, ['("x")'], None),
    ],
)
def test_what_is_marked(text: str | None, queries: list[str], marked: list[str] | None) -> None:
    found = snippet_of("prompt", text, queries)
    if marked is None:
        assert found is None
    else:
        assert found is not None
        assert [found.text[start:end] for start, end in found.marks] == marked


def test_a_long_text_is_cut_at_words() -> None:
    """The marks fit the text that is shown."""
    found = snippet_of("response", "word " * 100 + "refund " + "after " * 100, ['("refund")'])
    assert found is not None
    assert found.text.startswith("…word ")
    assert found.text.endswith("after…")
    assert len(found.text) < 160
    [(start, end)] = found.marks
    assert found.text[start:end] == "refund"
