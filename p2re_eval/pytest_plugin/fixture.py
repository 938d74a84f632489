"""The ``p2re`` fixture: the same runs, records and scores for hand-written tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from p2re_eval.errors import ProviderError, ScorerError
from p2re_eval.pipeline import Harness, Judged, execute, judge, record
from p2re_eval.planning import PlannedRun
from p2re_eval.pytest_plugin.items import call_report
from p2re_eval.records import JSON, Case, Completion, Evaluation, ModelSettings, Suite, Trace
from p2re_eval.records import Session as Conversation
from p2re_eval.results import answer_text

if TYPE_CHECKING:
    from p2re_eval.engine.runs import Answered, Run
from p2re_eval.scorers.binding import BoundScorer


class CheckFailed(AssertionError):
    """A scorer did not accept the answer."""


@dataclass
class Answer:
    """What a run gave: the text first, everything else behind it."""

    answered: Answered
    planned: PlannedRun
    run: Run
    judged: list[Judged] = field(default_factory=list)

    @property
    def trace(self) -> Trace:
        """The record of the run."""
        return self.answered.trace

    @property
    def completion(self) -> Completion:
        """The provider's whole answer."""
        assert self.trace.completion is not None
        return self.trace.completion

    @property
    def text(self) -> str:
        """The answer's text."""
        return answer_text(self.completion)

    def __str__(self) -> str:
        return self.text


class P2RE:
    """Runs prompts of the project's folder, records every run, and keeps what checks say.

    In an ``async def`` test use :meth:`run_async` and :meth:`check_async`.
    """

    def __init__(self, harness: Harness, node: pytest.Item) -> None:
        self._harness = harness
        self._node = node
        self._answers: list[Answer] = []
        self._conversation: str | None = None
        self._planned = 0

    def run(
        self,
        prompt: str,
        /,
        *,
        model: str | None = None,
        expected: JSON = None,
        inputs: dict[str, JSON] | None = None,
        **named: JSON,
    ) -> Answer:
        """Render the prompt with these inputs and ask the model.

        ``model`` is ``provider/name`` and defaults to the prompt's own; ``inputs`` serves names
        that are not Python names. Raises DefinitionErrors, ProviderError, StoreError.
        """
        planned = self._plan(prompt, model, expected, {**(inputs or {}), **named})
        return self._harness.loop.submit(self._execute(planned)).result()

    async def run_async(
        self,
        prompt: str,
        /,
        *,
        model: str | None = None,
        expected: JSON = None,
        inputs: dict[str, JSON] | None = None,
        **named: JSON,
    ) -> Answer:
        """:meth:`run` for an ``async def`` test."""
        planned = self._plan(prompt, model, expected, {**(inputs or {}), **named})
        return await asyncio.wrap_future(self._harness.loop.submit(self._execute(planned)))

    def check(self, answer: Answer, *scorers: BoundScorer) -> None:
        """Score the answer, record the evaluations, and fail the test like an assert.

        Raises CheckFailed when a scorer does not accept it, ScorerError when one broke.
        """
        _raise_for(self._harness.loop.submit(self._judge(answer, scorers)).result())

    async def check_async(self, answer: Answer, *scorers: BoundScorer) -> None:
        """:meth:`check` for an ``async def`` test."""
        _raise_for(
            await asyncio.wrap_future(self._harness.loop.submit(self._judge(answer, scorers)))
        )

    @contextmanager
    def session(self, session_id: str, *, user: str | None = None) -> Iterator[None]:
        """Runs inside belong to this conversation."""
        started_ns = self._harness.clock.now_ns()
        conversation = Conversation(session_id=session_id, started_ns=started_ns, user=user)
        self._harness.store.start_session(conversation).result()
        before, self._conversation = self._conversation, session_id
        try:
            yield
        finally:
            self._conversation = before

    def finish(self) -> None:
        """Write one result a run, when the test has ended."""
        report = self._node.stash.get(call_report, None)
        failed = report is not None and report.failed
        for answer in self._answers:
            judged = _together(answer.judged)
            self._harness.loop.submit(
                record(answer.planned, answer.answered, judged, self._harness, failed=failed)
            ).result()

    def _plan(
        self, prompt: str, model: str | None, expected: JSON, inputs: dict[str, JSON]
    ) -> PlannedRun:
        assert self._harness.runner
        provider, _, name = (model or "").partition("/")
        self._planned += 1
        number = f"-{self._planned}" if self._planned > 1 else ""
        path, _, test = self._node.nodeid.partition("::")
        case_id = test.replace("::", ".") + number
        suite = Suite(
            name=self._node.path.stem,
            path=path,
            prompts=(prompt,),
            models=(ModelSettings(provider=provider, name=name),) if model else (),
            cases=(Case(id=case_id, inputs=inputs, expected=expected),),
        )
        return self._harness.planner.plan_one(suite)

    async def _execute(self, planned: PlannedRun) -> Answer:
        answered, run = await execute(planned, self._harness, session_id=self._conversation)
        answer = Answer(answered, planned, run)
        self._answers.append(answer)
        trace = answer.trace
        if trace.fault is not None:
            raise ProviderError(
                f"{planned.settings.id} gave no answer ({trace.fault.kind}): {trace.fault.message}"
            )
        return answer

    async def _judge(self, answer: Answer, scorers: tuple[BoundScorer, ...]) -> Judged:
        case = answer.planned.case
        judged = await judge(answer.trace, case, scorers, self._harness, answer.run)
        answer.judged.append(judged)
        return judged


def _raise_for(judged: Judged) -> None:
    for evaluation in judged.evaluations:
        if evaluation.fault is not None:
            raise ScorerError(f"the scorer {evaluation.name} broke: {evaluation.fault.message}")
    failed = [e for e in judged.evaluations if e.score is not None and e.score.passed is False]
    if failed:
        raise CheckFailed("; ".join(_why(evaluation) for evaluation in failed))


def _why(evaluation: Evaluation) -> str:
    assert evaluation.score is not None
    return f"{evaluation.name}: {evaluation.score.explanation or 'did not pass'}"


def _together(judged: list[Judged]) -> Judged:
    evaluations: dict[str, Any] = {}
    for one in judged:
        for evaluation in one.evaluations:
            name = evaluation.name
            if name in evaluations:
                name = f"{name}-{sum(key.startswith(name) for key in evaluations) + 1}"
            evaluations[name] = evaluation.model_copy(update={"name": name})
    return Judged(tuple(evaluations.values()), tuple(s for one in judged for s in one.spans))
