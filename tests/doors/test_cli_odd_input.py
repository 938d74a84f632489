"""Whatever is typed: a sentence and exit code 2, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from p2re_eval.online import Online
from p2re_eval.records import (
    Completion,
    Message,
    ModelSettings,
    RenderedPrompt,
    Trace,
    Variant,
)
from p2re_eval.store import open_store

P2RE = str(Path(sys.executable).with_name("p2re"))


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """A trace whose question has half a character in it."""
    path = tmp_path / "p2re.db"
    with open_store(path) as store:
        store.finish_trace(
            Trace(
                trace_id="1" * 32, span_id="1" * 16, name="ask", status="OK", start_ns=1, end_ns=2,
                prompt=RenderedPrompt(
                    name="ask", messages=(Message(role="user", content="hi \ud800"),),
                    model=ModelSettings(),
                ),
                completion=Completion(text="yo"),
            )
        ).result()  # fmt: skip
    return path


def said(*arguments: str | bytes | Path) -> tuple[int, str, str]:
    done = subprocess.run([P2RE, *arguments], capture_output=True, check=False)
    stderr = done.stderr.decode("utf-8", "replace")
    assert "Traceback" not in stderr, stderr
    return done.returncode, done.stdout.decode(), stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["traces", "list", "--limit", "9" * 20], "is not in the range 1<=x<=1000000"),
        (["open", b"trace:\xff"], "is not UTF-8; write it in UTF-8"),
        (["sessions", "show", b"\xff"], "is not UTF-8; write it in UTF-8"),
        (["unite", "FOLDER", "-o", "u.db"], "this is a folder; give the path of a file in it"),
        (["experiments", "start", "x", "--variant", "a=p", "--variant", "b=q,weight=nan",
          "--outcome", "o"], "weight must be a number above 0, not 'nan'"),
        (["experiments", "start", "x", "--variant", "a=p@", "--variant", "b=q", "--outcome", "o"],
         "the variant 'a' has the prompt 'p@'; write NAME or NAME@VERSION"),
        (["doctor", "--root", "missing"], "'missing' does not exist"),
    ],
)  # fmt: skip
def test_it_is_a_sentence(
    db: Path, tmp_path: Path, arguments: list[str | bytes], sentence: str
) -> None:
    where = [] if arguments[0] == "unite" else ["--db", db]
    given = [str(tmp_path) if one == "FOLDER" else one for one in arguments]
    code, _, stderr = said(*given, *where)
    assert (code, sentence in stderr) == (2, True), stderr


@pytest.mark.parametrize("command", ["traces list", "open trace:1", "stats", "prompts label x"])
def test_a_name_that_no_file_can_have(tmp_path: Path, command: str) -> None:
    code, _, stderr = said(*command.split(), "--db", tmp_path / ("x" * 300))
    assert (code, "there is no database yet" in stderr) == (2, True)


def test_ages_beyond_all_time_are_no_fault(db: Path) -> None:
    for since in (f"{'9' * 15}d", "9999-12-31", "1500-01-01"):
        assert said("traces", "list", "--since", since, "--db", db)[0] == 0
    assert said("prune", "--older-than", f"{'9' * 20}d", "--dry-run", "--db", db)[0] == 0


def test_half_a_character_is_printed_as_an_escape(db: Path) -> None:
    code, stdout, _ = said("open", "trace:1", "--db", db)
    assert code == 0
    assert json.loads(stdout)["trace"]["prompt"]["messages"][0]["content"] == "hi \ud800"


def test_nothing_is_listed_in_words(db: Path) -> None:
    assert said("experiments", "list", "--db", db)[1].startswith("no experiments over suites yet")


@pytest.mark.parametrize("command", ["traces list", "traces export", "open trace:1"])
def test_a_full_disk_behind_standard_output(db: Path, command: str) -> None:
    """`> FILE` on a disk without room."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [P2RE, *command.split(), "--db", db], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (
        2,
        b"what was to be written: No space left on device; check the path and the disk\n",
    )


def test_a_weight_that_is_no_number_never_gets_to_disk(db: Path) -> None:
    """It would come back as null, and no experiment could be read any more."""
    with open_store(db) as store:
        for weight in (float("nan"), float("inf")):
            with pytest.raises(ValueError, match="finite number"):
                Online(store).start(
                    "x", [Variant(name="a", weight=weight), Variant(name="b")], outcome="o"
                )
        assert Online(store).list() == ()
