"""A search tree as SQL: every condition as a test of a row, and where an index helps, as a leader.

A test of something unknown (a cost nobody knows, a suite that is not there) is false, also for
``<`` and ``>``; ``!=`` is the opposite of ``==`` and ``not`` the opposite of what it stands before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from p2re_eval.explain import did_you_mean
from p2re_eval.store.expression import (
    OPERATORS,
    Both,
    Condition,
    ExpressionError,
    Literal,
    Node,
    Not,
    Words,
    parse,
)
from p2re_eval.store.expression_fields import ALONE, FIELDS, PARTS, Field
from p2re_eval.store.search import as_query

_LARGEST = 2.0**62
_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 7 * 86_400_000_000_000,
}
_TAKES: dict[str, tuple[str, ...]] = {
    "text": ("==", "!=", "~", "!~", "in", "not in"),
    "version": ("==", "!=", "in", "not in"),
    "number": ("==", "!=", "<", "<=", ">", ">=", "in", "not in"),
    "duration": ("<", "<=", ">", ">=", "==", "!="),
    "age": ("<", "<=", ">", ">="),
    "time": ("<", "<=", ">", ">=", "==", "!="),
    "flag": ("==", "!="),
    "tags": ("==", "!=", "in", "not in"),
    "words": ("~", "!~"),
}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True)
class Leader:
    """An index that finds the rows of one condition. ``source`` is a FROM with its WHERE, ``order``
    the column that is a trace's row there; ``ordered`` says that the walk is by that column."""

    source: str
    order: str
    values: tuple[object, ...]
    ordered: bool
    what: str


@dataclass(frozen=True)
class RowTest:
    """A condition as a test of one row, and how it may lead."""

    sql: str
    values: tuple[object, ...] = ()
    leader: Leader | None = None


@dataclass(frozen=True)
class Compiled:
    """An expression as tests that must all hold; ``words`` are its full-text queries, for
    snippets, ``evaluations`` and ``versions`` the names it asks for."""

    tests: tuple[RowTest, ...]
    words: tuple[str, ...]
    evaluations: tuple[str, ...]
    versions: tuple[str, ...] = ()


def compile_expression(expression: str, *, now_ns: int) -> Compiled:
    """Raises ExpressionError, which shows the place."""
    compiler = _Compiler(expression, now_ns)
    tree = parse(expression, ALONE)
    nodes = tree.nodes if isinstance(tree, Both) and tree.every else (tree,) if tree else ()
    tests = tuple(compiler.test(node) for node in nodes)
    return Compiled(
        tests, tuple(compiler.words), tuple(compiler.evaluations), tuple(compiler.versions)
    )


class _Compiler:
    def __init__(self, expression: str, now_ns: int) -> None:
        self.expression = expression
        self.now_ns = now_ns
        self.words: list[str] = []
        self.evaluations: dict[str, None] = {}
        self.versions: dict[str, None] = {}

    def mistake(self, what: str, column: int) -> ExpressionError:
        return ExpressionError(what, expression=self.expression, column=column)

    def test(self, node: Node, *, wanted: bool = True) -> RowTest:
        """``wanted`` False below a ``not``: such words are no part of a snippet."""
        match node:
            case Not():
                return RowTest(*_negated(self.test(node.node, wanted=not wanted)))
            case Both():
                tests = [self.test(one, wanted=wanted) for one in node.nodes]
                joined = (" AND " if node.every else " OR ").join(one.sql for one in tests)
                values = tuple(value for one in tests for value in one.values)
                return RowTest(f"({joined})", values)
            case Words():
                text = f'"{node.text}"' if node.phrase else node.text
                return self.words_test(text, "", node.column, wanted=wanted)
            case Condition():
                return self.condition(node, wanted=wanted)

    def condition(self, node: Condition, *, wanted: bool) -> RowTest:
        if node.evaluation is not None:
            return self.evaluation(node)
        field = self.field(node.field, FIELDS, node.column)
        self.check_operator(node, field)
        if field.type == "words":
            test = self.words_test(
                node.values[0].value,
                field.sql,
                node.column,
                wanted=wanted and node.operator == "~",
            )
            return test if node.operator == "~" else RowTest(*_negated(test))
        if field.type == "tags":
            return self.tags(node)
        sql, values = self.comparison(node, field)
        return RowTest(_two_valued(sql), values, _leader(node, field, sql, values))

    def field(self, name: str, known: dict[str, Field], column: int) -> Field:
        if name.startswith("metadata.") and known is FIELDS:
            key = name.partition(".")[2].replace('"', "")
            return Field(f"json_extract(t.metadata, '$.\"{_quoted(key)}\"')", "text", "")
        if name not in known or name == "metadata":
            if name == "metadata":
                raise self.mistake('name an entry: metadata.KEY == "value"', column)
            raise self.mistake(f"unknown field '{name}'{did_you_mean(name, known)}", column)
        return known[name]

    def check_operator(self, node: Condition, field: Field) -> None:
        if not node.operator:
            if field.type != "flag":
                raise self.mistake(
                    f"compare it: {node.field} {_TAKES[field.type][0]} ...", node.column
                )
            return
        takes = _TAKES[field.type]
        if node.operator not in takes and not _is_none(node):
            assert node.operator in OPERATORS
            what = f"'{node.field}' takes {' '.join(takes)}, not '{node.operator}'"
            raise self.mistake(what, node.column)

    def comparison(self, node: Condition, field: Field) -> tuple[str, tuple[object, ...]]:
        """A comparison that is NULL where the field is unknown."""
        operator = node.operator
        if field.type == "flag":
            truth = self.truth(node.values[0]) if node.values else True
            same = (operator in {"", "=="}) == truth
            return (f"({field.sql})" if same else f"(NOT {field.sql})"), ()
        if _is_none(node):
            return f"{field.sql} IS {'NOT ' if operator == '!=' else ''}NULL", ()
        if operator in {"~", "!~"}:
            found = f"instr(lower({field.sql}), lower(?)) > 0"
            sql = found if operator == "~" else f"NOT coalesce({found}, 0)"
            return sql, (node.values[0].value,)
        if field.type == "version":
            self.versions.update((one.value + one.unit, None) for one in node.values)
            return _versions(node)
        values = tuple(self.value(one, field) for one in node.values)
        if operator in {"in", "not in"}:
            listed = f"{field.sql} IN ({', '.join('?' * len(values))})"
            return (listed if operator == "in" else f"NOT coalesce({listed}, 0)"), values
        if operator == "!=":
            return f"{field.sql} IS NOT ?", values
        if field.type == "age":
            operator = _TURNED[operator]
        return f"{field.sql} {'=' if operator == '==' else operator} ?", values

    def evaluation(self, node: Condition) -> RowTest:
        assert node.evaluation is not None
        self.evaluations[node.evaluation] = None
        sql = "true"
        values: tuple[object, ...] = ()
        if node.field or node.operator:
            part = self.field(node.field, PARTS, node.column)
            self.check_operator(node, part)
            sql, values = self.comparison(node, part)
        name = (node.evaluation, *values)
        exists = (
            "EXISTS (SELECT 1 FROM evaluations e WHERE e.trace_id = t.trace_id "  # noqa: S608 - our own SQL
            f"AND e.name = ? AND {sql})"
        )
        found = (
            "traces t WHERE t.trace_id IN (SELECT e.trace_id FROM evaluations e "  # noqa: S608 - our own SQL
            f"WHERE e.name = ? AND {sql})"
        )
        leader = Leader(found, "t.id", name, ordered=False, what=f"eval({node.evaluation})")
        return RowTest(exists, name, leader)

    def tags(self, node: Condition) -> RowTest:
        values = tuple(one.value for one in node.values)
        listed = f"tag IN ({', '.join('?' * len(values))})"
        sql = f"EXISTS (SELECT 1 FROM trace_tags WHERE {listed} AND trace = t.id)"  # noqa: S608 - our own SQL
        if node.operator in {"!=", "not in"}:
            return RowTest(f"NOT {sql}", values)
        leader = None
        if len(values) == 1:
            found = "trace_tags g WHERE g.tag = ?"
            leader = Leader(found, "g.trace", values, ordered=True, what="tag")
        return RowTest(sql, values, leader)

    def words_test(self, text: str, part: str, column: int, *, wanted: bool) -> RowTest:
        query = as_query(text)
        if not query:
            raise self.mistake("there is no word to look for", column)
        query = f"{part} : ({query})" if part else query
        if wanted:
            self.words.append(f"({query})")
        sql = "EXISTS (SELECT 1 FROM search WHERE search MATCH ? AND rowid = t.id)"
        found = "search WHERE search MATCH ?"
        leader = Leader(found, "search.rowid", (query,), ordered=True, what="text")
        return RowTest(sql, (query,), leader)

    def value(self, literal: Literal, field: Field) -> object:
        """A value as SQL compares it."""
        match field.type:
            case "number":
                return self.number(literal, ("",))
            case "duration":
                return round(self.number(literal, _UNITS_NS))
            case "age":
                return self.now_ns - round(self.number(literal, _UNITS_NS))
            case "time":
                return self.moment(literal)
            case _:
                return self.choice(literal, field)

    def number(self, literal: Literal, units: Sequence[str] | dict[str, int]) -> float:
        if literal.kind != "number" or literal.unit not in units:
            wanted = "a duration like 2s, 150ms or 7d" if isinstance(units, dict) else "a number"
            raise self.mistake(f"this should be {wanted}", literal.column)
        number = float(literal.value)
        if isinstance(units, dict):
            number *= units[literal.unit]
        if not abs(number) < _LARGEST:
            raise self.mistake("no such number is recorded; use a smaller one", literal.column)
        return int(number) if number.is_integer() else number

    def moment(self, literal: Literal) -> int:
        try:
            seconds = datetime.fromisoformat(literal.value).timestamp()
        except (ValueError, OverflowError, OSError):
            what = 'this should be a time like "2026-01-31T09:00"'
            raise self.mistake(what, literal.column) from None
        return round(seconds * 1_000_000) * 1000

    def choice(self, literal: Literal, field: Field) -> str:
        text = literal.value + literal.unit
        if not field.choices:
            return text
        for one in field.choices:
            if one.lower() == text.lower():
                return one
        raise self.mistake(
            f"no such value '{text}'{did_you_mean(text, field.choices)}", literal.column
        )

    def truth(self, literal: Literal) -> bool:
        if literal.value.lower() not in {"true", "false"}:
            raise self.mistake("this should be true or false", literal.column)
        return literal.value.lower() == "true"


def _versions(node: Condition) -> tuple[str, tuple[object, ...]]:
    """A version by all its digits, by its first seven or more, or by another program's name."""
    tests: list[str] = []
    values: list[object] = []
    for literal in node.values:
        text = literal.value + literal.unit
        if re.fullmatch("[0-9a-f]{7,64}", text):
            tests.append("t.prompt_version BETWEEN ? AND ?")
            values += [bytes.fromhex(text.ljust(64, "0")), bytes.fromhex(text.ljust(64, "f"))]
        else:
            tests.append("t.prompt_version = ?")
            values.append(text)
    joined = f"({' OR '.join(tests)})"
    wanted = node.operator in {"==", "in"}
    return (joined if wanted else f"NOT coalesce({joined}, 0)"), tuple(values)


def _leader(node: Condition, field: Field, sql: str, values: tuple[object, ...]) -> Leader | None:
    found, what = f"traces t WHERE {sql}", node.field
    if field.type in {"time", "age"} and node.operator in {"<", "<=", ">", ">=", "=="}:
        return Leader(found, "t.id", values, ordered=False, what=what)
    if node.field == "status" and node.operator == "==" and values[0] != "OK":
        return Leader(f"{found} AND t.status <> 'OK'", "t.id", values, ordered=True, what=what)
    if node.field == "pinned" and sql == f"({field.sql})":
        return Leader(found, "t.id", values, ordered=False, what=what)
    if field.indexed and not _is_none(node) and node.operator in {"==", "in"}:
        # An index on one value is in the order of rows; on several it is not, nor is that of ids.
        ordered = len(values) == 1 and field.type == "text" and node.field != "id"
        return Leader(found, "t.id", values, ordered=ordered, what=what)
    return None


def _negated(test: RowTest) -> tuple[str, tuple[object, ...]]:
    return f"NOT ({test.sql})", test.values


def _two_valued(sql: str) -> str:
    """True or false, never NULL; also keeps the planner from choosing this column's index."""
    return f"coalesce({sql}, 0)"


def _is_none(node: Condition) -> bool:
    """``cost_usd == none``: unknown or absent."""
    return (
        node.operator in {"==", "!="}
        and node.values[0].kind == "word"
        and node.values[0].value.lower() in {"none", "null"}
    )


def _quoted(key: str) -> str:
    return key.replace("'", "''")


def field_table() -> Iterator[tuple[str, str, str]]:
    """(field, operators, meaning) of everything that can be asked for, for help and README."""
    for name, field in FIELDS.items():
        shown = "metadata.KEY" if name == "metadata" else name
        yield shown, " ".join(_TAKES[field.type]), field.meaning
    for name, field in PARTS.items():
        yield f'eval("NAME").{name}', " ".join(_TAKES[field.type]), field.meaning
