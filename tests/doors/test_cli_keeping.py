"""What keeps, copies and moves a database, and reads conversations, as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from subprocess import PIPE

import pytest
from click.testing import CliRunner, Result

from p2re_eval.cli import main
from p2re_eval.records import (
    Completion,
    Evaluation,
    Experiment,
    Message,
    ModelSettings,
    PromptTemplate,
    RenderedPrompt,
    Score,
    TemplateMessage,
    Trace,
    Usage,
)
from p2re_eval.service import Service
from p2re_eval.store import open_store

P2RE = str(Path(sys.executable).with_name("p2re"))
MOMENT = 1_700_000_000_000_000_000
FIRST, SECOND = f"{1:032x}", f"{2:032x}"


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """Two turns of a conversation, of long ago."""
    path = tmp_path / "p2re.db"
    messages: tuple[Message, ...] = ()
    with open_store(path) as store:
        for number, (question, answer) in enumerate([("Hi", "Hello <b>you</b>"), ("Bye", "```")]):
            messages = (*messages, Message(role="user", content=question))
            trace = Trace(
                trace_id=f"{number + 1:032x}",
                span_id=f"{number:016x}",
                name="chat",
                status="OK",
                start_ns=MOMENT + number,
                end_ns=MOMENT + number + 250_000_000,
                session_id="chat-42",
                prompt=RenderedPrompt(
                    name="chat",
                    messages=messages,
                    model=ModelSettings(provider="openai", name="small"),
                ),
                completion=Completion(
                    text=answer, usage=Usage(input_tokens=5, output_tokens=3), cost_usd=0.25
                ),
            )
            store.finish_trace(trace).result()
            messages = (*messages, Message(role="assistant", content=answer))
    return path


def p2re(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments])


def test_prune_says_what_would_go_and_then_what_went(db: Path) -> None:
    """Statistics go on as before; without a limit nothing happens."""
    p2re("traces", "pin", FIRST, "--db", db)
    planned = p2re("prune", "--older-than", "90d", "--dry-run", "--db", db)
    assert "1 trace would be deleted; their counts stay" in planned.output
    assert "1 old trace kept: pinned, judged or running" in planned.output
    done = p2re("prune", "--older-than", "90d", "--db", db)
    assert "1 trace deleted; their counts stay" in done.output
    assert p2re("stats", "--db", db).output.splitlines()[2].split()[:2] == ["openai/small", "2"]
    nothing = p2re("prune", "--db", db)
    assert nothing.exit_code == 2
    assert "this policy keeps everything" in nothing.stderr
    assert "is not like 12h, 30d" in p2re("prune", "--older-than", "soon", "--db", db).output
    assert "is not like 500MB" in p2re("prune", "--max-size", "big", "--db", db).output
    report = json.loads(p2re("prune", "--max-size", "1.5GB", "--json", "--db", db).output)
    assert report["rows_deleted"] == 0


def test_redact_takes_out_what_is_a_secret_now(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert p2re("redact", "--db", db).output == "nothing to redact\n"
    monkeypatch.setenv("P2RE_REDACT", "Hel+o")
    assert "would be rewritten" in p2re("redact", "--dry-run", "--db", db).output
    assert "rewritten" in p2re("redact", "--db", db).output
    assert "[redacted by P2RE_REDACT] <b>" in p2re("traces", "show", FIRST, "--db", db).output


def test_delete_deletes_what_it_asked_about(db: Path) -> None:
    """By the whole id: `latest` may be another one by the time of the answer."""
    old = Experiment(experiment_id="a" * 32, name="n", started_ns=1, status="COMPLETE")
    new = old.model_copy(update={"experiment_id": "b" * 32, "started_ns": 2})
    command = [P2RE, "delete", "experiment:latest", "--db", db]
    with open_store(db) as store:
        store.start_experiment(old)
        with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as asking:
            assert asking.stdin
            assert asking.stdout
            asked = "".join(iter(partial(asking.stdout.read, 1), "?"))
            store.start_experiment(new)
            asking.stdin.write("y\n")
            asking.stdin.flush()
            told = asking.stdout.read()
        left = [one.experiment_id for one in Service(store).experiments.list().items]
    assert asked == f"Delete experiment:{'a' * 32} for good"
    assert told == f" [y/N]: deleted: experiment:{'a' * 32}\n"
    assert left == ["b" * 32]


def test_delete_asks_and_says_what_went(db: Path) -> None:
    """Yes or no; a prompt's version is refused without a question."""
    address = f"trace:{FIRST}"
    kept = CliRunner().invoke(main, ["delete", address, "--db", str(db)], input="n\n")
    assert (kept.exit_code, f"Delete {address} for good?" in kept.output) == (1, True)
    assert (
        p2re("delete", "session:chat", "--yes", "--db", db).output == "deleted: session:chat-42\n"
    )
    assert p2re("delete", address, "--yes", "--db", db).output == f"deleted: {address}\n"
    assert p2re("traces", "show", FIRST, "--db", db).exit_code == 2
    assert p2re("traces", "show", SECOND, "--db", db).exit_code == 0
    with open_store(db) as store:
        message = TemplateMessage(role="user", content="Hi")
        template = PromptTemplate(name="chat", version="c" * 64, messages=(message,))
        store.save_prompt_version(template).result()
    refused = p2re("delete", "prompt:chat", "--db", db)
    assert "the version cccccccccccc of 'chat' stays" in refused.output
    assert "for good?" not in refused.output


def test_backup_and_restore(db: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.backup"
    assert p2re("backup", copy, "--db", db).output.startswith(f"{copy}: 0.")
    assert p2re("backup", copy, "--db", db).exit_code == 2
    p2re("traces", "delete", FIRST, "--yes", "--db", db)
    assert p2re("restore", copy, "--db", db).exit_code == 1
    restored = p2re("restore", copy, "--yes", "--db", db)
    assert restored.output.startswith(f"{db}: restored; what was there is in ")
    assert p2re("traces", "show", FIRST, "--db", db).exit_code == 0


def test_databases_unite(db: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.db"
    assert p2re("unite", db, "-o", out).output == f"{out}: 2 traces, 1 session\n"
    assert p2re("unite", db, "-o", out).output == f"{out}: nothing new\n"
    assert p2re("unite", tmp_path / "absent.db", "-o", out).exit_code == 2


def test_export_and_import_as_lines(db: Path, tmp_path: Path) -> None:
    """Through a file or a pipe; a missing file is a sentence."""
    lines = tmp_path / "all.jsonl"
    assert p2re("traces", "export", "-o", lines, "--db", db).output == f"{lines}: 3 records\n"
    piped = p2re("traces", "export", "--db", db).output
    assert piped == lines.read_text()
    new = tmp_path / "new.db"
    assert p2re("traces", "import", lines, "--db", new).output == f"{new}: 2 traces, 1 session\n"
    again = CliRunner().invoke(main, ["traces", "import", "-", "--db", str(new)], input=piped)
    assert again.exit_code == 0
    assert p2re("traces", "export", "--db", new).output.splitlines()[1:] == piped.splitlines()[1:]
    absent = p2re("traces", "import", tmp_path / "absent", "--db", new)
    assert (absent.exit_code, "cannot read" in absent.stderr) == (2, True)
    some = p2re("traces", "export", "hello", "--db", db).output.splitlines()
    assert len(some) == 3


def test_one_trace_as_a_document(db: Path, tmp_path: Path) -> None:
    """A model's words neither format nor run, in Markdown or HTML."""
    for name in ("one.md", "one.html", "one.json"):
        written = p2re("traces", "export", SECOND, "-o", tmp_path / name, "--db", db)
        assert written.exit_code == 0, written.output
    markdown = (tmp_path / "one.md").read_text()
    assert "# chat\n" in markdown
    assert "````\nHello <b>you</b>" not in markdown
    assert "\n````\n```\n````\n" in markdown
    page = (tmp_path / "one.html").read_text()
    assert "Hello &lt;b&gt;you&lt;/b&gt;" in page
    assert "default-src 'none'" in page
    assert json.loads((tmp_path / "one.json").read_text())["trace_id"] == SECOND
    nameless = p2re("traces", "export", "-o", tmp_path / "x.md", "--db", db)
    assert (nameless.exit_code, "give its ID" in nameless.stderr) == (2, True)


def test_export_as_parquet(db: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    folder = tmp_path / "out"
    written = p2re("traces", "export", "-o", folder, "--db", db)
    assert f"{folder / 'traces.parquet'}: 2 rows" in written.output
    refused = p2re("traces", "export", "hello", "-o", folder, "--db", db)
    assert "Parquet holds the whole database" in refused.stderr


def test_sessions_are_listed_and_read(db: Path) -> None:
    """Each turn once, though the second sent the first again."""
    listed = p2re("sessions", "list", "--db", db).output
    assert "chat-42" in listed
    assert "$0.500" in listed
    shown = p2re("sessions", "show", "chat", "--db", db).output
    assert shown.count("user: Hi") == 1
    assert shown.index("user: Hi") < shown.index("assistant: Hello") < shown.index("user: Bye")
    assert (
        len(json.loads(p2re("sessions", "show", "chat", "--json", "--db", db).output)["turns"]) == 2
    )


def test_feedback_is_given_listed_and_compared(db: Path) -> None:
    for who, verdict in (("ann", "--passed"), ("bob", "--passed")):
        said = p2re("feedback", "give", FIRST, verdict, "--by", who, "--note", "so", "--db", db)
        assert said.output.startswith("evaluation:")
    assert "says nothing" in p2re("feedback", "give", FIRST, "--db", db).stderr
    listed = p2re("feedback", "list", "--db", db).output
    assert "ann" in listed
    assert "passed" in listed
    pair = p2re("feedback", "agreement", "--db", db).output.splitlines()[-1].split()
    assert pair == ["ann", "bob", "1", "100", "%", "-"]
    none = p2re("feedback", "agreement", "mood", "--db", db).output
    assert none == "no two people have judged 'mood' of the same trace yet\n"


def test_a_judge_is_held_against_people(db: Path) -> None:
    """Agreement with its interval, which way they differ, and where."""
    assert (
        "no person has judged a trace that a judge judged"
        in p2re("feedback", "judges", "--db", db).output
    )
    with open_store(db) as store:
        store.save_evaluations(
            [
                Evaluation(
                    evaluation_id="e1",
                    trace_id=FIRST,
                    name="polite",
                    scorer="llm_judge",
                    scorer_version="0123456789",
                    kind="LLM",
                    score=Score(value=0.9, passed=True, explanation="fine"),
                )
            ]
        ).result()
    p2re("feedback", "give", FIRST, "--failed", "--by", "ann", "--note", "rude", "--db", db)
    shown = p2re("feedback", "judges", "--db", db).output
    assert shown.splitlines() == [
        "polite (llm_judge 01234567) against people's 'feedback'",
        "  agree on 0 % of 1 trace (0 % to 79.3 %)",
        "  kappa 0.00",
        "  the judge passes what people fail: 1",
        "  the judge fails what people pass: 0",
        f"  trace:{FIRST}  judge passes  rude",
    ]
    [one] = json.loads(p2re("feedback", "judges", "polite", "--json", "--db", db).output)
    assert one["disagreements"][0]["people_why"] == "rude"


def test_an_address_opens(db: Path) -> None:
    found = json.loads(p2re("open", "session:chat-42", "--db", db).output)
    assert found["totals"]["traces"] == 2
    assert "did you mean 'session'" in p2re("open", "sesion:x", "--db", db).stderr


def test_a_folder_is_one_by_its_final_slash(db: Path, tmp_path: Path) -> None:
    """Whatever it is called; and where a file is in the way, that is said."""
    pytest.importorskip("pyarrow")
    written = p2re("traces", "export", "-o", f"{tmp_path}/all.json/", "--db", db)
    assert f"{tmp_path / 'all.json' / 'traces.parquet'}: 2 rows" in written.output
    (tmp_path / "taken").write_text("mine")
    for name in ("taken", "taken/", "taken/below"):
        refused = p2re("traces", "export", "-o", f"{tmp_path}/{name}", "--db", db)
        assert (refused.exit_code, refused.output.count("\n")) == (2, 1)
        assert "is a file, or lies below one, and Parquet needs a folder" in refused.stderr
    assert (tmp_path / "taken").read_text() == "mine"


def test_reading_imports_no_plug_in(db: Path) -> None:
    """Their redaction is for what is written: a broken plug-in does not keep anybody from
    looking."""
    code = (
        "import sys\nfrom p2re_eval.cli import main\n"
        "main(sys.argv[1:], standalone_mode=False)\n"
        "print('plugins' if 'p2re_eval.plugins' in sys.modules else 'no plugins')"
    )

    def ends(*arguments: str) -> str:
        command = [sys.executable, "-c", code, *arguments, "--db", str(db)]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        return run.stdout.splitlines()[-1]

    for reading in (["traces", "list"], ["stats"], ["sessions", "list"], ["traces", "search", "x"]):
        assert ends(*reading) == "no plugins"
    assert ends("traces", "tag", FIRST, "vip") == "plugins"


def test_the_two_ways_to_put_databases_together_name_each_other() -> None:
    assert "p2re unite" in p2re("merge", "--help").output
    assert "p2re merge" in p2re("unite", "--help").output
