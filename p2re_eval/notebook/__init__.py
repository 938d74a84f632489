"""The door for Jupyter: run, evaluate and look, each record drawing itself."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2re_eval.notebook.evaluation import Evaluating, evaluate, start_evaluation
    from p2re_eval.notebook.experiment import Results, StoredExperiment
    from p2re_eval.notebook.magics import load_ipython_extension, unload_ipython_extension
    from p2re_eval.notebook.workbench import Answer, Workbench, use, workbench

_HOMES = {
    "p2re_eval.notebook.evaluation": ("Evaluating", "evaluate", "start_evaluation"),
    "p2re_eval.notebook.experiment": ("Results", "StoredExperiment"),
    "p2re_eval.notebook.magics": ("load_ipython_extension", "unload_ipython_extension"),
    "p2re_eval.notebook.workbench": ("Answer", "Workbench", "use", "workbench"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Answer",
    "Evaluating",
    "Results",
    "StoredExperiment",
    "Workbench",
    "evaluate",
    "load_ipython_extension",
    "start_evaluation",
    "unload_ipython_extension",
    "use",
    "workbench",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'p2re_eval.notebook' has no attribute '{name}'")
    return getattr(import_module(home), name)
