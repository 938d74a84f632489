"""Our evaluations as Phoenix's annotations and theirs as ours; who wins when both were changed."""

from __future__ import annotations

from collections.abc import Mapping

from p2re_eval.bridges.phoenix.client import Annotation
from p2re_eval.records import JSON, Evaluation, Score, content_hash

OURS = "p2re:"
"""What the identifier of an annotation begins with that came from here."""
THEIRS = "phoenix:"
"""What the identifier of an evaluation begins with that came from there."""
_RESERVED = "note"
_PASSED = {"pass": True, "fail": False}
_UNKNOWN_VERSION = "unknown"
_PROVENANCE = ("scorer", "scorer_version", "experiment_id", "identifier", "weight")


def annotation_of(one: Evaluation, span_id: str) -> Annotation:
    """How the evaluation stands there; one that came from there keeps the key it has there."""
    score = one.score or Score()
    passed = score.passed
    label = score.label or (None if passed is None else "pass" if passed else "fail")
    explanation = score.explanation
    if one.fault is not None:
        label, explanation = "error", one.fault.message
    identifier, trace_id = OURS + key(one), ""
    if one.identifier.startswith(THEIRS):
        identifier = str(_there(score.metadata).get("identifier", ""))
        span_id = str(_there(score.metadata).get("span_id", span_id))
        trace_id = str(_there(score.metadata).get("trace_id", ""))
    if label is None and score.value is None and explanation is None:
        explanation = "no value"  # Phoenix refuses an annotation that says nothing
    return Annotation(
        span_id="" if trace_id else span_id,
        trace_id=trace_id,
        name=f"{one.name}_" if one.name == _RESERVED else one.name,
        kind=one.kind,
        score=score.value,
        label=label,
        explanation=explanation,
        metadata=_provenance(one),
        identifier=identifier,
    )


def evaluation_of(there: Annotation, trace_id: str, root_id: str) -> Evaluation:
    """An annotation as an evaluation; ``root_id`` is the run's own span.

    One that another P2RE database wrote there keeps the scorer and the experiment it had.
    """
    own = there.metadata.get("p2re")
    if there.identifier.startswith(OURS) and isinstance(own, Mapping):
        told = {name: own[name] for name in _PROVENANCE if name in own}
    else:
        of_part = [] if there.span_id == root_id else [there.span_id or "trace"]
        told = {"identifier": THEIRS + ":".join([*of_part, there.identifier])}
    return Evaluation(
        **{"scorer": "phoenix", "scorer_version": _UNKNOWN_VERSION, **told},
        evaluation_id=content_hash(["phoenix", trace_id, told.get("identifier"), there.name])[:32],
        trace_id=trace_id,
        name=there.name,
        kind=there.kind,
        score=_score(there, {}),
        created_ns=there.updated_ns,
    )


def key(one: Evaluation) -> str:
    """What stays the same when a run is judged again: the upsert key, as 32 hex digits."""
    return content_hash([one.trace_id, one.name, one.identifier, one.experiment_id])[:32]


def key_there(there: Annotation, trace_id: str, root_id: str) -> str:
    """The key of the evaluation that the annotation is, or would be, here."""
    if there.identifier.startswith(OURS):
        return there.identifier.removeprefix(OURS)
    return key(evaluation_of(there, trace_id, root_id))


def changed_there(here: Evaluation, there: Annotation) -> Evaluation:
    """Our evaluation as they changed it; what it said before is kept in its metadata."""
    kept = {} if here.score is None else dict(here.score.metadata)
    return here.model_copy(
        update={
            "score": _score(there, {**kept, "replaced": _said(here)}),
            "fault": None,
            "kind": "HUMAN" if there.by_hand else there.kind,
            "created_ns": max(there.updated_ns, here.created_ns),
        }
    )


def keeps_loser(here: Evaluation, there: Annotation) -> Evaluation:
    """Our evaluation, which won, with what was said there in its metadata."""
    score = here.score or Score()
    lost = there.model_dump(include={"kind", "score", "label", "explanation", "user"})
    metadata = {**score.metadata, "replaced": {k: v for k, v in lost.items() if v is not None}}
    return here.model_copy(update={"score": score.model_copy(update={"metadata": metadata})})


def they_win(here: Evaluation, there: Annotation) -> bool:
    """Both were changed since both agreed: a person beats a program, else the newer one stands."""
    by_person_there = there.by_hand or there.kind == "HUMAN"
    if by_person_there != (here.kind == "HUMAN"):
        return by_person_there
    return there.updated_ns >= here.created_ns


def digest(one: Annotation) -> str:
    """What both sides must agree on: what was judged and how, not when or by which program."""
    return content_hash([one.name, one.score, one.label, one.explanation])[:32]


def _score(there: Annotation, metadata: Mapping[str, JSON]) -> Score:
    about = {
        "annotation": there.remote_id,
        "span_id": there.span_id,
        "trace_id": there.trace_id,
        "identifier": there.identifier,
        "user": there.user,
    }
    passed = _PASSED.get(there.label or "")
    return Score(
        value=there.score,
        label=None if passed is not None else there.label,
        passed=passed,
        explanation=there.explanation,
        metadata={
            **{k: v for k, v in there.metadata.items() if k != "p2re"},
            **metadata,
            "phoenix": {name: value for name, value in about.items() if value},
        },
    )


def _there(metadata: Mapping[str, JSON]) -> Mapping[str, JSON]:
    found = metadata.get("phoenix")
    return found if isinstance(found, Mapping) else {}


def _provenance(one: Evaluation) -> dict[str, JSON]:
    own = {name: getattr(one, name) for name in _PROVENANCE}
    score = one.score or Score()
    kept = {name: value for name, value in score.metadata.items() if name != "phoenix"}
    return {**kept, "p2re": {name: value for name, value in own.items() if value is not None}}


def _said(one: Evaluation) -> dict[str, JSON]:
    if one.fault is not None:
        return {"kind": one.kind, "fault": one.fault.message}
    score = one.score or Score()
    said = score.model_dump(exclude_none=True, exclude={"metadata"})
    return {"kind": one.kind, **said}
