"""Evaluations: listed, opened, and given by people, whose agreement is measured."""

from __future__ import annotations

import getpass

from p2re_eval.clock import new_trace_id
from p2re_eval.errors import NoSuchRecord, UsageError
from p2re_eval.interfaces import Clock
from p2re_eval.records import Evaluation, Record, Score
from p2re_eval.service.agreement import Agreement, agreements
from p2re_eval.service.contracts import Page, cursor_number, page_size
from p2re_eval.service.judging import JudgeAgreement, judges_against_people
from p2re_eval.store import Store, evaluation_queries
from p2re_eval.store.evaluation_queries import EvaluationFilter, PastEvaluation


def this_person() -> str:
    """Who is logged in, as an annotator. Raises UsageError where nobody is (some containers)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        what = "nobody is logged in here; say who judges, or set USER in the environment"
        raise UsageError(what) from None


class Feedback(Record):
    """What a person says of a trace; at least one of label, value, passed and note."""

    trace_id: str
    annotator: str
    name: str = "feedback"
    label: str | None = None
    value: float | None = None
    passed: bool | None = None
    note: str | None = None


class Evaluations:
    """Every judgement of a store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def list(
        self, wanted: EvaluationFilter | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Evaluation]:
        """The newest first."""
        size, before = page_size(limit), cursor_number(cursor)
        found, more = self._store.read(
            lambda connection: evaluation_queries.list_evaluations(
                connection, wanted or EvaluationFilter(), limit=size, before=before
            )
        )
        return Page(items=tuple(found), next_cursor=None if more is None else str(more))

    def get(self, evaluation_id: str) -> Evaluation:
        """The evaluation whose id is or begins so. Raises NoSuchRecord, StoreError (ambiguous)."""
        path = self._store.path
        return self._store.read(
            lambda connection: evaluation_queries.read_evaluation(connection, evaluation_id, path)
        )

    def create(self, evaluation: Evaluation) -> Evaluation:
        """Record a judgement; the same (trace, name, identifier) of an experiment replaces."""
        self._store.save_evaluations([evaluation]).result()
        return evaluation

    def annotate(self, feedback: Feedback) -> Evaluation:
        """A person's judgement; said again by the same annotator it replaces, and what it was
        stays in the history. Raises NoSuchRecord (no such trace), UsageError (says nothing)."""
        said = feedback.model_dump(include={"label", "value", "passed", "note"})
        if all(value is None for value in said.values()):
            raise UsageError("this feedback says nothing; give a label, value, verdict or note")
        if not feedback.annotator.strip() or not feedback.name.strip():
            raise UsageError("feedback needs an annotator and a name; give both")
        now_ns = self._clock.now_ns()
        evaluation = Evaluation(
            evaluation_id=new_trace_id(now_ns),
            trace_id=self._store.read_trace(feedback.trace_id).trace_id,
            name=feedback.name,
            identifier=feedback.annotator,
            scorer="human",
            scorer_version="1",
            kind="HUMAN",
            score=Score(
                value=feedback.value,
                label=feedback.label,
                passed=feedback.passed,
                explanation=feedback.note,
            ),
            created_ns=now_ns,
        )
        return self.create(evaluation)

    def history(self, trace_id: str) -> tuple[PastEvaluation, ...]:
        """What people had said before they changed their minds, the newest first."""
        whole = self._store.read_trace(trace_id).trace_id
        return tuple(
            self._store.read(lambda connection: evaluation_queries.history(connection, whole))
        )

    def delete(self, evaluation_id: str) -> None:
        """Raises NoSuchRecord."""
        found = self.get(evaluation_id)
        gone = self._store.change(
            lambda change: evaluation_queries.delete_evaluation(
                change.connection, found.evaluation_id
            )
        )
        if not gone:
            what = f"{self._store.path}: evaluation {found.evaluation_id} was deleted meanwhile"
            raise NoSuchRecord(what, path=self._store.path)

    def agreement(self, name: str) -> tuple[Agreement, ...]:
        """How far each two annotators agree on what they both judged; the largest pair first."""
        rows = self._store.read(
            lambda connection: evaluation_queries.human_judgements(connection, name)
        )
        return agreements(rows)

    def judges(
        self, name: str | None = None, *, people: str | None = None, threshold: float | None = None
    ) -> tuple[JudgeAgreement, ...]:
        """Every version of a judge against people, the largest first: every model that judges, or
        the scorer ``name`` whatever it is made of. ``people`` is the name under which people spoke
        (the judge's own, else ``feedback``); ``threshold`` the value from which the judge passes.
        """
        rows = self._store.read(
            lambda connection: evaluation_queries.judged_by_people(connection, name)
        )
        found = judges_against_people(rows, people=people, threshold=threshold)
        odd = {each.trace_id for one in found for each in one.disagreements}
        texts = self._store.read(lambda connection: evaluation_queries.previews(connection, odd))
        return tuple(_with_texts(one, texts) for one in found)


def _with_texts(one: JudgeAgreement, texts: dict[str, tuple[str, str]]) -> JudgeAgreement:
    shown = []
    for each in one.disagreements:
        asked, answered = texts.get(each.trace_id, ("", ""))
        shown.append(each.model_copy(update={"input_preview": asked, "output_preview": answered}))
    return one.model_copy(update={"disagreements": tuple(shown)})
