"""Jobs inside one transaction: all of them, or none."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain

from p2re_eval.garbage import collector_paused
from p2re_eval.store import online_queries, result_writes, span_writes, trace_writes
from p2re_eval.store.jobs import (
    BeginTrace,
    Change,
    FinishExperiment,
    FinishTrace,
    KeepAssignment,
    SaveEvaluations,
    SavePromptVersion,
    SaveResult,
    SaveSpans,
    StartExperiment,
    StartSession,
    Write,
)
from p2re_eval.store.transaction import Transaction

MANY = 100
"""Jobs that make so many objects that the collector would run again and again."""


def apply_all(transaction: Transaction, jobs: Sequence[Write]) -> None:
    """Write and commit; on any error nothing is written. Raises sqlite3.Error and the jobs' own."""
    with _out_of_the_way(jobs), transaction.open():
        _look_up(transaction, jobs)
        for job in jobs:
            apply_one(transaction, job)


def _out_of_the_way(jobs: Sequence[Write]) -> AbstractContextManager[None]:
    """The collector is the user's, who may be timing something: it rests for many jobs only."""
    return collector_paused() if len(jobs) >= MANY else nullcontext()


def _look_up(transaction: Transaction, jobs: Sequence[Write]) -> None:
    """Everything that the jobs will ask for, in few queries."""
    traces = [job.trace for job in jobs if isinstance(job, (BeginTrace, FinishTrace))]
    spans = [job.spans for job in jobs if isinstance(job, SaveResult)]
    captured = [job.spans for job in jobs if isinstance(job, SaveSpans)]
    judged = [job.evaluations for job in jobs if isinstance(job, (SaveResult, SaveEvaluations))]
    if traces:
        trace_writes.expect_traces(transaction, traces)
    if spans or captured:
        transaction.expect(span.trace_id for span in chain.from_iterable(spans))
        transaction.expect(one.span.trace_id for one in chain.from_iterable(captured))
    if judged:
        transaction.expect_judged(one.trace_id for one in chain.from_iterable(judged))


def apply_one(transaction: Transaction, job: Write) -> None:
    """One write inside an open transaction."""
    match job:
        case BeginTrace():
            trace_writes.begin_trace(transaction, job.trace)
        case FinishTrace():
            trace_writes.finish_trace(transaction, job.trace)
        case SaveResult():
            result_writes.save_result(transaction, job.result, job.evaluations, job.spans)
        case SaveEvaluations():
            result_writes.save_evaluations(transaction, job.evaluations)
        case StartExperiment():
            result_writes.start_experiment(transaction, job.experiment)
        case FinishExperiment():
            result_writes.finish_experiment(transaction, job.experiment)
        case SavePromptVersion():
            result_writes.save_prompt_version(transaction, job.template, job.created_ns)
        case StartSession():
            result_writes.start_session(transaction, job.session)
        case Change():
            job.apply(transaction)
            if job.forgets:
                transaction.forget()
        case SaveSpans():
            with transaction.trusting() if job.passed else nullcontext():
                span_writes.save_spans(transaction, job.spans)
        case KeepAssignment():
            online_queries.keep_assignment(transaction, job.assignment)
