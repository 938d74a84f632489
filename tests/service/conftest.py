"""A service over a database of its own, with a few conversations in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.records import (
    Completion,
    Message,
    ModelSettings,
    PromptTemplate,
    RenderedPrompt,
    TemplateMessage,
    Trace,
    Usage,
)
from p2re_eval.service import Service
from p2re_eval.store import Store, open_store

MOMENT = 1_700_000_000_000_000_000


class Runs:
    """Ended runs with everything a test does not care about filled in; ids count upward."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._numbers = itertools.count(1)

    def prompt(self, *texts: str, **given: Any) -> RenderedPrompt:
        said = texts or ("I was charged twice.",)
        return RenderedPrompt(
            **{
                "name": "route",
                "version": "a" * 64,
                "messages": tuple(Message(role="user", content=text) for text in said),
                "model": ModelSettings(provider="openai", name="gpt-5-mini"),
                **given,
            }
        )

    def record(self, answer: str = "billing", **given: Any) -> Trace:
        """A run that was answered, on disk when this returns."""
        number = next(self._numbers)
        cost_usd = given.pop("cost_usd", None)
        trace = Trace(
            **{
                "trace_id": f"{number:032x}",
                "span_id": f"{number:016x}",
                "name": "route",
                "status": "OK",
                "start_ns": MOMENT + number * 1_000_000_000,
                "end_ns": MOMENT + number * 1_000_000_000 + 250_000_000,
                "prompt": self.prompt(),
                "completion": Completion(
                    text=answer,
                    usage=Usage(input_tokens=10, output_tokens=2),
                    cost_usd=cost_usd,
                    raw={"answer": answer},
                ),
                **given,
            }
        )
        self._store.finish_trace(trace).result()
        return trace

    def template(self, text: str = "Hello", name: str = "route") -> PromptTemplate:
        """A prompt whose version is made of its text."""
        version = (text.encode().hex() + "0" * 64)[:64]
        message = TemplateMessage(role="user", content=text)
        return PromptTemplate(name=name, version=version, messages=(message,))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "p2re.db"


@pytest.fixture
def store(database: Path) -> Iterator[Store]:
    with open_store(database) as opened:
        yield opened


@pytest.fixture
def service(store: Store) -> Service:
    return Service(store)


@pytest.fixture
def runs(store: Store) -> Runs:
    return Runs(store)
