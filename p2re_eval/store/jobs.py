"""What can be written: one small class a write, so that a write can also wait in a rescue file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from p2re_eval.records import (
    Assignment,
    CapturedSpan,
    Evaluation,
    Experiment,
    PromptTemplate,
    Result,
    Session,
    Span,
    Trace,
)

if TYPE_CHECKING:
    from p2re_eval.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class BeginTrace:
    """A run that is about to call its provider."""

    trace: Trace
    write: Literal["begin_trace"] = "begin_trace"


@dataclass(frozen=True, slots=True)
class FinishTrace:
    """A run with its answer or fault."""

    trace: Trace
    write: Literal["finish_trace"] = "finish_trace"


@dataclass(frozen=True, slots=True)
class SaveResult:
    """The outcome of a planned run, and the spans its scorers added to the trace."""

    result: Result
    evaluations: tuple[Evaluation, ...] = ()
    spans: tuple[Span, ...] = ()
    write: Literal["save_result"] = "save_result"


@dataclass(frozen=True, slots=True)
class SaveEvaluations:
    """Judgements that belong to no planned run: a person's, or a rescoring's."""

    evaluations: tuple[Evaluation, ...]
    write: Literal["save_evaluations"] = "save_evaluations"


@dataclass(frozen=True, slots=True)
class StartExperiment:
    """An experiment that begins."""

    experiment: Experiment
    write: Literal["start_experiment"] = "start_experiment"


@dataclass(frozen=True, slots=True)
class FinishExperiment:
    """An experiment that has ended, with its gates' verdicts."""

    experiment: Experiment
    write: Literal["finish_experiment"] = "finish_experiment"


@dataclass(frozen=True, slots=True)
class SavePromptVersion:
    """A prompt as it is now; a version that is known already is left as it is. ``created_ns`` is
    given where another database knew it first."""

    template: PromptTemplate
    created_ns: int | None = None
    write: Literal["save_prompt_version"] = "save_prompt_version"


@dataclass(frozen=True, slots=True)
class StartSession:
    """A conversation that begins, or is described anew."""

    session: Session
    write: Literal["start_session"] = "start_session"


@dataclass(frozen=True, slots=True)
class SaveSpans:
    """Spans of other programs, in any order; what they say twice is kept once. ``passed`` when
    redaction has looked at them already, and has found nothing."""

    spans: tuple[CapturedSpan, ...]
    passed: bool = False
    write: Literal["save_spans"] = "save_spans"


@dataclass(frozen=True, slots=True)
class KeepAssignment:
    """A unit's variant in an A/B experiment."""

    assignment: Assignment
    write: Literal["keep_assignment"] = "keep_assignment"


Job: TypeAlias = (
    BeginTrace
    | FinishTrace
    | SaveResult
    | SaveEvaluations
    | StartExperiment
    | FinishExperiment
    | SavePromptVersion
    | StartSession
    | SaveSpans
    | KeepAssignment
)


@dataclass(frozen=True, slots=True)
class Change:
    """An edit that somebody waits for (a pin, a label, a deletion); never kept for later. With
    ``forgets`` it may have taken out or brought in anything."""

    apply: Callable[[Transaction], None]
    forgets: bool = True


Write: TypeAlias = Job | Change
"""Whatever the writer takes."""
