"""Cases that a person found right and saved: each one line more at the end of a suite file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from p2re_eval.errors import P2REError
from p2re_eval.records import JSON
from p2re_eval.suites.load import load_suite

_NEW_SUITE = """\
# Cases saved by hand: each is what a model answered and a person found right.
prompt: {prompt}
scorers: [equals]
cases:
"""


def append_case(
    path: Path, prompt: str, inputs: Mapping[str, JSON], expected: JSON, *, root: Path
) -> str:
    """Add a case at the end of a suite file, made when it is not there; gives the case's id.

    Raises DefinitionErrors for a file in which a case at the end is none; then it stays as it was.
    """
    there = path.is_file()
    kept = path.read_text(encoding="utf-8") if there else _NEW_SUITE.format(prompt=_json(prompt))
    number = len(load_suite(path, root=root).cases) + 1 if there else 1
    case = {"id": f"saved-{number}", "inputs": dict(inputs), "expected": expected}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, f"{kept.rstrip()}\n  - {_json(case)}\n")
    try:
        load_suite(path, root=root)
    except P2REError:
        write_whole(path, kept)
        raise
    return f"saved-{number}"


def write_whole(path: Path, text: str) -> None:
    """The whole file or nothing of it."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def _json(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False)
