"""Disks, databases and git states that refuse, seen through pytest: nothing paid for is lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.records import Experiment
from p2re_eval.store import open_store

AUTHOR = {f"GIT_{who}_{key}": "ann" for who in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
APP = """\
import hashlib
from pathlib import Path

def answer(ticket):
    with Path("calls.txt").open("a") as calls:
        calls.write(ticket + "\\n")
    digests = (hashlib.sha256(f"{ticket} {n}".encode()).hexdigest() for n in range(4000))
    return ticket + " " + "".join(digests)
"""


def run_apart(project: Any, *arguments: str, by: tuple[str, ...] = (), **environment: str) -> Any:
    """pytest in a process of its own; ``by`` is a command that starts it with fewer rights."""
    own = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--p2re"]
    return subprocess.run(
        [*by, *own, "--p2re-db", str(project.db), *arguments],
        cwd=project.path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def flat(text: str) -> str:
    return " ".join(text.split())


def assert_refused(result: Any, says: str) -> None:
    """Before anything ran: exit code 4 and a sentence."""
    assert result.returncode == 4, result.stdout + result.stderr
    output = result.stdout + result.stderr
    assert says in flat(output)
    assert "Traceback" not in output
    assert "INTERNALERROR" not in output


# --- the database ------------------------------------------------------------------------------


@pytest.fixture
def bound() -> tuple[str, ...]:
    """A prefix that makes permissions hold: they stop nobody who may override them."""
    if os.geteuid():
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("root needs setpriv to be stopped by permissions")
    return ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


@pytest.fixture
def app(project: Any) -> Any:
    """A suite whose answers are 256 kB each and which notes every call it was paid for."""
    project.write("app.py", APP)
    cases = "".join(
        f"  - {{id: c{n}, inputs: {{ticket: t{n}}}, expected: t{n}}}\n" for n in range(30)
    )
    head = "prompt: route\nmodels: [function/app:answer]\nscorers: [contains]\ncases:\n"
    (project.path / "suites/support.yaml").write_text(head + cases)
    return project


def calls(project: Any) -> list[str]:
    """The tickets that the application was really asked about."""
    file = project.path / "calls.txt"
    return file.read_text().split() if file.exists() else []


def test_read_only_database_is_refused_before_any_call(app: Any, bound: tuple[str, ...]) -> None:
    """Said with the path and what to do; no call was made and no byte changed."""
    open_store(app.db).close()
    before = app.db.read_bytes()
    app.db.chmod(0o444)
    assert_refused(
        run_apart(app, by=bound),
        f"{app.db}: may not be written; change its permissions, or use another path",
    )
    assert calls(app) == []
    assert app.db.read_bytes() == before


def test_read_only_folder_is_refused_before_any_call(app: Any, bound: tuple[str, ...]) -> None:
    """SQLite needs the folder too, for its journal; here the file is not even there."""
    folder = app.path / "locked"
    folder.mkdir(mode=0o555)
    app.db = folder / "runs.db"
    says = f"{app.db}: cannot be created (Permission denied); use another path"
    assert_refused(run_apart(app, by=bound), says)
    assert calls(app) == []
    assert list(folder.iterdir()) == []


def test_newer_schema_is_refused_and_left_alone(app: Any) -> None:
    """An old program does not write into tables it does not understand."""
    open_store(app.db).close()
    with closing(sqlite3.connect(app.db)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = app.db.read_bytes()
    assert_refused(run_apart(app), "schema 99")
    assert calls(app) == []
    assert app.db.read_bytes() == before


def test_another_programs_database_is_refused_and_left_alone(app: Any) -> None:
    """It would not know what to do with our tables."""
    with closing(sqlite3.connect(app.db)) as connection:
        connection.execute("CREATE TABLE bookmarks(url)")
        connection.commit()
    before = app.db.read_bytes()
    assert_refused(run_apart(app), "another program's SQLite database; give another path")
    assert calls(app) == []
    assert app.db.read_bytes() == before


def test_folder_as_database_is_refused(app: Any) -> None:
    """--p2re-db names a file."""
    app.db = app.path / "suites"
    assert_refused(run_apart(app), "suites: this is a folder; give the path of a file in it")
    assert calls(app) == []


def test_lock_of_another_program_is_waited_for(app: Any) -> None:
    """The function of the suite itself sees the lock go: the run waits and loses nothing."""
    open_store(app.db).close()
    app.write(
        "app.py",
        f"""\
        import sqlite3
        import threading

        def answer(ticket):
            other = sqlite3.connect({str(app.db)!r}, isolation_level=None, check_same_thread=False)
            other.execute("BEGIN IMMEDIATE")
            threading.Timer(0.3, lambda: (other.execute("ROLLBACK"), other.close())).start()
            return ticket
        """,
    )
    result = run_apart(app, "-k", "c0", "--p2re-concurrency", "1")
    assert result.returncode == 0, result.stdout
    assert [row.outcome for row in app.results()] == ["passed"]


@pytest.fixture
def small_disk(app: Any) -> Iterator[Path]:
    """A disk of two megabytes, really."""
    folder = app.path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs rights that this machine does not give")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_stops_the_calls_and_loses_no_answer(app: Any, small_disk: Path) -> None:
    """What was paid for is in the database or in the rescue file, which the next run imports;
    what would not fit is not asked for."""
    app.db = small_disk / "runs.db"
    temp = app.path / "temp"
    temp.mkdir()
    result = run_apart(app, "-rs", "--p2re-concurrency", "2", TMPDIR=str(temp))
    output = flat(result.stdout + result.stderr)
    assert result.returncode == 1, output
    assert "the disk is full; free some space" in output
    assert "which the next opening of the database imports" in output
    assert "Traceback" not in output
    assert "INTERNALERROR" not in output
    asked = calls(app)
    assert 1 <= len(asked) < 30
    assert "not run: an earlier run could not be recorded; its error says why" in output
    assert "During handling" not in output
    # Only those that were under way find out; the others are not even tried.
    assert 1 <= output.count("ERROR at setup") < 15
    assert list(temp.glob("p2re-rescue-*.jsonl"))

    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    again = run_apart(app, "-k", "c0", TMPDIR=str(temp))
    assert again.returncode == 0, again.stdout
    assert not list(temp.glob("p2re-rescue-*"))
    with open_store(app.db) as store:
        answered = store.list_traces(limit=100, status="OK")
        texts = [store.read_trace(row.trace_id).completion.text for row in answered]
        assert store.health().integrity == "ok"
    assert sorted(text.split()[0] for text in texts) == sorted([*asked, "t0"])


def test_an_end_that_cannot_be_recorded_is_said_and_fails_the_run(app: Any) -> None:
    """Here the database goes away after the last answer: the tests' own outcome is printed, the
    run is not called a success, and nothing looks like a crash."""
    app.write(
        "conftest.py",
        f"""\
        from pathlib import Path

        def pytest_sessionfinish():
            Path({str(app.db)!r}).rename({str(app.path / "taken.db")!r})
        """,
    )
    result = run_apart(app, "-k", "c0", "--p2re-report", "report.md")
    output = flat(result.stdout + result.stderr)
    assert result.returncode == 1, output
    assert "the end of the experiment could not be recorded: " in output
    assert "runs.db: the database was removed or replaced while it was open" in output
    assert "1 passed" in output
    assert "Traceback" not in output
    assert "INTERNALERROR" not in output
    assert calls(app) == ["t0"]


# --- git ---------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**os.environ, **AUTHOR},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def commit(folder: Path, subject: str) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", subject)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(project: Any) -> Any:
    """Two commits of the prompt; ``first`` and ``second`` are their ids."""
    git(project.path, "init", "--quiet", "--initial-branch", "main")
    project.write(".gitignore", "runs.db*\n")
    project.suite({"x": "billing"})
    project.first = commit(project.path, "Add the prompt")
    prompt = project.path / "prompts/route.yaml"
    prompt.write_text(prompt.read_text().replace("Route the ticket", "Send the ticket"))
    project.second = commit(project.path, "Say send")
    return project


def ask_for(project: Any, reference: str) -> None:
    suite = project.path / "suites/support.yaml"
    suite.write_text(suite.read_text().replace("prompt: route\n", f'prompt: "{reference}"\n', 1))


def newest(project: Any) -> Experiment:
    with open_store(project.db) as store:
        experiment = store.read_experiment("latest")
        assert isinstance(experiment, Experiment)
        return experiment


def system_message(project: Any) -> str:
    """What the only run really sent first."""
    with open_store(project.db) as store:
        [row] = store.list_traces()
        return str(store.read_trace(row.trace_id).prompt.messages[0].text)


def assert_not_collected(project: Any, says: str) -> None:
    """A revision nobody has is a mistake in the suite: exit code 2, nothing ran."""
    result = project.run()
    assert result.ret == 2
    assert says in flat(result.stdout.str())
    assert "suites/support.yaml" in result.stdout.str()
    assert "Traceback" not in result.stdout.str()
    assert "INTERNALERROR" not in result.stdout.str()
    assert not project.db.exists()


def test_clean_checkout_is_recorded(repository: Any) -> None:
    """The commit and the branch."""
    repository.run().assert_outcomes(passed=1)
    revision = newest(repository).revision
    assert revision is not None
    assert (revision.commit, revision.branch, revision.dirty) == (repository.second, "main", False)


def test_dirty_tree_is_recorded(repository: Any) -> None:
    """What ran is not what the commit says; a file that git does not know changes nothing."""
    prompt = repository.path / "prompts/route.yaml"
    prompt.write_text(prompt.read_text() + "# changed\n")
    repository.run().assert_outcomes(passed=1)
    revision = newest(repository).revision
    assert revision is not None
    assert (revision.commit, revision.branch, revision.dirty) == (repository.second, "main", True)


def test_detached_head_is_recorded_without_a_branch(repository: Any) -> None:
    """As most CI checkouts are; revisions work as ever."""
    git(repository.path, "checkout", "--quiet", "--detach")
    ask_for(repository, "route@v1")
    repository.run().assert_outcomes(passed=1)
    revision = newest(repository).revision
    assert revision is not None
    assert (revision.commit, revision.branch, revision.dirty) == (repository.second, None, True)
    assert system_message(repository).startswith("Route the ticket")


@pytest.mark.parametrize("revision", ["HEAD~1", "v1", "main~1"])
def test_old_revision_of_a_prompt_is_what_is_sent(repository: Any, revision: str) -> None:
    """The working tree has the new wording, the run the old one."""
    ask_for(repository, f"route@{revision}")
    repository.run().assert_outcomes(passed=1)
    assert system_message(repository).startswith("Route the ticket")


def test_unknown_revision_names_the_near_one(repository: Any) -> None:
    """With the place in the suite."""
    ask_for(repository, "route@mian")
    assert_not_collected(repository, "git does not know the revision 'mian'")
    assert "did you mean 'main'?" in flat(repository.run().stdout.str())


def test_version_that_does_not_exist_yet_is_said(repository: Any) -> None:
    """How many there are."""
    ask_for(repository, "route@v7")
    assert_not_collected(repository, "'route' has 2 committed versions, so there is no v7")


def test_prompt_that_was_not_there_yet_is_said(repository: Any) -> None:
    """The revision is known, the prompt in it is not."""
    repository.write("prompts/reply.yaml", "messages: [{user: '{{ ticket }}'}]\n")
    commit(repository.path, "Add another")
    ask_for(repository, "reply@HEAD~1")
    assert_not_collected(repository, "no prompt is called 'reply' at " + repository.second[:7])


@pytest.fixture
def shallow(repository: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The project as CI clones it: the last commit and nothing before it."""
    folder = tmp_path_factory.mktemp("clone") / "project"
    source = repository.path.as_uri()
    git(repository.path, "clone", "--quiet", "--depth", "1", source, str(folder))
    for name in ("prompts", "suites", ".git"):
        shutil.rmtree(repository.path / name)
        shutil.copytree(folder / name, repository.path / name)
    return repository


def test_shallow_clone_runs_and_is_recorded(shallow: Any) -> None:
    """Nothing of the history is needed for what is checked out."""
    ask_for(shallow, "route@HEAD")
    shallow.run().assert_outcomes(passed=1)
    revision = newest(shallow).revision
    assert revision is not None
    assert (revision.commit, revision.branch) == (shallow.second, "main")


@pytest.mark.parametrize("revision", ["v1", "HEAD~1"])
def test_shallow_clone_says_how_to_get_the_history(shallow: Any, revision: str) -> None:
    """Counting versions from a cut history would give another prompt."""
    ask_for(shallow, f"route@{revision}")
    assert_not_collected(shallow, "run `git fetch --unshallow` (in CI: fetch-depth: 0)")


def test_project_outside_git_runs_without_a_revision(project: Any) -> None:
    """Git is for those who have it."""
    project.suite({"x": "billing"})
    project.run().assert_outcomes(passed=1)
    assert newest(project).revision is None


def test_revision_outside_git_is_a_mistake(project: Any) -> None:
    """With what to do."""
    project.suite({"x": "billing"})
    ask_for(project, "route@v1")
    assert_not_collected(project, "is not in a git repository; run `git init` and commit")


def test_repository_without_commits_runs_without_a_revision(project: Any) -> None:
    """`git init` was a minute ago; a revision is a mistake that says so."""
    git(project.path, "init", "--quiet")
    project.suite({"x": "billing"})
    ask_for(project, "route@HEAD")
    assert_not_collected(project, "nothing is committed yet; commit first")
    project.suite({"x": "billing"})
    project.run().assert_outcomes(passed=1)
    assert newest(project).revision is None


def test_machine_without_git_runs_without_a_revision(
    repository: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a revision is a mistake that names git."""
    empty = repository.path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    repository.run().assert_outcomes(passed=1)
    assert newest(repository).revision is None
    repository.db = repository.path / "other.db"
    ask_for(repository, "route@v1")
    assert_not_collected(repository, "git is not installed or not on PATH; install it")
