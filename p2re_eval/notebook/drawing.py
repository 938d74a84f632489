"""Records as a front end draws them: the viewer where scripts run, still HTML elsewhere, and text.

A frame with the viewer lies over the still HTML. Where frames are taken out (GitHub, an untrusted
notebook) what lies below is seen; where their scripts do not run, the frame shows the same itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from html import escape
from importlib import import_module
from typing import Any, TypeAlias
from urllib.parse import quote

from p2re_eval.errors import MissingExtra
from p2re_eval.notebook.pages import facts_page, prompt_page, results_page, suite_page, trace_page
from p2re_eval.notebook.progress import in_notebook
from p2re_eval.notebook.texts import facts_text, prompt_text, suite_text, trace_text
from p2re_eval.records import (
    Comparison,
    Evaluation,
    PromptTemplate,
    Record,
    RenderedPrompt,
    Result,
    Span,
    Suite,
    Trace,
)
from p2re_eval.store.span_queries import tree_of
from p2re_eval.viewer import DARKER_PX
from p2re_eval.viewer import trace_page as viewer_page

Bundle: TypeAlias = dict[str, Any]
"""What is said to a front end: a text (or JSON) for each media type."""

_LINE_PX, _HEAD_PX, _SPAN_PX = 21, 180, 28
_LEAST_PX, _MOST_PX, _TREE_PX = 230, 560, 420
_A_LINE = 90
_DARK = "var(--jp-shadow-base-lightness,0)/32"
_HEIGHT = f"calc(100% + {_DARK}*{DARKER_PX}px)"
"""JupyterLab's theme reaches no frame, but a number of it does: its dark themes say 32 here, its
light ones 0, and other front ends nothing. The page in the frame measures its height."""
_NO_ERROR = (
    ".jp-OutputArea:has(.p2re-still):not(:has(.p2re-form,.p2re-browser))"
    ">.jp-OutputArea-child:has(>.lm-Panel.jp-OutputArea-output){display:none}"
)
"""Where none of our widgets came to life, their places hold a sentence: loading, or lost. It is
linked to, for where a style element is taken out its content may stay and be read."""
WHOLE = 300
"""How many spans of a trace a notebook keeps with their texts."""


def trace_bundle(trace: Trace, evaluations: Sequence[Evaluation] = ()) -> Bundle:
    """A trace in the viewer of the web app."""
    still = trace_page(trace)
    head = trace.model_dump(mode="json", exclude={"spans"})
    more = {
        "span_count": len(trace.spans),
        "evaluations": [one.model_dump(mode="json") for one in evaluations],
        "pinned_ns": None,
        "texts_dropped": False,
    }
    page = viewer_page(
        json.dumps({**head, **more}),
        title=trace.name,
        spans={one.span_id: _span(one, whole=at < WHOLE) for at, one in enumerate(trace.spans)},
        tree_json=json.dumps(tree_of(trace).model_dump(mode="json")),
        without_scripts=still,
        framed=True,
    )
    height = _height_px(trace, evaluations)
    return {"text/html": framed(page, still, trace, height), "text/plain": trace_text(trace)}


def _span(span: Span, *, whole: bool) -> str:
    """A span as JSON; of a very long trace the texts of most are left to the browser of traces."""
    if not whole:
        told = {"left out": "this page has the texts of the first spans; Traces() has all of them"}
        span = span.model_copy(update={"prompt": None, "completion": None, "attributes": told})
    return json.dumps(span.model_dump(mode="json"))


def live(make: Callable[[], object]) -> Bundle:
    """What shows a widget, where the front end knows widgets; nothing where their libraries are
    not installed."""
    try:
        widget: Any = make()
    except MissingExtra:
        return {}
    found = widget._repr_mimebundle_()
    data = found[0] if isinstance(found, tuple) else found
    return {kind: value for kind, value in (data or {}).items() if kind.startswith("application/")}


def show_live(make: Callable[[], object], still: str, text: str) -> None:
    """A widget where widgets live, and HTML that stays when the kernel is gone: each is an output
    of its own. The widget's looks hide the HTML; the HTML's hide "Error displaying widget"."""
    from IPython.display import display

    shown = live(make) if in_notebook() else {}
    if shown:
        display({**shown, "text/plain": ""}, raw=True)  # type: ignore[no-untyped-call]
    looks = f"<link rel='stylesheet' href='data:text/css,{quote(_NO_ERROR)}'>"
    kept = f"{looks}<div class='p2re-still'>{still}</div>"
    display({"text/html": kept, "text/plain": text}, raw=True)  # type: ignore[no-untyped-call]


def framed(page: str, still: str, trace: Trace, height_px: int) -> str:
    """A page in a frame that can reach nothing, over what is seen where there are no frames."""
    return (
        f'<div style="position:relative;height:{height_px}px;overflow:hidden;resize:vertical;'
        f'border:1px solid rgba(128,128,128,.35);border-radius:8px">{still}'
        f'<iframe title="trace {trace.trace_id[:12]}" sandbox="allow-scripts" '
        f'style="position:absolute;inset:0;width:100%;height:{_HEIGHT};border:0" '
        f'srcdoc="{escape(page)}"></iframe></div>'
    )


def record_bundle(record: Record) -> Bundle:
    """Any record: as what it is, or as a table of its facts."""
    for kind, (page, text) in _DRAWN.items():
        if isinstance(record, kind):
            return {"text/html": page(record), "text/plain": text(record)}
    return {"text/html": facts_page(record), "text/plain": facts_text(record)}


def _compared(record: Comparison) -> str:
    drawn: str = import_module("p2re_eval.notebook.compared").Compared(record)._repr_html_()
    return drawn


def _compared_text(record: Comparison) -> str:
    return repr(import_module("p2re_eval.notebook.compared").Compared(record))


_DRAWN: Mapping[type[Record], tuple[Callable[..., str], Callable[..., str]]] = {
    PromptTemplate: (prompt_page, prompt_text),
    RenderedPrompt: (prompt_page, prompt_text),
    Suite: (suite_page, suite_text),
    Result: (lambda one: results_page([one]), facts_text),
    Comparison: (_compared, _compared_text),
}


def _height_px(trace: Trace, evaluations: Sequence[Evaluation]) -> int:
    """As high as its texts need, within bounds; a person may pull the edge."""
    texts = [message.text for message in trace.prompt.messages]
    if trace.completion is not None:
        texts += [trace.completion.text, *(c.arguments for c in trace.completion.tool_calls)]
    if trace.fault is not None:
        texts.append(trace.fault.message)
    lines = [sum(1 + len(line) // _A_LINE for line in text.split("\n")) for text in texts]
    needed = sum(count * _LINE_PX + 26 for count in lines) + 48 * len(evaluations) + _HEAD_PX
    if trace.spans:
        needed = max(needed, _TREE_PX, len(trace.spans) * _SPAN_PX)
    return min(max(needed, _LEAST_PX), _MOST_PX)
