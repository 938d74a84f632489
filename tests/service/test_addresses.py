"""One form of address, parsed, printed and opened."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.errors import NoSuchRecord, UsageError
from p2re_eval.records import Experiment, Session
from p2re_eval.service import Address, Feedback, Service, parse_address


@pytest.mark.parametrize(
    "text",
    ["trace:0af7", "prompt:route", "prompt:route@v3", "evaluation:1", "experiment:latest",
     "session:chat-42"],
)  # fmt: skip
def test_an_address_reads_back_as_it_was_written(text: str) -> None:
    assert str(parse_address(text)) == text


def test_a_prompts_version_is_told_apart_from_its_name() -> None:
    found = parse_address("prompt:route@production")
    assert found == Address(kind="prompt", id="route", version="production")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("trcae:1", "unknown kind 'trcae'; did you mean 'trace'\\?"),
        ("0af7", "begin it with one of trace, prompt, evaluation, experiment, session:"),
        ("trace:", "names no trace; write trace:ID"),
        ("prompt:@v1", "write prompt:NAME or prompt:NAME@VERSION"),
        ("prompt:route@", "write prompt:NAME or prompt:NAME@VERSION"),
    ],
)
def test_what_is_no_address_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        parse_address(text)


def test_every_kind_of_artifact_opens(service: Service, runs: Any) -> None:
    """What the address names is what comes back, whole."""
    trace = runs.record()
    service.prompts.save(runs.template())
    judged = service.evaluations.annotate(
        Feedback(trace_id=trace.trace_id, annotator="ann", label="good")
    )
    service.store.start_experiment(Experiment(experiment_id="e1", name="n", started_ns=1))
    service.sessions.save(Session(session_id="chat-42", started_ns=1))
    opened = [
        service.open(text)
        for text in (
            f"trace:{trace.trace_id}",
            "prompt:route@latest",
            f"evaluation:{judged.evaluation_id}",
            "experiment:e1",
            "session:chat-42",
        )
    ]
    detail, version, evaluation, experiment, session = opened
    assert detail.trace == trace  # type: ignore[union-attr]
    assert version.template.messages[0].content == "Hello"  # type: ignore[union-attr]
    assert evaluation == judged
    assert experiment.experiment.experiment_id == "e1"  # type: ignore[union-attr]
    assert session.totals.traces == 0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text", ["trace:ff", "prompt:x", "evaluation:ff", "experiment:x", "session:x"]
)
def test_what_is_not_there_says_so(service: Service, text: str) -> None:
    with pytest.raises(NoSuchRecord):
        service.open(text)
