"""The forms of the playground and of labelling, made of ipywidgets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from typing import TYPE_CHECKING

from p2re_eval.errors import MissingExtra, P2REError, UsageError
from p2re_eval.notebook.bench import Answer
from p2re_eval.notebook.pages import trace_page
from p2re_eval.quantities import UNKNOWN, duration_text, money_text
from p2re_eval.records import JSON

if TYPE_CHECKING:
    from p2re_eval.notebook.looking import Labels
    from p2re_eval.notebook.playground import Playground

try:
    import ipywidgets as w
    from IPython.display import display
except ImportError as error:
    raise MissingExtra("forms need ipywidgets: pip install 'p2re-eval[notebook]'") from error

_BOX = "white-space:pre-wrap;overflow-wrap:anywhere;border-left:3px solid #8888;padding:.3em .7em"
_WIDE = {"description_width": "9em"}
_NUMBERS: Mapping[str, tuple[str, Callable[[str], JSON]]] = {
    "integer": ("an integer", int),
    "number": ("a number", float),
}


def show_playground(playground: Playground) -> None:
    """Draw the form."""
    display(_Form(playground).whole)  # type: ignore[no-untyped-call]


def show_labels(labels: Labels) -> None:
    """Draw the current trace and a button a label."""
    display(_LabelForm(labels).whole)  # type: ignore[no-untyped-call]


class _Form:
    def __init__(self, playground: Playground) -> None:
        self._playground = playground
        template = playground.template
        self._fields = {name: _field(name, schema) for name, schema in template.inputs.items()}
        models = "\n".join(playground.models or (template.model.id,))
        self._models = w.Textarea(value=models, description="models", rows=2, style=_WIDE)
        self._repeat = w.BoundedIntText(value=1, min=1, max=20, description="repeats", style=_WIDE)
        self._answers = w.HBox([])
        self._said = w.HTML()
        self._expected = w.Textarea(description="expected", rows=2, style=_WIDE)
        self._text = w.Textarea(rows=12, layout={"width": "100%"})
        self._change = w.HTML()
        editing = w.Accordion(
            children=[
                w.VBox(
                    [
                        self._text,
                        w.HBox(
                            [
                                self._button("Show the change", self._show_change),
                                self._button("Write this version", self._write),
                            ]
                        ),
                        self._change,
                    ]
                )
            ],
            titles=("Edit the prompt file",),
        )
        self._proposed = ""
        self.whole = w.VBox(
            [
                *self._fields.values(),
                self._models,
                self._repeat,
                self._button("Run", self._run, style="primary"),
                self._answers,
                w.HBox([self._expected, self._button("Save as a case", self._save)]),
                self._said,
                editing,
            ]
        )
        self._guarded(self._load_text)

    def _button(self, text: str, act: Callable[[], None], style: str = "") -> w.Button:
        button = w.Button(description=text, button_style=style, layout={"width": "auto"})
        button.on_click(lambda _: self._guarded(act))
        return button

    def _guarded(self, act: Callable[[], None]) -> None:
        """A mistake is a sentence in the form, never a traceback in the log."""
        try:
            act()
        except P2REError as error:
            self._said.value = f"<b>{escape(str(error))}</b>"

    def _load_text(self) -> None:
        self._text.value = self._playground.text

    def _run(self) -> None:
        self._said.value = ""
        models = self._models.value.split()
        texts: dict[int, str] = {}
        boxes = [w.HTML() for _ in range(max(len(models), 1) * self._repeat.value)]
        self._answers.children = [w.VBox([box], layout={"flex": "1 1 0"}) for box in boxes]

        def show(number: int, piece: str) -> None:
            texts[number] = texts.get(number, "") + piece
            boxes[number].value = _box(texts[number])

        answers = self._playground.run(
            {name: _read(field) for name, field in self._fields.items()},
            models=models,
            repeat=self._repeat.value,
            show=show,
        )
        for box, answer in zip(boxes, answers, strict=True):
            box.value = _box(answer.text) + _took(answer)
        self._expected.value = answers[0].text
        if len({answer.text for answer in answers}) > 1:
            self._said.value = self._playground.diff()._repr_html_()

    def _save(self) -> None:
        path = self._playground.save_case(self._expected.value)
        self._said.value = f"saved in {escape(str(path))}"

    def _show_change(self) -> None:
        self._proposed = self._text.value
        found = self._playground.propose(self._proposed)
        self._change.value = f"<pre>{escape(repr(found))}</pre>"

    def _write(self) -> None:
        if self._text.value != self._proposed:
            raise UsageError("look at the change first: Show the change")
        path = self._playground.propose(self._proposed).write()
        self._change.value = f"written: {escape(str(path))}"


def _field(name: str, schema: Mapping[str, JSON]) -> w.Widget:
    """The widget for an input's schema; what has no form of its own is written as JSON."""
    default = schema.get("default")
    kind = schema.get("type", "string")
    shared = {"description": name, "style": _WIDE, "tooltip": str(schema.get("description", name))}
    options = schema.get("enum")
    if isinstance(options, list) and options:
        value = default if default in options else options[0]
        field = w.Dropdown(options=[(str(one), one) for one in options], value=value, **shared)
    elif kind == "boolean":
        field = w.Checkbox(value=bool(default), **shared)
    elif kind in _NUMBERS:
        field = w.Text(value="" if default is None else str(default), **shared)
    else:
        text = default if isinstance(default, str) or default is None else json.dumps(default)
        field = w.Textarea(value=text or "", rows=3, layout={"width": "100%"}, **shared)
    field.p2re_kind = kind
    return field


def _read(field: w.Widget) -> JSON:
    """The field's value as JSON. Raises UsageError for text that is none."""
    kind, value = field.p2re_kind, field.value
    if kind in {"string", "boolean"} or not isinstance(value, str):
        return value
    wanted, reads = _NUMBERS.get(kind, ("JSON", json.loads))
    try:
        return reads(value)
    except ValueError:
        what = f"'{field.description}' takes {wanted}, not '{value[:60]}'"
        raise UsageError(what) from None


class _LabelForm:
    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._page, self._where, self._note = w.HTML(), w.HTML(), w.Text(description="note")
        buttons = [self._button(word, partial(self._label, word)) for word in labels.labels]
        buttons += [self._button("skip", labels.skip), self._button("back", labels.back)]
        self.whole = w.VBox([self._where, self._page, self._note, w.HBox(buttons)])
        self._draw()

    def _button(self, text: str, act: Callable[[], None]) -> w.Button:
        button = w.Button(description=text, layout={"width": "auto"})

        def clicked(_: w.Button) -> None:
            try:
                act()
                self._draw()
            except P2REError as error:
                self._where.value = f"<b>{escape(str(error))}</b>"

        button.on_click(clicked)
        return button

    def _label(self, word: str) -> None:
        self._labels.label(word, self._note.value)
        self._note.value = ""

    def _draw(self) -> None:
        trace = self._labels.current
        self._where.value = "all are judged" if trace is None else escape(self._labels.progress)
        self._page.value = "" if trace is None else trace_page(trace)


def _box(text: str) -> str:
    return f"<div style='{_BOX}'>{escape(text)}</div>"


def _took(answer: Answer) -> str:
    completion = answer.completion
    parts = [
        answer.trace.prompt.model.id,
        UNKNOWN if completion.duration_ns is None else duration_text(completion.duration_ns),
        UNKNOWN + " cost" if completion.cost_usd is None else money_text(completion.cost_usd),
    ]
    return f"<p style='opacity:.7'>{escape(' · '.join(parts))}</p>"
