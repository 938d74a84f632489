"""A server of one's own on the loopback interface, a client without a library, a browser."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra 'server' is not installed")

import uvicorn

from p2re_eval.records import (
    Completion,
    Evaluation,
    ImagePart,
    Message,
    ModelSettings,
    PromptTemplate,
    RenderedPrompt,
    Score,
    Span,
    TemplateMessage,
    TextPart,
    ToolCall,
    Trace,
    Usage,
)
from p2re_eval.server import Access, create_app
from p2re_eval.service import Service
from p2re_eval.store import Store, open_store

CHROMIUM = Path("/usr/bin/chromium")
SHOTS = Path(__file__).parents[2] / ".p2re" / "screenshots"
MOMENT = 1_700_000_000_000_000_000


@dataclass
class Answer:
    """What the server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Served:
    """A running server; every request is a connection of its own."""

    port: int
    store: Store

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        json_body: Any = None,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = dict(headers or {})
        if json_body is not None:
            body, sent["Content-Type"] = json.dumps(json_body).encode(), "application/json"
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("GET", f"/api/p2re{path}", headers=named)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", f"/api/p2re{path}", json_body=body, headers=named)


@contextlib.contextmanager
def running(app: Any) -> Iterator[int]:
    """A real uvicorn on a free port, stopped when the block ends."""
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    config = uvicorn.Config(
        app, log_level="error", timeout_graceful_shutdown=1, server_header=False
    )
    server = uvicorn.Server(config)
    if hasattr(app.state, "backend"):
        app.state.backend.stopping = lambda: server.should_exit
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
        assert not thread.is_alive()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "p2re.db") as opened:
        yield opened


@pytest.fixture
def service(store: Store) -> Service:
    return Service(store)


@pytest.fixture
def serve(store: Store) -> Iterator[Callable[..., Served]]:
    """``serve(read_only=True, root=...)`` starts another server over the same store."""
    with contextlib.ExitStack() as stack:

        def start(*, root: Path | None = None, **access: Any) -> Served:
            app = create_app(store, root=root, access=Access(**access))
            return Served(stack.enter_context(running(app)), store)

        yield start


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    return serve()


class Record:
    """Recorded runs with everything filled in that a test does not care about."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.count = 0

    def trace(
        self,
        answer: str | None = "billing",
        *,
        asked: str = "I was charged twice.",
        model: str = "openai/gpt-5-mini",
        prompt: dict[str, Any] | None = None,
        **given: Any,
    ) -> Trace:
        """A run that was answered, on disk when this returns."""
        self.count += 1
        provider, _, name = model.partition("/")
        start_ns = MOMENT + self.count * 1_000_000_000
        completion = None
        if answer is not None:
            usage = Usage(input_tokens=10, output_tokens=2)
            completion = Completion(text=answer, model=name, usage=usage, cost_usd=0.001)
        messages = (
            Message(role="system", content="Route the ticket."),
            Message(role="user", content=asked),
        )
        rendered = {
            "name": "route",
            "messages": messages,
            "model": ModelSettings(provider=provider, name=name),
            "variables": {"ticket": asked},
            **(prompt or {}),
        }
        trace = Trace(
            **{
                "trace_id": f"{self.count:032x}",
                "span_id": f"{self.count:016x}",
                "name": rendered["name"],
                "status": "OK" if completion else "ERROR",
                "start_ns": start_ns,
                "end_ns": start_ns + 250_000_000,
                "prompt": RenderedPrompt(**rendered),
                "completion": completion,
                **given,
            }
        )
        self.store.finish_trace(trace).result()
        return trace

    def agent(self, spans: int = 4) -> Trace:
        """A trace with a tree: a tool call, its result, an image, reasoning and child spans."""
        call = ToolCall(id="call_1", name="search", arguments='{"query": "A-1042"}')
        image = ImagePart(url="data:image/png;base64,iVBORw0KGgo=")
        messages = (
            Message(role="user", content=(TextPart(text="What is wrong?"), image)),
            Message(role="assistant", tool_calls=(call,)),
            Message(role="tool", content='{"state": "charged twice"}', tool_call_id="call_1"),
        )
        trace_id, root = f"{0xA9E17:032x}", f"{0xA9E17:016x}"
        prompt = RenderedPrompt(
            name="agent", messages=messages, model=ModelSettings(provider="openai", name="gpt-5")
        )
        completion = Completion(text="It was **charged twice**.", reasoning="The tool says so.")
        found = tuple(
            Span(
                span_id=f"{number:016x}",
                trace_id=trace_id,
                parent_id=root if number == 1 else f"{max(1, number - 1):016x}",
                name=f"step {number}",
                kind="TOOL" if number % 2 else "LLM",
                status="ERROR" if number == 3 else "OK",
                start_ns=MOMENT + number * 1_000_000,
                end_ns=MOMENT + number * 1_000_000 + 5_000_000,
                attributes={"step": number},
                prompt=prompt if number == 2 else None,
                completion=Completion(text="a child's answer") if number == 2 else None,
            )
            for number in range(1, spans + 1)
        )
        return self.trace(
            prompt=dict(prompt),
            trace_id=trace_id,
            span_id=root,
            completion=completion,
            start_ns=MOMENT,
            end_ns=MOMENT + 100_000_000,
            spans=found,
        )

    def evaluation(self, trace: Trace, name: str = "equals", *, passed: bool = True) -> Evaluation:
        self.count += 1
        evaluation = Evaluation(
            evaluation_id=f"{self.count:032x}",
            trace_id=trace.trace_id,
            name=name,
            scorer=name,
            scorer_version="1",
            score=Score(value=float(passed), passed=passed, explanation="as expected"),
            created_ns=MOMENT,
        )
        self.store.save_evaluations([evaluation]).result()
        return evaluation

    def version(self, text: str, name: str = "route") -> PromptTemplate:
        """A prompt version on record, its hash made of its text."""
        message = TemplateMessage(role="user", content=text)
        version = (text.encode().hex() + "0" * 64)[:64]
        template = PromptTemplate(name=name, version=version, messages=(message,))
        self.store.save_prompt_version(template).result()
        return template


@pytest.fixture
def record(store: Store) -> Record:
    return Record(store)


@pytest.fixture
def running_app(store: Store) -> Iterator[Callable[[Any], Served]]:
    """Any application, really listening."""
    with contextlib.ExitStack() as stack:
        yield lambda app: Served(stack.enter_context(running(app)), store)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A real browser for a file of tests: while it is there, its event loop runs in this thread,
    and asyncio.run() in the tests of others would fail."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip("no chromium in /usr/bin")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


class Tab:
    """A page of the app, with whatever the browser complained of and asked for."""

    def __init__(self, browser: Any, served: Served, **context: Any) -> None:
        self.context = browser.new_context(
            **{"viewport": {"width": 1440, "height": 900}, **context}
        )
        self.context.set_default_timeout(60_000)
        self.page = self.context.new_page()
        self.served = served
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def open(self, path: str, wait_for: str) -> Any:
        """The page once something that it shows is there."""
        self.page.goto(self.served.origin + path)
        self.page.wait_for_selector(wait_for)
        return self.page

    shots = SHOTS

    def shot(self, name: str) -> None:
        """A picture for people to look at, kept by CI as an artifact."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png")

    def alien(self) -> list[str]:
        """Requests that went anywhere but to the server."""
        return [one for one in self.requests if not one.startswith((self.served.origin, "data:"))]


@pytest.fixture
def tab(chromium: Any) -> Iterator[Callable[..., Tab]]:
    tabs: list[Tab] = []

    def make(served: Served, **context: Any) -> Tab:
        tabs.append(Tab(chromium, served, **context))
        return tabs[-1]

    yield make
    for one in tabs:
        one.context.close()
