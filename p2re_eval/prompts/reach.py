"""Which partials a prompt reaches, read from where the prompt itself comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from p2re_eval.errors import DefinitionError, DefinitionErrors, MissingFile, OutsideFolder
from p2re_eval.prompts.facts import Facts, Finding, Reference
from p2re_eval.prompts.sandbox import partial_path, without_last_newline
from p2re_eval.prompts.sources import Source


class Partials:
    """The partials of one prompt, each read once; ``mistakes`` are those of unreadable files."""

    def __init__(self, source: Source, facts: Callable[[str], Facts]) -> None:
        self._source = source
        self._facts = facts
        self._found: dict[str, str | None] = {}
        self.mistakes: list[DefinitionError] = []

    @property
    def texts(self) -> dict[str, str]:
        """Every partial found so far, by its path below the prompts folder."""
        return {path: text for path, text in self._found.items() if text is not None}

    def reach(self, texts: Sequence[Facts]) -> Iterator[tuple[tuple[str, bool], Facts]]:
        """Every partial that these texts reach, keyed by path and whether it sees the inputs."""
        seen: set[tuple[str, bool]] = set()
        waiting = [(reference, True) for facts in texts for reference in facts.references]
        while waiting:
            reference, above_sees = waiting.pop()
            path = self.taken(reference)
            key = (path or "", above_sees and reference.sees_inputs)
            if path is None or key in seen:
                continue
            seen.add(key)
            facts = self._facts(self._found[path] or "")
            waiting += [(each, key[1]) for each in facts.references]
            yield key, facts

    def taken(self, reference: Reference) -> str | None:
        """The path of the first partial of a reference that exists."""
        for name in reference.names:
            try:
                path = partial_path(name)
                if self.text(path) is not None:
                    return path
            except OutsideFolder:
                continue
        return None

    def text(self, path: str) -> str | None:
        """A partial's text without its last newline, ``None`` when there is none.

        Raises OutsideFolder.
        """
        if path not in self._found:
            self._found[path] = None
            try:
                text = self._source.read(path)
            except DefinitionErrors as error:
                self.mistakes += error.errors
                text = ""
            self._found[path] = None if text is None else without_last_newline(text)
        return self._found[path]

    def missing(self, facts: Facts) -> Iterator[Finding]:
        """The references of a text that lead nowhere, or out of the folder."""
        for reference in facts.references:
            outside = [what for what in map(self._why_outside, reference.names) if what]
            for what in outside:
                yield Finding(OutsideFolder, what, reference.line, "")
            if not outside and not reference.may_miss and self.taken(reference) is None:
                names = " or ".join(f"'{name}'" for name in reference.names)
                what = f"no partial {names} below the prompts folder; check the path"
                yield Finding(MissingFile, what, reference.line, reference.names[0])

    def _why_outside(self, name: str) -> str | None:
        try:
            self.text(partial_path(name))
        except OutsideFolder as error:
            return f"the partial {error.what}"
        return None
