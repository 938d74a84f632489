"""The search language: what is understood, and where a mistake is."""

from __future__ import annotations

import pytest

from p2re_eval.store.expression import ExpressionError
from p2re_eval.store.expression_sql import compile_expression

NOW = 1_700_000_000_000_000_000


@pytest.mark.parametrize(
    ("expression", "column", "sentence"),
    [
        ('modle == "x"', 1, "unknown field 'modle'; did you mean 'model'?"),
        ('model = "x" and statsu == OK', 17, "unknown field 'statsu'; did you mean 'status'?"),
        ("status == EROR", 11, "no such value 'EROR'; did you mean 'ERROR'?"),
        ('eval("f").scor < 1', 1, "unknown field 'scor'; did you mean 'score'?"),
        ("model > 3", 1, "'model' takes == != ~ !~ in not in, not '>'"),
        ("cost_usd > much", 12, "this should be a number"),
        ("latency > 2 parsecs", 11, "this should be a duration like 2s, 150ms or 7d"),
        ("started > yesterday", 11, 'this should be a time like "2026-01-31T09:00"'),
        ("pinned == maybe", 11, "this should be true or false"),
        ('text == "refund"', 1, "'text' takes ~ !~, not '=='"),
        ("cost_usd", None, None),
        ("model ==", 9, "a value is missing here"),
        ("(model == a", 12, "this '(' is never closed; add ')'"),
        ("model == a)", 11, "this closes nothing"),
        ("model in a", 10, '\'in\' takes a list: in ("a", "b")'),
        ("model in (a", 12, "this list is never closed; add ')'"),
        ('model == "x', 10, "this quote is never closed"),
        ("== 3", 1, "a field or word should stand before '=='"),
        ('"model" == 3', 1, "a field should stand on this side, its value on the other"),
        ("eval().score > 1", 6, 'name an evaluation: eval("faithful").score < 0.5'),
        ("metadata == 1", 1, 'name an entry: metadata.KEY == "value"'),
        ("not", 4, "the expression ends here; a condition is missing"),
        ("text ~ '...'", 1, "there is no word to look for"),
        ("(" * 60 + "a" + ")" * 60, 52, "nested too deep; write it flatter"),
    ],
)
def test_a_mistake_is_shown_at_its_place(
    expression: str, column: int | None, sentence: str | None
) -> None:
    """The sentence says what to do, and a caret stands under the place."""
    if sentence is None:
        assert compile_expression(expression, now_ns=NOW).words == ('("cost_usd")',)
        return
    with pytest.raises(ExpressionError) as caught:
        compile_expression(expression, now_ns=NOW)
    assert (caught.value.column, caught.value.what) == (column, sentence)
    assert str(caught.value) == f"{expression}\n{' ' * (caught.value.column - 1)}^ {sentence}"


@pytest.mark.parametrize("expression", ["", "   "])
def test_nothing_asks_for_nothing(expression: str) -> None:
    assert compile_expression(expression, now_ns=NOW).tests == ()


def test_only_wanted_words_become_snippets() -> None:
    """What must not be there is not shown."""
    found = compile_expression('refund not angry text ~ "two words" text !~ sorry', now_ns=NOW)
    assert found.words == ('("refund")', '("two" "words")')


@pytest.mark.parametrize(
    "text", ["' OR 1=1 --", "); DROP TABLE traces; --", "\x00", "a\\", "eval(", "🦊 ~ 🦊", "- - -"]
)
def test_no_text_reaches_sql(text: str) -> None:
    """Either it is understood and its values are bound, or it is a mistake."""
    try:
        compiled = compile_expression(text, now_ns=NOW)
    except ExpressionError:
        return
    for test in compiled.tests:
        assert "DROP" not in test.sql
        assert "1=1" not in test.sql
