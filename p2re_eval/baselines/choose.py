"""Which experiment a reference means: an id, ``latest``, ``ancestor`` or a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from p2re_eval.baselines.file import read_baseline
from p2re_eval.compare import Sample, compare, recorded, sample_of
from p2re_eval.errors import NoBaseline, P2REError
from p2re_eval.git import Repository
from p2re_eval.records import Comparison, Experiment, Result
from p2re_eval.store import Store

_LOOKED_AT = 1000
"""How many experiments back a baseline is looked for."""
SUFFIXES = (".jsonl", ".json")


@dataclass(frozen=True)
class Baseline:
    """What was chosen; ``sample`` gives it as one side of a comparison, of one suite if named."""

    experiment: Experiment
    label: str
    sample: Callable[[str | None], Sample]


def choose(
    reference: str, store: Store, *, root: Path, suites: Iterable[str], now: Experiment
) -> Baseline:
    """The baseline that the reference means for the experiment ``now`` of these suites.

    Raises NoBaseline when there is none, NoSuchRecord and StoreError for an id, DefinitionError for
    a file, GitError for ``ancestor`` outside a repository.
    """
    if is_file(reference):
        return _from_file(root / reference, reference)
    if reference == "latest":
        found = _newest(store, set(suites), now, lambda experiment: True)
        why = "no earlier complete experiment of these suites is recorded here"
    elif reference == "ancestor":
        repository = Repository.around(root)
        found = _newest(store, set(suites), now, lambda one: _is_ancestor(repository, one))
        why = "no complete experiment of a clean ancestor of HEAD is recorded here"
        if repository.is_shallow():
            why += ", as far as this shallow clone knows; run `git fetch --unshallow`"
    else:
        found, why = store.read_experiment(reference), ""
    if found is None:
        raise NoBaseline(
            f"the baseline '{reference}': {why}; run the suites once, or commit a file that "
            "`p2re experiments bless` writes"
        )
    label = reference if reference in {"latest", "ancestor"} else found.experiment_id[:12]
    return from_store(store, found, label=label)


def stored_comparison(store: Store, experiment: Experiment, root: Path) -> Comparison | None:
    """What a recorded experiment was compared with, compared again; ``None`` when it was with
    nothing, or with what is gone."""
    reference = experiment.settings.get("baseline")
    if not isinstance(reference, str):
        return None
    try:
        found = choose(reference, store, root=root, suites=experiment.suites, now=experiment)
    except P2REError:
        return None
    note = str(experiment.settings.get("compared", ""))
    return compare(found.sample(None), recorded(store, experiment), partial=note)


def is_file(reference: str) -> bool:
    """Whether the reference is a file's path, and not an experiment."""
    return reference.endswith(SUFFIXES) or "/" in reference


def from_store(store: Store, experiment: Experiment, *, label: str) -> Baseline:
    """A recorded experiment as a baseline."""
    return Baseline(
        experiment, label, lambda suite: recorded(store, experiment, label=label, suite=suite)
    )


def _from_file(path: Path, label: str) -> Baseline:
    experiment, results = read_baseline(path)

    def sample(suite: str | None) -> Sample:
        wanted: list[Result] = [r for r in results if suite is None or r.suite == suite]
        return sample_of(experiment, wanted, label=label)

    return Baseline(experiment, label, sample)


def _newest(
    store: Store, suites: set[str], now: Experiment, fits: Callable[[Experiment], bool]
) -> Experiment | None:
    for one in store.list_experiments(_LOOKED_AT):
        if one.experiment_id == now.experiment_id or one.started_ns > now.started_ns:
            continue
        made_for_another = "baseline_of" in one.settings or "rescored_from" in one.settings
        usable = one.status == "COMPLETE" and not made_for_another
        if usable and suites & set(one.suites) and fits(one):
            return one
    return None


def _is_ancestor(repository: Repository, experiment: Experiment) -> bool:
    revision = experiment.revision
    return revision is not None and not revision.dirty and repository.is_ancestor(revision.commit)
