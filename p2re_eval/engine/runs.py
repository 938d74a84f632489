"""A run from request to recorded trace: live, from the cache, or replayed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from p2re_eval.clock import new_span_id, new_trace_id
from p2re_eval.engine.calls import Answer, Caller
from p2re_eval.engine.landing import Landing
from p2re_eval.errors import NotRecorded, NotRun, ProviderError, StoreError, StoreLocked
from p2re_eval.interfaces import Clock, Provider
from p2re_eval.records import JSON, Completion, Fault, RenderedPrompt, Source, Span, Trace, run_key


class TraceLog(Protocol):
    """Where runs are recorded: what the store offers, as much of it as a run needs."""

    def begin_trace(self, trace: Trace) -> Future[None]: ...

    def finish_trace(self, trace: Trace) -> Future[None]: ...

    def find_run(self, run_key: str) -> Trace | None: ...

    def find_call(self, run_key: str) -> Completion | None: ...


class Tape(Protocol):
    """Recorded answers for replay."""

    def find(self, prompt: RenderedPrompt, repeat: int) -> Completion | None: ...

    def miss_reason(self, prompt: RenderedPrompt, repeat: int) -> str: ...


@dataclass(frozen=True)
class Run:
    """One rendered prompt to execute once, and what it belongs to."""

    prompt: RenderedPrompt
    repeat: int = 0
    source: Source = "live"
    tape: Tape | None = None
    experiment_id: str | None = None
    session_id: str | None = None
    suite: str | None = None
    case_id: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, JSON] = field(default_factory=dict)
    on_text: Callable[[str], None] | None = None


@dataclass(frozen=True)
class Answered:
    """A finished trace on its way to disk; ``written`` is resolved by the commit, and ``None``
    for a trace that was there before."""

    trace: Trace
    written: Future[None] | None


class Runner:
    """Executes runs and records each before anyone can lose it.

    A live run's row is on disk before the provider is called, its answer before :meth:`run`
    returns. Once the database refuses to take a row, no further model is called: an answer that
    cannot be kept must not be paid for.
    """

    def __init__(self, caller: Caller, log: TraceLog, *, clock: Clock) -> None:
        self._caller = caller
        self._log = log
        self._clock = clock
        self._stopped: str | None = None
        self._broken = False
        self._landing: Landing | None = None

    async def written(self, future: Future[None]) -> None:
        """Until the store has committed. Raises StoreError, after which no model is called any
        more unless the file was only locked."""
        if self._landing is None:
            self._landing = Landing()
        try:
            await self._landing.wait(future)
        except StoreError as error:
            if not isinstance(error, StoreLocked):
                self._broken = True
            raise

    async def kept(self, answered: Answered) -> None:
        """Until the trace is on disk. Raises StoreError."""
        if answered.written is not None:
            await self.written(answered.written)

    def stop(self, reason: str) -> None:
        """Start no call from now on; what is in flight may still land."""
        self._stopped = self._stopped or reason

    async def answer(self, run: Run) -> Answered:
        """The finished trace, OK or ERROR, on its way to disk: there is something to do meanwhile,
        but nobody else is given it before :meth:`kept`.

        Raises StoreError when it could not be recorded; NotRun after that, and after :meth:`stop`.
        """
        if run.source == "replay":
            return self._replay(run)
        key = self._key(run.prompt, run.repeat)
        if run.source == "cache" and key:
            known = self._log.find_run(key)
            if known is not None:
                return Answered(known.model_copy(update={"source": "cache"}), None)
        return await self._live(run, key)

    async def call(
        self, prompt: RenderedPrompt, *, source: Source, tape: Tape | None
    ) -> Completion:
        """A scorer's own call, answered from the same source as the run it judges.

        Raises ProviderError, NotRun.
        """
        if source == "replay":
            return _from_tape(tape, prompt, 0)
        key = self._key(prompt, 0)
        if source == "cache" and key:
            known = self._log.find_call(key)
            if known is not None:
                return known
        self._refuse_if_stopped()
        return (await self._caller.call(prompt)).completion

    def call_key(self, prompt: RenderedPrompt) -> str:
        """What a recorded scorer's call is found by."""
        return self._key(prompt, 0)

    def _key(self, prompt: RenderedPrompt, repeat: int) -> str:
        try:
            provider = self._caller.providers.get(prompt.model.provider or "")
            return key_of(provider, prompt, repeat)
        except ProviderError:
            return ""

    def _replay(self, run: Run) -> Answered:
        trace = self._begun(run, "")
        try:
            completion = _from_tape(run.tape, run.prompt, run.repeat)
        except NotRecorded as error:
            return self._finish(trace, _failed(error))
        return self._finish(trace, _answered(Answer(completion, 1)))

    async def _live(self, run: Run, key: str) -> Answered:
        self._refuse_if_stopped()
        turn = _Turn(self, run, key)
        try:
            answer = await self._caller.call(run.prompt, turn, on_text=run.on_text)
        except ProviderError as error:
            return self._finish(
                turn.trace or self._begun(run, key), {**turn.came, **_failed(error)}
            )
        except (asyncio.CancelledError, NotRun) as error:
            if turn.trace is not None:
                self._finish(turn.trace, {**turn.came, **_interrupted(error)})
            raise
        assert turn.trace is not None
        return self._finish(turn.trace, {**turn.came, **_answered(answer)})

    async def begin(self, run: Run, key: str) -> Trace:
        """A trace of this run on disk, RUNNING. Raises NotRun, StoreError."""
        self._refuse_if_stopped()
        trace = self._begun(run, key)
        await self.written(self._log.begin_trace(trace))
        return trace

    def started_ns(self) -> int:
        """The time at which a call begins. Raises NotRun."""
        self._refuse_if_stopped()
        return self._clock.now_ns()

    def _finish(self, begun: Trace, came: dict[str, Any]) -> Answered:
        trace = begun.model_copy(update={**came, "end_ns": self._clock.now_ns()})
        return Answered(trace, self._log.finish_trace(trace))

    def _refuse_if_stopped(self) -> None:
        if self._broken:
            raise NotRun("an earlier run could not be recorded; its error says why")
        if self._stopped is not None:
            raise NotRun(self._stopped)

    def _begun(self, run: Run, key: str) -> Trace:
        now_ns = self._clock.now_ns()
        return Trace(
            trace_id=new_trace_id(now_ns),
            span_id=new_span_id(),
            name=run.prompt.name,
            status="RUNNING",
            start_ns=now_ns,
            prompt=run.prompt,
            run_key=key,
            source="replay" if run.source == "replay" else "live",
            experiment_id=run.experiment_id,
            session_id=run.session_id,
            suite=run.suite,
            case_id=run.case_id,
            repeat=run.repeat,
            tags=run.tags,
            metadata=run.metadata,
        )


def key_of(provider: Provider, prompt: RenderedPrompt, repeat: int) -> str:
    """The key that a run of this prompt is found by. Raises ProviderError."""
    return run_key(prompt, repeat=repeat, identity=provider.identity(prompt.model))


class _Turn:
    """A run's place in the line: its trace is begun when its turn is near, not before. Of the runs
    that a stop keeps from being called, at most a slotful leaves a trace, ABANDONED."""

    def __init__(self, runner: Runner, run: Run, key: str) -> None:
        self._runner = runner
        self._run = run
        self._key = key
        self.trace: Trace | None = None
        self.came: dict[str, Any] = {}
        """What is known of the trace since its call began."""

    async def near(self) -> None:
        self.trace = await self._runner.begin(self._run, self._key)

    def come(self) -> None:
        self.came = {"start_ns": self._runner.started_ns()}


def call_span(
    prompt: RenderedPrompt,
    *,
    trace: Trace,
    run_key: str,
    start_ns: int,
    end_ns: int,
    completion: Completion | None = None,
    error: Exception | None = None,
) -> Span:
    """A scorer's own call as a child span of the run it judges."""
    return Span(
        span_id=new_span_id(),
        trace_id=trace.trace_id,
        parent_id=trace.span_id,
        name=prompt.name,
        kind="LLM",
        status="OK" if error is None else "ERROR",
        status_message=None if error is None else str(error),
        start_ns=start_ns,
        end_ns=end_ns,
        prompt=prompt,
        completion=completion,
        run_key=run_key,
    )


def _from_tape(tape: Tape | None, prompt: RenderedPrompt, repeat: int) -> Completion:
    known = None if tape is None else tape.find(prompt, repeat)
    if known is not None:
        return known
    reason = (
        "no recordings were given; run p2re record"
        if tape is None
        else tape.miss_reason(prompt, repeat)
    )
    raise NotRecorded(
        f"{reason}, or run with --p2re-source live",
        provider=prompt.model.provider or "",
        model=prompt.model.name or "",
    )


def _answered(answer: Answer) -> dict[str, Any]:
    return {"status": "OK", "completion": answer.completion, "attempts": answer.attempts}


def _failed(error: ProviderError) -> dict[str, Any]:
    fault = Fault(
        kind=error.kind,
        message=str(error),
        status=error.status,
        attempts=error.attempts,
        partial=error.partial,
    )
    return {"status": "ERROR", "fault": fault, "attempts": error.attempts}


def _interrupted(error: BaseException) -> dict[str, Any]:
    why = str(error) or "the session was stopped before the answer came"
    fault = Fault(kind="interrupted", message=why)
    return {"status": "ABANDONED", "fault": fault}
