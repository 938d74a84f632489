"""The user's own patterns: ``P2RE_REDACT`` and the project's ``pyproject.toml``, for every door.

::

    [tool.p2re]
    redact = ["ACME-[0-9]{6}", "(?i)iban [a-z0-9 ]{15,34}"]
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from p2re_eval.errors import UsageError
from p2re_eval.store.careful_patterns import never_ends
from p2re_eval.store.secret_shapes import note

LOG = logging.getLogger("p2re_eval.store")
SLOW_S = 1.0
"""A pattern that takes longer on one text is named in the log."""


@dataclass(frozen=True)
class Rule:
    """One pattern; ``where`` it comes from stands in the place of what it takes out."""

    where: str
    pattern: re.Pattern[str]

    def replaced(self, text: str) -> str:
        """The text without what the pattern finds."""
        began = time.perf_counter()
        found = self.pattern.sub(note(f"by {self.where}"), text)
        took = time.perf_counter() - began
        if took > SLOW_S:
            what = (
                "p2re: %s: the pattern %r took %.1f s on %d characters; begin it with a plain word"
            )
            LOG.warning(what, self.where, self.pattern.pattern, took, len(text))
        return found


def own_rules(environ: Mapping[str, str], folder: Path | None) -> tuple[Rule, ...]:
    """Those of the environment and of the project around the folder. Raises UsageError."""
    found: list[Rule] = []
    pattern = environ.get("P2RE_REDACT")
    if pattern:
        found.append(rule(pattern, "P2RE_REDACT", "or unset it"))
    for project in () if folder is None else _projects(folder.absolute()):
        found += _rules_of(project, project.stat().st_mtime_ns)
        break
    return tuple(found)


def rule(pattern: str, where: str, otherwise: str) -> Rule:
    """A pattern that may be used. Raises UsageError: it is none, or might never end."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        what = f"{where} is no regular expression: {error}; correct it, {otherwise}"
        raise UsageError(what) from None
    if never_ends(pattern):
        what = (
            f"{where}: the pattern {pattern!r} can take for ever on some texts, as it repeats what "
            f"repeats itself; make the inner repetition possessive ('++', '*+'), {otherwise}"
        )
        raise UsageError(what)
    return Rule(where, compiled)


def _projects(folder: Path) -> Iterator[Path]:
    for parent in (folder, *folder.parents):
        path = parent / "pyproject.toml"
        if path.is_file():
            yield path


@lru_cache(maxsize=8)
def _rules_of(path: Path, _changed_ns: int) -> tuple[Rule, ...]:
    import tomllib

    try:
        content = path.read_text(encoding="utf-8")
        if "redact" not in content or "p2re" not in content:
            return ()
        asked = tomllib.loads(content)["tool"]["p2re"].get("redact", [])
    except KeyError:
        return ()
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {error}; correct it") from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: [tool.p2re] cannot be read: {error}; correct it") from None
    if not isinstance(asked, list) or not all(isinstance(one, str) for one in asked):
        what = f'{path}: redact in [tool.p2re] must be a list of patterns, ["ACME-[0-9]+"]'
        raise UsageError(what)
    return tuple(rule(one, f"{path.name}", "or leave it out") for one in asked)
