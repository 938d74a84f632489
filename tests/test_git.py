"""Reading git: real repositories, in every state a user's may be in."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from p2re_eval.errors import GitError
from p2re_eval.git import Repository

AUTHOR = {"NAME": "Ann Őrs", "EMAIL": "ann@example.org", "DATE": "2026-01-02T03:04:05+01:00"}


def run_git(folder: Path, *arguments: str) -> str:
    environment = {
        f"GIT_{who}_{k}": v for who in ("AUTHOR", "COMMITTER") for k, v in AUTHOR.items()
    }
    run = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip()


def commit(folder: Path, subject: str, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    run_git(folder, "add", "--all")
    run_git(folder, "commit", "--quiet", "-m", subject)
    return run_git(folder, "rev-parse", "HEAD")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    run_git(folder, "init", "--quiet", "--initial-branch", "main")
    return folder


def test_the_repository_is_found_from_a_subfolder(root: Path) -> None:
    """Also from one that does not exist yet."""
    commit(root, "First", {"a": "x"})
    assert Repository.around(root / "not" / "there").root == root.resolve()


def test_head_says_commit_branch_and_dirt(root: Path) -> None:
    """Untracked files are no dirt; a changed tracked file is."""
    first = commit(root, "First", {"a": "x"})
    (root / "untracked").write_text("x")
    head = Repository.around(root).head()
    assert (head.commit, head.branch, head.dirty) == (first, "main", False)
    (root / "a").write_text("changed")
    assert Repository.around(root).head().dirty is True


def test_a_detached_head_has_no_branch(root: Path) -> None:
    """As in most CI checkouts."""
    first = commit(root, "First", {"a": "x"})
    run_git(root, "checkout", "--quiet", "--detach")
    head = Repository.around(root).head()
    assert (head.commit, head.branch) == (first, None)


def test_a_worktree_is_a_repository_of_its_own_branch(root: Path, tmp_path: Path) -> None:
    """`git worktree add` folders have a file in place of the `.git` folder."""
    commit(root, "First", {"a": "x"})
    run_git(root, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    repository = Repository.around(tmp_path / "side")
    assert repository.root == (tmp_path / "side").resolve()
    assert repository.head().branch == "side"


def test_a_hook_s_own_variables_do_not_lead_astray(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git runs hooks with GIT_DIR set; the folder we are asked about decides."""
    first = commit(root, "First", {"a": "x"})
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert Repository.around(root).head().commit == first


def test_revisions_resolve_to_full_commits(root: Path) -> None:
    """Branches, tags (annotated too), abbreviations and expressions."""
    first = commit(root, "First", {"a": "x"})
    run_git(root, "tag", "-a", "v1", "-m", "one")
    second = commit(root, "Second", {"a": "y"})
    repository = Repository.around(root)
    resolved = [repository.resolve(r) for r in ("main", "v1", second[:7], "HEAD~1", "@")]
    assert resolved == [second, first, second, first, second]


@pytest.mark.parametrize("revision", ["", "--all", "-h", "HEAD:a", "mian", "main..HEAD", "a b\nc"])
def test_what_is_no_commit_is_refused(root: Path, revision: str) -> None:
    """Options cannot be smuggled in, and a blob or a range is not a commit."""
    commit(root, "First", {"a": "x"})
    with pytest.raises(GitError, match="does not know the revision"):
        Repository.around(root).resolve(revision)


def test_an_unknown_revision_suggests_a_branch(root: Path, tmp_path: Path) -> None:
    """A near name; or the remote's branch of that name, which CI checkouts often lack locally."""
    commit(root, "First", {"a": "x"})
    run_git(root, "branch", "feature")
    repository = Repository.around(root)
    with pytest.raises(GitError, match=r"'featuer' in .*; did you mean 'feature'\?"):
        repository.resolve("featuer")
    run_git(root, "clone", "--quiet", str(root), str(tmp_path / "clone"))
    with pytest.raises(GitError, match=r"'feature' in .*; did you mean 'origin/feature'\?"):
        Repository.around(tmp_path / "clone").resolve("feature")


def test_files_are_read_as_they_were(root: Path) -> None:
    """Bytes, not text; several revisions through one process; links inside the repository work."""
    first = commit(root, "First", {"prompts/a.yaml": "old\r\n", "ű": "ő"})
    (root / "link").symlink_to("prompts/a.yaml")
    (root / "out").symlink_to("/etc/hostname")
    (root / "lost").symlink_to("nowhere")
    second = commit(root, "Second", {"prompts/a.yaml": "new"})
    repository = Repository.around(root)
    with repository.blobs() as blobs:
        assert blobs.read(first, "prompts/a.yaml") == b"old\r\n"
        assert blobs.read(second, "prompts/a.yaml") == b"new"
        assert blobs.read(second, "link") == b"new"
        for path in ("prompts", "gone", "out", "lost", "a\nb", "prompts/a.yaml/x", "link/x"):
            assert blobs.read(second, path) is None, path
        assert blobs.read(first, "ű") == "ő".encode()
    assert repository.read(first, "prompts/a.yaml") == b"old\r\n"


def test_files_are_listed_below_a_folder(root: Path) -> None:
    """With odd names unquoted."""
    first = commit(root, "First", {"a": "x", "p/ű b.yaml": "x", "p/q/c": "x", "pp/d": "x"})
    repository = Repository.around(root)
    assert repository.files(first, "p") == ["p/q/c", "p/ű b.yaml"]
    assert len(repository.files(first)) == 4


def test_the_log_says_who_when_what_and_which_files(root: Path) -> None:
    """Newest first, with renames."""
    commit(root, "First", {"p/ű b": "some text\nthat git\nrecognises\n"})
    commit(root, "Elsewhere", {"other": "x"})
    (root / "p/ű b").rename(root / "p/c")
    third = commit(root, "Rename: | and \x1f odd", {"p/d": "y"})
    entries = Repository.around(root).log("p")
    assert [entry.changes for entry in entries] == [
        {"p/c": "p/ű b", "p/d": None},
        {"p/ű b": None},
    ]
    newest = entries[0]
    assert (newest.commit, newest.author) == (third, "Ann Őrs")
    assert newest.date == "2026-01-02T03:04:05+01:00"
    assert newest.subject.startswith("Rename: | and")


def test_the_log_counts_a_merge_once(root: Path) -> None:
    """Only first parents: the merged branch's commits do not mix into the line of versions."""
    commit(root, "First", {"a": "1"})
    run_git(root, "checkout", "--quiet", "-b", "side")
    commit(root, "Side", {"a": "2"})
    run_git(root, "checkout", "--quiet", "main")
    commit(root, "Main", {"b": "1"})
    run_git(root, "merge", "--quiet", "--no-ff", "-m", "Merge side", "side")
    assert [e.subject for e in Repository.around(root).log("a")] == ["Merge side", "First"]


def test_a_shallow_clone_says_how_to_fetch_the_rest(root: Path, tmp_path: Path) -> None:
    """The usual CI checkout has one commit."""
    first = commit(root, "First", {"a": "1"})
    commit(root, "Second", {"a": "2"})
    run_git(root, "clone", "--quiet", "--depth", "1", f"file://{root}", str(tmp_path / "clone"))
    repository = Repository.around(tmp_path / "clone")
    assert repository.is_shallow() is True
    with pytest.raises(GitError, match="git fetch --unshallow"):
        repository.resolve(first)


def test_a_repository_without_commits_says_so(root: Path) -> None:
    """`git init` alone has no HEAD."""
    with pytest.raises(GitError, match="nothing is committed yet; commit first"):
        Repository.around(root).head()


def test_no_repository_is_a_sentence(tmp_path: Path) -> None:
    """With what to do."""
    with pytest.raises(GitError, match="is not in a git repository; run `git init`"):
        Repository.around(tmp_path)


def test_a_bare_repository_is_a_sentence(tmp_path: Path) -> None:
    """It has no folder that prompts could be in."""
    run_git(tmp_path, "init", "--quiet", "--bare", "x.git")
    with pytest.raises(GitError, match="git cannot work in"):
        Repository.around(tmp_path / "x.git")


def test_without_git_the_message_says_what_to_install(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else of the package needs git."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError, match="git is not installed or not on PATH"):
        Repository.around(root)
