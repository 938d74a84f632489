"""Recorded answers judged anew: today's scorers and cases, yesterday's answers, no model call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from p2re_eval.engine.runs import Run, Runner
from p2re_eval.errors import NoSuchRecord
from p2re_eval.pipeline import Harness, judge, result_of
from p2re_eval.planning import PlannedRun, SuitePlan
from p2re_eval.records import Completion, Experiment, RenderedPrompt, Result, Trace
from p2re_eval.store import Store

Key = tuple[str, str, str, str, int]


@dataclass
class Rescored:
    """The results under today's scorers, in item order; and what was left out, by reason."""

    results: list[Result] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def leave_out(self, why: str) -> None:
        """Count a result that cannot be judged anew."""
        self.left_out[why] = self.left_out.get(why, 0) + 1


def rescore(
    harness: Harness,
    experiment: Experiment,
    plans: Sequence[SuitePlan],
    *,
    tell: Callable[[int], None] = lambda done: None,
) -> Rescored:
    """Judge the answers of a recorded experiment by these suites as they are now; results and
    evaluations are saved with the harness's own experiment.

    An answer to other inputs than the case has now is left out, and so is one that retention has
    taken. A judge's call is answered from what was recorded, and else its scorer breaks: no
    provider is called. ``tell`` hears how many results are done. Raises StoreError.
    """
    planned = {_key(run): run for plan in plans for run in plan.runs}
    rescored = Rescored()
    for number, result in enumerate(harness.store.results(experiment.experiment_id), start=1):
        _rescore_one(harness, result, planned, rescored)
        tell(number)
    return rescored


def _rescore_one(
    harness: Harness, old: Result, planned: Mapping[Key, PlannedRun], rescored: Rescored
) -> None:
    run = planned.get((old.suite, old.prompt, old.model, old.case_id, old.repeat))
    trace = _trace(harness.store, old)
    if run is None:
        rescored.leave_out("not in the suite any more")
    elif trace is None:
        rescored.leave_out("its answer is not recorded any more")
    elif not _answers(trace, run):
        rescored.leave_out("the case has other inputs now")
    else:
        rescored.results.append(_judged(harness, old, run, trace))


def _judged(harness: Harness, old: Result, run: PlannedRun, trace: Trace) -> Result:
    experiment_id = harness.experiment.experiment_id
    asked = Run(
        prompt=trace.prompt,
        repeat=old.repeat,
        source="replay",
        tape=RecordedCalls(harness.runner, harness.store),
        experiment_id=experiment_id,
        suite=old.suite,
        case_id=old.case_id,
    )
    said = harness.loop.submit(judge(trace, run.case, run.scorers, harness, asked)).result()
    result = result_of(run, trace, said.evaluations, experiment_id).model_copy(
        update={"prompt_version": old.prompt_version, "source": "cache"}
    )
    harness.store.save_result(result, said.evaluations).result()
    return result


class RecordedCalls:
    """Judges' calls as they were recorded: the tape of a rescoring."""

    def __init__(self, runner: Runner, store: Store) -> None:
        self._runner = runner
        self._store = store

    def find(self, prompt: RenderedPrompt, repeat: int) -> Completion | None:
        """The recorded answer to a judge's call."""
        key = self._runner.call_key(prompt)
        return self._store.find_call(key) if key else None

    def miss_reason(self, prompt: RenderedPrompt, repeat: int) -> str:
        """Why there is none."""
        return f"{prompt.model.id} was never asked this, and rescoring asks nobody"


def _key(run: PlannedRun) -> Key:
    return run.suite.path, run.template.name, run.model, run.case.id, run.repeat


def _trace(store: Store, result: Result) -> Trace | None:
    if result.trace_id is None:
        return None
    try:
        return store.read_trace(result.trace_id)
    except NoSuchRecord:
        return None


def _answers(trace: Trace, run: PlannedRun) -> bool:
    """Whether the trace was asked with what the case gives its prompt."""
    given = trace.prompt.variables
    return all(given.get(name) == value for name, value in run.inputs.items() if name in given)


def repeats_of(results: Iterator[Result]) -> int:
    """How many repeats the results have: a suite may say another number now."""
    return 1 + max((result.repeat for result in results), default=0)
