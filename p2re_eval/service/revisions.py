"""What git says of a project's prompts: the one meaning of ``v3``, at every door."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Protocol

from p2re_eval.errors import DefinitionError, DefinitionErrors, GitError
from p2re_eval.prompts.versions import VersionEntry
from p2re_eval.records import PromptTemplate
from p2re_eval.store.expression import Both, Condition, Node, Not, parse
from p2re_eval.store.expression_fields import ALONE

NUMBER = re.compile("v([1-9][0-9]*)")


class Library(Protocol):
    """A project's prompt files; :class:`~p2re_eval.prompts.PromptLibrary` is one."""

    def get(self, reference: str) -> PromptTemplate: ...

    def history(self, name: str) -> list[VersionEntry]: ...


class Revisions:
    """The versions of prompts in the history of a project's files, where there is a project.

    A number is git's alone: it grows at one end and is the same for everybody who has the history,
    while the order in which a database met versions differs from database to database. The library
    is made when something is asked of it.
    """

    def __init__(self, library: Callable[[], Library | None]) -> None:
        self._library = library

    def template(self, name: str, reference: str) -> PromptTemplate | None:
        """The prompt at ``v3``, a branch, a tag or a commit; None without a project.

        Raises GitError, DefinitionError, DefinitionErrors.
        """
        library = self._library()
        return None if library is None else library.get(f"{name}@{reference}")

    def numbers(self, name: str) -> dict[str, int]:
        """The number of each version that git knows, by its hash; none where git is not asked."""
        library = self._library()
        try:
            entries = [] if library is None else library.history(name)
        except (GitError, DefinitionError, DefinitionErrors):
            return {}
        return {entry.version: entry.number for entry in entries}

    def in_expression(self, expression: str) -> str:
        """The expression with hashes in place of numbers, where it names one prompt that git knows.

        Raises ExpressionError.
        """
        if "version" not in expression:
            return expression
        tree = parse(expression, ALONE)
        conditions = list(_conditions(tree)) if tree is not None else []
        names = {one.value for each in conditions if each.field == "prompt" for one in each.values}
        asked = [one for each in conditions if each.field == "version" for one in each.values]
        numbered = [one for one in asked if NUMBER.fullmatch(one.value)]
        if len(names) != 1 or not numbered:
            return expression
        versions = {f"v{number}": each for each, number in self.numbers(names.pop()).items()}
        for one in sorted(numbered, key=lambda literal: -literal.column):
            start = one.column - 1 + (expression[one.column - 1] in "\"'")
            version = versions.get(one.value, one.value)
            expression = expression[:start] + version + expression[start + len(one.value) :]
        return expression


NO_PROJECT = Revisions(lambda: None)
"""Where a database is looked at by itself."""


def _conditions(node: Node) -> Iterator[Condition]:
    if isinstance(node, Condition):
        yield node
    elif isinstance(node, Not):
        yield from _conditions(node.node)
    elif isinstance(node, Both):
        for one in node.nodes:
            yield from _conditions(one)
