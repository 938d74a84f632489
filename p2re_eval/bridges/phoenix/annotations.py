"""Evaluations and annotations kept in step: read first, then written, then read back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from p2re_eval.bridges.phoenix.client import Annotation
from p2re_eval.bridges.phoenix.course import (
    CONFLICT,
    EVALUATION,
    THEIR_TRACE,
    TRACE,
    Course,
)
from p2re_eval.bridges.phoenix.judgements import (
    annotation_of,
    changed_there,
    digest,
    evaluation_of,
    keeps_loser,
    key,
    key_there,
    they_win,
)
from p2re_eval.errors import Refused
from p2re_eval.records import Evaluation
from p2re_eval.store import KnownSpan, Mark, MarkStatus, Position
from p2re_eval.tracing.told import hex_id

HOT_SPANS = 1000
"""Annotations have no change feed: those of the newest spans are looked at each time, all of them
now and then."""
_A_BATCH = 200
_STREAM = "evaluations"


class Annotations:
    """What was said about runs, on both sides."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._cursor: int | None = None
        self._held: set[str] = set()

    async def read(self) -> None:
        """Take over what was said or changed there, before ours could be written over it."""
        for spans in self._looked_at():
            await self._compare(spans)

    async def write(self) -> None:
        """Ours that are new or changed; each is read back before it counts as synced."""
        waiting = self._course.ledger.marked(EVALUATION, "SENT", limit=1_000_000)
        for start in range(0, len(waiting), _A_BATCH):
            some = {mark.local_id: mark for mark in waiting[start : start + _A_BATCH]}
            found = self._course.ledger.evaluations_of(
                {str(mark.detail["trace"]) for mark in some.values()}
            )
            await self._write([one for one in found if key(one) in some], {})
        while await self._write_next():
            pass

    def _looked_at(self) -> Iterator[list[KnownSpan]]:
        """The newest spans, those of evaluations that were changed here, or with ``full`` all."""
        ledger = self._course.ledger
        page = ledger.known_spans(limit=HOT_SPANS)
        seen = {one.trace_id for one in page}
        while page:
            yield page
            page = ledger.known_spans(before=page[-1].run) if self._course.full else []
        if not self._course.full and (changed := self._changed_traces() - seen):
            yield ledger.spans_of(changed)

    def _changed_traces(self) -> set[str]:
        """The runs of what will be written over something: for these we must look first."""
        ledger, found, cursor = self._course.ledger, set[str](), self._at()
        while True:
            said, cursor = ledger.evaluations_after(cursor)
            if not said:
                return found
            known = ledger.marks(EVALUATION, [key(one) for one in said])
            found |= {one.trace_id for one in said if key(one) in known}

    def _at(self) -> int:
        """Where our stream stands; asked for late, because a reset there sets it back."""
        if self._cursor is None:
            self._cursor = self._course.ledger.position(_STREAM).watermark
        return self._cursor

    async def _compare(self, spans: Sequence[KnownSpan]) -> None:
        """One look at these spans: news, changes, conflicts and deletions, on disk together."""
        course = self._course
        places = {hex_id(one.span_id, 16): one for one in spans if one.span_id}
        places |= {hex_id(one.trace_id, 32): one for one in spans}
        there = await course.phoenix.annotations([one for one in places if len(one) == 16])
        there += await course.phoenix.trace_annotations([one for one in places if len(one) == 32])
        here = {
            key(one): one for one in course.ledger.evaluations_of({one.trace_id for one in spans})
        }
        pairs: dict[str, Annotation] = {}
        for one in there:
            place = places[one.trace_id or one.span_id]
            pairs[key_there(one, place.trace_id, hex_id(place.root_id, 16))] = one
        marks = course.ledger.marks(EVALUATION, {*here, *pairs})
        changes = _Changes(course)
        for name, annotation in pairs.items():
            known = here.get(name)
            if known is not None:
                changes.compare(known, annotation, marks.get(name))
            elif name not in marks:  # else it was deleted here
                changes.welcome(annotation, places[annotation.trace_id or annotation.span_id])
        changes.mourn(mark for name, mark in marks.items() if name in here and name not in pairs)
        self._held |= changes.held
        await course.save(evaluations=changes.saved, marks=changes.marks)

    async def _write_next(self) -> bool:
        batch, self._cursor = self._course.ledger.evaluations_after(self._at(), limit=_A_BATCH)
        if batch:
            await self._write(batch, {_STREAM: Position(watermark=self._cursor)})
        return bool(batch)

    async def _write(self, batch: Sequence[Evaluation], positions: dict[str, Position]) -> None:
        """What differs from what is known to be there; what cannot be written yet stays SENT."""
        course = self._course
        marks = course.ledger.marks(EVALUATION, [key(one) for one in batch])
        of_traces = {hex_id(one.trace_id, 32) for one in batch}
        traces = course.ledger.marks(THEIR_TRACE, of_traces) | course.ledger.marks(TRACE, of_traces)
        roots = {
            one.trace_id: one for one in course.ledger.spans_of({one.trace_id for one in batch})
        }
        ready: list[_Ready] = []
        waiting: list[Mark] = []
        for one in batch:
            mark, root = marks.get(key(one)), roots.get(one.trace_id)
            if root is None or key(one) in self._held:
                continue
            if mark is not None and mark.status == "DELETED":
                continue
            annotation = annotation_of(one, hex_id(root.root_id, 16))
            if mark is not None and mark.digest == digest(annotation):
                continue
            of_trace = traces.get(hex_id(one.trace_id, 32))
            if not root.root_id:  # the trace's own span is still to come
                waiting.append(_mark(one, "SENT"))
            elif of_trace is not None and of_trace.status == "SYNCED":
                ready.append(_Ready(one, annotation))
            elif of_trace is None or of_trace.status == "SENT":
                waiting.append(_mark(one, "SENT"))
        await course.save(marks=waiting, positions=positions)
        await self._deliver(ready)

    async def _deliver(self, ready: Sequence[_Ready]) -> None:
        course = self._course
        if not ready:
            return
        if course.dry:
            course.outcome.add("evaluations_pushed", len(ready))
            return
        try:
            remote_ids = await course.phoenix.annotate([one.annotation for one in ready])
        except Refused as error:
            if not error.is_about_content and error.status != 404:
                raise
            await self._one_by_one(ready, error)
            return
        sent = list(zip(ready, remote_ids, strict=True))
        await course.save(marks=[_mark(one.here, "SENT", remote_id=name) for one, name in sent])
        of_spans = {one.annotation.span_id for one in ready} - {""}
        of_traces = {one.annotation.trace_id for one in ready} - {""}
        there = await course.phoenix.annotations(sorted(of_spans))
        there += await course.phoenix.trace_annotations(sorted(of_traces))
        stored = {as_stored(one) for one in there}
        agreed = [(one, name) for one, name in sent if as_stored(one.annotation) in stored]
        course.outcome.add("evaluations_pushed", len(agreed))
        await course.save(
            marks=[
                _mark(one.here, "SYNCED", remote_id=name, digest=digest(one.annotation))
                for one, name in agreed
            ]
        )

    async def _one_by_one(self, ready: Sequence[_Ready], error: Refused) -> None:
        """A request that is refused is halved until the one it cannot take stands alone."""
        course = self._course
        if len(ready) > 1:
            half = len(ready) // 2
            await self._deliver(ready[:half])
            await self._deliver(ready[half:])
            return
        one = ready[0]
        if error.status == 404:  # its span was deleted there
            course.outcome.add("deleted_there")
            await course.save(marks=[_mark(one.here, "DELETED")])
            return
        course.outcome.fail(f"evaluation '{one.here.name}' of trace", one.here.trace_id, str(error))
        failed = _mark(one.here, "FAILED", digest=digest(one.annotation))
        detail = {**failed.detail, "why": str(error)}
        await course.save(marks=[failed.model_copy(update={"detail": detail})])


@dataclass(frozen=True)
class _Ready:
    """An evaluation and how it will stand there."""

    here: Evaluation
    annotation: Annotation


def as_stored(one: Annotation) -> tuple[str, str, str]:
    """What must be found there after writing: the key and what was said."""
    return one.trace_id or one.span_id, one.identifier, digest(one)


class _Changes:
    """What one look found, collected for one transaction; ``held`` must not be written over."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self.saved: list[Evaluation] = []
        self.marks: list[Mark] = []
        self.held: set[str] = set()

    def welcome(self, there: Annotation, place: KnownSpan) -> None:
        """Something new that was said there."""
        if not self._course.pull:
            return
        evaluation = evaluation_of(there, place.trace_id, hex_id(place.root_id, 16))
        self.saved.append(evaluation)
        self._agree(evaluation, there)
        self._course.outcome.add("evaluations_pulled")

    def compare(self, here: Evaluation, there: Annotation, mark: Mark | None) -> None:
        """Which of the two was changed since both agreed, and what follows from that."""
        ours, theirs = digest(annotation_of(here, there.span_id)), digest(there)
        agreed = None if mark is None else mark.digest
        if ours == theirs:
            if agreed != ours:
                self._agree(here, there)
        elif theirs == agreed and not _stands(mark, here):
            return  # only ours was changed: it will be written
        elif not self._course.pull:
            self.held.add(key(here))
        elif ours == agreed:
            self._adopt(here, there)
            self._course.outcome.add("evaluations_updated")
        else:
            self._settle(here, there)

    def mourn(self, missing: Iterable[Mark]) -> None:
        """What was there and is no longer: noted, and kept here."""
        for mark in missing:
            if mark.status == "SYNCED":
                self.marks.append(mark.model_copy(update={"status": "DELETED"}))
                self._course.outcome.add("deleted_there")

    def _settle(self, here: Evaluation, there: Annotation) -> None:
        """Both were changed: one stands, the loser is kept with it, and the conflict is noted."""
        theirs = they_win(here, there)
        said = here.model_dump(include={"name", "kind", "score", "fault"}, exclude_none=True)
        stands = "there" if theirs else "here"
        detail = {"trace": here.trace_id, "stands": stands, "here": said}
        detail["there"] = there.model_dump(exclude_none=True)
        self.marks.append(Mark(kind=CONFLICT, local_id=key(here), status="CONFLICT", detail=detail))
        self._course.outcome.add("conflicts")
        if theirs:
            self._adopt(here, there)
        else:
            self.saved.append(keeps_loser(here, there))
            self._agree(here, there)

    def _adopt(self, here: Evaluation, there: Annotation) -> None:
        self.saved.append(changed_there(here, there))
        self._agree(here, there)

    def _agree(self, here: Evaluation, there: Annotation) -> None:
        by_person = there.by_hand or there.kind == "HUMAN"
        mark = _mark(here, "SYNCED", remote_id=there.remote_id, digest=digest(there))
        detail = {**mark.detail, **({"by_person": True} if by_person else {})}
        self.marks.append(mark.model_copy(update={"detail": detail}))


def _stands(mark: Mark | None, here: Evaluation) -> bool:
    """What a person said there is not written over by a program that judged again."""
    return mark is not None and bool(mark.detail.get("by_person")) and here.kind != "HUMAN"


def _mark(
    here: Evaluation,
    status: MarkStatus,
    *,
    remote_id: str | None = None,
    digest: str | None = None,
) -> Mark:
    return Mark(
        kind=EVALUATION,
        local_id=key(here),
        status=status,
        remote_id=remote_id,
        digest=digest,
        detail={"trace": here.trace_id},
    )
