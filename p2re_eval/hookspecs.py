"""The whole extension surface: implement any of these with ``@p2re_eval.hookimpl``.

A plug-in is a package with an entry point in the group ``p2re_eval``, or the ``conftest.py`` of a
pytest project. Nothing is imported before a session needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pluggy

from p2re_eval.interfaces import (
    Environment,
    ExperimentLog,
    ProviderFactory,
    RedactionFunction,
    ScorerFunction,
)
from p2re_eval.records import Comparison, Evaluation, Experiment, Trace

PROJECT = "p2re_eval"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_providers(register: Callable[[str, ProviderFactory], None]) -> None:
    """Call ``register("name", factory)`` for each provider; suites then say ``name/model``."""


@hookspec
def register_scorers(register: Callable[[str, ScorerFunction], None]) -> None:
    """Call ``register("name", function)`` for each scorer; suites then list it by that name."""


@hookspec
def register_redactions(register: Callable[[str, RedactionFunction], None]) -> None:
    """Call ``register("name", function)`` for each function that takes a text and gives what may be
    stored of it, before the disk sees it. Where one raises, the record is not stored."""


@hookspec
def prepare_environment(environment: Environment) -> None:
    """Add filters, tests and globals to the Jinja environment that renders prompts."""


@hookspec
def trace_recorded(trace: Trace, evaluations: Sequence[Evaluation]) -> None:
    """A run is on disk, with its evaluations. Called in the engine's thread: be quick."""


@hookspec(firstresult=True)
def choose_baseline(experiment: Experiment, store: ExperimentLog) -> str | None:
    """What to compare with when nobody said: an experiment's id, ``latest``, ``ancestor`` or a
    baseline file. The first answer counts."""


@hookspec
def experiment_finished(experiment: Experiment, comparison: Comparison | None) -> None:
    """All runs of a session are on disk and the gates have decided."""
