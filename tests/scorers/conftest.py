"""How the tests of this room ask a scorer for its verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.records import Case, Completion, Score
from p2re_eval.scorers import BoundScorer

Verdict = Callable[..., Score]


@pytest.fixture
def verdict() -> Verdict:
    """``verdict(bound, text, expected)``: the Score of one answer."""

    def ask(
        bound: BoundScorer,
        answer: str | Completion,
        expected: Any = None,
        context: Any = None,
    ) -> Score:
        completion = answer if isinstance(answer, Completion) else Completion(text=answer)
        case = Case(id="the-case", expected=expected)
        return asyncio.run(bound.score(completion, case, context))

    return ask


@pytest.fixture
def shared_data() -> Path:
    """The real material beside the repository."""
    folder = Path(__file__).parents[2] / ".." / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared test data is not beside this checkout")
    return folder
