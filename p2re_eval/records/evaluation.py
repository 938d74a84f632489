"""What is judged: scores, evaluations, captured spans, results, verdicts, experiments, sessions."""

from typing import Literal

from pydantic import Field

from p2re_eval.records.base import JSON, EvaluationKind, Outcome, Place, Record, Source
from p2re_eval.records.comparison import Delta, Judgement, Revision
from p2re_eval.records.trace import Exposure, Fault, Span, Usage


class Score(Record):
    """What a scorer says. ``value`` is usually 0 to 1; ``passed`` ``None`` lets a threshold or
    ``value >= 0.5`` decide."""

    value: float | None = None
    label: str | None = None
    passed: bool | None = None
    explanation: str | None = None
    metadata: dict[str, JSON] = Field(default_factory=dict)


class Evaluation(Record):
    """A score kept with its provenance; exactly one of ``score`` and ``fault`` is set.

    ``scorer_version`` is a hash of the scorer's source and options, so a changed scorer is seen.
    ``identifier`` with (trace, name) is the upsert key.
    """

    evaluation_id: str
    trace_id: str
    name: str
    scorer: str
    scorer_version: str
    kind: EvaluationKind = "CODE"
    score: Score | None = None
    fault: Fault | None = None
    weight: float = 1.0
    duration_ns: int | None = None
    created_ns: int = 0
    identifier: str = ""
    experiment_id: str | None = None


class CapturedSpan(Record):
    """A span of somebody else's program, and what it says about the trace it is part of.

    ``root`` when nothing above it will ever be recorded; ``span`` may come before its parent,
    twice, or long after. ``fault`` is why a call has no completion.
    """

    span: Span
    root: bool = False
    fault: Fault | None = None
    session_id: str | None = None
    user: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, JSON] = Field(default_factory=dict)
    exposures: tuple[Exposure, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()


class Result(Record):
    """The outcome of one case, once: a run, its trace and what the scorers said.

    Narrow on purpose (texts are previews of at most 500 characters): a session keeps thousands.
    ``value`` is the weighted mean score, ``None`` unless every counting scorer gave one.
    ``quarantine`` is the reason why this case decides nothing for now. Of a run that was not made,
    ``fault`` says why: its kind is ``budget`` or ``early_stop``.
    ``row_hash`` stands for the dataset row (inputs, expected, metadata), ``rules_hash`` for what
    decides between passed and failed (scorers, weights, threshold), ``fingerprint`` for what was
    asked: results that differ in the first two are not comparable.
    """

    experiment_id: str
    item: str
    suite: str
    prompt: str
    prompt_version: str | None = None
    model: str
    case_id: str
    repeat: int = 0
    position: int = 0
    tags: tuple[str, ...] = ()
    cluster: str | None = None
    outcome: Outcome
    value: float | None = None
    trace_id: str | None = None
    source: Source = "live"
    recorded: bool = False
    fault: Fault | None = None
    evaluations: tuple[Evaluation, ...] = ()
    inputs_preview: str = ""
    output_preview: str = ""
    expected_preview: str = ""
    usage: Usage = Usage()
    cost_usd: float | None = None
    duration_ns: int | None = None
    quarantine: str | None = None
    place: Place | None = None
    row_hash: str | None = None
    rules_hash: str | None = None
    fingerprint: str | None = None
    model_answered: str | None = None


class GateVerdict(Record):
    """What a gate decided; ``passed`` ``None`` means it could not be evaluated, which is red.

    A ``no_regression`` gate also keeps its ``judgement`` and the ``deltas`` it looked at.
    """

    gate: str
    suite: str
    passed: bool | None
    value: float | None = None
    explanation: str
    place: Place | None = None
    judgement: Judgement | None = None
    deltas: tuple[Delta, ...] = ()


class Experiment(Record):
    """One pass over suites: who ran what, where, with which packages and settings."""

    experiment_id: str
    name: str
    started_ns: int
    ended_ns: int | None = None
    status: Literal["RUNNING", "COMPLETE", "INTERRUPTED", "ABANDONED"] = "RUNNING"
    suites: tuple[str, ...] = ()
    revision: Revision | None = None
    packages: dict[str, str] = Field(default_factory=dict)
    settings: dict[str, JSON] = Field(default_factory=dict)
    verdicts: tuple[GateVerdict, ...] = ()
    planned: int = 0


class Session(Record):
    """A conversation: traces that belong together, in order."""

    session_id: str
    started_ns: int
    name: str | None = None
    user: str | None = None
    metadata: dict[str, JSON] = Field(default_factory=dict)
