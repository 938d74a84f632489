"""The planted secret is found nowhere; and would be found if it were there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from p2re_eval.cli import main
from p2re_eval.report.trace_document import trace_document
from p2re_eval.service.canary import planted_and_found


def test_a_planted_secret_is_found_nowhere() -> None:
    """Neither in bytes of file and log, nor index, lists or any export; no trace of it stays."""
    assert planted_and_found(trace_document) == []
    assert "P2RE_CANARY_SECRET" not in os.environ


def test_without_redaction_it_is_found_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its absence would prove nothing."""
    monkeypatch.setenv("P2RE_REDACT_DEFAULTS", "off")
    found = planted_and_found(trace_document)
    assert found[:6] == [
        "the export as JSON lines, and so a text in the database",
        "the export as .md",
        "the export as .html",
        "the export as .json",
        "the full-text index",
        "a list of traces",
    ]
    assert any(place.startswith("the bytes of canary.db") for place in found)


def test_doctor_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = ["doctor", "--root", str(tmp_path), "--db", str(tmp_path / "none.db")]
    well = CliRunner().invoke(main, root).output
    assert "secrets" in well
    assert "a planted one is in no file, log or export" in well
    monkeypatch.setenv("P2RE_REDACT_DEFAULTS", "off")
    ill = CliRunner().invoke(main, root)
    assert ill.exit_code == 1
    assert "found in the full-text index" in ill.output
