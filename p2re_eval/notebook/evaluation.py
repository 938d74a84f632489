"""``evaluate()``: a suite made from Python values, run with a live table, kept as an experiment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import replace
from typing import TypeAlias

from p2re_eval.errors import DefinitionErrors, NotRun, P2REError, UsageError
from p2re_eval.notebook.bench import Workbench, new_experiment, workbench
from p2re_eval.notebook.progress import Progress
from p2re_eval.notebook.stored import SUITE_TEXT, StoredExperiment
from p2re_eval.pipeline import Harness
from p2re_eval.planning import PlannedRun
from p2re_eval.records import JSON, Case, PromptTemplate, Result, Source, Suite
from p2re_eval.scorers.binding import BoundScorer, Scorer
from p2re_eval.suites.load import parse_suite
from p2re_eval.suites.write import case_entry, scorer_entry, suite_text

GRACE_S = 5.0
"""How long calls in flight may still land after an interrupt: they are paid for."""
LOOK_S = 0.2
"""How often the waiting thread looks for news."""

ScorerLike: TypeAlias = str | Mapping[str, JSON] | BoundScorer | Scorer | Callable[..., object]
PromptLike: TypeAlias = str | PromptTemplate
Cases: TypeAlias = Suite | Iterable[Case | Mapping[str, JSON]]
"""A suite's cases, or cases as a suite file writes them."""


def evaluate(
    prompt: PromptLike | Sequence[PromptLike],
    cases: Cases,
    scorers: Sequence[ScorerLike] = (),
    *,
    models: Sequence[str | Mapping[str, JSON]] = (),
    repeat: int = 1,
    name: str = "notebook",
    source: Source | None = None,
    at: Workbench | None = None,
) -> StoredExperiment:
    """Run the prompt on every case and model, score the answers, and wait with a live table.

    ``cases`` are mappings as a suite file writes them (``inputs``, ``expected``, ``id``, ``tags``),
    plain mappings of inputs, or a suite (``Suite.from_dataframe``); ``scorers`` are names,
    ``{name: options}``, scorers from :mod:`p2re_eval.scorers` or functions. An interrupt stops new
    calls and keeps what was answered; the same evaluation again goes on from there, also in another
    kernel. ``source`` says otherwise: ``live`` asks everything anew, ``cache`` only what no
    identical run has answered.

    Raises DefinitionErrors with every mistake, before any model is called; StoreError.
    """
    running = start_evaluation(
        prompt, cases, scorers, models=models, repeat=repeat, name=name, source=source, at=at
    )
    return running.result()


def start_evaluation(
    prompt: PromptLike | Sequence[PromptLike],
    cases: Cases,
    scorers: Sequence[ScorerLike] = (),
    *,
    models: Sequence[str | Mapping[str, JSON]] = (),
    repeat: int = 1,
    name: str = "notebook",
    source: Source | None = None,
    at: Workbench | None = None,
) -> Evaluating:
    """:func:`evaluate` without the waiting: ``await`` what it gives, or ask for its
    ``result()``; ``cancel()`` stops it."""
    bench = at or workbench()
    listed, own = _split(scorers, bench.harness.plugins.scorers)
    if isinstance(cases, Suite):
        listed = [*map(scorer_entry, cases.scorers), *listed]
    text = _document(prompt, cases, listed, models, repeat)
    try:
        suite = parse_suite(text, name=f"{name}.yaml", root=bench.root)
        suite = suite.model_copy(update={"name": name, "path": name, "source": source})
        plan = bench.harness.planner.plan(suite)
    except DefinitionErrors as error:
        raise _without_places(error) from None
    cells = sorted(
        {r.template.name for r in plan.runs if bench.library.is_defined(r.template.name)}
    )
    kept = {SUITE_TEXT: _what_stays(own, cells) + text}
    source = source or _source(bench, name, kept)
    runs = [replace(run, source=source, scorers=(*run.scorers, *own)) for run in plan.runs]
    experiment = new_experiment(name, suites=(name,), planned=len(runs), settings=kept)
    return Evaluating(bench, bench.harness.beside(experiment, apart=True), runs)


def _source(bench: Workbench, name: str, settings: Mapping[str, JSON]) -> Source:
    """Where answers come from: nothing is paid for twice when the same was cut short before."""
    known = bench.store.list_experiments()
    before = next((one for one in known if one.name == name and one.suites), None)
    cut_short = before is not None and before.status in {"INTERRUPTED", "ABANDONED"}
    if before is None or not cut_short or before.settings != settings:
        return "live"
    what = f"going on from {before.experiment_id[:12]}, which was cut short"
    print(f"{what}: what it has answered is not asked again (source='live' would)")  # noqa: T201 - a notebook's own voice
    return "cache"


class Evaluating:
    """An evaluation on its way; may be awaited."""

    def __init__(self, bench: Workbench, harness: Harness, runs: Sequence[PlannedRun]) -> None:
        self._bench = bench
        self._harness = harness
        self._futures: list[Future[Result]] = harness.start_all(runs)
        self._finished: StoredExperiment | None = None

    @property
    def done(self) -> int:
        """How many runs have ended."""
        return sum(future.done() for future in self._futures)

    @property
    def planned(self) -> int:
        """How many runs there are."""
        return len(self._futures)

    def cancel(self) -> None:
        """Start no further call; those in flight are paid for and may land."""
        self._harness.stop("the evaluation was cancelled")

    def result(self) -> StoredExperiment:
        """Wait, showing how far it is, and give the experiment. Raises StoreError.

        An interrupt of the kernel stops new calls, lets those in flight land for five seconds and
        is raised again when what was answered is recorded.
        """
        progress = Progress(self.planned)
        waiting = set(self._futures)
        try:
            while waiting:
                _, waiting = wait(waiting, timeout=LOOK_S)
                progress.show(self.done, self._so_far)
        except KeyboardInterrupt:
            self.cancel()
            wait(self._futures, timeout=GRACE_S)
            progress.close()
            finished = self._finish("INTERRUPTED")
            print(f"interrupted: experiment('{finished.id[:12]}') has what was answered")  # noqa: T201 - a notebook's own voice
            raise
        progress.close()
        return self._finish("COMPLETE")

    def __await__(self) -> Generator[None, None, StoredExperiment]:
        return self._awaited().__await__()

    async def _awaited(self) -> StoredExperiment:
        try:
            await asyncio.gather(*map(_seen_from_here, self._futures), return_exceptions=True)
        except asyncio.CancelledError:
            self.cancel()
            await asyncio.to_thread(wait, self._futures, GRACE_S)
            await asyncio.to_thread(self._finish, "INTERRUPTED")
            raise
        return await asyncio.to_thread(self._finish, "COMPLETE")

    def _so_far(self) -> list[Result]:
        return [
            future.result()
            for future in self._futures
            if future.done() and future.exception() is None
        ]

    def _finish(self, status: str) -> StoredExperiment:
        if self._finished is None:
            errors = [future.exception() for future in self._futures if future.done()]
            broken = [e for e in errors if isinstance(e, P2REError) and not isinstance(e, NotRun)]
            if broken:
                raise broken[0]
            whole = len(errors) == self.planned and not any(errors)
            experiment = self._harness.experiment.model_copy(
                update={
                    "status": status if whole else "INTERRUPTED",
                    "ended_ns": self._harness.clock.now_ns(),
                }
            )
            self._harness.finish(experiment)
            self._finished = StoredExperiment(
                self._bench.store, experiment.experiment_id, root=self._bench.root
            )
        return self._finished


def _seen_from_here(future: Future[Result]) -> asyncio.Future[Result]:
    """For the running loop to wait on; giving up there leaves the run itself alone."""
    return asyncio.shield(asyncio.wrap_future(future))


def _split(
    scorers: Sequence[ScorerLike], registered: Mapping[str, Scorer]
) -> tuple[list[JSON], tuple[BoundScorer, ...]]:
    """The scorers that a file can name, as it names them, and those that only live here."""
    listed: list[JSON] = []
    own: list[BoundScorer] = []
    for entry in scorers:
        if isinstance(entry, (str, Mapping)):
            listed.append(entry)
            continue
        bound = _bound(entry)
        known = registered.get(bound.name) is bound.scorer
        if known and not (bound.spec.has_argument and bound.spec.options):
            listed.append(scorer_entry(bound.spec))
        else:
            own.append(bound)
    return listed, tuple(own)


def _what_stays(own: Sequence[BoundScorer], cells: Sequence[str]) -> str:
    """What a file made of this would not have, said at its top."""
    lines = [
        f"# The scorer '{one.name}' was a function of a notebook: name it as module:function."
        for one in own
    ]
    lines += [
        f"# The prompt '{name}' was a notebook's cell: %%prompt {name} --save makes it a file."
        for name in cells
    ]
    return "".join(line + "\n" for line in lines)


def _document(
    prompt: PromptLike | Sequence[PromptLike],
    cases: Cases,
    scorers: Sequence[JSON],
    models: Sequence[str | Mapping[str, JSON]],
    repeat: int,
) -> str:
    prompts = [prompt] if isinstance(prompt, (str, PromptTemplate)) else list(prompt)
    listed = cases.cases if isinstance(cases, Suite) else cases
    return suite_text(
        prompts=[one if isinstance(one, str) else one.name for one in prompts],
        cases=[_entry(case) for case in listed],
        scorers=scorers,
        models=list(models),
        repeat=repeat,
    )


_CASE_KEYS = {"inputs", "expected", "id", "tags", "cluster", "metadata", "scorers", "threshold"}


def _entry(case: Case | Mapping[str, JSON]) -> Mapping[str, JSON]:
    """A mapping without ``inputs`` is the inputs themselves."""
    if isinstance(case, Case):
        return case_entry(case)
    if not isinstance(case, Mapping):
        what = f"a case is a mapping of inputs, not {case!r:.60}"
        raise UsageError(f"{what}; of a data frame make a suite with Suite.from_dataframe(frame)")
    if "inputs" in case or not set(case) - _CASE_KEYS:
        return case
    return {"inputs": dict(case)}


def _bound(entry: BoundScorer | Scorer | Callable[..., object]) -> BoundScorer:
    if isinstance(entry, BoundScorer):
        return entry
    if isinstance(entry, Scorer):
        return entry()
    return Scorer(getattr(entry, "__name__", type(entry).__name__), entry)()


def _without_places(error: DefinitionErrors) -> DefinitionErrors:
    """The lines are those of a text that the user never saw."""
    return DefinitionErrors([type(each)(each.what) for each in error.errors])
