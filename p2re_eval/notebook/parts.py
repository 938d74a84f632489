"""What the forms are put together from: fields with their names, cards of answers, sentences."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from html import escape
from pathlib import Path

from p2re_eval.errors import MissingExtra, UsageError
from p2re_eval.notebook.texts import took_text
from p2re_eval.records import JSON, Trace
from p2re_eval.results import answer_text

try:
    import ipywidgets as w
except ImportError as error:
    raise MissingExtra("forms need ipywidgets: pip install 'p2re-eval[notebook]'") from error

ABSENT = object()
"""What an empty field gives where the prompt does without it."""
_CSS = Path(__file__).parent / "static" / "form.css"
_NUMBERS: Mapping[str, tuple[str, Callable[[str], JSON]]] = {
    "integer": ("an integer", int),
    "number": ("a number", float),
}
_WIDE = {"width": "100%"}


class Field:
    """An input of a prompt: its name, what it is for, and the widget that its schema asks for.

    What has no widget of its own is written as JSON.
    """

    def __init__(self, name: str, schema: Mapping[str, JSON]) -> None:
        self.name, self.schema = name, schema
        self.kind = schema.get("type", "string")
        self.widget = self._widget()
        self.whole = labelled(name, self.widget, self._hint())

    def read(self) -> JSON:
        """The value as JSON, or ABSENT. Raises UsageError for text that is none."""
        value = self.widget.value
        if not isinstance(value, str) or isinstance(self.widget, w.Dropdown):
            return value
        if not value.strip() and self._may_be_left_out():
            return ABSENT
        if self.kind == "string":
            return value
        wanted, reads = _NUMBERS.get(self.kind, ("JSON", json.loads))
        try:
            return reads(value)
        except ValueError:
            raise UsageError(f"'{self.name}' takes {wanted}, not '{value[:60]}'") from None

    def _may_be_left_out(self) -> bool:
        default = self.schema.get("default")
        if "default" in self.schema and (self.kind != "string" or default != ""):
            return True
        return self.schema.get("required") is False

    def _hint(self) -> str:
        parts = [str(self.schema.get("description", ""))]
        if self.kind not in {"string", "boolean"} and "enum" not in self.schema:
            parts.append(_NUMBERS.get(self.kind, ("JSON", None))[0])
        return " · ".join(part for part in parts if part)

    def _widget(self) -> w.Widget:
        default, options = self.schema.get("default"), self.schema.get("enum")
        if isinstance(options, list) and options:
            value = default if default in options else options[0]
            return w.Dropdown(options=[(str(one), one) for one in options], value=value)
        if self.kind == "boolean":
            return w.Checkbox(value=bool(default), indent=False)
        if self.kind in _NUMBERS:
            return w.Text(value="" if default is None else str(default))
        text = default if isinstance(default, str) or default is None else json.dumps(default)
        rows = 2 if self.kind == "string" else 3
        area = w.Textarea(value=text or "", rows=rows, layout=_WIDE)
        if self.kind != "string":
            area.add_class("p2re-code")
        return area


def labelled(name: str, widget: w.Widget, hint: str = "", width: str = "100%") -> w.VBox:
    """A widget below its name."""
    label = w.HTML(
        f"<span class='p2re-label'><b>{escape(name)}</b><span>{escape(hint)}</span></span>"
    )
    box = w.VBox([label, widget], layout={"width": width})
    box.add_class("p2re-field")
    return box


def row(*widgets: w.Widget) -> w.HBox:
    """Widgets side by side, on the next line where there is no room."""
    box = w.HBox(list(widgets))
    box.add_class("p2re-row")
    return box


def form(*widgets: w.Widget) -> w.VBox:
    """A form's frame, with the looks of its parts."""
    box = w.VBox([w.HTML(f"<style>{_looks()}</style><i class='p2re-nothing'></i>"), *widgets])
    box.add_class("p2re-form")
    return box


@cache
def _looks() -> str:
    return _CSS.read_text(encoding="utf-8")


def sentence(text: str, *, good: bool | None = None) -> str:
    """Something to be said: done, wrong or neither."""
    tone = {True: " p2re-good", False: " p2re-bad", None: ""}[good]
    return f"<div class='p2re-said{tone}' role='status'>{escape(text)}</div>"


def streaming(model: str, text: str) -> str:
    """An answer on its way."""
    return _card("p2re-live", model, "answering", text, "&nbsp;")


def stopped(model: str, text: str) -> str:
    """What had come of an answer when it was stopped."""
    return _card("p2re-stopped", model, "stopped", text, "&nbsp;")


def answered(trace: Trace) -> str:
    """An answer, or why there is none, with what it took."""
    model = trace.prompt.model.id
    facts = took_text(trace).removeprefix(model).removeprefix(" · ")
    if trace.fault is not None:
        return _card("p2re-fault", model, trace.fault.kind, trace.fault.message, "&nbsp;")
    assert trace.completion is not None
    short = f"trace {trace.trace_id[:12]}"
    return _card("", model, short, answer_text(trace.completion), escape(facts))


def _card(tone: str, title: str, aside: str, text: str, foot: str) -> str:
    return (
        f"<section class='p2re-answer {tone}'><header>{escape(title)}<span>{escape(aside)}</span>"
        f"</header><div>{escape(text)}</div><footer>{foot}</footer></section>"
    )


def diff_page(diff: str) -> str:
    """A unified diff, each line by what happened to it."""
    tones = {"+": "p2re-in", "-": "p2re-out"}
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    said = "".join(
        f"<div class='{tones.get(line[:1], '')}'>{escape(line) or '&nbsp;'}</div>" for line in lines
    )
    return f"<div class='p2re-diff'>{said}</div>"
