"""The corridor: template -> render -> run -> trace -> score -> evaluation -> result.

A :class:`Harness` holds what one session needs; every door opens one and calls it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from p2re_eval.clock import SystemClock, new_trace_id
from p2re_eval.engine.budget import Budget, BudgetSettings, open_budget
from p2re_eval.engine.calls import Caller, Providers
from p2re_eval.engine.loop import EngineLoop
from p2re_eval.engine.retry import RetryPolicy
from p2re_eval.engine.runs import Answered, Run, Runner, Tape, call_span
from p2re_eval.engine.vectors import begun_vectors, recorded_vectors
from p2re_eval.errors import DecidedEarly, NotRun, OverBudget, ProviderError, ScorerError
from p2re_eval.garbage import collector_paused
from p2re_eval.interfaces import Clock
from p2re_eval.planning import Overrides, PlannedRun, Planner, SuitePlan
from p2re_eval.planning.stopping import EarlyStops
from p2re_eval.plugins import Plugins
from p2re_eval.prompts.library import PromptLibrary
from p2re_eval.records import (
    JSON,
    Case,
    Comparison,
    Completion,
    Embeddings,
    Evaluation,
    Experiment,
    Fault,
    ModelSettings,
    PromptTemplate,
    RenderedPrompt,
    Result,
    Score,
    Source,
    Span,
    Trace,
)
from p2re_eval.results import answer_text, decide, of_plan, preview
from p2re_eval.scorers.binding import BoundScorer
from p2re_eval.store import Store, open_store
from p2re_eval.store.recorded_prompts import RecordedPrompts
from p2re_eval.suites.load import read_suite

DEFAULT_CONCURRENCY = 10


@dataclass(frozen=True)
class Settings:
    """What a session is told: where things are and how hard to work."""

    root: Path
    db_path: Path
    prompts: Path
    concurrency: int = DEFAULT_CONCURRENCY
    overrides: Overrides = field(default_factory=Overrides)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    budget: BudgetSettings | None = None


class Harness:
    """Everything one session shares; parts are made on first use, so opening costs nothing.

    ``versions`` says what ``route@production`` and its like stood for when they were planned.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        experiment: Experiment | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.experiment = experiment or Experiment(
            experiment_id=new_trace_id(self.clock.now_ns()),
            name=settings.root.name,
            started_ns=self.clock.now_ns(),
        )
        self.loop = EngineLoop()
        self.early_stops = EarlyStops()
        self.versions: dict[str, str] = {}
        self._waiting_plugins: list[tuple[object, str]] = []
        self._versions_kept: set[str] = set()

    @cached_property
    def plugins(self) -> Plugins:
        plugins = Plugins()
        for plugin, name in self._waiting_plugins:
            plugins.add(plugin, name)
        return plugins

    @cached_property
    def library(self) -> PromptLibrary:
        settings = self.settings
        return PromptLibrary(
            settings.prompts,
            root=settings.root,
            prepare=self.plugins.prepare,
            recorded=RecordedPrompts(settings.db_path),
        )

    @cached_property
    def planner(self) -> Planner:
        return Planner(
            root=self.settings.root,
            library=self.library,
            scorers=self.plugins.scorers,
            providers=self.plugins.providers,
            overrides=self.settings.overrides,
            versions=self.versions,
        )

    @cached_property
    def store(self) -> Store:
        store = open_store(self.settings.db_path, clock=self.clock, redact=self.plugins.redact)
        store.start_experiment(self.experiment)
        return store

    @cached_property
    def providers(self) -> Providers:
        return Providers(self.plugins.providers, root=self.settings.root, clock=self.clock)

    @cached_property
    def budget(self) -> Budget | None:
        """The session's money; ``None`` when nobody limited it."""
        wanted = self.settings.budget
        if wanted is None:
            return None
        path, experiment_id = self.store.path, self.experiment.experiment_id
        return open_budget(wanted, path, experiment_id, clock=self.clock)

    @cached_property
    def caller(self) -> Caller:
        return Caller(
            self.providers,
            clock=self.clock,
            concurrency=self.settings.concurrency,
            retry=self.settings.retry,
            budget=self.budget,
        )

    @cached_property
    def runner(self) -> Runner:
        return Runner(self.caller, self.store, clock=self.clock)

    @property
    def used(self) -> bool:
        """Whether anything was run: an unused session leaves no file behind."""
        return "store" in self.__dict__

    def plan(self, path: Path) -> SuitePlan:
        """Load a suite file and plan its runs. Raises DefinitionErrors."""
        with collector_paused():
            suite, mistakes = read_suite(path, root=self.settings.root)
            return self.planner.plan(suite, mistakes)

    def start(self, planned: PlannedRun) -> Future[Result]:
        """Start one planned run in the engine; see :meth:`start_all`."""
        return self.start_all([planned])[0]

    def start_all(self, runs: Sequence[PlannedRun]) -> list[Future[Result]]:
        """Start planned runs in the engine, in this order.

        Raises StoreError at once when the database cannot be opened.
        """
        assert self.runner  # made here, in the calling thread: the parts are not made twice
        return self.loop.submit_all([evaluate_case(planned, self) for planned in runs])

    def limits(self) -> dict[str, JSON]:
        """What the services' limits did to the calls so far; see :meth:`Caller.limits`."""
        return self.caller.limits() if "caller" in self.__dict__ else {}

    def stop(self, reason: str) -> None:
        """No new call from here on; calls in flight may still land."""
        if "runner" in self.__dict__:
            self.runner.stop(reason)

    def add_plugin(self, plugin: object, name: str) -> None:
        """Let a module's hooks in: now, or when the plug-ins are first needed."""
        if "plugins" in self.__dict__:
            self.plugins.add(plugin, name)
        else:
            self._waiting_plugins.append((plugin, name))

    def keep_version(self, template: PromptTemplate) -> None:
        """The prompt's version goes into the database, once a session, ahead of its runs."""
        if template.version not in self._versions_kept:
            self._versions_kept.add(template.version)
            self.store.save_prompt_version(template)

    def results(self, *, suite: str | None = None) -> Iterator[Result]:
        """What is on disk of this experiment, in item order; of one suite where it is named."""
        for result in self.store.results(self.experiment.experiment_id):
            if suite is None or result.suite == suite:
                yield result

    def finish(self, experiment: Experiment, comparison: Comparison | None = None) -> None:
        """The experiment has ended: write it down and tell the plug-ins."""
        if self.versions:
            settings = {**experiment.settings, "prompt_versions": dict(self.versions)}
            experiment = experiment.model_copy(update={"settings": settings})
        self.experiment = experiment
        self.store.finish_experiment(experiment)
        self.plugins.experiment_finished(experiment, comparison)

    def beside(self, experiment: Experiment, *, apart: bool = False) -> Harness:
        """A harness for another experiment with the parts of this one, which alone is closed.
        :meth:`stop` of either stops both, unless it is to be ``apart``. Raises StoreError."""
        assert self.runner
        assert self.library
        twin = copy(self)
        if apart:
            twin.runner = Runner(self.caller, self.store, clock=self.clock)
        twin.experiment = experiment
        twin.early_stops = EarlyStops()  # its runs have the same names, and other answers
        self.store.start_experiment(experiment)
        return twin

    def close(self) -> None:
        """Cancel what still runs, write everything down and let go. Safe to call twice."""
        self.loop.settle(0)
        if "providers" in self.__dict__:
            self.loop.submit(self.providers.close()).result()
        self.loop.close()
        if self.__dict__.get("budget") is not None:
            self.__dict__["budget"].ledger.close()
        if "store" in self.__dict__:
            self.store.close()


async def evaluate_case(planned: PlannedRun, harness: Harness) -> Result:
    """Render, run, record, score, record: one case, once.

    A run that its budget or an early verdict forbids is a result too: ``not_run``, with the reason.
    Raises NotRun when the session was stopped before its call, StoreError when it cannot be kept.
    """
    try:
        async with harness.early_stops.turn(planned) as turn:
            result = await _evaluate_case(planned, harness)
            turn.ended(result.outcome)
            return result
    except (DecidedEarly, OverBudget) as reason:
        return await _not_run(planned, reason, harness)


async def _evaluate_case(planned: PlannedRun, harness: Harness) -> Result:
    run = _requested(planned, harness)
    answered = await harness.runner.answer(run)
    # Judged while the answer is being written: both are on disk before the result is given back.
    judged = await judge(answered.trace, planned.case, planned.scorers, harness, run)
    return await record(planned, answered, judged, harness)


async def _not_run(planned: PlannedRun, reason: NotRun, harness: Harness) -> Result:
    """The result of a run that was not made, on disk. Raises StoreError."""
    result = Result(
        **of_plan(planned, harness.experiment.experiment_id),
        outcome="not_run",
        source=planned.source,
        recorded=True,
        fault=Fault(kind=reason.kind, message=str(reason), attempts=0),
    )
    await harness.runner.written(harness.store.save_result(result, ()))
    return result


async def execute(
    planned: PlannedRun,
    harness: Harness,
    *,
    session_id: str | None = None,
    on_text: Callable[[str], None] | None = None,
) -> tuple[Answered, Run]:
    """Render a planned run and execute it: the trace is on disk. ``on_text`` is given, in the
    engine's thread, each piece of a streaming answer. Raises NotRun, StoreError."""
    run = replace(_requested(planned, harness), session_id=session_id, on_text=on_text)
    answered = await harness.runner.answer(run)
    await harness.runner.kept(answered)
    return answered, run


def rendered(planned: PlannedRun, library: PromptLibrary) -> RenderedPrompt:
    """What a planned run sends. Raises RenderError."""
    settings = _repeated(planned.settings, planned.repeat)
    return library.render(planned.template, dict(planned.inputs), settings)


def _requested(planned: PlannedRun, harness: Harness) -> Run:
    harness.keep_version(planned.template)
    return Run(
        prompt=rendered(planned, harness.library),
        repeat=planned.repeat,
        source=planned.source,
        tape=planned.tape,
        experiment_id=harness.experiment.experiment_id,
        suite=planned.suite.path,
        case_id=planned.case.id,
        tags=planned.case.tags,
    )


def _repeated(settings: ModelSettings, repeat: int) -> ModelSettings:
    """A seed counts up with the repeat: the same seed would give the same sample again."""
    if settings.seed is None or not repeat:
        return settings
    return settings.model_copy(update={"seed": settings.seed + repeat})


async def record(
    planned: PlannedRun,
    answered: Answered,
    judged: Judged,
    harness: Harness,
    *,
    failed: bool = False,
) -> Result:
    """What the scorers said, on disk beside its trace; ``failed`` when the caller knows better.

    Raises StoreError.
    """
    trace = answered.trace
    result = result_of(planned, trace, judged.evaluations, harness.experiment.experiment_id)
    if failed and result.outcome == "passed":
        result = result.model_copy(update={"outcome": "failed"})
    saved = harness.store.save_result(result, judged.evaluations, judged.spans)
    await harness.runner.kept(answered)
    await harness.runner.written(saved)
    if harness.plugins.listens_to_traces:
        harness.plugins.trace_recorded(trace, judged.evaluations)
    return result


@dataclass(frozen=True)
class Judged:
    """What the scorers said about one trace, and the calls they made to say it."""

    evaluations: tuple[Evaluation, ...] = ()
    spans: tuple[Span, ...] = ()


async def judge(
    trace: Trace,
    case: Case,
    scorers: Sequence[BoundScorer],
    harness: Harness,
    run: Run,
) -> Judged:
    """Every scorer's evaluation of an answered trace; a crashed one leaves the others alone."""
    if trace.completion is None:
        return Judged()
    context = _Context(trace, harness, source=run.source, tape=run.tape)
    slow = [scorer for scorer in scorers if scorer.kind == "LLM"]
    evaluations = [
        await _evaluate(scorer, trace.completion, case, context, run)
        for scorer in scorers
        if scorer.kind != "LLM"
    ]
    evaluations += await asyncio.gather(
        *(_evaluate(s, trace.completion, case, context, run) for s in slow)
    )
    order = {scorer.label: number for number, scorer in enumerate(scorers)}
    evaluations.sort(key=lambda evaluation: order[evaluation.name])
    return Judged(tuple(evaluations), tuple(context.spans))


class _Context:
    """A scorer's view of the run it judges; see :class:`p2re_eval.interfaces.ScoringContext`."""

    def __init__(
        self, trace: Trace, harness: Harness, *, source: Source, tape: Tape | None
    ) -> None:
        self.prompt = trace.prompt
        self.trace_id = trace.trace_id
        self.root = harness.settings.root
        self.clock = harness.clock
        self.spans: list[Span] = []
        self._trace = trace
        self._harness = harness
        self._source = source
        self._tape = tape

    async def complete(self, prompt: RenderedPrompt) -> Completion:
        runner, clock = self._harness.runner, self.clock
        started = clock.now_ns()
        completion: Completion | None = None
        broke: Exception | None = None
        try:
            completion = await runner.call(prompt, source=self._source, tape=self._tape)
        except ProviderError as error:
            broke = error
            raise
        except OverBudget as error:
            broke = error
            raise ScorerError(f"not asked: {error}") from error
        finally:
            self.spans.append(
                call_span(
                    prompt,
                    trace=self._trace,
                    run_key=runner.call_key(prompt),
                    start_ns=started,
                    end_ns=clock.now_ns(),
                    completion=completion,
                    error=broke,
                )
            )
        return completion

    async def embed(self, model: ModelSettings, texts: Sequence[str]) -> Embeddings:
        begun = begun_vectors(self._trace, model, self._source, clock=self.clock)
        span, found = await recorded_vectors(
            self._harness.caller, model, texts, clock=self.clock, span=begun
        )
        self.spans.append(span)
        if isinstance(found, ProviderError):
            raise found
        return found


async def _evaluate(
    scorer: BoundScorer, completion: Completion, case: Case, context: _Context, run: Run
) -> Evaluation:
    clock = context.clock
    started = clock.monotonic_ns()
    score: Score | None = None
    fault: Fault | None = None
    try:
        score = await scorer.score(completion, case, context)
    except (ScorerError, ProviderError) as error:
        fault = Fault(kind="scorer", message=str(error))
    now_ns = clock.now_ns()
    return Evaluation(
        evaluation_id=new_trace_id(now_ns),
        trace_id=context.trace_id,
        name=scorer.label,
        scorer=scorer.name,
        scorer_version=scorer.version,
        kind=scorer.kind,
        score=score,
        fault=fault,
        weight=scorer.weight,
        duration_ns=clock.monotonic_ns() - started,
        created_ns=now_ns,
        identifier=f"{run.experiment_id}:{run.suite}:{run.case_id}#{run.repeat}",
        experiment_id=run.experiment_id,
    )


def result_of(
    planned: PlannedRun, trace: Trace, evaluations: tuple[Evaluation, ...], experiment_id: str
) -> Result:
    """What the evaluations of a planned run's trace come to."""
    completion = trace.completion
    outcome, value = (
        ("error", None) if completion is None else decide(evaluations, planned.threshold)
    )
    return Result(
        **of_plan(planned, experiment_id),
        outcome=outcome,
        value=value,
        trace_id=trace.trace_id,
        source=planned.source if trace.source != "live" else trace.source,
        recorded=True,
        fault=trace.fault,
        evaluations=evaluations,
        output_preview="" if completion is None else preview(answer_text(completion)),
        usage=completion.usage if completion else Result.model_fields["usage"].default,
        cost_usd=completion.cost_usd if completion else None,
        duration_ns=completion.duration_ns if completion else None,
        fingerprint=trace.prompt.fingerprint,
        model_answered=completion.model if completion else None,
    )
