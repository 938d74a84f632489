"""Cases that decide nothing for a while: each with a reason and a day on which that ends."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path, PurePath

from pydantic import ValidationError

from p2re_eval.documents import did_you_mean, read_document, read_text
from p2re_eval.errors import MissingFile, OutsideFolder, UnknownName, WrongType
from p2re_eval.records import JSON, Quarantine
from p2re_eval.suites.format import QuarantineEntry
from p2re_eval.suites.spots import InDocument, Mistakes


class QuarantineReader:
    """Reads the ``quarantine:`` of one suite: a list, or the path of a file that holds one."""

    def __init__(self, suite: Path, shown: str, cases: Collection[str], mistakes: Mistakes) -> None:
        self._suite = suite
        self._shown = shown
        self._cases = cases
        self._mistakes = mistakes

    def read(self, value: JSON, spot: InDocument) -> tuple[Quarantine, ...]:
        """The quarantines of this suite; every mistake in them is noted."""
        if isinstance(value, str):
            return self._file(value, spot)
        if isinstance(value, list):
            return self._entries(value, spot)
        if value is not None:
            what = "`quarantine:` is a list of {case, until, reason}, or the path of such a file"
            self._mistakes.note(WrongType, what, spot)
        return ()

    def _file(self, name: str, spot: InDocument) -> tuple[Quarantine, ...]:
        path = self._suite.parent / name
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            what = "a quarantine file lies beside the suite or below; give a path relative to it"
            self._mistakes.note(OutsideFolder, what, spot)
            return ()
        if not path.is_file():
            what = f"there is no file '{name}' beside this suite; create it, or write the list here"
            self._mistakes.note(MissingFile, what, spot)
            return ()
        shown = (PurePath(self._shown).parent / name).as_posix()
        document = read_document(shown, read_text(path, shown=shown))
        inside = InDocument(document)
        if not isinstance(document.value, list):
            what = "a quarantine file is a list of {case, until, reason}"
            self._mistakes.note(WrongType, what, inside)
            return ()
        return self._entries(document.value, inside)

    def _entries(self, values: list[JSON], spot: InDocument) -> tuple[Quarantine, ...]:
        found = [self._entry(value, spot.within(index)) for index, value in enumerate(values)]
        return tuple(one for one in found if one is not None)

    def _entry(self, value: JSON, spot: InDocument) -> Quarantine | None:
        try:
            entry = QuarantineEntry.model_validate(value)
        except ValidationError as error:
            self._mistakes.explain(error, QuarantineEntry, spot)
            return None
        if entry.suite is not None and entry.suite not in {self._shown, self._suite.stem}:
            return None
        if entry.case not in self._cases:
            known = did_you_mean(entry.case, self._cases)
            what = f"no case is called '{entry.case}'{known or '; remove it from the quarantine'}"
            self._mistakes.note(UnknownName, what, spot, "case")
            return None
        try:
            date.fromisoformat(entry.until)
        except ValueError:
            what = f"'{entry.until}' is no day; write the last day as YYYY-MM-DD"
            self._mistakes.note(WrongType, what, spot, "until")
            return None
        values = entry.model_dump(exclude={"suite"})
        return Quarantine(**values, place=spot.place())
