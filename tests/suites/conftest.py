"""A project folder with suites in it, read the way every door reads them."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from p2re_eval.errors import DefinitionError, DefinitionErrors
from p2re_eval.records import Suite
from p2re_eval.suites import load_suite


class Project:
    """Files below a root folder; the suite is ``suites/s.yaml``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def load(self, suite: str) -> Suite:
        path = self.write("suites/s.yaml", textwrap.dedent(suite))
        return load_suite(path, root=self.root)

    def errors(self, suite: str) -> tuple[DefinitionError, ...]:
        with pytest.raises(DefinitionErrors) as caught:
            self.load(suite)
        return caught.value.errors

    def mistakes(self, suite: str) -> list[str]:
        """Each mistake as the user reads it."""
        return [str(error) for error in self.errors(suite)]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "suites").mkdir()
    return Project(tmp_path)
