"""``p2re traces`` as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from p2re_eval.cli import main
from p2re_eval.records import (
    Completion,
    Evaluation,
    Experiment,
    Fault,
    Message,
    ModelSettings,
    RenderedPrompt,
    Score,
    Span,
    ToolCall,
    Trace,
    Usage,
)
from p2re_eval.store import open_store

MOMENT = 1_700_000_000_000_000_000


def begun(number: int, ticket: str = "I was charged twice.", **given: object) -> Trace:
    system, user = Message(role="system", content="Route it."), Message(role="user", content=ticket)
    prompt = RenderedPrompt(
        name="route_ticket",
        version="abc" * 21 + "d",
        messages=(system, user),
        model=ModelSettings(provider="openai", name="gpt-5-mini"),
    )
    return Trace.model_validate(
        {
            "trace_id": f"{number:x}".ljust(32, "0"),
            "span_id": f"{number:016x}",
            "name": "route_ticket",
            "start_ns": MOMENT + number,
            "prompt": prompt,
            **given,
        }
    )


def answered(trace: Trace, text: str = "billing") -> Trace:
    completion = Completion(
        text=text,
        model="gpt-5-mini-2025",
        usage=Usage(input_tokens=12, output_tokens=1),
        cost_usd=0.00025,
        tool_calls=(ToolCall(id="1", name="file", arguments='{"team": "billing"}'),),
    )
    update = {"status": "OK", "end_ns": trace.start_ns + 1_500_000_000, "completion": completion}
    return trace.model_copy(update=update)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """One answered, one failed and one given-up trace."""
    path = tmp_path / "runs.db"
    with open_store(path) as store:
        span = Span(span_id="5" * 16, trace_id="1".ljust(32, "0"), name="llm_judge", start_ns=1)
        first = begun(1, suite="suites/a.yaml", case_id="twice", experiment_id="e1", attempts=2)
        store.finish_trace(answered(first).model_copy(update={"spans": (span,)}))
        fault = Fault(kind="timeout", message="no answer in 30 s", attempts=3, partial="bil")
        store.finish_trace(begun(2, status="ERROR", fault=fault, end_ns=MOMENT))
        store.begin_trace(begun(3))
        judged = Evaluation(
            evaluation_id="1",
            trace_id=first.trace_id,
            name="polite",
            scorer="llm_judge",
            scorer_version="1",
            kind="LLM",
            score=Score(value=0.5, passed=False, explanation="It does not greet."),
        )
        broken = judged.model_copy(
            update={"name": "short", "score": None, "fault": Fault(kind="scorer", message="boom")}
        )
        store.save_evaluations([judged, broken])
        store.start_experiment(Experiment(experiment_id="e1", name="n", started_ns=1))
    return path


def p2re(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["traces", *map(str, arguments)])


def test_list_shows_the_newest_first(database: Path) -> None:
    """A row a trace: id, status or fault, prompt, model, time, tokens, cost, answer."""
    result = p2re("list", "--db", database)
    assert result.exit_code == 0, result.output
    header, _, third, second, first = result.output.splitlines()
    assert header.split()[:4] == ["trace", "begun", "status", "prompt"]
    assert third.startswith("300000000000000000")
    assert "ABANDONED" in third
    assert "timeout" in second
    assert "no answer in 30 s" in second
    for shown in ("openai/gpt-5-mini", "1.5 s", "12+1", "$0.00025", "billing"):
        assert shown in first


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--status", "ok"], ["1"]),
        (["--status", "ERROR"], ["2"]),
        (["--model", "openai/gpt-5-mini", "--prompt", "route_ticket"], ["3", "2", "1"]),
        (["--model", "other"], []),
        (["--suite", "suites/a.yaml"], ["1"]),
        (["--experiment", "e"], ["1"]),
        (["--session", "s"], []),
        (["--since", "1h"], []),
        (["--since", "2020-01-01T00:00"], ["3", "2", "1"]),
        (["--limit", "1"], ["3"]),
        (["--limit", "1", "--before", "3"], ["2"]),
    ],
    ids=" ".join,
)
def test_list_filters(database: Path, options: list[str], ids: list[str]) -> None:
    """Every option narrows; `--json` gives the rows whole."""
    result = p2re("list", "--db", database, "--json", *options)
    assert result.exit_code == 0, result.output
    assert [row["trace_id"][0] for row in json.loads(result.output)] == ids


def test_a_page_says_how_to_get_the_next(database: Path) -> None:
    """The last line is the option to add."""
    assert p2re("list", "--db", database, "--limit", "2").output.endswith(
        "older ones: --before 2\n"
    )
    assert "--before" not in p2re("list", "--db", database).output
    assert p2re("list", "--db", database, "--before", "1").output == "no older traces\n"
    assert p2re("list", "--db", database, "--model", "none").output == "no traces\n"


def test_show_prints_the_conversation_and_what_was_said_of_it(database: Path) -> None:
    """Messages, answer, tool calls, usage, spans and evaluations, readable."""
    output = p2re("show", "1", "--db", database).output
    for shown in (
        "status     OK",
        "took       1.5 s in 2 attempts",
        "model      openai/gpt-5-mini, answered by gpt-5-mini-2025",
        "case       suites/a.yaml::twice#0",
        "tokens     12 input, 1 output",
        "cost       $0.00025",
        "--- system\nRoute it.\n",
        "--- user\nI was charged twice.\n",
        '--- answer\nbilling\nfile({"team": "billing"})\n',
        "LLM  llm_judge  OK",
        "It does not greet.",
        "boom",
    ):
        assert shown in output, output


def test_show_prints_what_went_wrong(database: Path) -> None:
    """The fault, and what had arrived before it."""
    output = p2re("show", "2", "--db", database).output
    assert "status     ERROR (timeout)" in output
    assert "--- fault\nno answer in 30 s\n\n--- until then\nbil\n" in output


def test_show_as_json_is_the_whole_record(database: Path) -> None:
    """What it prints is a Trace, with its evaluations added."""
    shown = json.loads(p2re("show", "1", "--db", database, "--json").output)
    assert [one["name"] for one in shown.pop("evaluations")] == ["polite", "short"]
    assert Trace.model_validate(shown).completion is not None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "fff"], "no trace has the id 'fff'"),
        (["list", "--experiment", "zz"], "no experiment 'zz'"),
        (["list", "--since", "soon"], "'soon' is neither like 30m"),
        (["list", "--limit", "0"], "is not in the range"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_a_sentence_and_exit_code_2(
    database: Path, arguments: list[str], sentence: str
) -> None:
    """No traceback, and the way out in the message."""
    result = p2re(*arguments, "--db", database)
    assert result.exit_code == 2
    assert sentence in result.output
    assert "Traceback" not in result.output


def test_without_a_database_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking is not writing; P2RE_DB names the place as well as --db does."""
    monkeypatch.setenv("P2RE_DB", str(tmp_path / "none.db"))
    for arguments in (["list"], ["show", "1"], ["tail"]):
        result = p2re(*arguments)
        assert result.exit_code == 2
        assert "none.db: there is no database yet; run a suite with --p2re" in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_models_escape_codes_do_not_reach_the_terminal(tmp_path: Path) -> None:
    """An answer could otherwise rewrite the screen or the title of the window."""
    path = tmp_path / "runs.db"
    with open_store(path) as store:
        evil = "\x1b]0;owned\x07\x1b[2J done \ud800"
        store.finish_trace(answered(begun(1, ticket=evil), text=evil)).result()
    for arguments in (["list"], ["show", "1"]):
        output = p2re(*arguments, "--db", path).output
        assert "done" in output
        assert not set(output) & {"\x1b", "\x07"}


def test_tail_follows_other_processes_until_ctrl_c(database: Path) -> None:
    """First the last ones, then each trace as it ends, one line each; Ctrl-C is a clean end."""
    code = "from p2re_eval.cli import main; main()"
    command = [sys.executable, "-c", code, "traces", "tail", "--lines", "1", "--db", str(database)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    assert "300000000000000000" in process.stdout.readline()
    with open_store(database) as store:
        store.begin_trace(begun(4)).result()
        store.finish_trace(answered(begun(4))).result()
        line = process.stdout.readline()
    assert "400000000000000000  OK" in line
    assert "route_ticket [openai/gpt-5-mini]  1.5 s  billing" in line
    process.send_signal(signal.SIGINT)
    rest, complaints = process.communicate(timeout=20)
    assert (process.returncode, rest, complaints) == (0, "", "")
