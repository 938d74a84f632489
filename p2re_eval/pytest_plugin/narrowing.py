"""``--p2re-affected``: only what a change touches is left of the selection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from p2re_eval.errors import NoBaseline, P2REError, UsageError
from p2re_eval.git import Repository
from p2re_eval.pytest_plugin.items import CaseItem, GateItem
from p2re_eval.store import open_store

if TYPE_CHECKING:
    from p2re_eval.experiments.affected import SinceBaseline, SinceRevision
    from p2re_eval.pytest_plugin.session import P2RESession


class Narrowing:
    """Takes away what is not affected; afterwards it knows how much was left out, and since when.

    A suite without any affected run loses its gates as well. Tests in Python stay: nobody knows
    what they depend on.
    """

    def __init__(self, session: P2RESession) -> None:
        self._session = session
        self.since = ""
        self.left_out = 0

    def keep(self, items: list[pytest.Item]) -> list[pytest.Item]:
        """Leave only what is affected, in place; gives the rest. Raises pytest.UsageError."""
        cases = [item for item in items if isinstance(item, CaseItem)]
        try:
            touched = self._touched(cases)
        except P2REError as error:
            raise pytest.UsageError(f"--p2re-affected: {error}") from None
        suites = {item.plan.suite.path for item in touched}
        kept: list[pytest.Item] = []
        others: list[pytest.Item] = []
        chosen = set(map(id, touched))
        for item in items:
            aside = isinstance(item, CaseItem) and id(item) not in chosen
            aside |= isinstance(item, GateItem) and item.plan.suite.path not in suites
            (others if aside else kept).append(item)
        items[:] = kept
        self.left_out = len(cases) - len(touched)
        return others

    def told(self) -> str:
        """One line for the end of the run."""
        return f"affected  since {self.since}; {self.left_out:,} unaffected runs left out"

    def _touched(self, cases: list[CaseItem]) -> list[CaseItem]:
        """The repeats of a case stay together: one that is touched takes the others along."""
        judge = self._judge(cases)
        touched = {_case(item) for item in cases if judge.touches(item.run)}
        return [item for item in cases if _case(item) in touched]

    def _judge(self, cases: list[CaseItem]) -> SinceBaseline | SinceRevision:
        from p2re_eval.baselines import choose
        from p2re_eval.experiments.affected import SinceBaseline, SinceRevision

        harness, comparing = self._session.harness, self._session.comparing
        root = harness.settings.root
        if comparing.revision is not None:
            commit = Repository.around(root).resolve_fetched(comparing.revision)
            self.since = f"{comparing.revision} ({commit[:7]})"
            return SinceRevision(commit, root, harness.library)
        reference = comparing.reference
        if reference is None:
            raise UsageError("give --p2re-baseline REF or --p2re-against REV as well")
        self.since = reference
        suites = {item.plan.suite.path for item in cases}
        if not harness.settings.db_path.exists():
            open_store(harness.settings.db_path).close()  # a file may be the baseline all the same
        with open_store(harness.settings.db_path, read_only=True) as store:
            try:
                found = choose(reference, store, root=root, suites=suites, now=harness.experiment)
            except NoBaseline:
                self.since = f"nothing ({reference}: there is no baseline yet, so all of it runs)"
                return SinceBaseline((), harness.library)
            return SinceBaseline(found.sample(None).observations(), harness.library)


def _case(item: CaseItem) -> tuple[str, str, str, str]:
    run = item.run
    return run.suite.path, run.prompt, run.model, run.case.id
