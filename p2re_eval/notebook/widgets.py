"""The forms of the playground and of labelling, made of ipywidgets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from typing import TYPE_CHECKING

from p2re_eval.errors import MissingExtra, P2REError, ProviderError, UsageError
from p2re_eval.notebook.bench import evaluations_of
from p2re_eval.notebook.drawing import trace_bundle
from p2re_eval.notebook.parts import (
    ABSENT,
    Field,
    answered,
    diff_page,
    form,
    labelled,
    row,
    sentence,
    stopped,
    streaming,
)
from p2re_eval.records import JSON

try:
    import ipywidgets as w
except ImportError as error:
    raise MissingExtra("forms need ipywidgets: pip install 'p2re-eval[notebook]'") from error

if TYPE_CHECKING:
    from p2re_eval.notebook.looking import Labels
    from p2re_eval.notebook.playground import Playground

_WIDE = {"width": "100%"}
_STYLES = {True: "success", False: "danger", None: ""}


class PlaygroundForm:
    """Fields for the prompt's inputs, the answers beside one another, and what to keep of them."""

    def __init__(self, playground: Playground) -> None:
        self._playground = playground
        template = playground.template
        self.fields = {name: Field(name, schema) for name, schema in template.inputs.items()}
        models = "\n".join(playground.models or (template.model.id,))
        self.models = w.Textarea(value=models, rows=2, layout=_WIDE)
        self.repeat = w.BoundedIntText(value=1, min=1, max=20, layout=_WIDE)
        self.answers = w.HBox([])
        self.answers.add_class("p2re-answers")
        self.difference, self.said, self.change = w.HTML(), w.HTML(), w.HTML()
        self.expected = w.Textarea(rows=2, layout=_WIDE)
        self.text = w.Textarea(rows=14, layout=_WIDE)
        self.text.add_class("p2re-code")
        self._proposed = ""
        self._texts: dict[int, str] = {}
        self.asking: threading.Thread | None = None
        self._run = self._button("Run", self.start, "primary")
        self._stop = self._button("Stop", self.stop)
        self._stop.disabled = True
        about = f"{template.short_version} {template.description or ''}"
        title = f"<b>{escape(template.name)}</b><span>{escape(about)}</span>"
        self.whole = form(
            w.HTML(f"<div class='p2re-title'>{title}</div>"),
            *(field.whole for field in self.fields.values()),
            row(
                labelled("models", self.models, "one a line, provider/name", "340px"),
                labelled("repeats", self.repeat, "", "90px"),
                self._run,
                self._stop,
            ),
            self.answers,
            self.difference,
            row(
                labelled("expected", self.expected, "what would be right", "min(100%, 560px)"),
                self._button("Save as a case", self.save),
            ),
            self.said,
            self._editing(),
        )
        self._guarded(self._load_text)

    def _editing(self) -> w.Accordion:
        buttons = row(
            self._button("Show the change", self.show_change),
            self._button("Write this version", self.write),
        )
        inside = w.VBox(
            [self.text, buttons, self.change], layout={"overflow": "visible", "grid_gap": "10px"}
        )
        return w.Accordion(children=[inside], titles=("Edit the prompt file",), selected_index=None)

    def _button(self, text: str, act: Callable[[], None], style: str = "") -> w.Button:
        button = w.Button(description=text, button_style=style, layout={"width": "auto"})
        button.on_click(lambda _: self._guarded(act, button))
        return button

    def _guarded(self, act: Callable[[], None], button: w.Button | None = None) -> None:
        """A mistake is a sentence in the form, never a traceback in the log."""
        if button is not None:
            button.disabled = True
        try:
            act()
        except P2REError as error:
            self.said.value = sentence(str(error), good=False)
        finally:
            if button is not None and button is not self._run:
                button.disabled = False

    def _load_text(self) -> None:
        self.text.value = self._playground.text

    def start(self) -> None:
        """:meth:`run` in a thread of its own: the kernel goes on hearing the other buttons. The
        second click of a double click starts nothing."""
        if self.asking is not None and self.asking.is_alive():
            return

        def asked() -> None:
            try:
                self._guarded(self.run)
            finally:
                self._run.disabled, self._stop.disabled = False, True

        self._stop.disabled = False
        self.asking = threading.Thread(target=asked, name="p2re-playground", daemon=True)
        self.asking.start()

    def stop(self) -> None:
        """End what is still on its way; the thread that asked says what is left."""
        self._playground.stop()

    def run(self) -> None:
        """Ask every model with what the fields say; raises P2REError."""
        self.said.value = self.difference.value = ""
        models, texts = self.models.value.split(), dict[int, str]()
        self._texts = texts
        inputs = self._inputs()
        names = models or [self._playground.template.model.id]
        named = [model for model in names for _ in range(self.repeat.value)]
        boxes = [w.HTML(streaming(model, "")) for model in named]
        self.answers.children = boxes

        def show(number: int, piece: str) -> None:
            texts[number] = texts.get(number, "") + piece
            boxes[number].value = streaming(named[number], texts[number])

        try:
            self._playground.run(inputs, models=models, repeat=self.repeat.value, show=show)
        except ProviderError:
            pass  # each card says how its own run ended
        except P2REError:
            self.answers.children = []
            raise
        self._show_answers(named)

    def _show_answers(self, named: Sequence[str]) -> None:
        ended, traces = self._playground.stopped, iter(self._playground.traces)
        for at, (box, model) in enumerate(zip(self.answers.children, named, strict=True)):
            text = self._texts.get(at, "")
            box.value = stopped(model, text) if at in ended else answered(next(traces))
        if ended:
            kept = "what was answered is recorded"
            self.said.value = sentence(f"stopped {len(ended)} of {len(named)}; {kept}")
        texts = [answer.text for answer in self._playground.answers]
        if texts:
            self.expected.value = texts[0]
        if len(set(texts)) > 1:
            found = self._playground.diff()._repr_html_()
            title = "<span class='p2re-label'><b>What differs</b></span>"
            self.difference.value = f"{title}<div class='p2re-sides'>{found}</div>"

    def _inputs(self) -> dict[str, JSON]:
        found = {name: field.read() for name, field in self.fields.items()}
        return {name: value for name, value in found.items() if value is not ABSENT}

    def save(self) -> None:
        """Keep the inputs and what is expected as a case; raises P2REError."""
        path = self._playground.save_case(self.expected.value)
        self.said.value = sentence(f"saved in {path}", good=True)

    def show_change(self) -> None:
        """What writing would change; raises P2REError."""
        self.change.value = self.said.value = ""
        self._proposed = self.text.value
        found = self._playground.propose(self._proposed)
        self.change.value = diff_page(found.diff()) if found.diff() else sentence("no change")

    def write(self) -> None:
        """The new version, once its change was looked at; raises P2REError."""
        if self.text.value != self._proposed:
            raise UsageError("look at the change first: Show the change")
        path = self._playground.propose(self._proposed).write()
        self.change.value = sentence(f"written: {path}", good=True)


class LabelForm:
    """The trace to judge in the viewer, and a button for each label."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self.page, self.where, self.said = w.HTML(), w.HTML(), w.HTML()
        self.note = w.Textarea(rows=2, layout=_WIDE)
        given = labels.labels.items()
        self.buttons = [
            self._button(word, partial(self._label, word), _STYLES[verdict])
            for word, verdict in given
        ]
        self.moves = [self._button("Skip", labels.skip), self._button("Back", labels.back)]
        self.whole = form(
            self.where,
            self.page,
            labelled("note", self.note, "why, for whoever reads it later", "min(100%, 640px)"),
            row(*self.buttons, *self.moves),
            self.said,
        )
        self._draw()

    def _button(self, text: str, act: Callable[[], None], style: str = "") -> w.Button:
        button = w.Button(description=text, button_style=style, layout={"width": "auto"})

        def clicked(_: w.Button) -> None:
            self.said.value = ""
            try:
                act()
                self._draw()
            except P2REError as error:
                self.said.value = sentence(str(error), good=False)

        button.on_click(clicked)
        return button

    def _label(self, word: str) -> None:
        self._labels.label(word, self.note.value)
        self.note.value = ""
        self.said.value = sentence(f"recorded: {word}, by {self._labels.annotator}", good=True)

    def _draw(self) -> None:
        labels, trace = self._labels, self._labels.current
        bar = f"<progress max='{labels.count}' value='{labels.position}'></progress>"
        where = "all are judged" if trace is None else labels.progress
        title = f"<b>{escape(labels.name)}</b><span>{bar}{escape(where)}</span>"
        self.where.value = f"<div class='p2re-title'>{title}</div>"
        for button in self.buttons:
            button.disabled = trace is None
        self.page.value = (
            "" if trace is None else trace_bundle(trace, evaluations_of(trace))["text/html"]
        )
