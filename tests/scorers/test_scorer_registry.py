"""The built-ins as a registry: one door, a documented row each, examples that run, light import."""

from __future__ import annotations

import doctest
import subprocess
import sys

import pytest

from p2re_eval import scorers
from p2re_eval.records import Case, Completion, Usage
from p2re_eval.scorers import Scorer, builtin, scorer_table

NAMES = [
    "equals",
    "contains",
    "starts_with",
    "ends_with",
    "regex",
    "choice",
    "numeric_close",
    "json_schema",
    "json_path",
    "max_latency",
    "max_tokens",
    "max_cost",
    "llm_judge",
]


@pytest.fixture
def registered() -> dict[str, Scorer]:
    found: dict[str, Scorer] = {}
    builtin.register_scorers(found.__setitem__)  # type: ignore[arg-type]
    return found


def test_every_builtin_registers_under_its_own_name(registered: dict[str, Scorer]) -> None:
    """Suites, Python and the registry use one name for one scorer."""
    assert list(registered) == NAMES
    assert all(getattr(scorers, name) is registered[name] for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_example_in_the_docstring_runs(registered: dict[str, Scorer], name: str) -> None:
    """Every scorer has one example, and it tells the truth."""
    scorer = registered[name]
    scope = {**registered, "Case": Case, "Completion": Completion, "Usage": Usage}
    example = doctest.DocTestParser().get_doctest(scorer.__doc__ or "", scope, name, None, 0)
    assert example.examples
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0


def test_table_has_summary_and_options(registered: dict[str, Scorer]) -> None:
    """The documentation is made from the functions themselves."""
    rows = {row.name: row for row in scorer_table(registered)}
    assert all(row.summary.endswith(".") for row in rows.values())
    assert rows["max_tokens"].summary == "The answer has no more output tokens than this."
    assert [str(option) for option in rows["contains"].options] == [
        "text: str",
        "all: list[str]",
        "any: list[str]",
        "ignore_case: bool = False",
    ]
    assert rows["max_latency"].options[0].default is None


def test_import_stays_light() -> None:
    """JSON Schema, JSONPath, YAML and asyncio wait until a scorer needs them."""
    code = (
        "import sys, pydantic, p2re_eval.records; before = set(sys.modules);"
        "import p2re_eval.scorers, p2re_eval.scorers.table;"
        "new = set(sys.modules) - before;"
        "print(sorted(n for n in new if n.split('.')[0] in "
        "{'jsonschema_rs', 'jsonpath', 'yaml', 'asyncio', 'pluggy', 'pytest'}"
        " or n == 'pydantic.type_adapter'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
