"""The playground: try a prompt on several models, see the answers arrive, keep what is right."""

from __future__ import annotations

import difflib
import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from p2re_eval.engine.runs import Answered
from p2re_eval.errors import UsageError
from p2re_eval.notebook.bench import Answer, Workbench, workbench
from p2re_eval.pipeline import execute
from p2re_eval.project import layout
from p2re_eval.prompts.library import PromptLibrary
from p2re_eval.records import JSON, PromptTemplate, Trace
from p2re_eval.report.word_diff import word_diff
from p2re_eval.suites.saved import append_case, write_whole

LOOK_S = 0.05
Show = Callable[[int, str], None]
"""What is told of each piece of text: the number of the run, and the piece."""


class Playground:
    """A prompt to try: a form in a notebook, and the same by calls.

    ``models`` are ``provider/name``; none means the prompt's own. Raises DefinitionErrors.
    """

    def __init__(
        self, prompt: str, *, models: Sequence[str] = (), at: Workbench | None = None
    ) -> None:
        self._bench = at or workbench()
        self._name = prompt
        self.template: PromptTemplate = self._bench.library.get(prompt)
        self.models = tuple(models)
        self.answers: list[Answer] = []
        self.traces: list[Trace] = []
        self.stopped: frozenset[int] = frozenset()
        self._inputs: dict[str, JSON] = {}
        self._futures: list[Future[Answered]] = []
        self._stopping = False

    def run(
        self,
        inputs: Mapping[str, JSON] | None = None,
        *,
        models: Sequence[str] | None = None,
        repeat: int = 1,
        show: Show | None = None,
    ) -> list[Answer]:
        """Ask every model ``repeat`` times, at once; ``show`` hears the text as it arrives, in the
        calling thread. Each run is recorded.

        Raises DefinitionErrors before any model is called; after all have ended, ProviderError
        of the first that gave no answer: ``traces`` has them all, ``answers`` those that answered.
        Runs that :meth:`stop` ended are in neither; their numbers are in ``stopped``.
        """
        self._stopping = False
        self._inputs = dict(inputs or {})
        asked = self.models if models is None else models
        pieces: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
        self._futures = futures = self._start(asked, repeat, pieces)
        if self._stopping:  # while they were being made
            self.stop()
        while not all(future.done() for future in futures):
            _hand_on(pieces, show, wait_s=LOOK_S)
        _hand_on(pieces, show)
        self.stopped = frozenset(at for at, one in enumerate(futures) if one.cancelled())
        self.traces = [future.result().trace for future in futures if not future.cancelled()]
        self.answers = [Answer(trace) for trace in self.traces if trace.fault is None]
        return [self._bench.answer(trace) for trace in self.traces]

    def stop(self) -> int:
        """End the runs that still wait for their answers, from another thread than :meth:`run`'s;
        how many there were. What they began is on record as abandoned, answers stay.
        """
        self._stopping = True
        return sum(not future.done() and future.cancel() for future in self._futures)

    def _start(
        self, models: Sequence[str], repeat: int, pieces: queue.SimpleQueue[tuple[int, str]]
    ) -> list[Future[Answered]]:
        bench = self._bench
        assert bench.store
        assert bench.harness.runner
        asked: Sequence[str | None] = models or [None]
        planned = [
            replace(
                one,
                repeat=number,
                settings=one.settings.model_copy(update={"stream": True}),
            )
            for model in asked
            for one in [bench.plan_one(self._name, model, self._inputs)]
            for number in range(repeat)
        ]

        async def answered(number: int) -> Answered:
            found, _ = await execute(
                planned[number],
                bench.harness,
                on_text=lambda piece: pieces.put((number, piece)),
            )
            return found

        return [bench.harness.loop.submit(answered(number)) for number in range(len(planned))]

    def diff(self) -> TextDiff:
        """The last two different answers word by word. Raises UsageError with fewer than two."""
        texts = list(dict.fromkeys(answer.text for answer in self.answers))
        if len(self.answers) < 2:
            raise UsageError("a difference takes two answers; run several models or repeats")
        return TextDiff(texts[0], texts[-1])

    def save_case(self, expected: JSON = None, *, path: Path | str | None = None) -> Path:
        """Keep the inputs of the last run with the answer that is right, as a case of a suite.

        ``expected`` is the first answer's text unless given; ``path`` is
        ``suites/saved/PROMPT.yaml`` of the project. Raises UsageError before anything was run,
        DefinitionErrors for a file that cannot take it.
        """
        if not self.answers:
            raise UsageError("nothing was run yet; run it, then save what is right")
        root = self._bench.root
        target = Path(path or layout(root).suites[0] / "saved" / f"{self.template.name}.yaml")
        right = self.answers[0].text if expected is None else expected
        append_case(target, self.template.name, self._inputs, right, root=root)
        return target

    @property
    def text(self) -> str:
        """The prompt file as it is. Raises UsageError for a prompt of a cell."""
        return self._file().read_text(encoding="utf-8")

    def propose(self, text: str) -> NewVersion:
        """A new text for the prompt's file: looked at first, written by ``.write()``.

        Raises DefinitionErrors when it is no prompt.
        """
        path = self._file()
        PromptLibrary(self._bench.harness.settings.prompts, root=self._bench.root).define(
            path.stem, text
        )
        return NewVersion(path, path.read_text(encoding="utf-8"), text)

    def _file(self) -> Path:
        path = self.template.path
        found = None if path is None else self._bench.root / path
        if found is None or not found.is_file():
            what = f"the prompt '{self.template.name}' is not a file of the project"
            raise UsageError(f"{what}; save it as prompts/{self.template.name}.yaml first")
        return found

    def __repr__(self) -> str:
        return f"Playground('{self._name}'): " + ", ".join(self.template.inputs)

    def _ipython_display_(self) -> None:
        from p2re_eval.notebook.drawing import show_live

        show_live(self._form, self._repr_html_(), repr(self))

    def _repr_html_(self) -> str:
        from p2re_eval.notebook.pages import prompt_page

        return prompt_page(self.template)

    def _form(self) -> object:
        from p2re_eval.notebook.widgets import PlaygroundForm

        return PlaygroundForm(self).whole


@dataclass(frozen=True)
class NewVersion:
    """A prompt file's text and what it is to become; nothing is written before ``write``."""

    path: Path
    before: str
    after: str

    def diff(self) -> str:
        """The change as a unified diff."""
        lines = difflib.unified_diff(
            self.before.splitlines(), self.after.splitlines(), "before", "after", lineterm=""
        )
        return "\n".join(lines)

    def write(self) -> Path:
        """Raises UsageError when somebody else changed the file meanwhile."""
        if self.path.read_text(encoding="utf-8") != self.before:
            raise UsageError(f"{self.path.name} was changed meanwhile; propose the change again")
        write_whole(self.path, self.after)
        return self.path

    def __repr__(self) -> str:
        return self.diff() or "no change"


@dataclass(frozen=True)
class TextDiff:
    """Two texts, with what only the one has struck out and what only the other has underlined."""

    before: str
    after: str

    def __repr__(self) -> str:
        return "the same" if self.before == self.after else f"- {self.before}\n+ {self.after}"

    def _repr_html_(self) -> str:
        if self.before == self.after:
            return "<p>the same</p>"
        sides = zip(word_diff(self.before, self.after), ("del", "ins"), strict=True)
        return "".join(
            "<p style='white-space:pre-wrap'>"
            + "".join(
                f"<{mark}>{escape(piece.text)}</{mark}>" if piece.changed else escape(piece.text)
                for piece in pieces
            )
            + "</p>"
            for pieces, mark in sides
        )


def _hand_on(
    pieces: queue.SimpleQueue[tuple[int, str]], show: Show | None, *, wait_s: float = 0
) -> None:
    """Tell what has arrived, after waiting so long for the first of it."""
    try:
        found = pieces.get(timeout=wait_s) if wait_s else pieces.get_nowait()
        while True:
            if show is not None:
                show(*found)
            found = pieces.get_nowait()
    except queue.Empty:
        return
