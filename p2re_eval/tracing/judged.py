"""Judgements that a span carries: annotations of OpenInference, evaluation events of GenAI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from p2re_eval.records import JSON, Evaluation, EvaluationKind, Score, content_hash
from p2re_eval.tracing.conventions import NAMES
from p2re_eval.tracing.messages import numbered
from p2re_eval.tracing.raw import RawSpan
from p2re_eval.tracing.values import mapping, number, text

_EVENT = "gen_ai.evaluation.result"
_KINDS: dict[str, EvaluationKind] = {"HUMAN": "HUMAN", "LLM": "LLM"}


def evaluations_of(raw: RawSpan) -> Iterator[Evaluation]:
    """The evaluations in a span, each with an id that is the same whenever the span comes again."""
    for prefix in NAMES["evaluations"]:
        for one in numbered(raw.attributes, prefix):
            plain = {name.partition(".")[2]: value for name, value in one.items()}
            yield from _evaluation(raw, plain)
    for event in raw.events:
        if event.name == _EVENT:
            plain = {
                name.removeprefix("gen_ai.evaluation."): value
                for name, value in event.attributes.items()
            }
            score = {
                "score": plain.get("score.value"),
                "label": plain.get("score.label"),
                **plain,
            }
            yield from _evaluation(raw, score)


def _evaluation(raw: RawSpan, one: Mapping[str, JSON]) -> Iterator[Evaluation]:
    name = text(one.get("name"))
    if name is None:
        return
    identifier = text(one.get("identifier")) or f"span:{raw.span_id}"
    yield Evaluation(
        evaluation_id=content_hash([raw.trace_id, name, identifier])[:32],
        trace_id=raw.trace_id,
        name=name,
        scorer=name,
        scorer_version="captured",
        kind=_KINDS.get(str(one.get("annotator_kind")).upper(), "CODE"),
        score=Score(
            value=number(one.get("score")),
            label=text(one.get("label")),
            explanation=text(one.get("explanation")),
            metadata=mapping(one.get("metadata")),
        ),
        created_ns=raw.end_ns or raw.start_ns,
        identifier=identifier,
    )
