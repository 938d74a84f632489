"""Results, evaluations, experiments, prompt versions and sessions on their way into the tables."""

from __future__ import annotations

from collections.abc import Iterable

from p2re_eval.records import Evaluation, Experiment, PromptTemplate, Result, Session, Span
from p2re_eval.store import rollups
from p2re_eval.store.columns import Insert, columns, insert_into, replacing
from p2re_eval.store.payloads import packed
from p2re_eval.store.trace_writes import add_spans, key_column
from p2re_eval.store.transaction import Transaction
from p2re_eval.store.upkeep import judged_watermark

_EVALUATION_COLUMNS = (
    "evaluation_id trace_id name identifier experiment_id scorer scorer_version kind value label "
    "passed explanation metadata fault weight duration_ns created_ns"
)
_RESULT_COLUMNS = (
    "experiment_id item suite prompt prompt_version model case_id repeat position tags cluster "
    "outcome value trace_id source recorded fault inputs_preview output_preview expected_preview "
    "input_tokens output_tokens cached_tokens reasoning_tokens cost_usd duration_ns quarantine "
    "place row_hash rules_hash fingerprint model_answered"
)
_EXPERIMENT_COLUMNS = columns(
    "experiment_id name status started_ns ended_ns planned suites revision packages settings "
    "verdicts process"
)
_KEEP_WHAT_WAS_SAID = (
    "INSERT INTO evaluation_history(evaluation_id, trace_id, name, identifier, value, label, "
    "passed, explanation, created_ns, replaced_ns) SELECT evaluation_id, trace_id, name, "
    "identifier, value, label, passed, explanation, created_ns, ? FROM evaluations WHERE id = ?"
)
_RESULT_KEY = "experiment_id, suite, prompt, model, case_id, repeat"

_SAVE_EVALUATION = Insert("evaluations", f"id {_EVALUATION_COLUMNS}")
_SAVE_RESULT = Insert(
    "results",
    _RESULT_COLUMNS,
    replacing(columns(_RESULT_COLUMNS), target=_RESULT_KEY, keep=()),
)
_ASSIGNMENT_COLUMNS = "experiment_id suite prompt prompt_version model"
_ASSIGN = Insert("assignments", _ASSIGNMENT_COLUMNS, "ON CONFLICT DO NOTHING")
_START_EXPERIMENT = insert_into(
    "experiments",
    _EXPERIMENT_COLUMNS,
    replacing(_EXPERIMENT_COLUMNS, target="experiment_id", keep=())
    + " WHERE experiments.status = 'ABANDONED'",
)
_FINISH_EXPERIMENT = insert_into(
    "experiments",
    _EXPERIMENT_COLUMNS,
    replacing(_EXPERIMENT_COLUMNS, target="experiment_id", keep=()),
)


def save_result(
    transaction: Transaction,
    result: Result,
    evaluations: Iterable[Evaluation],
    spans: Iterable[Span],
) -> None:
    """The outcome of a planned run; run again in the same experiment, it replaces the first."""
    values = _result_values(transaction, result)
    transaction.alone((result.experiment_id, result.item, str(result.repeat)))
    transaction.add(_SAVE_RESULT, values)
    _assign(transaction, result)
    save_evaluations(transaction, evaluations)
    add_spans(transaction, spans)


def _assign(transaction: Transaction, result: Result) -> None:
    """What the experiment runs; all cases of a suite say the same."""
    version = result.prompt_version or ""
    row = (result.experiment_id, result.suite, result.prompt, version, result.model)
    if transaction.first(row):
        transaction.add(_ASSIGN, row)


def save_evaluations(transaction: Transaction, evaluations: Iterable[Evaluation]) -> None:
    """One row for each (trace, name, identifier) of an experiment; the newest judgement stays.

    The experiment is part of the key: a cached trace is judged in many, and what one of them found
    must not change when another looks at the same trace. A person's earlier word moves to the
    history.
    """
    for one in evaluations:
        key = one.trace_id, one.name, one.identifier, one.experiment_id or ""
        known = transaction.judgement(key)
        if known is not None:
            _make_room(transaction, one, known)
        row = transaction.new_id("evaluations")
        transaction.add(_SAVE_EVALUATION, (row, *_evaluation_values(transaction, one)))


def _make_room(transaction: Transaction, one: Evaluation, row: int) -> None:
    """Take the judgement out that this one replaces: the new row has a new id, so that whoever
    follows the ids sees it."""
    connection = transaction.connection
    kind, evaluation_id = connection.execute(
        "SELECT kind, evaluation_id FROM evaluations WHERE id = ?", (row,)
    ).fetchone()
    if kind == "HUMAN" and evaluation_id != one.evaluation_id:
        connection.execute(_KEEP_WHAT_WAS_SAID, (transaction.now_ns, row))
    if row <= judged_watermark(connection):
        rollups.take_out_evaluations(connection, [row])
    connection.execute("DELETE FROM evaluations WHERE id = ?", (row,))


def start_experiment(transaction: Transaction, experiment: Experiment) -> None:
    """The experiment's row; xdist workers may all say it, and a finished one stays finished."""
    values = _experiment_values(transaction, experiment)
    transaction.connection.execute(_START_EXPERIMENT, (*values, transaction.process))


def finish_experiment(transaction: Transaction, experiment: Experiment) -> None:
    """The experiment as it ended, started here or not."""
    values = _experiment_values(transaction, experiment)
    transaction.connection.execute(_FINISH_EXPERIMENT, (*values, None))


def save_prompt_version(
    transaction: Transaction, template: PromptTemplate, created_ns: int | None = None
) -> None:
    """A new version gets the next number; a known one keeps the row it has."""
    connection = transaction.connection
    now_ns = transaction.now_ns if created_ns is None else created_ns
    connection.execute(
        "INSERT INTO prompt_templates(name, created_ns) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (template.name, now_ns),
    )
    owner = connection.execute(
        "SELECT id FROM prompt_templates WHERE name = ?", (template.name,)
    ).fetchone()[0]
    known = connection.execute(
        "SELECT 1 FROM versions WHERE template = ? AND version = ?", (owner, template.version)
    ).fetchone()
    if known:
        return
    body = packed(transaction.redaction.record(template).encode())
    connection.execute(
        'INSERT INTO versions(template, number, version, body, path, "commit", created_ns) '
        "SELECT ?, 1 + coalesce(max(number), 0), ?, ?, ?, ?, ? FROM versions WHERE template = ?",
        (owner, template.version, body, template.path, template.commit, now_ns, owner),
    )


def start_session(transaction: Transaction, session: Session) -> None:
    """The session's row, made by its first trace or here."""
    redaction = transaction.redaction
    transaction.connection.execute(
        "INSERT INTO sessions(session_id, name, user, started_ns, metadata) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT(session_id) DO UPDATE SET name = excluded.name, user = excluded.user, "
        "started_ns = excluded.started_ns, metadata = excluded.metadata",
        (
            session.session_id,
            redaction.text(session.name),
            redaction.text(session.user),
            session.started_ns,
            redaction.json(session.metadata),
        ),
    )
    transaction.memory.next_ids.pop("sessions", None)  # SQLite has given one out


def _evaluation_values(transaction: Transaction, one: Evaluation) -> tuple[object, ...]:
    redaction, score = transaction.redaction, one.score
    return (
        one.evaluation_id,
        one.trace_id,
        one.name,
        one.identifier,
        one.experiment_id,
        one.scorer,
        one.scorer_version,
        one.kind,
        None if score is None else score.value,
        None if score is None else redaction.text(score.label),
        None if score is None else score.passed,
        None if score is None else redaction.text(score.explanation),
        None if score is None else redaction.json(score.metadata),
        None if one.fault is None else redaction.record(one.fault),
        one.weight,
        one.duration_ns,
        one.created_ns,
    )


def _result_values(transaction: Transaction, result: Result) -> tuple[object, ...]:
    redaction, usage = transaction.redaction, result.usage
    return (
        result.experiment_id,
        result.item,
        result.suite,
        result.prompt,
        result.prompt_version,
        result.model,
        result.case_id,
        result.repeat,
        result.position,
        redaction.json(result.tags),
        result.cluster,
        result.outcome,
        result.value,
        result.trace_id,
        result.source,
        result.recorded,
        None if result.fault is None else redaction.record(result.fault),
        redaction.text(result.inputs_preview),
        redaction.text(result.output_preview),
        redaction.text(result.expected_preview),
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.reasoning_tokens,
        result.cost_usd,
        result.duration_ns,
        redaction.text(result.quarantine),
        None if result.place is None else redaction.record(result.place),
        key_column(result.row_hash or ""),
        key_column(result.rules_hash or ""),
        key_column(result.fingerprint or ""),
        result.model_answered,
    )


def _experiment_values(transaction: Transaction, experiment: Experiment) -> tuple[object, ...]:
    redaction = transaction.redaction
    verdicts = [verdict.model_dump(exclude_defaults=True) for verdict in experiment.verdicts]
    return (
        experiment.experiment_id,
        experiment.name,
        experiment.status,
        experiment.started_ns,
        experiment.ended_ns,
        experiment.planned,
        redaction.json(experiment.suites),
        redaction.json(experiment.revision),
        redaction.json(experiment.packages),
        redaction.json(experiment.settings),
        redaction.json(verdicts),
    )
