"""What a session is compared with, chosen before it runs and compared when it has.

Baselines and statistics are imported where they are used: most sessions compare with nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from p2re_eval.errors import P2REError, UsageError
from p2re_eval.gates import NO_BASELINE, Gate
from p2re_eval.gates.verdicts import partial_text
from p2re_eval.planning import PlannedRun
from p2re_eval.records import JSON, Comparison, Experiment, GateVerdict, Result

if TYPE_CHECKING:
    from p2re_eval.baselines import Baseline
    from p2re_eval.compare import Match
    from p2re_eval.pytest_plugin.against import Against
    from p2re_eval.pytest_plugin.session import P2RESession


class Comparing:
    """The session's baseline: a revision's prompts run beside it, or what was recorded before."""

    def __init__(self, session: P2RESession) -> None:
        self._session = session
        self._config = session.config
        self._against: Against | None = None
        self._baseline: Baseline | None = None
        self._why_none = NO_BASELINE
        self._chosen = False
        self._note = ""

    @property
    def revision(self) -> str | None:
        """What ``--p2re-against`` says."""
        revision: str | None = self._config.getoption("p2re_against")
        return revision

    @property
    def reference(self) -> str | None:
        """What ``--p2re-baseline`` or the ini file says."""
        reference: str = self._config.getoption("p2re_baseline") or self._config.getini(
            "p2re_baseline"
        )
        return reference or None

    def prepare(self) -> None:
        """Refuse what cannot work before any call. Raises P2REError."""
        if self.revision is not None and self._config.getoption("p2re_baseline"):
            raise UsageError("--p2re-against and --p2re-baseline: give one of the two")
        if self.revision is not None:
            from p2re_eval.pytest_plugin.against import Against

            self._against = Against(self._session.harness, self._other())
            return
        reference = self.reference
        if reference is None or reference in {"latest", "ancestor"}:
            return
        from p2re_eval.baselines import is_file, read_baseline

        if is_file(reference):
            read_baseline(self._config.rootpath / reference)
        else:
            self._session.harness.store.read_experiment(reference)

    def _other(self) -> Experiment:
        """xdist's workers share what the controller made."""
        handed = getattr(self._config, "workerinput", {}).get("p2re_against")
        if handed:
            return Experiment.model_validate_json(handed)
        from p2re_eval.pytest_plugin.against import experiment_at

        assert self.revision is not None
        now = self._session.harness.experiment
        return experiment_at(self._config.rootpath, self.revision, now)

    def hand_over(self) -> str | None:
        """In xdist's controller: the experiment that its workers fill. Raises GitError."""
        if self.revision is None:
            return None
        if self._against is None:
            self.prepare()
        assert self._against is not None
        return self._against.experiment.model_dump_json()

    def counterparts(self, runs: Sequence[PlannedRun]) -> list[PlannedRun]:
        """What ``--p2re-against`` would run beside these, for a plan. Raises GitError."""
        if self.revision is None:
            return []
        from p2re_eval.pytest_plugin.against import Against

        against = Against(self._session.harness, self._other())
        found = (against.counterpart(run) for run in runs)
        return [other for other in found if other is not None]

    def follow(self, planned: PlannedRun, result: Result) -> None:
        """A run has its result: its counterpart may start. Raises StoreError."""
        if self._against is not None:
            self._against.follow(planned, result)

    def wait(self) -> None:
        """Until the other side is complete. Raises StoreError."""
        if self._against is not None:
            self._against.wait()

    def verdict(self, gate: Gate, suite: str, *, selected: int, planned: int) -> GateVerdict:
        """What a ``no_regression`` gate makes of a suite's results beside the baseline's.

        Raises StoreError.
        """
        from p2re_eval.gates import decide_regression

        matched = self._matched(suite, partial=partial_text(selected, planned))
        return decide_regression(gate, matched, suite=suite, why=self._why_none)

    def _matched(self, suite: str, *, partial: str) -> Match | None:
        self.wait()
        baseline = self._choose()
        if baseline is None:
            return None
        from p2re_eval.compare import match, recorded

        harness = self._session.harness
        after = recorded(harness.store, harness.experiment, label="now", suite=suite)
        return match(baseline.sample(suite), after, partial=partial)

    def comparison(self) -> Comparison | None:
        """The whole session beside its baseline, for the report; ``None`` without one.

        Raises StoreError.
        """
        harness = self._session.harness
        if self._choose() is None or self._baseline is None:
            return None
        from p2re_eval.compare import compare, recorded

        after = recorded(harness.store, harness.experiment, label="now")
        selected, planned = self._session.selected, self._session.planned
        partial = partial_text(sum(selected.values()), sum(planned[suite] for suite in selected))
        notes = [partial, self._against.note if self._against else ""]
        self._note = "; ".join(note for note in notes if note)
        found = compare(self._baseline.sample(None), after, partial=partial)
        return found.model_copy(update={"note": self._note})

    def share(self) -> list[object]:
        """In xdist's worker: what its controller counts on."""
        return [self._against.reused, self._against.reasons] if self._against else [0, {}]

    def take_over(self, shared: Sequence[Any]) -> None:
        """In xdist's controller: what one of its workers counted."""
        if self._against is not None:
            self._against.add(*shared)

    def finish(self, experiment: Experiment) -> None:
        """The session has ended. Raises StoreError."""
        if self._against is not None:
            self._against.finish(experiment)

    def settings(self) -> dict[str, JSON]:
        """What the experiment keeps of its baseline."""
        if self._baseline is None:
            return {}
        from p2re_eval.baselines import is_file

        reference = self.reference if self.reference and is_file(self.reference) else None
        kept: dict[str, JSON] = {
            "baseline": reference or self._baseline.experiment.experiment_id,
            "compared": self._note,
        }
        return {name: value for name, value in kept.items() if value}

    def _choose(self) -> Baseline | None:
        if not self._chosen:
            self._chosen = True
            try:
                self._baseline = self._found()
            except P2REError as error:
                self._why_none = str(error)
        return self._baseline

    def _found(self) -> Baseline | None:
        harness = self._session.harness
        if self._against is not None:
            from p2re_eval.baselines import from_store

            return from_store(harness.store, self._against.experiment, label=self._against.label)
        reference = self.reference or harness.plugins.choose_baseline(
            harness.experiment, harness.store
        )
        if not reference:
            return None
        from p2re_eval.baselines import choose

        return choose(
            reference,
            harness.store,
            root=self._config.rootpath,
            suites=self._session.selected,
            now=harness.experiment,
        )
