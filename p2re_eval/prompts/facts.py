"""What a template's text says without rendering it: the names it needs, the partials it reaches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables

from p2re_eval.errors import DefinitionError, SyntaxMistake, UnknownName
from p2re_eval.explain import did_you_mean

_NAMES_A_PARTIAL = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
_ASSIGNS = (nodes.Assign, nodes.AssignBlock)
_QUOTED = re.compile(r"'([^']+)'")


@dataclass(frozen=True)
class Finding:
    """A mistake on a line (from 1) of a text; ``word`` is what to point at."""

    kind: type[DefinitionError]
    what: str
    line: int
    word: str = ""


@dataclass(frozen=True)
class Reference:
    """An include, import or extends: the first of ``names`` that exists is taken.

    ``sees_inputs`` is false for an import, which runs without the prompt's variables.
    """

    names: tuple[str, ...]
    line: int
    may_miss: bool
    sees_inputs: bool


@dataclass(frozen=True)
class Facts:
    """Everything static about one text.

    ``needed`` maps each name that must come from outside to its first line; ``assigned`` are the
    names that ``set`` gives a value somewhere, ``stored`` also loop variables and arguments.
    """

    needed: dict[str, int]
    assigned: frozenset[str] = frozenset()
    stored: frozenset[str] = frozenset()
    references: tuple[Reference, ...] = ()
    findings: tuple[Finding, ...] = ()


def examine(environment: Environment, text: str) -> Facts:
    """The facts of one text; what is wrong in it becomes findings, never an exception."""
    try:
        tree = environment.parse(text)
    except TemplateSyntaxError as error:
        return Facts({}, findings=(_syntax_finding(error),))
    findings = list(_unknown_names(environment, tree))
    references = list(_references(tree, findings))
    try:
        undeclared = find_undeclared_variables(tree)
    except TemplateSyntaxError as error:
        return Facts({}, findings=(*findings, _syntax_finding(error)))
    return Facts(
        needed=_first_lines(tree, undeclared),
        assigned=frozenset(_assigned(tree)),
        stored=frozenset(n.name for n in tree.find_all(nodes.Name) if n.ctx != "load"),
        references=tuple(references),
        findings=tuple(findings),
    )


def _syntax_finding(error: TemplateSyntaxError) -> Finding:
    message = (error.message or "cannot be read").rstrip(".")
    message = message[:1].lower() + message[1:]
    quoted = _QUOTED.findall(message)
    advice = "check the braces, or wrap literal ones in {% raw %} ... {% endraw %}"
    word = quoted[-1] if "got '" in message else quoted[0] if quoted else ""
    return Finding(SyntaxMistake, f"not a Jinja template: {message}; {advice}", error.lineno, word)


def _unknown_names(environment: Environment, tree: nodes.Template) -> Iterator[Finding]:
    """Filters and tests nobody registered. They are renamed in the tree, so that Jinja's own search
    for variables can go on behind them."""
    known_by_kind = (
        (nodes.Filter, "filter", environment.filters, "string"),
        (nodes.Test, "test", environment.tests, "defined"),
    )
    for kind, word, known, stand_in in known_by_kind:
        for node in tree.find_all(kind):
            name: str = node.name
            if name not in known:
                shown = [each for each in known if each.isidentifier()]
                what = f"unknown {word} '{name}'{did_you_mean(name, shown)}"
                yield Finding(UnknownName, what, node.lineno, name)
                node.name = stand_in


def _references(tree: nodes.Template, findings: list[Finding]) -> Iterator[Reference]:
    for node in tree.find_all(_NAMES_A_PARTIAL):
        assert isinstance(node, _NAMES_A_PARTIAL)
        for names in _choices(node.template):
            if names is None:
                what = "a partial's name must be written out; its text is part of the version"
                findings.append(Finding(SyntaxMistake, what, node.lineno))
                continue
            yield Reference(
                names=names,
                line=node.lineno,
                may_miss=getattr(node, "ignore_missing", False),
                sees_inputs=getattr(node, "with_context", True),
            )


def _choices(node: nodes.Expr) -> Iterator[tuple[str, ...] | None]:
    """Each partial that this expression may name; ``None`` when only rendering could tell."""
    if isinstance(node, nodes.CondExpr) and node.expr2 is not None:
        yield from _choices(node.expr1)
        yield from _choices(node.expr2)
    elif isinstance(node, (nodes.List, nodes.Tuple)):
        names = [each.value for each in node.items if isinstance(each, nodes.Const)]
        yield tuple(names) if names and len(names) == len(node.items) else None
    elif isinstance(node, nodes.Const) and isinstance(node.value, str):
        yield (node.value,)
    else:
        yield None


def _first_lines(tree: nodes.Template, names: Iterable[str]) -> dict[str, int]:
    lines: dict[str, int] = {}
    for node in tree.find_all(nodes.Name):
        if node.ctx == "load" and node.name in names:
            lines[node.name] = min(node.lineno, lines.get(node.name, node.lineno))
    return {name: lines.get(name, 1) for name in sorted(names)}


def _assigned(tree: nodes.Template) -> Iterator[str]:
    for node in tree.find_all(_ASSIGNS):
        assert isinstance(node, _ASSIGNS)
        for target in (node.target, *node.target.find_all(nodes.Name)):
            if isinstance(target, nodes.Name):
                yield target.name
