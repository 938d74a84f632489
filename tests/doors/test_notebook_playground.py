"""The playground by its calls and by its form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.errors import DefinitionErrors, UsageError
from p2re_eval.notebook import Playground, Traces, Workbench
from p2re_eval.notebook.widgets import PlaygroundForm
from p2re_eval.suites.load import load_suite

PROMPT = """\
model: {provider: scripted, name: echo}
inputs:
  ticket: {type: string}
  tone: {enum: [short, long], default: short}
  most: {type: integer, default: 3}
  teams: {type: array, items: {type: string}, default: [billing]}
messages:
  - user: "{{ ticket }} {{ tone }} {{ most + 1 }} {{ teams | join('-') }}"
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/route.yaml").write_text(PROMPT)
    made = Workbench(tmp_path, db=tmp_path / "runs.db")
    yield made
    made.close()


def test_several_models_stream_their_answers_side_by_side(bench: Workbench) -> None:
    """Every piece goes to its own run; joined they are the answer, which is recorded."""
    heard: dict[int, list[str]] = {}
    playground = Playground("route", models=["scripted/a", "scripted/b"], at=bench)
    answers = playground.run(
        {"ticket": "Hello"},
        show=lambda number, piece: heard.setdefault(number, []).append(piece),
    )
    assert [answer.text for answer in answers] == ["Hello short 4 billing"] * 2
    assert {number: "".join(pieces) for number, pieces in heard.items()} == {
        0: "Hello short 4 billing",
        1: "Hello short 4 billing",
    }
    assert len(heard[0]) > 1
    assert [answer.trace.prompt.model.id for answer in answers] == ["scripted/a", "scripted/b"]
    assert bench.store.read_trace(answers[0].trace.trace_id).status == "OK"


def test_a_difference_marks_only_what_differs(bench: Workbench) -> None:
    """Between repeats as between models; what a model said is text."""
    model = {"provider": "scripted", "name": "x", "extra": {"answers": ["a cold <b>", "a hot <b>"]}}
    bench.library.define("two", f"{{model: {model}, inputs: {{}}, prompt: Say}}")
    playground = Playground("two", at=bench)
    playground.run(repeat=2)
    html = playground.diff()._repr_html_()
    assert "<del>cold</del>" in html
    assert "<ins>hot</ins>" in html
    assert "<b>" not in html


def test_what_is_right_becomes_a_case_of_a_suite(bench: Workbench, tmp_path: Path) -> None:
    """In a file that pytest runs, one case more each time."""
    playground = Playground("route", at=bench)
    with pytest.raises(UsageError, match="nothing was run yet"):
        playground.save_case()
    playground.run({"ticket": "Hello"})
    path = playground.save_case()
    assert path == tmp_path / "suites/saved/route.yaml"
    playground.save_case("Hi")
    suite = load_suite(path, root=tmp_path)
    assert [case.expected for case in suite.cases] == ["Hello short 4 billing", "Hi"]
    assert suite.cases[0].inputs == {"ticket": "Hello"}


def test_a_new_version_is_looked_at_before_it_is_written(bench: Workbench, tmp_path: Path) -> None:
    """The file stays until write; a text that is no prompt is refused."""
    playground = Playground("route", at=bench)
    with pytest.raises(DefinitionErrors):
        playground.propose("messages: 3")
    file = tmp_path / "prompts/route.yaml"
    found = playground.propose(PROMPT.replace("default: 3", "default: 5"))
    assert "-  most: {type: integer, default: 3}" in found.diff()
    assert file.read_text() == PROMPT
    found.write()
    assert "default: 5" in file.read_text()
    with pytest.raises(UsageError, match="changed meanwhile"):
        found.write()
    assert Playground("route", at=bench).run({"ticket": "Hi"})[0].text == "Hi short 6 billing"


def test_the_form_runs_and_saves_what_was_filled_in(bench: Workbench, tmp_path: Path) -> None:
    """A field an input, of its type; the answer and the file are shown, and mistakes as text."""
    form = PlaygroundForm(Playground("route", at=bench))
    assert {name: type(field.widget).__name__ for name, field in form.fields.items()} == {
        "ticket": "Textarea",
        "tone": "Dropdown",
        "most": "Text",
        "teams": "Textarea",
    }
    buttons = {box.description: box for box in _all(form.whole) if hasattr(box, "button_style")}
    form.fields["ticket"].widget.value = "Hello"
    form.fields["most"].widget.value = "many"
    buttons["Run"].click()
    form.asking.join()
    assert "takes an integer, not" in form.said.value
    form.fields["most"].widget.value = "7"
    form.fields["teams"].widget.value = '["a", "b"]'
    buttons["Run"].click()
    form.asking.join()
    assert "Hello short 8 a-b" in form.answers.children[0].value
    buttons["Save as a case"].click()
    assert "suites/saved/route.yaml" in form.said.value
    assert load_suite(tmp_path / "suites/saved/route.yaml", root=tmp_path).cases[0].inputs == {
        "ticket": "Hello",
        "tone": "short",
        "most": 7,
        "teams": ["a", "b"],
    }


def test_a_field_that_is_left_empty_is_left_to_the_prompt(bench: Workbench) -> None:
    """Where it has a default or does without; an empty text of a needed input is an empty text."""
    bench.library.define(
        "many",
        "{model: {provider: scripted, name: echo}, "
        "prompt: '{{ a }}|{{ most }}|{{ c }}|{{ d is defined }}|{{ yes }}', inputs: "
        "{a: {type: string}, most: {type: integer, default: 3}, c: {type: number, default: 0.5}, "
        "d: {type: object, required: false}, yes: {type: boolean, default: true}}}",
    )
    form = PlaygroundForm(Playground("many", at=bench))
    for field in form.fields.values():
        if isinstance(field.widget.value, str):
            field.widget.value = ""
    form.run()
    assert [answer.text for answer in form._playground.answers] == ["|3|0.5|False|True"]


def test_a_model_that_gives_no_answer_has_a_card_of_its_own(
    bench: Workbench, tmp_path: Path
) -> None:
    """The others are shown as they are, and may be saved; what a model says is text."""
    (tmp_path / "failing_app.py").write_text(
        "def boom(**inputs):\n    raise ValueError('no <i>')\n"
    )
    form = PlaygroundForm(Playground("route", at=bench))
    form.fields["ticket"].widget.value = "<b>Hello</b>"
    form.models.value = "function/failing_app:boom\nscripted/echo"
    form.run()
    broken, sound = (box.value for box in form.answers.children)
    assert "p2re-fault" in broken
    assert "no &lt;i&gt;" in broken
    assert "&lt;b&gt;Hello&lt;/b&gt; short 4 billing" in sound
    assert form.expected.value == "<b>Hello</b> short 4 billing"
    form.save()
    (case,) = load_suite(tmp_path / "suites/saved/route.yaml", root=tmp_path).cases
    assert case.inputs["ticket"] == "<b>Hello</b>"


def test_stop_is_heard_while_the_runs_are_being_made(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever presses Stop at once does not wait for a call that nobody wants."""
    slow = {"provider": "scripted", "name": "slow", "extra": {"answers": ["a"], "latency_s": 60}}
    bench.library.define("slow", f"{{model: {slow}, inputs: {{}}, prompt: Say}}")
    playground, plan_one = Playground("slow", at=bench), bench.plan_one

    def pressed_meanwhile(*given: Any) -> Any:
        assert playground.stop() == 0
        return plan_one(*given)

    monkeypatch.setattr(bench, "plan_one", pressed_meanwhile)
    assert playground.run() == []
    assert playground.stopped == {0}
    monkeypatch.undo()
    assert playground.stop() == 0


def test_a_double_click_asks_once(bench: Workbench) -> None:
    """Two runs in one form would mix their answers, and cost twice."""
    slow = {"provider": "scripted", "name": "slow", "extra": {"answers": ["a"], "latency_s": 1}}
    bench.library.define("slow", f"{{model: {slow}, inputs: {{}}, prompt: Say}}")
    form = PlaygroundForm(Playground("slow", at=bench))
    (run,) = (box for box in _all(form.whole) if getattr(box, "description", "") == "Run")
    run.click()
    asking = form.asking
    run.click()
    asking.join()
    form.asking.join()
    assert not run.disabled
    assert len(Traces(at=bench)) == 1


def _all(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from _all(child)
