"""``version == v3`` in a search, where git says which version that is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from p2re_eval.errors import DefinitionError, DefinitionErrors, GitError

if TYPE_CHECKING:
    from p2re_eval.store.expression import Condition, Node

_NUMBER = re.compile("v([1-9][0-9]*)")


def as_logged(expression: str, folder: Path) -> str:
    """The expression with hashes in place of the numbers that `p2re prompts log` shows, where it
    names one prompt and git knows its history. Raises ExpressionError."""
    if "version" not in expression or not folder.is_dir():
        return expression
    from p2re_eval.store.expression import parse
    from p2re_eval.store.expression_fields import ALONE

    tree = parse(expression, ALONE)
    conditions = list(_conditions(tree)) if tree is not None else []
    names = {v.value for c in conditions if c.field == "prompt" for v in c.values}
    asked = [v for c in conditions if c.field == "version" for v in c.values]
    numbered = [one for one in asked if _NUMBER.fullmatch(one.value)]
    if len(names) != 1 or not numbered:
        return expression
    known = _history(names.pop(), folder)
    for one in sorted(numbered, key=lambda literal: -literal.column):
        version = known.get(int(one.value[1:]))
        if version is not None:
            start = one.column - 1
            expression = expression[:start] + version + expression[start + len(one.value) :]
    return expression


def _history(name: str, folder: Path) -> dict[int, str]:
    """Each number's hash; empty where git does not know."""
    from p2re_eval.prompts import PromptLibrary

    try:
        return {one.number: one.version for one in PromptLibrary(folder).history(name)}
    except (DefinitionError, DefinitionErrors, GitError):
        return {}


def _conditions(node: Node) -> Iterator[Condition]:
    from p2re_eval.store.expression import Both, Condition, Not

    if isinstance(node, Condition):
        yield node
    elif isinstance(node, Not):
        yield from _conditions(node.node)
    elif isinstance(node, Both):
        for one in node.nodes:
            yield from _conditions(one)
