"""An experiment of the database as one side of a comparison."""

from __future__ import annotations

from p2re_eval.compare.sample import Sample
from p2re_eval.errors import NoSuchRecord
from p2re_eval.records import Experiment, Trace
from p2re_eval.store import Store


def recorded(
    store: Store, experiment: Experiment, *, label: str = "", suite: str | None = None
) -> Sample:
    """The experiment, or one suite of it, read when it is needed."""
    experiment_id = experiment.experiment_id

    def trace(trace_id: str) -> Trace | None:
        try:
            return store.read_trace(trace_id)
        except NoSuchRecord:
            return None  # retention has taken it

    return Sample(
        experiment=experiment,
        label=label or experiment_id[:12],
        observations=lambda: store.observations(experiment_id, suite),
        case_results=lambda key: store.case_results(experiment_id, key),
        trace=trace,
    )
