"""``p2re doctor``: each area is looked at, and what is not well says what to do."""

from __future__ import annotations

import http.server
import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from p2re_eval.cli import main
from p2re_eval.store import open_store

PROMPT = "model: {provider: scripted, name: a}\nprompt: Say {{ word }}.\ninputs: {word: {}}\n"
SUITE = "prompt: say\nscorers: [contains]\ncases:\n  - {inputs: {word: yes}, expected: yes}\n"


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["doctor", "--db", "runs.db", *arguments])


def found(*arguments: str) -> dict[str, tuple[str, str]]:
    """Verdict and detail of each subject."""
    findings = json.loads(doctor("--json", *arguments).output)
    return {entry["subject"]: (entry["verdict"], entry["detail"]) for entry in findings}


@pytest.fixture(autouse=True)
def _bare_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder outside of git, without keys, models or proxies."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("P2RE_MODELS", str(tmp_path / "models"))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


class _Models(http.server.BaseHTTPRequestHandler):
    """Lists two models to whoever brings the key."""

    def do_GET(self) -> None:
        allowed = self.path == "/v1/models" and self.headers["Authorization"] == "Bearer sk-right"
        body = b'{"data": [{"id": "a"}, {"id": "b"}]}' if allowed else b'{"error": "bad key"}'
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: the test says what it saw."""


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Models) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def test_a_bare_folder_is_no_fault() -> None:
    """What nobody set up yet is a warning with its remedy; the exit code stays 0."""
    looked_at = found()
    assert looked_at["prompts"] == ("warning", "no folder prompts/; `p2re init` makes one")
    assert looked_at["suites"] == ("warning", "no folder suites/; `p2re init` makes one")
    assert looked_at["git"][0] == "warning"
    assert looked_at["file"] == ("ok", "runs.db, not there yet; the first run makes it")
    assert doctor().exit_code == 0
    assert not Path("runs.db").exists()


def test_findings_are_grouped_and_aligned() -> None:
    """On paper: the area once, then a sign, the subject and the detail."""
    lines = doctor().output.splitlines()
    headings = [line for line in lines if line and not line.startswith(" ")]
    assert headings == ["environment", "project", "providers", "database"]
    (prompts,) = [line for line in lines if line.startswith("  !       prompts ")]
    (function,) = [line for line in lines if line.startswith("  ok      function ")]
    assert prompts.index("no folder prompts/; `p2re init` makes one") == function.index(
        "needs no setting up"
    )


def test_a_project_that_is_well() -> None:
    """Prompts and suites are loaded and counted, without a model being asked."""
    Path("prompts").mkdir()
    Path("prompts/say.yaml").write_text(PROMPT)
    Path("suites").mkdir()
    Path("suites/say.yaml").write_text(SUITE)
    looked_at = found()
    assert looked_at["prompts"] == ("ok", "1 prompt")
    assert looked_at["suites"] == ("ok", "1 suite with 1 case")


def test_mistakes_in_files_are_broken() -> None:
    """Each at its place; the exit code is 1, so that a CI job can ask."""
    Path("prompts").mkdir()
    Path("prompts/say.yaml").write_text("mesages: []\n")
    Path("suites").mkdir()
    Path("suites/say.yaml").write_text(SUITE.replace("cases", "casses"))
    result = doctor()
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert "BROKEN prompt prompts/say.yaml:1:1: " in said
    assert "BROKEN suite suites/say.yaml:3:1: " in said
    assert "did you mean 'cases'?" in result.output


def test_a_service_that_answers(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is tried at the list of models, which costs nothing."""
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://{server}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-right")
    assert found()["openai"] == ("ok", f"{server} answers with 2 models; OPENAI_API_KEY is set")


def test_a_key_that_is_refused(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning, and the key itself shows nowhere."""
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://{server}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
    result = doctor()
    assert found()["openai"][0] == "warning"
    assert "OPENAI_API_KEY" in found()["openai"][1]
    assert "sk-wrong" not in result.output
    assert result.exit_code == 0


def test_a_provider_the_project_uses_needs_its_key() -> None:
    """The sentence names the variable to set."""
    Path("prompts").mkdir()
    Path("prompts/say.yaml").write_text(PROMPT.replace("scripted", "openai"))
    assert found()["openai"] == (
        "warning",
        "no key for api.openai.com; set OPENAI_API_KEY",
    )


def test_what_nobody_asked_for_is_one_line() -> None:
    """Two dozen services without a key are no news."""
    looked_at = found()
    assert "openai" not in looked_at
    verdict, detail = looked_at["others"]
    assert verdict == "ok"
    assert detail.endswith("not set up and not asked for here; `p2re providers` lists them")


def test_the_database_in_plain_words() -> None:
    """Its size in megabytes, its integrity and what it holds."""
    with open_store(Path("runs.db")):
        pass
    looked_at = found()
    assert looked_at["integrity"] == ("ok", "every page is sound")
    assert looked_at["holds"] == ("ok", "0 experiments, 0 traces, 0 evaluations")
    assert looked_at["file"][1].startswith("runs.db, 0.")
    assert " MB, schema " in looked_at["file"][1]


def test_a_file_that_is_no_database_is_broken() -> None:
    """Said, and left as it is."""
    Path("runs.db").write_text("This is a letter, not a database.\n" * 400)
    result = doctor()
    assert result.exit_code == 1
    assert "BROKEN  file" in result.output
    assert Path("runs.db").read_text().startswith("This is a letter")


def test_another_programs_database_is_broken() -> None:
    """A SQLite file of somebody else is not ours to use."""
    with sqlite3.connect("runs.db") as connection:
        connection.execute("CREATE TABLE letters (text)")
    connection.close()
    assert found()["file"][0] == "broken"


def test_a_suite_is_checked_as_a_run_would_check_it() -> None:
    """An unknown scorer and an unknown input are found here too, before anything is called."""
    Path("prompts").mkdir()
    Path("suites").mkdir()
    Path("prompts/say.yaml").write_text(PROMPT)
    Path("suites/say.yaml").write_text(SUITE.replace("[contains]", "[contians]"))
    verdict, detail = found()["suite"]
    assert verdict == "broken"
    assert detail == "suites/say.yaml:2:11: unknown scorer 'contians'; did you mean 'contains'?"


def test_the_projects_own_plug_ins_are_known() -> None:
    """A scorer of conftest.py is none that nobody knows; a conftest.py that breaks is named."""
    Path("prompts").mkdir()
    Path("suites").mkdir()
    Path("prompts/say.yaml").write_text(PROMPT)
    Path("suites/say.yaml").write_text(SUITE.replace("[contains]", "[mine]"))
    Path("conftest.py").write_text(
        "from p2re_eval import hookimpl\n"
        "@hookimpl\n"
        "def register_scorers(register):\n"
        "    register('mine', lambda completion, case: True)\n"
    )
    assert found()["suites"] == ("ok", "1 suite with 1 case")
    Path("conftest.py").write_text("import nothing_of_this_name\n")
    verdict, detail = found()["plug-in"]
    assert verdict == "broken"
    assert detail.endswith(
        "conftest.py cannot be loaded: ModuleNotFoundError: No module named "
        "'nothing_of_this_name'; correct it"
    )
