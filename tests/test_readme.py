"""The README holds what the program does: its tables are made from the code, its examples run.

``python tests/test_readme.py`` writes the tables anew.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from p2re_eval import hookspecs
from p2re_eval.cli import main
from p2re_eval.gates import METRICS
from p2re_eval.plugins import Plugins
from p2re_eval.scorers import scorer_table

README = Path(__file__).parents[1] / "README.md"
_TABLE = re.compile(r"<!-- table: (\w+) -->\n(.*?)<!-- end -->", re.DOTALL)


def _rows(headers: list[str], rows: list[list[str]]) -> str:
    escaped = [[cell.replace("|", "\\|").replace("``", "`") for cell in row] for row in rows]
    lines = [headers, ["---"] * len(headers), *escaped]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def scorers() -> str:
    """Every built-in scorer; the first option takes the value of the short form."""
    rows = [
        [f"`{row.name}`", row.summary, ", ".join(f"`{option}`" for option in row.options)]
        for row in scorer_table(Plugins(entry_points=False).scorers)
    ]
    return _rows(["scorer", "passes when", "options"], rows)


def options() -> str:
    """The plugin's options and ini keys, from what it tells pytest."""
    from p2re_eval import pytest_plugin

    rows: list[list[str]] = []

    class Group:
        def addoption(self, name: str, **kwargs: Any) -> None:
            value = kwargs.get("metavar") or "|".join(kwargs.get("choices", []))
            rows.append([f"`{name} {value}".rstrip() + "`", kwargs["help"]])

    class Parser:
        def getgroup(self, name: str, description: str) -> Group:
            return Group()

        def addini(self, name: str, help: str, **kwargs: Any) -> None:  # noqa: A002
            rows.append([f"ini `{name}`", f"{help} (default: `{_ini(kwargs.get('default'))}`)"])

    pytest_plugin.pytest_addoption(Parser())  # type: ignore[arg-type]
    return _rows(["option", "meaning"], rows)


def _ini(default: object) -> str:
    if isinstance(default, list):
        return " ".join(default)
    return str(default).lower() if isinstance(default, bool) else str(default or "none")


def commands() -> str:
    """Every command of ``p2re`` with its first line of help."""
    rows = [[f"`p2re {name}`", _first_line(command)] for name, command in _commands()]
    return _rows(["command", "what it does"], rows)


def _commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            for below in command.list_commands(context):
                found = command.get_command(context, below)
                assert found is not None
                yield f"{name} {below}", found
        else:
            yield name, command


def _first_line(command: click.Command) -> str:
    return " ".join((command.help or "").strip().split("\n\n")[0].split())


def hooks() -> str:
    """Every hook with its signature's parameters and first line."""
    rows = []
    for name, function in inspect.getmembers(hookspecs, inspect.isfunction):
        if function.__module__ == hookspecs.__name__:
            parameters = ", ".join(inspect.signature(function).parameters)
            doc = " ".join((inspect.getdoc(function) or "").split())
            rows.append([f"`{name}({parameters})`", doc])
    return _rows(["hook", "for"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "scorers": scorers,
    "options": options,
    "commands": commands,
    "hooks": hooks,
}


@pytest.mark.parametrize("name", TABLES)
def test_the_readmes_tables_are_true(name: str) -> None:
    """Each table is what the code says now; `python tests/test_readme.py` writes it."""
    written = dict(_TABLE.findall(README.read_text(encoding="utf-8")))
    assert written[name] == TABLES[name]()


def test_every_gate_metric_is_in_the_readme() -> None:
    """A gate nobody can read about does not exist."""
    text = README.read_text(encoding="utf-8")
    for metric in METRICS:
        assert f"`{metric}`" in text


@pytest.mark.parametrize(("name", "command"), list(_commands()), ids=lambda v: str(v))
def test_every_command_has_help_for_itself_and_its_options(
    name: str, command: click.Command
) -> None:
    """`p2re NAME -h` says what it does and what each option means."""
    assert _first_line(command), name
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"p2re {name} {parameter.opts[0]}"


def _examples() -> dict[str, str]:
    """The README's files by name, and its Python blocks in order."""
    found: dict[str, str] = {}
    blocks = re.findall(r"```(yaml|python|jinja)\n(.*?)```", README.read_text(), re.DOTALL)
    for language, body in blocks:
        named = re.match(r"(?:# |\{# )([\w/]+\.(?:yaml|jinja))", body)
        name = named[1] if named else f"{len(found)}.{language}"
        found[name] = body
    return found


@pytest.fixture
def tour(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project made of the README's own examples."""
    for name, body in _examples().items():
        if name.endswith((".yaml", ".jinja")):
            path = pytester.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)
    blocks = [body for name, body in _examples().items() if name.endswith(".python")]
    test = next(body for body in blocks if "def test_routing" in body)
    plugin = next(body for body in blocks if "@hookimpl" in body)
    (pytester.path / "test_routing.py").write_text(test)
    (pytester.path / "conftest.py").write_text(textwrap.dedent(plugin))
    pytester.makeini("[pytest]\n")
    return pytester


def test_the_tour_is_understood(tour: pytest.Pytester) -> None:
    """Prompt, suite, test and plug-in of the README are collected without a mistake."""
    result = tour.runpytest_subprocess("--p2re", "--collect-only", "-q")
    result.stdout.fnmatch_lines(
        [
            "suites/routing.yaml::route::double-charge?local/smollm2-135m#0?",
            "suites/routing.yaml::route::late-parcel?local/smollm2-135m#0?",
            "suites/routing.yaml::gate?pass_rate >= 0.6?",
            "test_routing.py::test_routing",
        ]
    )


@pytest.mark.usefixtures("embedded_model")
def test_the_tour_passes_on_the_embedded_model(tour: pytest.Pytester) -> None:
    """What the README shows works as it stands."""
    tour.runpytest_subprocess("--p2re").assert_outcomes(passed=4)


def test_the_api_mounts_as_the_readme_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application of somebody else's has the API with these three lines."""
    pytest.importorskip("fastapi", reason="the extra 'server' is not installed")
    monkeypatch.chdir(tmp_path)
    block = next(body for body in _examples().values() if "include_router" in body)
    made: dict[str, Any] = {}
    exec(block, made)
    paths = made["app"].openapi()["paths"]
    assert {"/api/p2re/traces", "/api/p2re/stats", "/api/p2re/experiments"} <= set(paths)


def test_the_examples_of_capture_and_experiments_run(tmp_path: Path) -> None:
    """One program of the README's own blocks, with the provider class that they speak of."""
    blocks = [body for name, body in _examples().items() if name.endswith(".python")]
    mine = [body for body in blocks if "p2re_eval" in body and "scorers" not in body]
    wanted = ("p2re_eval.capture()", "record_calls(", "p2re_eval.assign(")
    told = [next(body for body in mine if words in body) for words in wanted]
    begin = """
from p2re_eval.online import Online
from p2re_eval.records import Variant
from p2re_eval.store import default_path, open_store
class BaseProvider:
    def chat(self, messages): return "billing"
with open_store(default_path()) as store:
    Online(store).start("tone", [Variant(name="a"), Variant(name="b")], outcome="solved")
"""
    end = """
BaseProvider().chat([{"role": "user", "content": "hi"}])
with open_store(default_path()) as store:
    print(*sorted((row.name, row.user) for row in store.list_traces()))
    print(sum(one.judged for one in Online(store).findings("tone").variants))
"""
    environment = {"P2RE_DB": str(tmp_path / "p2re.db"), "PATH": ""}
    program = "\n".join([begin, *told, end])
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["('BaseProvider.chat', None) ('answer', 'ada')", "1"]


def write() -> None:
    """Put the tables into the README."""
    text = README.read_text(encoding="utf-8")

    def table(found: re.Match[str]) -> str:
        name = found[1]
        body = TABLES[name]() if name in TABLES else found[2]
        return f"<!-- table: {name} -->\n{body}<!-- end -->"

    README.write_text(_TABLE.sub(table, text), encoding="utf-8")


if __name__ == "__main__":
    write()
