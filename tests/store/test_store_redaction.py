"""Every text passes the redaction before it reaches the disk."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from p2re_eval.records import (
    Completion,
    Experiment,
    Fault,
    Message,
    PromptTemplate,
    Score,
    Session,
    Span,
    TemplateMessage,
    TextPart,
    Tool,
    ToolCall,
)
from p2re_eval.store import Store, open_store
from p2re_eval.store.apply import apply_all
from p2re_eval.store.connection import open_for_writing
from p2re_eval.store.jobs import BeginTrace, FinishTrace
from p2re_eval.store.redaction import Redaction
from p2re_eval.store.transaction import Transaction

SECRET = "sk-abc\"d'éf"


def redact(text: str) -> str:
    """The user sees the text itself, not its JSON form with escaped quotes."""
    return text.replace(SECRET, "[secret]")


def write_secrets_everywhere(store: Store, records: Any) -> str:
    prompt = records.prompt(SECRET, stop=(SECRET,), extra={"header": SECRET}).model_copy(
        update={
            "variables": {SECRET: [SECRET]},
            "tools": (Tool(name="t", description=SECRET),),
            "output_schema": {"title": SECRET},
        }
    )
    parts = Message(role="user", content=(TextPart(text=SECRET),), name=SECRET)
    prompt = prompt.model_copy(update={"messages": (parts, *prompt.messages)})
    completion = Completion(
        text=SECRET * 200,
        tool_calls=(ToolCall(id="1", name="t", arguments=SECRET),),
        refusal=SECRET,
        reasoning=SECRET,
        rate_limit={"authorization": SECRET},
        raw={"choices": [SECRET]},
    )
    trace = records.trace(
        status="OK", prompt=prompt, completion=completion, tags=(SECRET,), metadata={"m": SECRET}
    )
    span = Span(
        span_id="1" * 16,
        trace_id=trace.trace_id,
        name="s",
        start_ns=1,
        status_message=SECRET,
        attributes={"a": SECRET},
        prompt=prompt,
        completion=completion,
    )
    fault = Fault(kind="server", message=SECRET, partial=SECRET)
    store.finish_trace(trace.model_copy(update={"spans": (span,)}))
    store.finish_trace(records.trace(status="ERROR", fault=fault))
    score = Score(label=SECRET, explanation=SECRET, metadata={"x": SECRET})
    evaluations = [
        records.evaluation(trace.trace_id, score=score),
        records.evaluation(trace.trace_id, "broken", score=None, fault=fault),
    ]
    result = records.result(
        fault=fault, inputs_preview=SECRET, output_preview=SECRET, expected_preview=SECRET
    )
    store.save_result(result, evaluations)
    store.start_session(Session(session_id="s", started_ns=1, user=SECRET, name=SECRET))
    message = TemplateMessage(role="user", content=SECRET)
    store.save_prompt_version(PromptTemplate(name="p", version="v", messages=(message,)))
    store.start_experiment(
        Experiment(experiment_id="e", name="n", started_ns=1, settings={"key": SECRET})
    )
    return str(trace.trace_id)


def test_no_secret_reaches_the_file_or_its_log(database: Path, records: Any) -> None:
    """Looked for in every column of every table, uncompressed; and in the full-text index."""
    with open_store(database, redact=redact) as store:
        trace_id = write_secrets_everywhere(store, records)
        assert store.search("abc") == []
        trace = store.read_trace(trace_id)
        assert trace.completion is not None
        assert trace.completion.text == "[secret]" * 200
        assert trace.prompt.messages[0].content == (TextPart(text="[secret]"),)
        assert trace.prompt.variables == {"[secret]": ["[secret]"]}
        everything = [store.read_trace(row.trace_id) for row in store.list_traces()]
        said = repr((everything, store.evaluations(trace_id), list(store.results("e1"))))
        assert "sk-abc" not in said
        for path in database.parent.iterdir():
            assert b"sk-abc" not in path.read_bytes(), path


def test_without_redaction_texts_are_kept_as_they_are(store: Store, records: Any) -> None:
    """The default changes nothing."""
    trace_id = write_secrets_everywhere(store, records)
    trace = store.read_trace(trace_id)
    assert trace.completion is not None
    assert trace.completion.text == SECRET * 200


def test_a_run_that_begins_and_ends_in_one_transaction_shows_its_prompt_once(
    tmp_path: Path, records: Any
) -> None:
    """The user's function may be slow: it sees as much of the prompt as if the run had only
    begun."""
    seen: list[str] = []

    def redact(text: str) -> str:
        seen.append(text)
        return text

    trace = records.trace()
    both = [BeginTrace(trace), FinishTrace(records.answered(trace))]
    counts = []
    for number, jobs in enumerate([both[:1], both]):
        seen.clear()
        with closing(open_for_writing(tmp_path / f"{number}.db", busy_timeout_s=1)) as connection:
            apply_all(Transaction(connection, Redaction(redact), 1, 1), jobs)
        counts.append(seen.count("I was charged twice."))
    assert counts == [2, 2]  # the message, and its preview
