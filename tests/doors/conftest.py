"""A project as a user has it: a prompt, a suite, and a scripted model."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

# pytester forgets modules first imported inside a run, and C extensions do not survive a second
# import: everything an inner run needs is imported here.
import p2re_eval.cli
import p2re_eval.providers.openai
import p2re_eval.providers.scripted
import p2re_eval.pytest_plugin.session
import p2re_eval.pytest_plugin.summary  # noqa: F401 - one of several roots of one name
from p2re_eval.records import Result
from p2re_eval.store import open_store

PROMPT = """\
model: {provider: scripted, name: router}
inputs:
  ticket: {type: string}
messages:
  - system: Route the ticket to billing, technical or account.
  - user: "{{ ticket }}"
"""


class Project:
    """Files to write, pytest to run, and a database to look into."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.db = self.path / "runs.db"
        (self.path / "prompts").mkdir()
        (self.path / "suites").mkdir()
        # hypothesis' plugin imports all of it at the end of every inner run: half a second.
        pytester.makeini("[pytest]\naddopts = -p no:cacheprovider -p no:hypothesispytest\n")
        self.write("prompts/route.yaml", PROMPT)

    def write(self, name: str, text: str) -> Path:
        """Write a file below the project, indentation taken off."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def suite(
        self,
        cases: dict[str, str],
        *,
        answers: object = None,
        name: str = "support",
        more: str = "",
        extra: dict[str, object] | None = None,
    ) -> Path:
        """A suite of cases (ticket -> expected) answered by a script (pattern -> answer)."""
        script = json.dumps({"answers": answers or {".*": "billing"}, **(extra or {})})
        lines = ["prompt: route", "models:", "  - provider: scripted", "    name: router"]
        lines += [f"    extra: {script}", "scorers: [equals]"]
        lines += [more.rstrip()] if more else []
        lines.append("cases:")
        for number, (ticket, expected) in enumerate(cases.items()):
            lines += [f"  - id: case-{number}", f"    inputs: {{ticket: {json.dumps(ticket)}}}"]
            lines += [f"    expected: {json.dumps(expected)}"]
        return self.write(f"suites/{name}.yaml", "\n".join(lines) + "\n")

    def run(self, *arguments: str, subprocess: bool = False) -> pytest.RunResult:
        """``pytest --p2re --p2re-db runs.db ...``"""
        command = ["--p2re", "--p2re-db", str(self.db), *arguments]
        if subprocess:
            return self.pytester.runpytest_subprocess(*command)
        return self.pytester.runpytest_inprocess(*command)

    def results(self) -> list[Result]:
        """What the newest experiment left on disk."""
        with open_store(self.db) as store:
            experiment = store.read_experiment("latest")
            return list(store.results(experiment.experiment_id))


@pytest.fixture
def project(pytester: pytest.Pytester) -> Iterator[Project]:
    return Project(pytester)
