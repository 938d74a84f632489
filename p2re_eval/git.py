"""Git as a reader: which commit this is, what files said at a revision, who changed them.

Nothing here writes: not to the working tree, not to the index, not to the object store.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from p2re_eval.errors import GitError
from p2re_eval.explain import did_you_mean
from p2re_eval.records import Revision

# A hook runs us with these set to its own repository and index; the folder decides instead.
_INHERITED = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")
_HASH = re.compile(r"[0-9a-f]{40}")
_UNSHALLOW = "this clone is shallow; run `git fetch --unshallow` (in CI: fetch-depth: 0)"


@dataclass(frozen=True)
class Commit:
    """One commit of a log; ``date`` is the author's, ISO 8601; ``changes`` maps each touched path
    to the path it had before (``None`` when it was added)."""

    commit: str
    date: str
    author: str
    subject: str
    changes: dict[str, str | None]


class Blobs:
    """Files of any revision, read through one git process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._questions: IO[bytes] = process.stdin
        self._answers: IO[bytes] = process.stdout

    def read(self, commit: str, path: str) -> bytes | None:
        """The file's bytes, following links inside the repository; ``None`` when it is no file."""
        if "\n" in path:
            return None
        self._questions.write(os.fsencode(f"{commit}:{path}\n"))
        self._questions.flush()
        header = self._answers.readline().split()
        if len(header) == 2 and header[0] in {b"symlink", b"dangling", b"loop", b"notdir"}:
            self._answers.read(int(header[1]) + 1)
            return None
        if len(header) != 3 or not header[2].isdigit():
            return None
        content = self._answers.read(int(header[2]))
        self._answers.read(1)
        return content if header[1] == b"blob" else None


@dataclass(frozen=True)
class Repository:
    """A git repository, by the root folder of its working tree."""

    root: Path

    @classmethod
    def around(cls, folder: Path) -> Repository:
        """The repository that this folder is in (the folder itself need not exist yet).

        Raises GitError: git is not installed, or this is no repository.
        """
        start = folder.resolve()
        while not start.is_dir():
            start = start.parent
        answer = _git(start, "rev-parse", "--show-toplevel")
        if answer.returncode or not answer.stdout.strip():
            raise GitError(_why_no_repository(folder, answer))
        return cls(Path(os.fsdecode(answer.stdout.rstrip(b"\r\n"))).resolve())

    def head(self) -> Revision:
        """The commit checked out, its branch (``None`` when detached) and whether tracked files
        differ from it. Raises GitError when nothing is committed yet."""
        commit = self.resolve("HEAD")
        branch = _git(self.root, "symbolic-ref", "--quiet", "--short", "HEAD")
        name = os.fsdecode(branch.stdout).strip() or None
        status = self._ask("status", "--porcelain", "--untracked-files=no")
        return Revision(commit=commit, branch=name, dirty=bool(status.strip()))

    def resolve(self, revision: str) -> str:
        """The full commit id of a branch, tag, abbreviated id or expression such as ``HEAD~2``.

        Raises GitError that names a near branch, or the command that fetches what is missing.
        """
        if revision and not revision.startswith("-"):
            answer = _git(self.root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
            if answer.returncode == 0:
                return answer.stdout.decode("ascii").strip()
        raise GitError(self._why_unknown(revision))

    def files(self, commit: str, folder: str = "") -> list[str]:
        """Every file at this commit below the folder, as paths from the root."""
        where = ["--", folder] if folder else []
        listing = self._ask("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit, *where)
        return [os.fsdecode(path) for path in listing.split(b"\0") if path]

    def read(self, commit: str, path: str) -> bytes | None:
        """One file at a commit; ``None`` when it is not there. See :meth:`blobs` for several."""
        with self.blobs() as blobs:
            return blobs.read(commit, path)

    @contextmanager
    def blobs(self) -> Iterator[Blobs]:
        """One process that reads any number of files at any revisions."""
        process = subprocess.Popen(
            ["git", "cat-file", "--batch", "--follow-symlinks"],  # noqa: S607 - the user's own git
            cwd=self.root,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        with process:
            yield Blobs(process)

    def log(self, path: str, *, revision: str = "HEAD") -> list[Commit]:
        """The commits that changed anything at or below the path, newest first.

        Only the first parents are followed: a merge counts as one change of the branch it was
        merged into, so that the list grows at one end only.
        """
        form = "--format=%x1e%H%x1f%aI%x1f%an%x1f%s"
        listing = self._ask(
            "log", "--first-parent", "-m", "-M", "-z", "--name-status", form, revision, "--", path
        )
        return [_commit(os.fsdecode(part)) for part in listing.split(b"\x1e")[1:]]

    def is_ancestor(self, commit: str) -> bool:
        """Whether HEAD is this commit or comes after it; ``False`` for one that is not here."""
        answer = _git(self.root, "merge-base", "--is-ancestor", f"{commit}^{{commit}}", "HEAD")
        return answer.returncode == 0

    def resolve_fetched(self, revision: str) -> str:
        """As :meth:`resolve`, but a branch may also be known as ``origin/NAME`` only, as in the
        checkouts that CI makes. Raises GitError with the command that fetches what is missing."""
        for name in (revision, f"origin/{revision}"):
            with suppress(GitError):
                return self.resolve(name)
        why = self._why_unknown(revision)
        if not self.is_shallow() or not re.fullmatch(r"[\w./-]+", revision):
            raise GitError(why)
        branch = revision.removeprefix("origin/")
        target = "" if _HASH.fullmatch(branch) else f":refs/remotes/origin/{branch}"
        raise GitError(
            f"git does not know the revision '{revision}' in {self.root}: this clone is shallow; "
            f"run `git fetch --depth 1 origin {branch}{target}`"
        )

    def is_shallow(self) -> bool:
        """Whether older commits were left out when this repository was cloned."""
        return self._ask("rev-parse", "--is-shallow-repository").strip() == b"true"

    def refuse_shallow(self, what: str) -> None:
        """Raise GitError when the history needed for ``what`` was not cloned."""
        if self.is_shallow():
            raise GitError(f"{what} needs the whole history, but {_UNSHALLOW}")

    def _ask(self, *arguments: str) -> bytes:
        answer = _git(self.root, *arguments)
        if answer.returncode:
            raise GitError(f"`git {arguments[0]}` failed in {self.root}: {_complaint(answer)}")
        return answer.stdout

    def _why_unknown(self, revision: str) -> str:
        what = f"git does not know the revision '{revision}' in {self.root}"
        if _git(self.root, "rev-parse", "--verify", "--quiet", "HEAD").returncode:
            return f"{what}: nothing is committed yet; commit first"
        if self.is_shallow():
            return f"{what}: {_UNSHALLOW}"
        listing = self._ask("for-each-ref", "--format=%(refname:short)")
        names = os.fsdecode(listing).split()
        remote = [name for name in names if name.endswith(f"/{revision}")]
        if remote:
            return f"{what}; did you mean '{remote[0]}'?"
        return what + did_you_mean(revision, names)


def _commit(part: str) -> Commit:
    header, _, rest = part.partition("\0")
    commit, date, author, subject = header.split("\x1f", 3)
    changes: dict[str, str | None] = {}
    fields = iter([field for field in rest.lstrip("\n").split("\0") if field])
    for status in fields:
        path = next(fields)
        if status[0] in "RC":
            changes[next(fields)] = path
        else:
            changes[path] = None if status[0] == "A" else path
    return Commit(commit, date, author, subject, changes)


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command: Sequence[str] = ("git", "--no-optional-locks", "--literal-pathspecs", *arguments)
    try:
        return subprocess.run(  # noqa: S603 - no shell, and no argument can become an option
            command, cwd=folder, env=_environment(), capture_output=True, check=False
        )
    except FileNotFoundError:
        what = "git is not installed or not on PATH; install it to use revisions and versions"
        raise GitError(what) from None


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _INHERITED}
    return {**kept, "LC_ALL": "C"}


def _why_no_repository(folder: Path, answer: subprocess.CompletedProcess[bytes]) -> str:
    complaint = _complaint(answer)
    if "not a git repository" in complaint:
        return f"{folder} is not in a git repository; run `git init` and commit the prompts"
    return f"git cannot work in {folder}: {complaint or 'it has no working tree'}"


def _complaint(answer: subprocess.CompletedProcess[bytes]) -> str:
    lines = os.fsdecode(answer.stderr).strip().splitlines()
    return lines[0].removeprefix("fatal: ") if lines else ""
