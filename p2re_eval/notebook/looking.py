"""Traces in hand: a page of the record at a time, one in the viewer, and people's labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

from p2re_eval.errors import UsageError
from p2re_eval.notebook.bench import Answer, Workbench, workbench
from p2re_eval.notebook.drawing import Bundle, show_live, trace_bundle
from p2re_eval.notebook.pages import table, trace_page
from p2re_eval.notebook.stored import StoredExperiment
from p2re_eval.quantities import UNKNOWN, duration_text, money_text
from p2re_eval.records import Evaluation, Result, Trace
from p2re_eval.service import Service
from p2re_eval.service.evaluations import Feedback, this_person
from p2re_eval.service.revisions import Revisions
from p2re_eval.store import TraceRow

if TYPE_CHECKING:
    from p2re_eval.notebook.browser import TraceBrowser

VERDICTS: Mapping[str, bool | None] = {"good": True, "bad": False}


def experiment(reference: str = "latest", *, at: Workbench | None = None) -> StoredExperiment:
    """A recorded experiment by its id, the beginning of it, or ``latest``: the newest that ran a
    suite; what a kernel ran one by one is none. Raises NoSuchRecord."""
    bench = at or workbench()
    if reference == "latest":
        newest = (one.experiment_id for one in bench.store.list_experiments(50) if one.suites)
        reference = next(newest, reference)
    return StoredExperiment(bench.store, reference, root=bench.root)


class Traces(Sequence[Trace]):
    """A page of recorded traces, the newest first; each item is the whole trace.

    ``query`` is a search expression or plain words, as ``p2re traces search`` takes them. Raises
    ExpressionError, which shows the place of the mistake.
    """

    def __init__(
        self,
        query: str | None = None,
        *,
        limit: int = 20,
        cursor: str | None = None,
        at: Workbench | None = None,
    ) -> None:
        self._bench = at or workbench()
        self._query, self._limit, self._cursor = query, limit, cursor
        service = _service(self._bench)
        if query:
            hits = service.traces.search(query, limit=limit, cursor=cursor)
            self.rows: tuple[TraceRow, ...] = tuple(hit.row for hit in hits.items)
            self._more, self.note = hits.next_cursor, hits.note
        else:
            page = service.traces.list(limit=limit, cursor=cursor)
            self.rows, self._more, self.note = page.items, page.next_cursor, page.note

    @property
    def has_older(self) -> bool:
        """Whether there is a page after this one."""
        return self._more is not None

    def older(self) -> Traces:
        """The next page. Raises UsageError at the end."""
        if self._more is None:
            raise UsageError("there are no older traces; Traces() begins with the newest again")
        return Traces(self._query, limit=self._limit, cursor=self._more, at=self._bench)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Trace]:
        return (self._bench.store.read_trace(row.trace_id) for row in self.rows)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int or slice, as Sequence says
        read = self._bench.store.read_trace
        if isinstance(index, slice):
            return [read(row.trace_id) for row in self.rows[index]]
        return read(self.rows[index].trace_id)

    def __repr__(self) -> str:
        return "\n".join("  ".join(cells) for cells in self._cells()) or "no traces"

    def _ipython_display_(self) -> None:
        show_live(self.browser, self._repr_html_(), repr(self))

    def browser(self) -> TraceBrowser:
        """The same as a widget: filters, pages, and the viewer for the trace that is chosen.

        Raises MissingExtra where anywidget is not installed.
        """
        from p2re_eval.notebook.browser import TraceBrowser

        service = _service(self._bench)
        return TraceBrowser(
            service, query=self._query or "", limit=self._limit, cursor=self._cursor
        )

    def _repr_html_(self) -> str:
        headers = ["trace", "started", "prompt", "model", "status", "took", "cost"]
        more = "<p>and older ones: .older()</p>" if self.has_older else ""
        note = f"<p>{escape(self.note)}</p>" if self.note else ""
        return table(headers, self._cells()) + note + more

    def _cells(self) -> list[list[str]]:
        return [
            [
                row.trace_id[:12],
                datetime.fromtimestamp(row.start_ns / 1e9).strftime("%Y-%m-%d %H:%M:%S"),
                row.prompt,
                row.model,
                row.status,
                UNKNOWN if row.end_ns is None else duration_text(row.end_ns - row.start_ns),
                UNKNOWN if row.cost_usd is None else money_text(row.cost_usd),
            ]
            for row in self.rows
        ]


class Viewed:
    """A trace with what was said about it, in the viewer of the web app."""

    def __init__(self, trace: Trace, evaluations: Sequence[Evaluation]) -> None:
        self.trace, self.evaluations = trace, tuple(evaluations)

    def __repr__(self) -> str:
        return f"trace {self.trace.trace_id[:12]}: {self.trace.name}"

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        return trace_bundle(self.trace, self.evaluations)


def view(trace: Trace | Answer | str, *, at: Workbench | None = None) -> Viewed:
    """Show a trace in the viewer: tree, waterfall, conversation and what was said about it.

    A text is its id or the beginning of it. Raises NoSuchRecord.
    """
    service = _service(at or workbench())
    found = service.traces.get(trace if isinstance(trace, str) else trace_id_of(trace))
    return Viewed(found.trace, found.evaluations)


class Labels:
    """Traces to be judged by a person, one after the other; every judgement is recorded at once.

    ``label`` judges the current one and goes on; judging again replaces, and the history stays.
    """

    def __init__(
        self,
        service: Service,
        traces: Sequence[str],
        *,
        name: str,
        labels: Mapping[str, bool | None],
        annotator: str,
    ) -> None:
        self._service, self._traces = service, traces
        self.name, self.labels, self.annotator = name, labels, annotator
        self.position = 0

    @property
    def count(self) -> int:
        """How many traces there are to judge."""
        return len(self._traces)

    @property
    def current(self) -> Trace | None:
        """The trace to judge; ``None`` when all are done."""
        if self.position >= len(self._traces):
            return None
        return self._service.traces.get(self._traces[self.position]).trace

    @property
    def progress(self) -> str:
        """``2 of 10``."""
        return f"{min(self.position + 1, len(self._traces))} of {len(self._traces)}"

    def label(self, label: str, note: str | None = None) -> Evaluation:
        """Raises UsageError for a label that is none, or when all are judged."""
        if label not in self.labels:
            raise UsageError(f"'{label}' is no label here; labels: {', '.join(self.labels)}")
        trace = self.current
        if trace is None:
            raise UsageError("every trace is judged; call .back() to change the last one")
        given = self._service.evaluations.annotate(
            Feedback(
                trace_id=trace.trace_id,
                annotator=self.annotator,
                name=self.name,
                label=label,
                passed=self.labels[label],
                note=note or None,
            )
        )
        self.position += 1
        return given

    def skip(self) -> None:
        """Leave this one unjudged."""
        self.position = min(self.position + 1, len(self._traces))

    def back(self) -> None:
        """To the one before."""
        self.position = max(self.position - 1, 0)

    def __repr__(self) -> str:
        return f"labels '{self.name}' by {self.annotator}: {self.progress}"

    def _ipython_display_(self) -> None:
        show_live(self._form, self._repr_html_(), repr(self))

    def _repr_html_(self) -> str:
        still = "" if self.current is None else trace_page(self.current)
        return f"<p>{escape(repr(self))}</p>{still}"

    def _form(self) -> object:
        from p2re_eval.notebook.widgets import LabelForm

        return LabelForm(self).whole


def annotate(
    traces: Iterable[Trace | Answer | Result | str],
    *,
    name: str = "feedback",
    labels: Mapping[str, bool | None] | Sequence[str] = ("good", "bad"),
    annotator: str | None = None,
    at: Workbench | None = None,
) -> Labels:
    """Judge traces by hand: buttons in a notebook, ``.label("good")`` anywhere.

    ``labels`` are words, or words with the verdict each means. ``annotator`` is the user's login
    name unless given. What is recorded is a HUMAN evaluation called ``name``.
    """
    meant = labels if isinstance(labels, Mapping) else {one: VERDICTS.get(one) for one in labels}
    ids = [one if isinstance(one, str) else trace_id_of(one) for one in traces]
    who = annotator or this_person()
    service = _service(at or workbench())
    return Labels(service, ids, name=name, labels=meant, annotator=who)


def _service(bench: Workbench) -> Service:
    return Service(bench.store, revisions=Revisions(lambda: bench.library))


def trace_id_of(shown: Trace | Answer | Result) -> str:
    """Raises UsageError for a result of a run that was not made."""
    found = shown.trace.trace_id if isinstance(shown, Answer) else shown.trace_id
    if found is None:
        raise UsageError("this result has no trace: the run was not made")
    return found
