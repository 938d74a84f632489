"""A scorer of the project's own that compares meanings, by vectors it asks a provider for."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

# pytester forgets modules first imported inside a run: what is slow to import is imported here.
import p2re_eval.providers.http_connection
import p2re_eval.providers.prices
import p2re_eval.report.terminal
import p2re_eval.scorers.builtin  # noqa: F401
from p2re_eval.store import open_store


class Handler(BaseHTTPRequestHandler):
    """Answers every question with a word, and turns words into vectors of two numbers."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/embeddings"):
            rows = [
                {"index": n, "embedding": [len(text), 1]} for n, text in enumerate(asked["input"])
            ]
            body = {"data": rows, "usage": {"prompt_tokens": 5}, "model": "vec-1"}
        else:
            message = {"role": "assistant", "content": "billing"}
            body = {"choices": [{"message": message, "finish_reason": "stop"}]}
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Quiet."""


CONFTEST = """
from p2re_eval import ModelSettings, Score, hookimpl


async def means_the_same(completion, case, *, context):
    model = context.prompt.model.model_copy(update={"name": "vec"})
    found = await context.embed(model, [completion.text, str(case.expected)])
    one, two = found.vectors
    return Score(passed=one == two, explanation=f"{one} and {two}")


@hookimpl
def register_scorers(register):
    register("means_the_same", means_the_same)
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    for folder in ("prompts", "suites"):
        pytester.mkdir(folder)
    url = f"http://127.0.0.1:{server.server_port}/v1"
    (pytester.path / "prompts/route.yaml").write_text(
        f'model: {{provider: openai, name: tiny, base_url: "{url}"}}\nprompt: Route it.\n'
    )
    (pytester.path / "suites/s.yaml").write_text(
        "prompt: route\nscorers: [means_the_same]\n"
        "cases: [{id: same, expected: payment}, {id: other, expected: no}]\n"
    )
    pytester.makeconftest(CONFTEST)
    pytester.makeini("[pytest]\n")
    yield pytester
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_scorer_asks_for_vectors_and_the_request_is_a_span(project: pytest.Pytester) -> None:
    """One case passes, one fails; each trace holds what was asked for, and its tokens."""
    result = project.runpytest_inprocess("--p2re", "--p2re-db", "x.db")
    assert result.parseoutcomes() == {"passed": 1, "failed": 1}
    with open_store(project.path / "x.db") as store:
        traces = [store.read_trace(row.trace_id) for row in store.list_traces()]
    spans = [span for trace in traces for span in trace.spans if span.kind == "EMBEDDING"]
    assert len(spans) == 2
    assert spans[0].name == "embed openai/vec"
    told = spans[0].attributes
    assert (told["model"], told["texts"], told["input_tokens"]) == ("openai/vec", 2, 5)
