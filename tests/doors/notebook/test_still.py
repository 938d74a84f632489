"""Notebooks where nothing runs: exported pages without scripts, sanitised ones, plain text."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient", reason="the notebook's tools are not installed")
nbformat = pytest.importorskip("nbformat")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ROUTE = """\
model: {provider: scripted, name: router, extra: {answers: {charged: billing, login: account}}}
inputs: {ticket: {type: string}}
messages: [{system: Route the ticket.}, {user: "{{ ticket }}"}]
"""
CELLS = [
    "%load_ext p2re_eval\nfrom pathlib import Path\nfrom p2re_eval import *",
    "run('route', ticket='I was charged <b>twice</b>')",
    "cases = [{'id': 'twice', 'inputs': {'ticket': 'charged'}, 'expected': 'billing'},\n"
    "  {'id': 'locked', 'inputs': {'ticket': 'login'}, 'expected': 'billing'}]\n"
    "made = evaluate('route', cases, ['equals'])\nmade",
    "made.failures()",
    "evaluate('route', cases, ['equals']).compare(made)",
    "Traces(limit=3)",
    "Traces()[0]",
    "Playground('route').template",
    "Playground('route')",
    "annotate(made.results, name='helpful', annotator='ada')",
    "made.record",
    "load_suite(made.to_suite('suites/saved.yaml'), root=Path())",
    "made.results[0].evaluations[0]",
]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook as JupyterLab saves it: with outputs, without the state of widgets."""
    folder = tmp_path_factory.mktemp("still")
    (folder / "prompts").mkdir()
    (folder / "prompts/route.yaml").write_text(ROUTE)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in CELLS])
    notebook.cells[0].source += f"\nuse(db='{folder / 'runs.db'}');"
    resources = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(
        notebook, timeout=60, resources=resources, store_widget_state=False
    )
    return client.execute()


def exported(ran: Any, **options: Any) -> str:
    """As a page. The widgets' state is not in it, as JupyterLab saves it."""
    nbconvert = pytest.importorskip("nbconvert")
    html, _ = nbconvert.HTMLExporter(**options).from_notebook_node(ran)
    return str(html)


SEEN = [
    "I was charged <b>twice</b>",
    "billing",
    "FAILED",
    "Not passed:",
    "Flips: none, of 2 cases",
    "scripted/router",
    "Route the ticket.",
    "labels 'helpful' by ada: 1 of 2",
    "status",
    "2 cases",
    "scorer_version",
]


@pytest.mark.parametrize("sanitised", [False, True], ids=["no-scripts", "sanitised"])
def test_an_exported_page_shows_every_record_without_scripts(
    ran: Any, browser: Any, open_shot: Any, tmp_path: Path, sanitised: bool
) -> None:
    """In a browser that runs none; also where frames and styles were taken out, as on GitHub."""
    page_file = tmp_path / "exported.html"
    page_file.write_text(exported(ran, sanitize_html=sanitised))
    context = browser.new_context(
        java_script_enabled=False, viewport={"width": 1100, "height": 900}
    )
    page = context.new_page()
    page.goto(page_file.as_uri())
    frames = page.locator("iframe").count()
    assert (frames == 0) is sanitised
    outputs = page.locator(".jp-OutputArea-output")
    whole = "\n".join(outputs.all_inner_texts())
    open_shot(page, "sanitised" if sanitised else "no-scripts")
    if not sanitised:
        inside = tmp_path / "inside.html"  # opened alone: a browser draws no frame out of sight
        inside.write_text(page.locator("iframe").first.get_attribute("srcdoc"))
        page.goto(inside.as_uri())
        assert "I was charged <b>twice</b>" in page.locator("body").inner_text()
        assert page.locator("p2re-trace pre").nth(1).is_visible()
    for text in SEEN:
        assert text in whole
    context.close()


GITHUB_TAGS = frozenset(
    re.findall(
        r"\w+",
        "h1 h2 h3 h4 h5 h6 br b i strong em a pre code img tt div ins del sup sub p ol ul table "
        "thead tbody tfoot blockquote dl dt dd kbd q samp var hr ruby rt rp li tr td th s strike "
        "summary details caption figure figcaption abbr bdo cite dfn mark small span time wbr",
    )
)
GITHUB_ATTRIBUTES = {
    "a": ["href"],
    "img": ["src", "alt", "width", "height"],
    "*": ["align", "open"],
}


def test_github_shows_every_record(ran: Any, browser: Any, open_shot: Any, tmp_path: Path) -> None:
    """Where no script, no style, no frame and no class is left, the words are, each in its place:
    in a cell of a table or a paragraph of its own."""
    bleach = pytest.importorskip("bleach")
    shown = [
        out["data"].get("text/html") or f"<pre>{escape(out['data'].get('text/plain', ''))}</pre>"
        for cell in ran.cells
        for out in cell.get("outputs", [])
        if out.get("data")
    ]
    kept = [
        bleach.clean(one, tags=GITHUB_TAGS, attributes=GITHUB_ATTRIBUTES, strip=True)
        for one in shown
    ]
    page_file = tmp_path / "github.html"
    page_file.write_text(
        "<meta charset=utf-8><body style='font:14px sans-serif'>" + "<hr>".join(kept)
    )
    page = browser.new_page(viewport={"width": 900, "height": 900})
    page.goto(page_file.as_uri())
    open_shot(page, "github")
    whole = page.locator("body").inner_text()
    page.close()
    for text in SEEN:
        assert text in whole
    assert "display:" not in whole  # no looks that became words
    assert "user\nI was charged <b>twice</b>\nanswer\nbilling" in whole


def test_plain_text_says_it_too(ran: Any) -> None:
    """For consoles and everything else that shows no HTML."""
    texts = [
        out["data"]["text/plain"]
        for cell in ran.cells
        for out in cell.get("outputs", [])
        if out.get("data", {}).get("text/plain")
    ]
    answer, experiment, failures, compared, traces, trace, prompt, *rest = texts
    assert answer == "billing"
    assert "FAILED" in experiment
    assert failures.startswith("failed")
    assert "none, of 2 cases" in compared
    assert traces.count("scripted/router") == 3
    assert trace.splitlines()[1:4] == [
        "system: Route the ticket.",
        "user: login",
        "answer: account",
    ]
    assert prompt.splitlines()[1:] == [
        "inputs: ticket",
        "system: Route the ticket.",
        "user: {{ ticket }}",
    ]
    form, labels, record, suite, evaluation = rest
    assert form == "Playground('route'): ticket"
    assert labels == "labels 'helpful' by ada: 1 of 2"
    assert record.startswith("Experiment\n  experiment_id: ")
    assert suite == "suite saved: 2 cases for route\n  twice\n  locked"
    assert "name: equals" in evaluation


def test_a_drawn_trace_is_small_enough_to_commit(ran: Any) -> None:
    """The viewer comes with each: 90 kB of the notebook, no more."""
    (answer,) = ran.cells[1].outputs
    assert len(answer["data"]["text/html"]) < 90_000
