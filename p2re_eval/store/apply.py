"""Jobs inside one transaction: all of them, or none."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

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
from p2re_eval.store.trace_writes import Transaction


def apply_all(transaction: Transaction, jobs: Sequence[Write]) -> None:
    """Write and commit; on any error nothing is written. Raises sqlite3.Error and the jobs' own."""
    connection = transaction.connection
    connection.execute("BEGIN IMMEDIATE")  # deferred, a reader that turns writer fails at once
    try:
        for job in jobs:
            apply_one(transaction, job)
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def roll_back(connection: sqlite3.Connection) -> None:
    """After some errors (a full disk) SQLite has done it already."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


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
        case SaveSpans():
            span_writes.save_spans(transaction, job.spans)
        case KeepAssignment():
            online_queries.keep_assignment(transaction, job.assignment)
