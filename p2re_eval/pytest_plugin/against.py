"""``--p2re-against REV``: the prompts of a git revision answer the same cases beside the run."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from pathlib import Path

from p2re_eval.clock import new_trace_id
from p2re_eval.engine.runs import Tape
from p2re_eval.errors import DefinitionError, DefinitionErrors, NotRun, RenderError
from p2re_eval.git import Repository
from p2re_eval.pipeline import Harness, rendered
from p2re_eval.planning import PlannedRun
from p2re_eval.prompts.library import PromptLibrary
from p2re_eval.providers.recordings import Recordings
from p2re_eval.quantities import count_text
from p2re_eval.records import (
    JSON,
    Completion,
    Experiment,
    PromptTemplate,
    RenderedPrompt,
    Result,
    Revision,
)

_LATER_NS = 1_000_000
"""A millisecond: with it the first digits of the two experiments' ids differ."""


def experiment_at(root: Path, revision: str, now: Experiment) -> Experiment:
    """The experiment that the prompts of a revision make beside ``now``.

    Raises GitError with the command that fetches what is missing.
    """
    commit = Repository.around(root).resolve_fetched(revision)
    return Experiment(
        experiment_id=new_trace_id(now.started_ns + _LATER_NS),
        name=f"{now.name}@{revision}",
        started_ns=now.started_ns,
        revision=Revision(commit=commit),
        settings={"against": revision, "baseline_of": now.experiment_id},
    )


class Against:
    """Runs each case's counterpart: the prompt as of the revision, with the case, the scorers and
    the suite's settings as they are now.

    What is identical at the revision is not run again: it has this run's result. The rest comes
    from the cache where it was recorded before, or from the recordings of both revisions when this
    run is a replay.
    """

    def __init__(self, harness: Harness, experiment: Experiment) -> None:
        self._harness = harness
        self.experiment = experiment
        self._twin: Harness | None = None
        self._templates: dict[str, PromptTemplate | None] = {}
        self._tapes: dict[str, Tape | None] = {}
        self._running: list[Future[Result] | Future[None]] = []
        self.reused = 0
        self.reasons: dict[str, int] = {}

    @property
    def label(self) -> str:
        """``main (1a2b3c4)``: how reports name the other side."""
        revision = self.experiment.revision
        assert revision is not None
        return f"{self.experiment.settings['against']} ({revision.commit[:7]})"

    @property
    def note(self) -> str:
        """What was not run, and why."""
        told = []
        if self.reused:
            told.append(f"{count_text(self.reused, 'run')} identical at {self.label}, reused")
        for why, n in sorted(self.reasons.items()):
            told.append(f"{count_text(n, 'run')} without a partner: {why}")
        return "; ".join(told)

    def add(self, reused: int, reasons: Mapping[str, int]) -> None:
        """Count what another process did."""
        self.reused += reused
        for why, n in reasons.items():
            self.reasons[why] = self.reasons.get(why, 0) + n

    def follow(self, planned: PlannedRun, result: Result) -> None:
        """Start the counterpart of a run that has its result, or take that. Raises StoreError.

        A run that was not made (budget, early stop) needs none.
        """
        if result.outcome == "not_run":
            return
        try:
            other = self._counterpart(planned)
            prompt = None if other is None else rendered(other, self._harness.library)
        except RenderError as error:
            self.add(0, {str(error): 1})
            return
        if other is None or prompt is None:
            return
        if prompt.fingerprint == result.fingerprint:
            self._adopt(result, other)
        else:
            (future,) = self._at().start_all([other])
            self._running.append(future)

    def counterpart(self, planned: PlannedRun) -> PlannedRun | None:
        """What would run beside this one; ``None`` where nothing does. Raises RenderError."""
        other, library = self._counterpart(planned), self._harness.library
        if other is None:
            return None
        same = rendered(other, library).fingerprint == rendered(planned, library).fingerprint
        return None if same else other

    def wait(self) -> None:
        """Until every counterpart is on disk; those that were stopped are not. Raises
        StoreError."""
        running, self._running = self._running, []
        for future in running:
            try:
                future.result()
            except (NotRun, CancelledError):
                continue

    def finish(self, experiment: Experiment) -> None:
        """The session has ended as ``experiment``: so has this one. Raises StoreError."""
        twin = self._at()
        update = {
            "ended_ns": experiment.ended_ns,
            "status": experiment.status,
            "suites": experiment.suites,
            "packages": experiment.packages,
            "planned": experiment.planned,
        }
        twin.store.finish_experiment(twin.experiment.model_copy(update=update))

    def _at(self) -> Harness:
        if self._twin is None:
            self._twin = self._harness.beside(self.experiment)
        return self._twin

    def _counterpart(self, planned: PlannedRun) -> PlannedRun | None:
        template = self._template(planned)
        if template is None:
            return None
        library = self._harness.library
        inputs = _known_inputs(planned.inputs, template)
        problems = library.check_inputs(template, inputs)
        if problems:
            self.add(0, {f"{template.name} at {self.label}: {problems[0].what}": 1})
            return None
        return replace(
            planned,
            template=template,
            settings=planned.asked.over(template.model),
            inputs=inputs,
            source="cache" if planned.source == "live" else planned.source,
            tape=self._tape(planned),
        )

    def _template(self, planned: PlannedRun) -> PromptTemplate | None:
        """The prompt at the revision; one that the suite pins to a revision is the same."""
        if "@" in planned.prompt:
            return planned.template
        name = planned.prompt
        if name not in self._templates:
            self._templates[name] = self._read(self._harness.library, name)
        template = self._templates[name]
        if template is None:
            self.add(0, {f"no working prompt '{name}' at {self.label}": 1})
        return template

    def _read(self, library: PromptLibrary, name: str) -> PromptTemplate | None:
        revision = self.experiment.revision
        assert revision is not None
        try:
            return library.get(f"{name}@{revision.commit}")
        except (DefinitionError, DefinitionErrors):
            return None

    def _adopt(self, result: Result, other: PlannedRun) -> None:
        """The same run is the counterpart's: its result and evaluations, under the other id."""
        experiment_id = self._at().experiment.experiment_id
        evaluations = tuple(
            one.model_copy(
                update={
                    "experiment_id": experiment_id,
                    "identifier": one.identifier.replace(result.experiment_id, experiment_id, 1),
                }
            )
            for one in result.evaluations
        )
        update = {
            "experiment_id": experiment_id,
            "evaluations": evaluations,
            "prompt_version": other.template.version,
            "source": "cache" if result.source == "live" else result.source,
        }
        saved = self._at().store.save_result(result.model_copy(update=update), evaluations)
        self._running.append(saved)
        self.add(1, {})

    def _tape(self, planned: PlannedRun) -> Tape | None:
        if planned.source != "replay" or planned.tape is None:
            return planned.tape
        name = planned.suite.recordings or f"recordings/{planned.suite.name}.jsonl"
        if name not in self._tapes:
            self._tapes[name] = self._recordings(name)
        older = self._tapes[name]
        return planned.tape if older is None else _BothTapes(planned.tape, older)

    def _recordings(self, name: str) -> Tape | None:
        """The recordings file as of the revision."""
        root, revision = self._harness.settings.root, self.experiment.revision
        assert revision is not None
        repository = Repository.around(root)
        path = (root / name).resolve().relative_to(repository.root).as_posix()
        content = repository.read(revision.commit, path)
        if content is None:
            return None
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / Path(name).name
            file.write_bytes(content)
            return Recordings.load([file])


class _BothTapes:
    """Recordings of the working tree, and where they have nothing those of the revision."""

    def __init__(self, newer: Tape, older: Tape) -> None:
        self._newer = newer
        self._older = older

    def find(self, prompt: RenderedPrompt, repeat: int) -> Completion | None:
        return self._newer.find(prompt, repeat) or self._older.find(prompt, repeat)

    def miss_reason(self, prompt: RenderedPrompt, repeat: int) -> str:
        return self._newer.miss_reason(prompt, repeat)


def _known_inputs(inputs: Mapping[str, JSON], template: PromptTemplate) -> Mapping[str, JSON]:
    """The inputs that the prompt declares: a case may hold what only its newer version takes."""
    return {name: value for name, value in inputs.items() if name in template.inputs}
