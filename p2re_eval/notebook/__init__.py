"""The door for Jupyter: run, evaluate and look, each record drawing itself."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2re_eval.notebook.bench import Answer, Workbench, render, run, use, workbench
    from p2re_eval.notebook.drift import History, history
    from p2re_eval.notebook.evaluation import Evaluating, evaluate, start_evaluation
    from p2re_eval.notebook.judging import Judged
    from p2re_eval.notebook.looking import Labels, Traces, annotate, experiment, view
    from p2re_eval.notebook.magics import load_ipython_extension, unload_ipython_extension
    from p2re_eval.notebook.playground import Playground
    from p2re_eval.notebook.stored import Results, StoredExperiment

_HOMES = {
    "p2re_eval.notebook.evaluation": ("Evaluating", "evaluate", "start_evaluation"),
    "p2re_eval.notebook.drift": ("History", "history"),
    "p2re_eval.notebook.judging": ("Judged",),
    "p2re_eval.notebook.stored": ("Results", "StoredExperiment"),
    "p2re_eval.notebook.looking": ("Labels", "Traces", "annotate", "experiment", "view"),
    "p2re_eval.notebook.magics": ("load_ipython_extension", "unload_ipython_extension"),
    "p2re_eval.notebook.playground": ("Playground",),
    "p2re_eval.notebook.bench": (
        "Answer",
        "Workbench",
        "render",
        "run",
        "use",
        "workbench",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Answer",
    "Evaluating",
    "History",
    "Judged",
    "Labels",
    "Playground",
    "Results",
    "StoredExperiment",
    "Traces",
    "Workbench",
    "annotate",
    "evaluate",
    "experiment",
    "history",
    "load_ipython_extension",
    "render",
    "run",
    "start_evaluation",
    "unload_ipython_extension",
    "use",
    "view",
    "workbench",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'p2re_eval.notebook' has no attribute '{name}'")
    return getattr(import_module(home), name)
