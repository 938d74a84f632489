"""The embedded model behind real HTTP, streamed and whole, and as a judge of itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# pytester forgets modules first imported inside a run: what is slow to import is imported here.
import p2re_eval.providers.http_connection
import p2re_eval.providers.prices
import p2re_eval.scorers.builtin  # noqa: F401
from p2re_eval.records import Trace
from p2re_eval.store import open_store

PROMPT = """\
inputs:
  ticket: {type: string}
messages:
  - system: Answer with the team.
  - user: "{{ ticket }}"
output:
  schema:
    type: object
    properties: {team: {enum: [billing, technical]}}
    required: [team]
    additionalProperties: false
"""


def suite(project: Any, model: str, *, scorers: str = "[json_schema]") -> None:
    project.write("prompts/sort.yaml", PROMPT)
    project.write(
        "suites/support.yaml",
        f"""\
        prompt: sort
        models: [{model}]
        scorers: {scorers}
        cases:
          - id: charged
            inputs: {{ticket: I was charged twice.}}
            expected: {{team: billing}}
        """,
    )


def only_trace(project: Any) -> Trace:
    with open_store(project.db) as store:
        [row] = store.list_traces()
        trace = store.read_trace(row.trace_id)
        assert isinstance(trace, Trace)
        return trace


@pytest.mark.parametrize("stream", [False, True])
def test_embedded_model_over_http_answers_by_its_schema(
    project: Any, served: str, stream: bool
) -> None:
    """Tokens, times and the name the server answers with are recorded; the first token's time
    only when it is streamed."""
    settings = "temperature: 0, max_tokens: 40, seed: 1"
    model = f'{{provider: openai, name: smollm2, base_url: "{served}/v1", {settings}, '
    suite(project, f"{model}stream: {str(stream).lower()}}}")
    result = project.run()
    result.assert_outcomes(passed=1)
    assert result.ret == 0
    trace = only_trace(project)
    answer = trace.completion
    assert answer is not None
    assert json.loads(answer.text)["team"] in {"billing", "technical"}
    assert (answer.finish_reason, trace.attempts, trace.source) == ("stop", 1, "live")
    assert answer.model
    assert answer.usage.input_tokens
    assert answer.usage.output_tokens
    assert answer.duration_ns
    first = answer.time_to_first_token_ns
    assert (first is not None) == stream
    assert first is None or 0 < first < answer.duration_ns


def test_stopping_at_max_tokens_over_http_is_a_bad_answer_and_not_an_error(
    project: Any, served: str
) -> None:
    """The model's fault, not the machine's: F, and the trace says length."""
    model = f'{{provider: openai, name: smollm2, base_url: "{served}/v1", max_tokens: 2}}'
    suite(project, model)
    result = project.run()
    result.assert_outcomes(failed=1)
    assert result.ret == 1
    answer = only_trace(project).completion
    assert answer is not None
    assert (answer.finish_reason, answer.usage.output_tokens) == ("length", 2)


def test_unknown_path_of_a_real_server_is_a_sentence(project: Any, served: str) -> None:
    """base_url without its /v1, or with a wrong one."""
    suite(project, f'{{provider: openai, name: smollm2, base_url: "{served}/v9"}}')
    result = project.run()
    result.assert_outcomes(errors=1)
    assert "check the model's name and base_url" in " ".join(result.stdout.str().split())
    fault = only_trace(project).fault
    assert fault is not None
    assert (fault.kind, fault.status, fault.attempts) == ("not_found", 404, 1)


def test_local_answer_is_judged_by_the_same_model_over_http(
    project: Any, served: str, embedded_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict (or why the judge gave none) is recorded, and its call is a child span.

    So small a judge may repeat itself until it is stopped: the server does that soon.
    """
    monkeypatch.setenv("OPENAI_BASE_URL", f"{served}/v1")
    judge = "[{llm_judge: {rubric: Names a team., model: openai/smollm2}}]"
    suite(project, "{provider: local, name: smollm2-135m, temperature: 0}", scorers=judge)
    # In a process of its own: the model's library must not be forgotten by pytester.
    result = project.run(subprocess=True)
    assert "INTERNALERROR" not in result.stdout.str()
    trace = only_trace(project)
    assert trace.completion is not None
    assert json.loads(trace.completion.text)["team"] in {"billing", "technical"}
    [span] = trace.spans
    assert (span.parent_id, span.trace_id, span.kind) == (trace.span_id, trace.trace_id, "LLM")
    assert (span.status, span.end_ns is not None) == ("OK", True)
    assert span.prompt is not None
    assert span.prompt.model.id == "openai/smollm2"
    assert span.completion is not None
    assert span.completion.usage.output_tokens
    [row] = project.results()
    [judged] = row.evaluations
    assert (judged.scorer, judged.kind) == ("llm_judge", "LLM")
    if judged.fault is None:
        assert judged.score is not None
        assert row.outcome in {"passed", "failed"}
    else:
        assert judged.fault.kind == "scorer"
        assert row.outcome == "unscored"
        assert "not scored, because a scorer broke" in result.stdout.str()


@pytest.mark.usefixtures("embedded_model")
def test_a_new_project_passes_on_the_embedded_model(pytester: pytest.Pytester) -> None:
    """`p2re init` and `pytest --p2re`, and nothing between them."""
    p2re = Path(sys.executable).with_name("p2re")
    subprocess.run([p2re, "init", "."], cwd=pytester.path, check=True, capture_output=True)
    result = pytester.runpytest_subprocess("--p2re")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["PASSED  1 gate met, *"])
