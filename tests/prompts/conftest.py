"""A prompts folder to write into, and a git repository around it."""

from __future__ import annotations

import os
import subprocess
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from p2re_eval.prompts import PromptLibrary
from p2re_eval.records import JSON, RenderedPrompt


class Folder:
    """A project's prompts folder; ``root`` is the project."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "prompts"
        self.path.mkdir()
        self.library = PromptLibrary(self.path)

    def write(self, name: str, text: str) -> Path:
        """Write a file below the prompts folder, indentation taken off."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def mistakes(self, text: str, name: str = "greet") -> list[str]:
        """What loading this prompt says, with paths as they stand below the folder."""
        self.write(f"{name}.yaml", text)
        _, found = self.library.load_all()
        return [str(each).replace(f"{self.path}{os.sep}", "") for each in found]

    def rendered(self, text: str, **inputs: JSON) -> RenderedPrompt:
        """This prompt, rendered."""
        self.write("greet.yaml", text)
        return self.library.render(self.library.get("greet"), inputs)

    def text(self, template: str, **inputs: JSON) -> str:
        """A single user message of this template text, rendered with these inputs declared."""
        declared = "".join(f"  {name}:\n" for name in inputs)
        head = f"inputs:\n{declared}" if declared else ""
        body = textwrap.indent(textwrap.dedent(template), "    ")
        (self.path / "one.yaml").write_text(f"{head}messages:\n- user: |\n{body}", encoding="utf-8")
        library = PromptLibrary(self.path)
        return library.render(library.get("one"), inputs).messages[0].text


class Git:
    """A real repository, with an author of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, *arguments: str) -> str:
        names = {"GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.org"}
        names |= {"GIT_COMMITTER_NAME": "Ann", "GIT_COMMITTER_EMAIL": "ann@example.org"}
        environment = {**os.environ, **names, "GIT_AUTHOR_DATE": "2026-01-02T03:04:05+01:00"}
        run = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return run.stdout.strip()

    def replay(self, steps: Iterable[tuple[str, str, str]]) -> None:
        """Commit (path, content, subject) one after the other, in one git process."""
        stream = []
        for path, content, subject in steps:
            body, message = content.encode(), subject.encode()
            stream.append(
                b"commit refs/heads/main\ncommitter Ann <ann@example.org> 1767319445 +0100\n"
                b"data %d\n%s\nM 644 inline %s\ndata %d\n%s\n"
                % (len(message), message, path.encode(), len(body), body)
            )
        command = ["git", "fast-import", "--quiet"]
        subprocess.run(command, cwd=self.root, input=b"".join(stream), check=True)
        self("reset", "--quiet", "--hard")

    def commit(self, subject: str) -> str:
        """Commit everything; the new commit's id."""
        self("add", "--all")
        self("commit", "--quiet", "--allow-empty", "--message", subject)
        return self("rev-parse", "HEAD")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    root = tmp_path / "project"
    root.mkdir()
    return Folder(root)


@pytest.fixture
def git(folder: Folder) -> Git:
    repository = Git(folder.root)
    repository("init", "--quiet", "--initial-branch", "main")
    return repository


@pytest.fixture
def make_git() -> Callable[[Path], Git]:
    return Git
