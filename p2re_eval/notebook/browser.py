"""The browser of traces in a cell: what its page asks for, answered from the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from p2re_eval.errors import MissingExtra, NoSuchRecord, P2REError
from p2re_eval.records import JSON, Record
from p2re_eval.report.trace_difference import trace_difference
from p2re_eval.service import Service
from p2re_eval.service.evaluations import Feedback, this_person
from p2re_eval.service.looking import TraceItem
from p2re_eval.store import TraceFilter
from p2re_eval.viewer import module

try:
    import anywidget
    import traitlets
except ImportError as error:
    raise MissingExtra("widgets need anywidget: pip install 'p2re-eval[notebook]'") from error

_FILES = Path(__file__).parent / "static"
_FILTERS = ("status", "prompt", "model")


class TraceBrowser(anywidget.AnyWidget):
    """Filters, pages and the viewer. ``query`` is a search expression or words to begin with."""

    _esm = module((_FILES / "browser.js").read_text(encoding="utf-8"))
    _css = (_FILES / "browser.css").read_text(encoding="utf-8")
    query = traitlets.Unicode().tag(sync=True)
    first = traitlets.Dict().tag(sync=True)
    facets = traitlets.Dict().tag(sync=True)

    def __init__(
        self, service: Service, *, query: str = "", limit: int = 20, cursor: str | None = None
    ) -> None:
        self._pages = TracePages(service, limit=limit)
        facets = {
            name: [one.model_dump(mode="json") for one in values]
            for name, values in service.looking.facets().items()
            if name in _FILTERS
        }
        first = self._pages.page(query, {}, cursor)
        super().__init__(query=query, first=first, facets=facets)
        self.on_msg(self._heard)

    def _heard(self, _: object, asked: Mapping[str, JSON], buffers: object) -> None:
        """One question, one answer: what was found, or the sentence of the mistake."""
        given = {key: value for key, value in asked.items() if key not in {"id", "what"}}
        try:
            self.send({"id": asked["id"], "value": self._pages.answer(asked["what"], given)})
        except P2REError as error:
            self.send({"id": asked["id"], "error": str(error)})


class TracePages:
    """What a page of traces asks for, by name."""

    def __init__(self, service: Service, *, limit: int) -> None:
        self._service = service
        self._limit = limit

    def answer(self, what: str, given: Mapping[str, Any]) -> JSON:
        """What was asked for, as JSON. Raises P2REError."""
        answers: Mapping[str, Callable[..., JSON]] = {
            "page": self.page,
            "head": self.head,
            "compare": self.compare,
            "tree": self.tree,
            "span": self.span,
            "find": self.find,
            "raw": self.raw,
            "template": self.template,
            "save": self.save,
        }
        return answers[what](**given)

    def page(self, query: str, filters: Mapping[str, str | None], cursor: str | None) -> JSON:
        """A page of rows, the newest first, and where the next begins.

        Raises ExpressionError, which shows the place of the mistake in ``query``.
        """
        given = {name: filters[name] for name in _FILTERS if filters.get(name)}
        wanted = TraceFilter.model_validate(given)
        looking, traces = self._service.looking, self._service.traces
        if query:
            hits = traces.search(query, wanted, limit=self._limit, cursor=cursor)
            items = looking.items([hit.row for hit in hits.items])
            return _page(items, hits.next_cursor, hits.note)
        page = traces.list(wanted, limit=self._limit, cursor=cursor)
        return _page(looking.items(page.items), page.next_cursor, page.note)

    def head(self, trace: str) -> JSON:
        """A trace without its spans, with what was said about it."""
        shown = self._service.looking.head(trace).model_dump(mode="json")
        return {**shown.pop("trace"), **shown}

    def compare(self, trace: str, other: str) -> JSON:
        """What tells the other trace from this one: the other is the one before."""
        before, after = map(self._service.looking.head, (other, trace))
        said = {
            "before_evaluations": before.evaluations,
            "after_evaluations": after.evaluations,
        }
        return _json(trace_difference(before.trace, after.trace, **said))

    def tree(self, trace: str) -> JSON:
        """Its spans as columns."""
        return _json(self._service.looking.tree(trace))

    def span(self, trace: str, span: str) -> JSON:
        """One span with its payload."""
        return _json(self._service.looking.span(trace, span))

    def find(self, trace: str, text: str) -> JSON:
        """The ids of the spans that contain a text."""
        return self._service.looking.find_spans(trace, text)

    def raw(self, trace: str) -> JSON:
        """All of it as JSON text."""
        return self._service.traces.get(trace).model_dump_json()

    def template(self, trace: str) -> JSON:
        """The prompt's template of that version; nothing where it is not on record."""
        prompt = self._service.looking.head(trace).trace.prompt
        try:
            found = self._service.prompts.get(prompt.name, prompt.version or "latest")
        except NoSuchRecord:
            return None
        return _json(found.template)

    def save(self, trace: str, feedback: Mapping[str, Any]) -> JSON:
        """Record a person's judgement; gives all that is said about the trace now."""
        said = Feedback(
            trace_id=trace,
            annotator=this_person(),
            name=feedback["name"],
            passed=feedback["passed"],
            note=feedback["note"] or None,
        )
        self._service.evaluations.annotate(said)
        return self.head(trace)["evaluations"]


def _page(items: tuple[TraceItem, ...], cursor: str | None, note: str | None) -> JSON:
    return {"items": [_json(one) for one in items], "next_cursor": cursor, "note": note}


def _json(record: Record) -> JSON:
    return record.model_dump(mode="json")
