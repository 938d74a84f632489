"""The widgets in a real JupyterLab: a person fills a form, sees the answer come, finds a file."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.store import Store, open_store
from p2re_eval.suites.load import load_suite

pytestmark = pytest.mark.usefixtures("embedded_model")

CAPITAL = """\
description: Asks for a capital.
model: {provider: local, name: smollm2-135m, temperature: 0, max_tokens: 60}
inputs:
  country: {type: string, description: A country of the world.}
  style: {enum: [one word, a sentence, a long story], default: a sentence}
messages:
  - system: You know geography.
  - user: What is the capital of {{ country }}? Answer in {{ style }}.
"""
SETUP = "%load_ext p2re_eval\nfrom p2re_eval import Playground, Traces, annotate, run, use"
WATCH = """() => {
  window.seen = new Set();
  new MutationObserver(() => {
    const first = document.querySelector('.p2re-answer');
    if (first?.matches('.p2re-live')) window.seen.add(first.querySelector('div').textContent);
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


@pytest.fixture(scope="module")
def project(lab: Any) -> Path:
    """A folder with a prompt; the notebooks lie in it."""
    (lab.folder / "prompts").mkdir(exist_ok=True)
    (lab.folder / "prompts/name_capital.yaml").write_text(CAPITAL)
    (lab.folder / "prompts/echo.yaml").write_text(
        "{model: {provider: scripted, name: echo}, inputs: {text: {}}, prompt: '{{ text }}'}"
    )
    return lab.folder


def fill(notebook: Any, name: str, text: str) -> None:
    """Type into the field below this name."""
    field = notebook.page.locator(f".p2re-field:has(b:text-is('{name}'))")
    field.locator("textarea, input").first.fill(text)


def press(notebook: Any, name: str) -> None:
    notebook.page.locator(".p2re-form").get_by_role("button", name=name, exact=True).click()


def record(project: Path) -> Store:
    return open_store(project / "runs.db", read_only=True)


def test_from_a_form_to_a_suite_file_and_a_new_version(open_notebook: Any, project: Path) -> None:
    """Fill, run on two models, watch the text come, save the case; change the prompt after seeing
    what changes. The files are on disk."""
    cells = [SETUP + "\nuse(db='runs.db')", "Playground('name_capital')"]
    notebook = open_notebook("form.ipynb", cells)
    page = notebook.page
    page.wait_for_selector(".p2re-form")
    notebook.shot("form-empty")
    page.evaluate(WATCH)
    fill(notebook, "country", "France")
    fill(notebook, "models", "local/smollm2-135m\nscripted/echo")
    press(notebook, "Run")
    page.wait_for_selector(".p2re-answer:not(.p2re-live)")
    cards = page.locator(".p2re-answer")
    assert cards.count() == 2
    first, second = (cards.nth(place).inner_text() for place in (0, 1))
    assert first.startswith("local/smollm2-135m")
    assert "Paris" in first
    assert "$0" in first
    assert "What is the capital of France? Answer in a sentence." in second
    pieces = sorted(page.evaluate("[...window.seen]"), key=len)
    assert len(pieces) > 3
    assert all(later.startswith(before) for before, later in itertools.pairwise(pieces))
    assert page.locator(".p2re-sides ins").count() > 0
    notebook.shot("form-answered")
    fill(notebook, "expected", "Paris")
    press(notebook, "Save as a case")
    page.wait_for_selector(".p2re-said.p2re-good:has-text('suites/saved/name_capital.yaml')")
    (case,) = load_suite(project / "suites/saved/name_capital.yaml", root=project).cases
    assert case.inputs == {"country": "France", "style": "a sentence"}
    assert case.expected == "Paris"
    with record(project) as store:
        assert {row.model for row in store.list_traces()} == {"local/smollm2-135m", "scripted/echo"}
    page.get_by_text("Edit the prompt file").click()
    editor = page.locator(".p2re-form .p2re-code textarea")
    editor.fill(CAPITAL.replace("You know geography.", "You are a geographer."))
    press(notebook, "Write this version")
    page.wait_for_selector(".p2re-said.p2re-bad:has-text('look at the change first')")
    press(notebook, "Show the change")
    page.wait_for_selector(".p2re-diff .p2re-in:has-text('You are a geographer.')")
    assert page.locator(".p2re-diff .p2re-out").inner_text().strip() == (
        "-  - system: You know geography."
    )
    assert (project / "prompts/name_capital.yaml").read_text() == CAPITAL
    notebook.shot("form-change")
    press(notebook, "Write this version")
    page.wait_for_selector(".p2re-said.p2re-good:has-text('written')")
    assert "You are a geographer." in (project / "prompts/name_capital.yaml").read_text()


def test_a_person_labels_traces_one_after_the_other(open_notebook: Any, project: Path) -> None:
    """Each is shown in the viewer; what is recorded are HUMAN evaluations."""
    cells = [
        SETUP + "\nuse(db='runs.db')",
        "made = [run('echo', text=f'ticket {n}') for n in (1, 2)]\n"
        "annotate(made, name='helpful', annotator='ada')",
    ]
    notebook = open_notebook("labels.ipynb", cells)
    page = notebook.page
    shown = page.frame_locator(".p2re-form iframe").locator(".message.answer")
    shown.get_by_text("ticket 1").wait_for()
    fill(notebook, "note", "just an echo")
    notebook.shot("labels")
    press(notebook, "bad")
    shown.get_by_text("ticket 2").wait_for()
    press(notebook, "good")
    page.wait_for_selector(".p2re-form:has-text('all are judged')")
    with record(project) as store:
        newest = [row.trace_id for row in store.list_traces(limit=2, prompt="echo")]
        said = [store.evaluations(trace)[0] for trace in newest]
    assert [(one.kind, one.name, one.identifier) for one in said] == [
        ("HUMAN", "helpful", "ada")
    ] * 2
    assert [(one.score.label, one.score.explanation) for one in said] == [
        ("good", None),
        ("bad", "just an echo"),
    ]


def test_traces_are_browsed_filtered_and_opened(open_notebook: Any, project: Path) -> None:
    """Pages, a search with its mistake said kindly, and the viewer with a person's feedback."""
    cells = [
        SETUP + "\nuse(db='browse.db')",
        "for n in range(7): run('echo', text=f'ticket {n}')\nTraces(limit=3)",
    ]
    notebook = open_notebook("traces.ipynb", cells)
    page = notebook.page
    rows = page.locator(".p2re-browser tbody tr")
    rows.nth(2).wait_for()
    assert page.locator(".p2re-still").is_hidden()
    assert [text.split("\t")[1] for text in rows.all_inner_texts()] == [
        "ticket 6",
        "ticket 5",
        "ticket 4",
    ]
    page.get_by_role("button", name="Older").click()
    page.wait_for_selector(".p2re-browser tbody:has-text('ticket 3')")
    page.get_by_role("button", name="Older").click()
    page.wait_for_selector(".p2re-browser tbody:has-text('ticket 0')")
    page.get_by_role("button", name="Newer").click()
    page.wait_for_selector(".p2re-browser tbody:has-text('ticket 3')")
    box = page.get_by_role("searchbox", name="Search traces")
    box.fill("stats == ERROR")
    box.press("Enter")
    page.wait_for_selector(".p2re-fault:has-text(\"did you mean 'status'\")")
    notebook.shot("traces-mistake")
    box.fill('text ~ "ticket 5"')
    box.press("Enter")
    page.wait_for_function("document.querySelectorAll('.p2re-browser tbody tr').length === 1")
    assert page.locator(".p2re-fault").is_hidden()
    rows.first.focus()
    page.keyboard.press("Enter")
    viewer = page.locator(".p2re-browser p2re-trace")
    viewer.get_by_role("tab", name="Conversation").wait_for()
    assert viewer.locator(".message.answer").inner_text().split("\n")[-1] == "ticket 5"
    viewer.get_by_role("button", name="Good").click()
    viewer.get_by_label("Note").fill("fine")
    viewer.get_by_role("button", name="Save feedback").click()
    viewer.get_by_text("1 evaluation").wait_for()
    notebook.shot("traces-opened")
    with open_store(project / "browse.db", read_only=True) as store:
        (row,) = [one for one in store.list_traces() if "ticket 5" in one.input_preview]
        (said,) = store.evaluations(row.trace_id)
    assert (said.kind, said.score.passed, said.score.explanation) == ("HUMAN", True, "fine")


def test_what_is_drawn_follows_the_theme_and_outlives_the_kernel(
    open_notebook: Any, project: Path
) -> None:
    """Dark in a dark JupyterLab; the viewer of a trace, once drawn, needs no kernel."""
    cells = [SETUP + "\nuse(db='dark.db')", "run('echo', text='Good night')", "Traces()"]
    notebook = open_notebook("dark.ipynb", cells)
    page = notebook.page
    page.wait_for_selector(".p2re-browser tbody tr")
    page.evaluate(
        "theme => { window.jupyterapp.commands.execute('apputils:change-theme', { theme }); }",
        "JupyterLab Dark",
    )
    page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    frame = page.frame_locator(".jp-OutputArea iframe")
    frame.get_by_role("tab", name="JSON").click()
    frame.locator(".json:has-text('Good night')").wait_for()
    frame.get_by_role("tab", name="Conversation").click()
    notebook.shot("dark")
    lightness = "element => getComputedStyle(element).backgroundColor"
    assert page.locator(".p2re-browser").evaluate(lightness) == "rgb(19, 21, 23)"
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_selector(".jp-mod-current:not(.jp-mod-dirty)")
    page.reload()
    page.locator(".p2re-still:has-text('scripted/echo')").wait_for()
    page.frame_locator(".jp-OutputArea iframe").get_by_role("tab", name="JSON").wait_for()
    notebook.shot("reopened")
    shade = "getComputedStyle(document.querySelector('p2re-trace')).backgroundColor"
    inside = page.frames[-1]
    assert inside.evaluate(shade) == "rgb(19, 21, 23)"
    filtered = page.locator(".jp-OutputArea iframe").evaluate("e => getComputedStyle(e).filter")
    assert filtered == "none"  # an image in it has its own colours


def test_an_evaluation_shows_how_far_it_is_and_may_be_interrupted(
    open_notebook: Any, project: Path
) -> None:
    """A bar and a table that fill; after an interrupt one line says where the answers are."""
    cells = [
        SETUP + "\nuse(db='bar.db', concurrency=2)",
        "from p2re_eval import evaluate\n"
        "slow = {'provider': 'scripted', 'name': 'slow', 'extra': {'latency_s': 0.3}}\n"
        "cases = [{'text': f'ticket {n}'} for n in range(400)]\n"
        "evaluate('echo', cases, [{'contains': '1'}], models=[slow], name='long')",
    ]
    notebook = open_notebook("bar.ipynb", cells)
    page = notebook.page
    page.wait_for_selector(".jp-OutputArea progress")
    page.wait_for_selector(".jp-OutputArea table:has-text('scripted/slow')")
    page.wait_for_function("document.querySelector('.jp-OutputArea progress')?.value > 5")
    notebook.shot("progress")
    notebook.command("kernelmenu:interrupt")
    page.get_by_text("has what was answered").first.wait_for()
    assert page.locator(".jp-OutputArea progress").count() == 0
    with open_store(project / "bar.db", read_only=True) as store:
        (long,) = [one for one in store.list_experiments() if one.name == "long"]
        assert long.status == "INTERRUPTED"
        assert len(list(store.results(long.experiment_id))) > 5


def test_what_is_on_its_way_can_be_stopped(open_notebook: Any, project: Path) -> None:
    """The quick model's answer stays, the long story ends where it is, and the form says so."""
    cells = [SETUP + "\nuse(db='stopped.db')", "Playground('tell_story')"]
    story = CAPITAL.replace("max_tokens: 60", "max_tokens: 1500")
    (project / "prompts/tell_story.yaml").write_text(story)
    notebook = open_notebook("stop.ipynb", cells)
    page = notebook.page
    page.wait_for_selector(".p2re-form")
    stop = page.locator(".p2re-form").get_by_role("button", name="Stop", exact=True)
    assert stop.is_disabled()
    fill(notebook, "country", "France")
    page.locator(".p2re-form select").select_option("a long story")
    fill(notebook, "models", "scripted/echo\nlocal/smollm2-135m")
    press(notebook, "Run")
    page.locator(".p2re-answer.p2re-live").nth(1).get_by_text("France").wait_for()
    stop.click()
    page.wait_for_selector(".p2re-said:has-text('stopped 1 of 2; what was answered is recorded')")
    cards = page.locator(".p2re-answer")
    assert "What is the capital of France?" in cards.nth(0).inner_text()
    assert page.locator(".p2re-answer.p2re-stopped").inner_text().startswith("local/smollm2-135m")
    notebook.shot("form-stopped")
    with open_store(project / "stopped.db", read_only=True) as store:
        statuses = {row.model: row.status for row in store.list_traces()}
    assert statuses == {"scripted/echo": "OK", "local/smollm2-135m": "ABANDONED"}
    press(notebook, "Run")
    page.wait_for_selector(".p2re-answer.p2re-live")
    stop.click()
    page.wait_for_selector(".p2re-answer.p2re-stopped")


def test_forms_reopened_without_a_kernel_show_what_they_were_for(
    open_notebook: Any, project: Path
) -> None:
    """No "Error displaying widget": the prompt, and the trace to be judged, as they were."""
    cells = [
        SETUP + "\nuse(db='reopened.db')",
        "Playground('name_capital')",
        "annotate([run('echo', text='Was it good?')], name='helpful', annotator='ada')",
        "Traces()",
    ]
    notebook = open_notebook("forms.ipynb", cells)
    page = notebook.page
    page.wait_for_selector(".p2re-browser tbody tr")
    assert page.locator(".p2re-form").count() == 2
    assert page.locator(".p2re-still").count() == 3
    assert not any(one.is_visible() for one in page.locator(".p2re-still").all())
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_selector(".jp-mod-current:not(.jp-mod-dirty)")
    page.reload()
    page.get_by_text("{{ country }}").last.wait_for()
    page.wait_for_timeout(3000)  # for whatever is late to fail
    notebook.shot("forms-reopened")
    assert all(one.is_visible() for one in page.locator(".p2re-still").all())
    seen = page.locator(".jp-Notebook").inner_text()
    assert "Was it good?" in seen
    assert "widget" not in seen
