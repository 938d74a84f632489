"""A database of its own for each test, and records to put in."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.records import (
    Completion,
    Evaluation,
    Message,
    ModelSettings,
    RenderedPrompt,
    Result,
    Score,
    Trace,
    Usage,
)
from p2re_eval.store import Store, open_store

MOMENT = 1_700_000_000_000_000_000


class Records:
    """Records with everything a test does not care about filled in; ids count upward."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def prompt(self, *texts: str, **settings: Any) -> RenderedPrompt:
        model = ModelSettings(**{"provider": "openai", "name": "gpt-5-mini", **settings})
        said = texts or ("I was charged twice.",)
        return RenderedPrompt(
            name="route_ticket",
            version="a" * 64,
            messages=tuple(Message(role="user", content=text) for text in said),
            model=model,
        )

    def trace(self, **given: Any) -> Trace:
        """A run that has begun."""
        number = next(self._numbers)
        return Trace(
            **{
                "trace_id": f"{number:032x}",
                "span_id": f"{number:016x}",
                "name": "route_ticket",
                "start_ns": MOMENT + number,
                "prompt": self.prompt(),
                **given,
            }
        )

    def answered(self, trace: Trace | None = None, text: str = "billing", **given: Any) -> Trace:
        """The same run with an answer."""
        begun = trace or self.trace(**given)
        completion = Completion(text=text, usage=Usage(input_tokens=7, output_tokens=1))
        return begun.model_copy(
            update={"status": "OK", "end_ns": begun.start_ns + 5, "completion": completion}
        )

    def evaluation(self, trace_id: str, name: str = "equals", **given: Any) -> Evaluation:
        number = next(self._numbers)
        return Evaluation(
            **{
                "evaluation_id": f"{number:032x}",
                "trace_id": trace_id,
                "name": name,
                "scorer": name,
                "scorer_version": "1",
                "score": Score(value=1.0, passed=True),
                "experiment_id": "e1",
                **given,
            }
        )

    def result(self, position: int = 0, **given: Any) -> Result:
        return Result(
            **{
                "experiment_id": "e1",
                "item": f"suites/a.yaml::route_ticket::case-{position}[openai/gpt-5-mini#0]",
                "suite": "suites/a.yaml",
                "prompt": "route_ticket",
                "model": "openai/gpt-5-mini",
                "case_id": f"case-{position}",
                "position": position,
                "outcome": "passed",
                **given,
            }
        )


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "p2re.db"


@pytest.fixture
def store(database: Path) -> Iterator[Store]:
    with open_store(database) as opened:
        yield opened


@pytest.fixture
def look(database: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    """Look into the file past the store, as another program would."""
    import sqlite3
    from contextlib import closing

    def ask(sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(database)) as connection:
            return connection.execute(sql).fetchall()

    return ask
