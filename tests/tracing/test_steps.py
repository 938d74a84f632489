"""`@trace`, `span()` and `session()` record the user's own code, without OpenTelemetry too."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.records import Trace
from p2re_eval.tracing import Capture, capture, session, span, trace

Traces = Callable[[], list[Trace]]


@pytest.fixture(params=["own", "opentelemetry"])
def on(request: pytest.FixtureRequest, database: Path) -> Iterator[Capture]:
    """A capture of either kind: nobody should see a difference."""
    if request.param == "opentelemetry":
        pytest.importorskip("opentelemetry.sdk")
    with capture(database, sdks=request.param == "opentelemetry") as made:
        yield made


@trace
def double(number: int, *, times: int = 2) -> int:
    with span("multiply", kind="TOOL", deep={"a": [1]}) as step:
        step.input("in")
        step.output(number * times)
        step.set(note="x")
    return number * times


def test_a_function_with_a_step_inside(on: Capture, traces: Traces) -> None:
    """Arguments by name, the result, and what the block said."""
    assert double(4, times=3) == 12
    [found] = traces()
    assert (found.name, found.kind, found.status) == ("double", "CHAIN", "OK")
    assert found.prompt.messages[0].text == '{"number":4,"times":3}'
    assert found.completion is not None
    assert found.completion.text == "12"
    [inner] = found.spans
    assert (inner.name, inner.kind, inner.parent_id) == ("multiply", "TOOL", found.span_id)
    shown = {name: inner.attributes[name] for name in ("input.value", "output.value", "note")}
    assert shown == {"input.value": "in", "output.value": "12", "note": "x"}
    assert inner.attributes["deep"] == '{"a":[1]}'
    assert on.recorded == 2


def test_an_error_is_recorded_and_goes_on(on: Capture, traces: Traces) -> None:
    """The trace has failed, with the exception's words."""

    @trace(name="risky", kind="AGENT")
    def fail() -> None:
        raise ValueError("no such ticket")

    with pytest.raises(ValueError, match="no such ticket"):
        fail()
    [found] = traces()
    assert (found.name, found.kind, found.status) == ("risky", "AGENT", "ERROR")
    assert found.fault is not None
    assert (found.fault.kind, found.fault.message) == ("function", "no such ticket")
    [event] = found.events
    assert event["attributes"]["exception.type"].endswith("ValueError")


def test_coroutines_at_once_keep_their_own_trees(on: Capture, traces: Traces) -> None:
    """Context variables follow tasks."""

    @trace
    async def inner(name: str) -> str:
        await asyncio.sleep(0)
        return name

    @trace
    async def outer(name: str) -> str:
        with session(name):
            return await inner(name)

    async def both() -> list[str]:
        return await asyncio.gather(outer("a"), outer("b"))

    assert asyncio.run(both()) == ["a", "b"]
    found = {one.completion.text: one for one in traces() if one.completion}
    assert sorted(found) == ["a", "b"]
    for name, one in found.items():
        [below] = one.spans
        assert (below.parent_id, one.session_id) == (one.span_id, name)


def test_a_generator_ends_when_it_is_used_up(on: Capture, traces: Traces) -> None:
    """The caller's own steps between two items are not inside it."""

    @trace
    def words() -> Iterator[str]:
        yield "a "
        yield "b"

    said = []
    for word in words():
        with span("the caller's"):
            said.append(word)
    assert said == ["a ", "b"]
    by_name = {one.name.rpartition(".")[2]: one for one in traces()}
    assert set(by_name) == {"words", "the caller's"}
    completion = by_name["words"].completion
    assert completion is not None
    assert completion.text == "a b"


def test_a_generator_that_is_left_early(on: Capture, traces: Traces) -> None:
    """What it gave until then; its own clean-up runs."""
    cleaned = []

    @trace
    def numbers() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            cleaned.append(True)

    running = numbers()
    assert next(running) == 1
    running.close()  # type: ignore[attr-defined]
    [found] = traces()
    assert found.completion is not None
    assert (found.status, found.completion.text, cleaned) == ("OK", "[1]", [True])


def test_an_async_generator(on: Capture, traces: Traces) -> None:
    """With a failure at its end."""

    @trace
    async def stream() -> AsyncIterator[str]:
        yield "half"
        raise RuntimeError("cut off")

    async def read() -> list[str]:
        return [piece async for piece in stream()]

    with pytest.raises(RuntimeError, match="cut off"):
        asyncio.run(read())
    [found] = traces()
    assert found.fault is not None
    assert (found.status, found.fault.message) == ("ERROR", "cut off")
    assert found.attributes["output.value"] == "half"


def test_blocks_of_sessions_stand_in_each_other(on: Capture, traces: Traces) -> None:
    """The inner one says what it says, the rest holds."""
    with session("chat-1", user="ada", tags=["a"], metadata={"x": 1}):
        with session(tags=["b"], metadata={"y": 2}), span("inner"):
            pass
        with span("outer"):
            pass
    inner, outer = traces()
    assert (inner.session_id, inner.user, inner.tags) == ("chat-1", "ada", ("a", "b"))
    assert (inner.metadata, outer.metadata) == ({"x": 1, "y": 2}, {"x": 1})
    assert outer.tags == ("a",)


def test_methods_are_recorded_without_self(on: Capture, traces: Traces) -> None:
    """The object is no input."""

    class Bot:
        @trace
        def say(self, text: str) -> str:
            return text

    assert Bot().say("hi") == "hi"
    assert traces()[0].prompt.messages[0].text == '{"text":"hi"}'


def test_values_that_json_does_not_know(on: Capture, traces: Traces) -> None:
    """They are written as text, and never break the function."""

    class Rude:
        def __str__(self) -> str:
            raise RuntimeError("no")

    @trace
    def take(one: object, other: object) -> object:
        return other

    take(Rude(), {1, 2})
    [found] = traces()
    assert found.status == "OK"


def test_texts_are_hidden_by_openinferences_switches(
    on: Capture, traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that keeps its texts to itself is obeyed."""
    monkeypatch.setenv("OPENINFERENCE_HIDE_INPUTS", "true")
    monkeypatch.setenv("OPENINFERENCE_HIDE_OUTPUTS", "true")
    double(4)
    [found] = traces()
    assert found.completion is not None
    shown = (found.prompt.messages[0].text, found.completion.text)
    assert shown == ("__REDACTED__", "__REDACTED__")


def test_nothing_happens_while_nothing_is_captured(tmp_path: Path) -> None:
    """No file, no error; the handle is there all the same."""
    assert double(2) == 4
    with span("quiet") as step:
        step.set(a=1)
        assert step.trace_id == ""
    assert list(tmp_path.iterdir()) == []


def test_a_root_is_seen_while_it_runs(on: Capture, traces: Traces) -> None:
    """A long agent can be watched."""
    with span("agent", kind="AGENT"):
        with span("first", kind="LLM"):
            pass
        [found] = traces()
        assert (found.name, found.status) == ("agent", "RUNNING")
        assert [one.name for one in found.spans] == ["first"]


PROGRAM = """
import os, sys
sys.modules["opentelemetry"] = None  # as where it is not installed
import p2re_eval
p2re_eval.capture(sdks=False)
with p2re_eval.session("chat-1"):
    with p2re_eval.span("answered", kind="LLM"):
        pass
    with p2re_eval.span("under way"):
        os.kill(os.getpid(), 9)
"""


def test_what_has_ended_is_on_disk_when_the_process_is_killed(
    database: Path, traces: Traces
) -> None:
    """Durable on return; what was under way is ABANDONED at the next opening."""
    from p2re_eval.store import open_store

    environment = {"P2RE_DB": str(database), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True)
    assert (done.returncode, done.stderr) == (-9, b"")
    open_store(database).close()
    found = {one.name: one.status for one in traces()}
    assert found.pop("answered") == "OK"
    assert found in ({}, {"under way": "ABANDONED"})


def test_without_opentelemetry_the_error_says_what_to_do() -> None:
    """The extra, and what works without it."""
    code = "import sys; sys.modules['opentelemetry'] = None\nimport p2re_eval\np2re_eval.capture()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'p2re-eval[capture]'" in done.stderr
    assert "capture(sdks=False)" in done.stderr


def test_a_forked_child_records_too(on: Capture, database: Path, traces: Traces) -> None:
    """Servers fork workers after they were set up; one that just stops leaves a spool, which the
    next opening takes over."""
    import os

    from p2re_eval.store import open_store

    with span("parent"):
        pass
    child = os.fork()
    if child == 0:
        try:
            with span("child"):
                pass
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0
    open_store(database).close()
    assert {one.name for one in traces()} == {"parent", "child"}


def test_public_handles_have_documented_attributes() -> None:
    """What `span` gives is part of the front door."""
    from p2re_eval.tracing import OpenSpan

    public: list[Any] = [getattr(OpenSpan, name) for name in vars(OpenSpan) if name[0] != "_"]
    assert all(one.__doc__ for one in public)
