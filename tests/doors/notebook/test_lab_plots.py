"""Plots in a real JupyterLab that reaches nothing but this machine."""

from __future__ import annotations

from typing import Any

CELLS = [
    "%load_ext p2re_eval\nfrom p2re_eval import annotate, evaluate, history, use",
    "use(db='plots.db')",
    "%%prompt shout --define\nmodel: {provider: scripted, name: echo}\n"
    "inputs: {text: {}}\nprompt: '{{ text }}'",
    "cases = [{'inputs': {'text': t}, 'expected': 'a'} for t in ('a', 'b')]\n"
    "made = [evaluate('shout', cases, ['equals'], name='shouts') for _ in range(2)][-1]\n"
    "history('shouts').plot()",
    "labels = annotate(made.results, name='ok', annotator='ada')\n"
    "[labels.label(word) for word in ('good', 'bad')]\n"
    "made.judged('equals', people='ok').plot()",
    "made.plot('scores')",
]


def test_plots_are_drawn_without_the_network(open_notebook: Any, lab: Any) -> None:
    """By JupyterLab's own Vega, with marks that a person can point at."""
    notebook = open_notebook("plots.ipynb", CELLS)
    page = notebook.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    drawn = page.locator(".jp-RenderedVegaCommon5 .chart-wrapper")
    drawn.nth(2).wait_for()
    notebook.shot("plots")
    assert drawn.count() == 3
    page.evaluate(
        "theme => { window.jupyterapp.commands.execute('apputils:change-theme', { theme }); }",
        "JupyterLab Dark",
    )
    page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    notebook.command("docmanager:save")
    page.wait_for_selector(".jp-mod-current:not(.jp-mod-dirty)")
    page.reload()
    drawn.nth(2).wait_for()
    notebook.shot("plots-dark")
    paper = "canvas => canvas.getContext('2d').getImageData(2, 60, 1, 1).data[3]"
    assert page.locator(".jp-RenderedVegaCommon5 canvas").first.evaluate(paper) == 0
    assert [url for url in asked if not url.startswith((lab.origin, "data:", "blob:"))] == []
