"""Recordings: written once, read by people, found by fingerprint."""

from __future__ import annotations

import json

import pytest

from p2re_eval.errors import (
    DuplicateKey,
    MissingFile,
    MissingValue,
    SyntaxMistake,
    WrongType,
)
from p2re_eval.providers.recordings import Recordings, write_recordings
from p2re_eval.records import Completion, Message, Span, Tool, ToolCall, Trace, Usage


@pytest.fixture
def trace(ask):
    """A finished trace; keywords go to the prompt's model, except the trace's own."""

    def build(text="Hello", answer="Hi", *, case="c1", repeat=0, start_ns=1, **settings) -> Trace:
        completion = answer if isinstance(answer, Completion) else Completion(text=answer)
        return Trace(
            trace_id="0" * 32,
            span_id="0" * 16,
            name="greet",
            start_ns=start_ns,
            prompt=ask(text=text, **settings),
            completion=completion,
            case_id=case,
            repeat=repeat,
        )

    return build


def test_recorded_run_is_found_again_without_its_payload(tmp_path, trace):
    """By fingerprint and repeat; raw payload and rate limits are left out."""
    completion = Completion(
        text="Hi \u2028 \U0001f600",
        tool_calls=(ToolCall(id="c", name="f", arguments="{}"),),
        finish_reason="tool_calls",
        usage=Usage(input_tokens=3),
        cost_usd=0.25,
        duration_ns=7,
        raw={"big": "payload"},
        rate_limit={"x-ratelimit-limit": "1"},
    )
    path = tmp_path / "recordings" / "suite.jsonl"
    made = trace(answer=completion)
    assert write_recordings(path, [made]) == 1
    found = Recordings.load([path]).find(made.prompt, 0)
    assert found == completion.model_copy(update={"raw": None, "rate_limit": {}})


def test_changed_copy_of_a_prompt_is_another_run(tmp_path, trace):
    """The fingerprint that was computed for the original does not travel with the copy."""
    path = tmp_path / "r.jsonl"
    made = trace()
    write_recordings(path, [made])
    recordings = Recordings.load([path])
    assert recordings.find(made.prompt, 0) is not None
    warmer = made.prompt.model.model_copy(update={"temperature": 1.0})
    assert recordings.find(made.prompt.model_copy(update={"model": warmer}), 0) is None


def test_line_can_be_read_in_a_diff(tmp_path, trace):
    """Sorted keys, readable text, one line a run."""
    path = tmp_path / "r.jsonl"
    made = trace("Grüße", "Hi")
    write_recordings(path, [made])
    assert path.read_text("utf-8") == (
        '{"case": "c1", "completion": {"text": "Hi"}, '
        f'"fingerprint": "{made.prompt.fingerprint}", '
        '"messages": [{"content": "Grüße", "role": "user"}], '
        '"model": {"name": "gpt-4o-mini", "provider": "openai"}, "name": "greet", "repeat": 0}\n'
    )


def test_order_does_not_depend_on_the_order_of_the_runs(tmp_path, trace):
    """By name, case and repeat: the same runs give the same file."""
    traces = [trace(f"t{c}", case=c, repeat=r) for c in ("b", "a") for r in (1, 0)]
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    assert write_recordings(one, traces) == 4
    write_recordings(other, reversed(traces))
    assert one.read_bytes() == other.read_bytes()
    rows = [json.loads(line) for line in one.read_text().splitlines()]
    assert [(row["case"], row["repeat"]) for row in rows] == [
        ("a", 0),
        ("a", 1),
        ("b", 0),
        ("b", 1),
    ]


def test_unanswered_runs_are_left_out_and_the_later_answer_wins(tmp_path, trace):
    """A failed run is nothing to replay; a repeated one is recorded once."""
    path = tmp_path / "r.jsonl"
    failed = trace("Other").model_copy(update={"completion": None})
    runs = [trace(answer="new", start_ns=2), failed, trace(answer="old", start_ns=1)]
    assert write_recordings(path, runs) == 1
    assert Recordings.load([path]).find(runs[0].prompt, 0).text == "new"


def test_judges_calls_inside_a_run_are_recorded_too(tmp_path, trace, ask):
    """A replayed judge must not open a socket either."""
    judge = ask(text="Is it polite?")
    span = Span(
        span_id="1" * 16,
        trace_id="0" * 32,
        name="judge",
        start_ns=1,
        prompt=judge,
        completion=Completion(text="yes"),
    )
    path = tmp_path / "r.jsonl"
    assert write_recordings(path, [trace().model_copy(update={"spans": (span,)})]) == 2
    assert Recordings.load([path]).find(judge, 0).text == "yes"


def test_half_a_surrogate_pair_survives(tmp_path, trace):
    """Text that UTF-8 cannot hold is escaped."""
    path = tmp_path / "r.jsonl"
    made = trace(answer="broken \ud83d")
    write_recordings(path, [made])
    assert Recordings.load([path]).find(made.prompt, 0).text == "broken \ud83d"


def test_failed_write_leaves_the_old_file(tmp_path, trace):
    """Replaced at once or not at all, and nothing beside it."""
    path = tmp_path / "r.jsonl"
    write_recordings(path, [trace()])
    before = path.read_bytes()
    path.chmod(0o640)
    broken = trace("Other").model_copy(update={"completion": Completion(text="x")})
    object.__setattr__(broken.completion, "text", object())
    with pytest.raises((TypeError, ValueError, UserWarning)):
        write_recordings(path, [broken])
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["r.jsonl"]
    write_recordings(path, [trace()])
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("line", "kind", "said"),
    [
        (b"{oops", SyntaxMistake, "not a line of JSON"),
        (b"<<<<<<< HEAD", SyntaxMistake, "merge conflict"),
        (b"\xff", SyntaxMistake, "not a line of JSON"),
        (b"[]", WrongType, "one JSON object"),
        (b"{}", MissingValue, "'fingerprint' is required"),
        (b'{"repeat": "0"}', WrongType, "'repeat' must be a whole number"),
        (b'{"repeat": true}', WrongType, "'repeat' must be a whole number"),
        (b'{"completion": {"txt": "x"}}', WrongType, "'completion.txt'"),
    ],
)
def test_bad_line_is_named_by_file_and_line(tmp_path, trace, line, kind, said):
    """Every mistake says where it is and how to get a good file."""
    path = tmp_path / "r.jsonl"
    write_recordings(path, [trace()])
    good = json.loads(path.read_text())
    if line.startswith(b'{"'):
        line = json.dumps(good | json.loads(line)).encode()
    path.write_bytes(path.read_bytes() + b"\n" + line + b"\n")
    with pytest.raises(kind) as caught:
        Recordings.load([path])
    assert str(caught.value).startswith(f"{path}:3: ")
    assert said in str(caught.value)


def test_one_run_with_two_answers_in_a_file_is_a_mistake(tmp_path, trace):
    """A merge may leave both; the same line twice does no harm."""
    one, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    write_recordings(one, [trace(answer="yes")])
    write_recordings(other, [trace(answer="no")])
    both = tmp_path / "both.jsonl"
    both.write_bytes(one.read_bytes() * 2)
    assert len(Recordings.load([both])) == 1
    both.write_bytes(one.read_bytes() + other.read_bytes())
    with pytest.raises(DuplicateKey, match=rf"already recorded at {both}:1"):
        Recordings.load([both])


def test_folder_is_read_whole_and_the_first_file_answers(tmp_path, trace):
    """Two suites may share a run."""
    made = trace(answer="yes")
    write_recordings(tmp_path / "a.jsonl", [made])
    write_recordings(tmp_path / "below" / "b.jsonl", [trace(answer="no"), trace("Bye")])
    recordings = Recordings.load([tmp_path])
    assert len(recordings) == 2
    assert recordings.find(made.prompt, 0).text == "yes"


def test_missing_file_says_how_to_make_it(tmp_path):
    """p2re record."""
    with pytest.raises(MissingFile, match=r"none\.jsonl: cannot read .*run p2re record"):
        Recordings.load([tmp_path / "none.jsonl"])


def test_miss_names_the_nearest_case_and_what_changed(tmp_path, trace, ask):
    """The wording finds the case; the difference is shown from a little before."""
    path = tmp_path / "r.jsonl"
    texts = {"refund": "Please refund my order of May", "login": "I cannot log in any more"}
    write_recordings(path, [trace(text, case=case) for case, text in texts.items()])
    recordings = Recordings.load([path])
    reason = recordings.miss_reason(ask(text="Please refund my order of June"), 0)
    assert reason == (
        f"the case 'refund' at {path}:2 differs: message 1 (user) was ' order of May' "
        "and is ' order of June'; run p2re record"
    )


def test_miss_names_changed_settings_tools_and_messages(tmp_path, trace, ask):
    """Every part of the fingerprint has its words."""
    path = tmp_path / "r.jsonl"
    made = trace(temperature=0)
    write_recordings(path, [made])
    recordings = Recordings.load([path])
    warmer = recordings.miss_reason(ask(temperature=1), 0)
    assert "model.temperature was 0.0 and is 1.0" in warmer
    assert "model.seed was not set and is 4" in recordings.miss_reason(ask(seed=4), 0)
    tools = made.prompt.model_copy(update={"tools": (Tool(name="f"),), "output_schema": {}})
    assert "tools changed; output_schema changed" in recordings.miss_reason(tools, 0)
    longer = (*made.prompt.messages, Message(role="user", content="more"))
    two = made.prompt.model_copy(update={"messages": longer})
    assert "there were 1 messages and there are 2" in recordings.miss_reason(two, 0)


def test_miss_names_the_repeats_that_are_recorded(tmp_path, trace, ask):
    """A suite whose repeat was raised."""
    path = tmp_path / "r.jsonl"
    made = [trace(repeat=repeat) for repeat in (0, 1)]
    write_recordings(path, made)
    recordings = Recordings.load([path])
    assert recordings.find(made[0].prompt, 2) is None
    reason = recordings.miss_reason(made[0].prompt, 2)
    assert reason == "repeat 2 is not recorded, only 0, 1; run p2re record"


def test_miss_without_any_candidate_says_so(tmp_path, trace, ask):
    """Nothing recorded at all, or nothing of this prompt."""
    path = tmp_path / "r.jsonl"
    path.write_text("")
    assert "there are no recordings" in Recordings.load([path]).miss_reason(ask(), 0)
    write_recordings(path, [trace()])
    other = ask(text="Bye").model_copy(update={"name": "other"})
    assert "nothing is recorded for the prompt 'other'" in Recordings.load([path]).miss_reason(
        other, 0
    )
