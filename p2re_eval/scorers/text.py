"""Scorers that compare texts: equals, contains, starts_with, ends_with, regex, choice."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping

from p2re_eval.errors import ScorerError
from p2re_eval.records import JSON, Case, Completion, Score, canonical_json
from p2re_eval.scorers.binding import scorer
from p2re_eval.scorers.excerpt import answered, excerpt
from p2re_eval.scorers.structure import NotJSONError, parse_json, same_json

_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE, "a": re.ASCII}


def _without(*names: str) -> Callable[[Mapping[str, JSON]], bool]:
    """``expected`` is needed when none of these options is given."""

    def needs(options: Mapping[str, JSON]) -> bool:
        return not [name for name in names if options.get(name) is not None]

    return needs


def _check_texts(options: Mapping[str, JSON]) -> None:
    """An empty text is in every answer, and an empty list asks for nothing."""
    for name in ("text", "all", "any"):
        value = options.get(name)
        texts = value if isinstance(value, list) else [value]
        if "" in texts or not texts:
            raise ValueError(f"'{name}' is empty, so it would decide nothing; give it a text")


@scorer(needs_expected=_without("text"))
def equals(
    completion: Completion,
    case: Case,
    *,
    text: JSON = None,
    ignore_case: bool = False,
    strip: bool = True,
    ignore_punctuation: bool = False,
) -> Score:
    """The answer is the expected text, or the same JSON value.

    An expected value that is no text (a mapping, list, number or boolean) is compared with the
    answer read as JSON, where ``1`` and ``1.0`` are equal, ``1`` and ``true`` are not.
    ``ignore_punctuation`` keeps what stands between digits and a minus before one.

    >>> equals.function(Completion(text="Billing "), Case(id="a", expected="Billing")).passed
    True
    """
    wanted = case.expected if text is None else text
    if not isinstance(wanted, str):
        return _equal_json(completion.text, wanted)
    answer = completion.text.strip() if strip else completion.text
    wanted = wanted.strip() if strip else wanted
    answer_folded, wanted_folded = _folded(answer, ignore_case), _folded(wanted, ignore_case)
    if ignore_punctuation:
        # Punctuation alone ("?" against "!") stays what it is.
        wanted_folded = _no_punctuation(wanted_folded) or wanted_folded
        answer_folded = _no_punctuation(answer_folded) or answer_folded
    passed = answer_folded == wanted_folded
    expected = "as expected" if passed else f"expected {excerpt(wanted)}"
    return Score(value=float(passed), passed=passed, explanation=f"{answered(answer)}, {expected}")


def _equal_json(answer: str, wanted: JSON) -> Score:
    try:
        found = parse_json(answer)
    except NotJSONError as error:
        return Score(value=0.0, passed=False, explanation=str(error))
    passed = same_json(found, wanted)
    explanation = f"the answer is {excerpt(canonical_json(found))}"
    explanation += ", as expected" if passed else f", expected {excerpt(canonical_json(wanted))}"
    return Score(value=float(passed), passed=passed, explanation=explanation)


@scorer(check=_check_texts, needs_expected=_without("text", "all", "any"))
def contains(
    completion: Completion,
    case: Case,
    *,
    text: str | None = None,
    all: list[str] | None = None,  # noqa: A002 - the word a suite's author reaches for
    any: list[str] | None = None,  # noqa: A002 - the same
    ignore_case: bool = False,
) -> Score:
    """The answer contains a text, all of several, or any of several; by default the expected one.

    >>> answer = Completion(text="Ask billing.")
    >>> contains.function(answer, Case(id="a"), any=["billing", "sales"]).passed
    True
    """
    if text is None and all is None and any is None:
        text = _expected_text(case, "contains")
    required = [*([] if text is None else [text]), *(all or [])]
    answer = _folded(completion.text, ignore_case)
    missing = [one for one in required if _folded(one, ignore_case) not in answer]
    found = [one for one in any or [] if _folded(one, ignore_case) in answer]
    if missing:
        return _text_verdict(False, f"expected text {_listed(missing)} not found", completion)
    if any is not None and not found:
        return _text_verdict(False, f"none of {_listed(any)} found", completion)
    return _text_verdict(True, f"found {_listed([*required, *found])}", completion)


@scorer(check=_check_texts, needs_expected=_without("text"))
def starts_with(
    completion: Completion,
    case: Case,
    *,
    text: str | None = None,
    ignore_case: bool = False,
    strip: bool = True,
) -> Score:
    """The answer starts with a text, by default the expected one; ``strip`` forgives outer space.

    >>> starts_with.function(Completion(text="Dear Ann, ..."), Case(id="a"), text="Dear").passed
    True
    """
    wanted = _expected_text(case, "starts_with") if text is None else text
    answer = completion.text.lstrip() if strip else completion.text
    passed = _folded(answer, ignore_case).startswith(_folded(wanted, ignore_case))
    what = f"starts with {excerpt(wanted)}"
    return _text_verdict(passed, what if passed else f"expected an answer that {what}", completion)


@scorer(check=_check_texts, needs_expected=_without("text"))
def ends_with(
    completion: Completion,
    case: Case,
    *,
    text: str | None = None,
    ignore_case: bool = False,
    strip: bool = True,
) -> Score:
    """The answer ends with a text, by default the expected one; ``strip`` forgives outer space.

    >>> ends_with.function(Completion(text="... Yours, Ann\\n"), Case(id="a"), text="Ann").passed
    True
    """
    wanted = _expected_text(case, "ends_with") if text is None else text
    answer = completion.text.rstrip() if strip else completion.text
    passed = _folded(answer, ignore_case).endswith(_folded(wanted, ignore_case))
    what = f"ends with {excerpt(wanted)}"
    return _text_verdict(passed, what if passed else f"expected an answer that {what}", completion)


def _check_regex(options: Mapping[str, JSON]) -> None:
    unknown = set(options.get("flags", "")) - _FLAGS.keys()
    if unknown:
        letters = ", ".join(_FLAGS)
        raise ValueError(f"no flag '{min(unknown)}'; the flags are letters among {letters}")
    try:
        pattern = _compiled(options["pattern"], options.get("flags", ""))
    except re.error as error:
        raise ValueError(
            f"{excerpt(options['pattern'])} is no regular expression: {error}; correct it, "
            "or escape special characters with a backslash"
        ) from None
    group = options.get("group")
    if isinstance(group, str) and group not in pattern.groupindex:
        raise ValueError(f"the pattern has no group '{group}'; write (?P<{group}>...)")
    if isinstance(group, int) and not 0 <= group <= pattern.groups:
        raise ValueError(f"the pattern has {pattern.groups} groups, so none is number {group}")


@scorer(check=_check_regex, needs_expected=lambda options: options.get("group") is not None)
def regex(
    completion: Completion,
    case: Case,
    *,
    pattern: str,
    flags: str = "",
    full: bool = False,
    group: int | str | None = None,
) -> Score:
    """A regular expression (Python's) matches somewhere in the answer, or with ``full`` all of it.

    With ``group`` (number or name) that group's text must equal ``expected``, outer space aside.
    ``flags`` are letters: i ignore case, m multiline, s dot matches newline, x verbose, a ASCII.

    >>> answer = Completion(text="ANSWER: 42")
    >>> regex.function(answer, Case(id="a", expected="42"), pattern=r"ANSWER: (.+)", group=1).passed
    True
    """
    compiled = _compiled(pattern, flags)
    match = (
        compiled.fullmatch(completion.text.strip()) if full else compiled.search(completion.text)
    )
    if match is None:
        return _text_verdict(False, f"the pattern {excerpt(pattern)} does not match", completion)
    if group is None:
        return _text_verdict(True, f"matched {excerpt(match[0])}", completion)
    found, wanted = (match[group] or "").strip(), _expected_text(case, "regex").strip()
    if found != wanted:
        what = f"group {group} is {excerpt(found)}, expected {excerpt(wanted)}"
        return _text_verdict(False, what, completion)
    return _text_verdict(True, f"group {group} is {excerpt(found)}, as expected", completion)


def _compiled(pattern: str, flags: str) -> re.Pattern[str]:
    value = re.NOFLAG
    for letter in flags:
        value |= _FLAGS[letter]
    return re.compile(pattern, value)


def _check_choice(options: Mapping[str, JSON]) -> None:
    choices = [_folded(one.strip(), True) for one in options["options"]]
    if len(choices) < 2 or "" in choices:
        raise ValueError("'options' must list two texts or more, none of them empty")
    if len(set(choices)) < len(choices):
        raise ValueError("'options' lists one text twice (case aside); remove one")


@scorer(check=_check_choice, needs_expected=True)
def choice(completion: Completion, case: Case, *, options: list[str]) -> Score:
    """The answer names exactly one of the options, and it is the expected one.

    An option counts as a whole word, case aside (a single letter must match in case: "a" is an
    article); inside a longer option it does not count. The score's label is the chosen option.

    >>> answer, case = Completion(text="I choose Billing."), Case(id="a", expected="billing")
    >>> choice.function(answer, case, options=["billing", "sales"]).label
    'billing'
    """
    wanted = _expected_text(case, "choice").strip()
    known = {_folded(one.strip(), True): one for one in options}
    if _folded(wanted, True) not in known:
        raise ScorerError(
            f"the expected {excerpt(wanted)} is none of the options {_listed(options)}; "
            "correct the case or the scorer"
        )
    named = _named_options(completion.text, options)
    if len(named) != 1:
        what = f"it names {_listed(named)}" if named else f"it names none of {_listed(options)}"
        return _text_verdict(False, what, completion)
    passed = named[0] == known[_folded(wanted, True)]
    what = f"it chooses {excerpt(named[0])}"
    what += ", as expected" if passed else f", expected {excerpt(wanted)}"
    return _text_verdict(passed, what, completion).model_copy(update={"label": named[0]})


def _named_options(answer: str, options: list[str]) -> list[str]:
    """The options named in the answer; the answer that is an option names it alone."""
    answer = unicodedata.normalize("NFC", answer)
    bare = _folded(answer.strip().strip("\"'`*().:!"), True)
    for option in options:
        if bare == _folded(option.strip(), True):
            return [option]
    found: list[str] = []
    for option in sorted(options, key=len, reverse=True):
        word = unicodedata.normalize("NFC", option.strip())
        flags = re.NOFLAG if len(word) == 1 else re.IGNORECASE
        answer, count = re.subn(rf"(?<!\w){re.escape(word)}(?!\w)", "\0", answer, flags=flags)
        if count:
            found.append(option)
    return [option for option in options if option in found]


def _expected_text(case: Case, name: str) -> str:
    """``expected`` as text. Raises ScorerError for a list or mapping, which is no one text."""
    if isinstance(case.expected, str):
        return case.expected
    if isinstance(case.expected, (dict, list)) or case.expected is None:
        raise ScorerError(
            f"'{name}' needs a text in 'expected', and the case '{case.id}' has "
            f"{excerpt(canonical_json(case.expected), 60)}; give the scorer its text"
        )
    return canonical_json(case.expected)


def _folded(text: str, ignore_case: bool) -> str:
    """The same letters as the same code points: é may come as one or as two."""
    text = unicodedata.normalize("NFC", text)
    return text.casefold() if ignore_case else text


def _no_punctuation(text: str) -> str:
    kept = [
        character
        for index, character in enumerate(text)
        if not unicodedata.category(character).startswith("P") or _inside_number(text, index)
    ]
    return " ".join("".join(kept).split())


def _inside_number(text: str, index: int) -> bool:
    before, after = text[index - 1 : index] if index else "", text[index + 1 : index + 2]
    if text[index] == "-" and after.isdigit():
        return not before.isalpha()
    return before.isdigit() and after.isdigit()


def _listed(texts: list[str]) -> str:
    return ", ".join(excerpt(text, 60) for text in texts)


def _text_verdict(passed: bool, what: str, completion: Completion) -> Score:
    explanation = f"{what}; {answered(completion.text)}"
    return Score(value=float(passed), passed=passed, explanation=explanation)
