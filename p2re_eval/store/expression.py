"""The search language: ``model == "gpt-5-mini" and cost_usd > 0.01 and text ~ "refund"``.

A condition is ``FIELD OPERATOR VALUE`` or ``eval("NAME").PART OPERATOR VALUE``; ``and``, ``or``,
``not`` and parentheses combine them; words and "phrases" that stand alone are looked for in prompts
and answers. Here text becomes a tree; :mod:`p2re_eval.store.expression_sql` makes SQL of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from p2re_eval.errors import UsageError

OPERATORS = ("==", "!=", "<=", ">=", "<", ">", "~", "!~", "in", "not in")
_TOKEN = re.compile(
    r"\s*(?:(?P<text>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|(?P<operator>==|!=|<=|>=|!~|[=<>~])|"
    r"(?P<mark>[()\[\],])|"
    r"(?P<number>\$?-?(?:\d+\.?\d*|\.\d+)(?:[eE]-?\d+)?(?P<unit>[a-zA-Z]*)(?![\w.-]))|"
    r"(?P<word>[\w*$-][\w.*/@:'$+-]*))"
)
_DEEPEST = 50


class ExpressionError(UsageError):
    """A search expression that cannot be understood; ``column`` counts from 1."""

    def __init__(self, what: str, *, expression: str, column: int) -> None:
        super().__init__(f"{expression}\n{' ' * (column - 1)}^ {what}")
        self.what = what
        self.expression = expression
        self.column = column


@dataclass(frozen=True)
class Literal:
    """A value as written: ``kind`` is ``text``, ``number`` (with its unit) or ``word``."""

    kind: str
    value: str
    unit: str = ""
    column: int = 1


@dataclass(frozen=True)
class Condition:
    """``field OPERATOR value``; ``evaluation`` names the evaluation whose part ``field`` is.
    Without operator the field itself is the condition."""

    field: str
    operator: str
    values: tuple[Literal, ...]
    column: int
    evaluation: str | None = None


@dataclass(frozen=True)
class Words:
    """A word or phrase that is looked for in prompts and answers."""

    text: str
    phrase: bool
    column: int


@dataclass(frozen=True)
class Not:
    """The opposite."""

    node: Node


@dataclass(frozen=True)
class Both:
    """All of these (``every``) or at least one of them."""

    nodes: tuple[Node, ...]
    every: bool


Node: TypeAlias = Condition | Words | Not | Both


def parse(expression: str, fields: Sequence[str]) -> Node | None:
    """The tree of an expression, None of an empty one. ``fields`` are the names that may stand
    alone as conditions (``pinned``); other words that stand alone are searched for.

    Raises ExpressionError.
    """
    parser = _Parser(expression, frozenset(fields))
    if not parser.tokens:
        return None
    node = parser.alternatives(0)
    if parser.here is not None:
        closing = parser.here.value == ")"
        raise parser.mistake("this closes nothing" if closing else "did not expect this")
    return node


class _Parser:
    """Recursive descent over tokens."""

    def __init__(self, expression: str, fields: frozenset[str]) -> None:
        self.expression = expression
        self.fields = fields
        self.tokens = list(self._scan())
        self.at = 0

    @property
    def here(self) -> Literal | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def mistake(self, what: str, token: Literal | None = None) -> ExpressionError:
        where = token or self.here
        column = len(self.expression) + 1 if where is None else where.column
        return ExpressionError(what, expression=self.expression, column=column)

    def alternatives(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise self.mistake("nested too deep; write it flatter")
        nodes = [self._together(depth)]
        while self._take("or"):
            nodes.append(self._together(depth))
        return nodes[0] if len(nodes) == 1 else Both(tuple(nodes), every=False)

    def _together(self, depth: int) -> Node:
        nodes = [self._negated(depth)]
        while self.here is not None and self.here.value not in {")", "or"}:
            self._take("and")
            nodes.append(self._negated(depth))
        return nodes[0] if len(nodes) == 1 else Both(tuple(nodes), every=True)

    def _negated(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise self.mistake("nested too deep; write it flatter")
        if self._take("not"):
            return Not(self._negated(depth + 1))
        if self._take("("):
            node = self.alternatives(depth + 1)
            self._expect(")", "this '(' is never closed; add ')'")
            return node
        return self._condition()

    def _condition(self) -> Node:
        token = self.here
        if token is None:
            raise self.mistake("the expression ends here; a condition is missing")
        if token.kind in {"mark", "operator"}:
            raise self.mistake(f"a field or word should stand before '{token.value}'")
        self.at += 1
        if token.kind == "word" and token.value == "eval" and self._take("("):
            return self._evaluation(token)
        operator = self._operator()
        if operator is None:
            return self._alone(token)
        if token.kind != "word":
            raise self.mistake("a field should stand on this side, its value on the other", token)
        return Condition(token.value, operator, self._values(operator), token.column)

    def _alone(self, token: Literal) -> Node:
        if token.kind == "word" and token.value in self.fields:
            return Condition(token.value, "", (), token.column)
        return Words(token.value + token.unit, token.kind == "text", token.column)

    def _evaluation(self, start: Literal) -> Node:
        name = self.here
        if name is None or name.kind not in {"text", "word"}:
            raise self.mistake('name an evaluation: eval("faithful").score < 0.5')
        self.at += 1
        self._expect(")", "this eval( is never closed; add ')'")
        part, following = "", self.here
        if following is not None and following.value.startswith(".") and following.kind == "part":
            part, self.at = following.value[1:], self.at + 1
        operator = self._operator() or ""
        values = self._values(operator) if operator else ()
        if operator and not part:
            part = "score"
        return Condition(part, operator, values, start.column, evaluation=name.value)

    def _operator(self) -> str | None:
        token = self.here
        if token is None:
            return None
        if token.kind == "operator":
            self.at += 1
            return "==" if token.value == "=" else token.value
        if token.kind == "word" and token.value == "in":
            self.at += 1
            return "in"
        after = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else None
        if token.value == "not" and after is not None and after.value == "in":
            self.at += 2
            return "not in"
        return None

    def _values(self, operator: str) -> tuple[Literal, ...]:
        if operator not in {"in", "not in"}:
            return (self._value(),)
        closing = {"(": ")", "[": "]"}.get("" if self.here is None else self.here.value)
        if closing is None:
            raise self.mistake(f'\'{operator}\' takes a list: {operator} ("a", "b")')
        self.at += 1
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._expect(closing, f"this list is never closed; add '{closing}'")
        return tuple(values)

    def _value(self) -> Literal:
        token = self.here
        if token is None or token.kind in {"mark", "operator", "part"}:
            raise self.mistake("a value is missing here")
        self.at += 1
        return token

    def _take(self, value: str) -> bool:
        token = self.here
        if token is None or token.value != value or token.kind == "text":
            return False
        self.at += 1
        return True

    def _expect(self, value: str, otherwise: str) -> None:
        if not self._take(value):
            raise self.mistake(otherwise)

    def _scan(self) -> list[Literal]:
        found: list[Literal] = []
        at, text = 0, self.expression.rstrip()
        while at < len(text):
            part = re.compile(r"\.\w+").match(text, at)
            if part is not None and found and found[-1].value == ")":
                found.append(Literal("part", part[0], column=at + 1))
                at = part.end()
                continue
            match = _TOKEN.match(text, at)
            if match is None:
                at = len(text) - len(text[at:].lstrip())
                self.tokens, self.at = found, len(found)
                unclosed = text[at] in "\"'"
                what = "this quote is never closed" if unclosed else "this cannot stand here"
                raise ExpressionError(what, expression=self.expression, column=at + 1)
            found.append(_literal(match))
            at = match.end()
        return found


def _literal(match: re.Match[str]) -> Literal:
    kind = str(match.lastgroup if match.lastgroup != "unit" else "number")
    column = match.start(kind) + 1
    value = match[kind]
    if kind == "text":
        return Literal(kind, re.sub(r"\\(.)", r"\1", value[1:-1]), column=column)
    if kind == "number":
        unit = match["unit"] or ""
        number = value.removeprefix("$").removesuffix(unit) if unit else value.removeprefix("$")
        return Literal(kind, number, unit, column)
    return Literal(kind, value, column=column)
