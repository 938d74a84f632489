"""Options that only look: no model is called and no database made."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("option", ["--collect-only", "--setup-only", "--setup-plan"])
def test_looking_calls_no_model(project: Any, option: str) -> None:
    """Setup awaits the answer, so pytest's setup options would otherwise cost money."""
    project.suite({"x": "billing"}, more="gates: [pass_rate >= 0.9]")
    result = project.run(option)
    assert result.ret == 0
    assert not project.db.exists()
