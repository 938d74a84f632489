"""The README's workflow and snippet do what they say, as far as a shell can tell.

Every ``run:`` and ``script:`` line is run by bash, in a pull request's checkout, but for the
installation; what the services' own actions do (checkout, artifacts) is done by hand.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

README = Path(__file__).parents[1] / "README.md"
SUITE = """\
prompt: route
scorers: [equals]
gates:
  - pass_rate >= 0.9
  - no_regression
cases:
"""
CASE = """\
  - id: case-{n}
    inputs: {{ticket: ticket {n}}}
    expected: billing
"""
PROMPT = """\
model:
  provider: scripted
  name: router
  extra: {answers: {"brief.*ticket [0-3]$": technical, ".*": billing}}
inputs:
  ticket: {type: string}
messages:
  - user: "Be kind. {{ ticket }}"
"""


def _block(name: str) -> dict[str, Any]:
    found = re.search(rf"```yaml\n# {re.escape(name)}\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None, name
    loaded: dict[str, Any] = yaml.safe_load(found[1])
    return loaded


def _git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.email=a@example.org", "-c", "user.name=a"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A pull request that makes the prompt brief, cloned from a repository where it is kind."""
    upstream = tmp_path / "upstream"
    for name, text in {
        "prompts/route.yaml": PROMPT,
        "suites/support.yaml": SUITE + "".join(CASE.format(n=n) for n in range(20)),
        "pytest.ini": "[pytest]\naddopts = -p no:cacheprovider -p no:hypothesispytest\n",
    }.items():
        (upstream / name).parent.mkdir(parents=True, exist_ok=True)
        (upstream / name).write_text(text)
    _git(upstream, "init", "--quiet", "--initial-branch=main")
    _git(upstream, "add", "-A")
    _git(upstream, "commit", "--quiet", "--message", "kind")
    clone = tmp_path / "clone"
    _git(tmp_path, "clone", "--quiet", str(upstream), str(clone))
    (clone / "prompts/route.yaml").write_text(PROMPT.replace("Be kind", "Be brief"))
    _git(clone, "commit", "--quiet", "--all", "--message", "brief")
    return clone


def _shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    binaries = str(Path(sys.executable).parent)
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def _is_installation(command: str) -> bool:
    return command == "pip install p2re-eval"


def test_the_github_workflow_catches_the_regression(checkout: Path, tmp_path: Path) -> None:
    """Two shards pass, the verdict is red, with annotations, a summary and a page."""
    jobs = _block(".github/workflows/prompts.yml")["jobs"]
    summary = tmp_path / "summary.md"
    github = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(checkout),
        "GITHUB_BASE_REF": "main",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "of-a-shard.md"),
    }
    for shard in jobs["run"]["strategy"]["matrix"]["shard"]:
        for command in (step["run"] for step in jobs["run"]["steps"] if "run" in step):
            if not _is_installation(command):
                filled = command.replace("${{ matrix.shard }}", str(shard))
                ran = _shell(filled, checkout, **github)
                assert ran.returncode == 0, ran.stdout + ran.stderr
    github["GITHUB_STEP_SUMMARY"] = str(summary)
    (merge,) = [s["run"] for s in jobs["verdict"]["steps"] if "run" in s][1:]
    ran = _shell(merge, checkout, **github)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "::error file=suites/support.yaml,line=4,title=gate missed%3A pass_rate" in ran.stdout
    assert "### Since origin/main" in summary.read_text()
    assert "4 worse, of 20 cases" in summary.read_text()
    assert "broke" in (checkout / "report.html").read_text()


def test_the_gitlab_snippet_catches_it_too(checkout: Path) -> None:
    """The same by GitLab's variables, with JUnit for its merge request."""
    jobs = _block(".gitlab-ci.yml")
    of = jobs["prompts"]["parallel"]
    for index in range(1, of + 1):
        gitlab = {"CI_NODE_INDEX": str(index), "CI_NODE_TOTAL": str(of)}
        script = [line for line in jobs["prompts"]["script"] if not _is_installation(line)]
        ran = _shell(
            "\n".join(script), checkout, CI_MERGE_REQUEST_TARGET_BRANCH_NAME="main", **gitlab
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "<testcase" in (checkout / "junit.xml").read_text()
    ran = _shell(jobs["verdict"]["script"][-1], checkout)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "4 worse, of 20 cases" in ran.stdout
