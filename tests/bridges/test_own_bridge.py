"""The README's bridge: what a package of somebody else's needs is public."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import p2re_eval.bridges
from p2re_eval.store import Store
from p2re_eval.tracing.raw import RawSpan
from tests.bridges.conftest import Runs

README = Path(__file__).parents[2] / "README.md"
BRIDGES = Path(p2re_eval.bridges.__file__).parent


def test_the_readmes_bridge_works(store: Store, runs: Runs) -> None:
    """It sends each run once, and goes on where it stopped."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    [block] = [one for one in blocks if "def forward(" in one]
    names: dict[str, Any] = {}
    exec(block, names)
    sent: list[list[RawSpan]] = []
    first = runs.record(store, 3)
    names["forward"](store, sent.append)
    names["forward"](store, sent.append)
    assert [spans[0].trace_id for spans in sent] == [one.trace_id for one in first]
    assert [len(spans) for spans in sent] == [2, 2, 2]
    runs.record(store, 1)
    names["forward"](store, sent.append)
    assert len(sent) == 4


def test_our_bridges_use_nothing_private() -> None:
    """No name with an underscore is imported from, or reached into, another room."""
    for path in BRIDGES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert not [one.name for one in node.names if one.name.startswith("_")], path
            if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr):
                assert isinstance(node.value, ast.Name), path
                assert node.value.id in {"self", "cls"}, f"{path}: {node.attr}"
