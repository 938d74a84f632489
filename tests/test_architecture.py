"""The standing rules of the house: layers, light imports, public names, no junk rooms."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import p2re_eval

PACKAGE = Path(p2re_eval.__file__).parent

LAYERS = [
    {"errors"},
    {
        "records",
        "interfaces",
        "hookspecs",
        "documents",
        "explain",
        "garbage",
        "clock",
        "git",
        "quantities",
        "project",
    },
    {"prompts", "suites", "providers", "scorers", "store", "stats"},
    {"plugins", "engine", "tally", "service"},
    {"compare"},
    {"gates", "baselines"},
    {"planning"},
    {"results"},
    {"pipeline", "tracing"},
    {"experiments", "viewer", "online", "otlp"},
    {"report", "bridges"},
    {"server"},
    {"pytest_plugin", "cli", "notebook"},
]
"""From the ground up. The first rooms are one small vocabulary that may know itself."""
VOCABULARY = 1
BY_NAME = {
    ("records", "suites"): "Suite.from_dataframe: a constructor is looked for on its class",
    (
        "store",
        "tracing",
    ): "what a process left in its spool when it died is raw, and tracing reads it",
}
"""Rooms that reach upward at run time, by a module's name in a string, and why."""
LAYER_OF = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}


_MODULE = re.compile(r"p2re_eval(\.[a-z_]+)+(:[a-z_]+)?")


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts != ("__init__",):
            yield parts[0], path


def imported_rooms(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Constant) and _MODULE.fullmatch(str(node.value)):
            names = [str(node.value)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "p2re_eval":
                names = [f"p2re_eval.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "p2re_eval" and len(parts) > 1 and parts[1] in LAYER_OF:
                yield parts[1]


@pytest.mark.parametrize(("room", "path"), list(modules()), ids=lambda v: getattr(v, "stem", v))
def test_imports_go_downward_only(room: str, path: Path) -> None:
    """A room imports lower layers; rooms of one layer do not know each other."""
    assert room in LAYER_OF, f"{room} has no layer: add it to LAYERS and to the README"
    for other in imported_rooms(path):
        if (room, other) in BY_NAME:
            continue
        above, peer = LAYER_OF[other] > LAYER_OF[room], LAYER_OF[other] == LAYER_OF[room]
        assert not above, f"{path.name} of {room} imports {other}, which is above it"
        if other != room and LAYER_OF[room] != VOCABULARY:
            assert not peer, f"{path.name} of {room} imports its peer {other}"


def _imported_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in run.stdout.split()}


HEAVY = {"aiohttp", "click", "genai_prices", "jinja2", "jsonschema_rs", "openai", "pydantic"}
HEAVY |= {
    "fastapi",
    "uvicorn",
    "starlette",
    "pytest",
    "sqlite_utils",
    "sqlite3",
    "tabulate",
    "xllamacpp",
    "yaml",
    "asyncio",
}


def test_the_front_door_imports_nothing() -> None:
    """`import p2re_eval` is free; names are fetched when they are used."""
    assert _imported_by("import p2re_eval") & HEAVY == set()


def test_the_pytest_entry_point_imports_nothing_but_pytest() -> None:
    """Being installed costs an ordinary pytest run almost nothing."""
    assert _imported_by("import p2re_eval.pytest_plugin") & (HEAVY - {"pytest", "asyncio"}) == set()


def test_the_corridor_does_not_import_what_a_local_run_does_not_need() -> None:
    """SDKs, price tables, HTTP and the CLI stay out until they are used."""
    loaded = _imported_by("import p2re_eval.pipeline")
    unwanted = {"openai", "genai_prices", "aiohttp", "click", "sqlite_utils", "tabulate", "pytest"}
    assert loaded & (unwanted | {"xllamacpp", "jsonpath"}) == set()


def test_public_names_are_those_listed() -> None:
    """`__all__` is the truth, and every name in it is there."""
    assert sorted(p2re_eval.__all__) == sorted(set(p2re_eval.__all__))
    for name in p2re_eval.__all__:
        assert getattr(p2re_eval, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = p2re_eval.nothing  # type: ignore[attr-defined]


def test_every_room_says_what_it_is() -> None:
    """Each module opens with the sentence of its room."""
    for _, path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), path


def test_no_room_is_crowded_and_none_is_a_junk_drawer() -> None:
    """Files stay under 500 lines; no utils, helpers or common."""
    for _, path in modules():
        assert path.stem not in {"utils", "util", "helpers", "helper", "common", "misc"}, path
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 500, path
