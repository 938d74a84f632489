"""P2RE: prompts as YAML, runs as traces, evaluations by pytest, all in one SQLite file.

PYTEST_DONT_REWRITE: nothing here is a test, and `p2re run` imports this before pytest can look.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2re_eval.errors import P2REError
    from p2re_eval.hookspecs import hookimpl
    from p2re_eval.interfaces import Clock, Provider, ProviderContext, ScoringContext
    from p2re_eval.notebook import (
        Playground,
        Traces,
        annotate,
        evaluate,
        experiment,
        history,
        load_ipython_extension,
        run,
        start_evaluation,
        unload_ipython_extension,
        use,
        view,
    )
    from p2re_eval.online import assign, outcome
    from p2re_eval.pipeline import Harness, Settings
    from p2re_eval.prompts.library import PromptLibrary
    from p2re_eval.records import (
        Case,
        Completion,
        Evaluation,
        Experiment,
        Message,
        ModelSettings,
        PromptTemplate,
        RenderedPrompt,
        Result,
        Score,
        Suite,
        ToolCall,
        Trace,
        Usage,
    )
    from p2re_eval.scorers import scorer
    from p2re_eval.store import Store, open_store
    from p2re_eval.suites.load import load_suite
    from p2re_eval.tracing import capture, record_calls, session, span, trace

_HOMES = {
    "p2re_eval.errors": ("P2REError",),
    "p2re_eval.hookspecs": ("hookimpl",),
    "p2re_eval.interfaces": ("Clock", "Provider", "ProviderContext", "ScoringContext"),
    "p2re_eval.notebook": (
        "Playground",
        "Traces",
        "annotate",
        "evaluate",
        "experiment",
        "history",
        "load_ipython_extension",
        "run",
        "start_evaluation",
        "unload_ipython_extension",
        "use",
        "view",
    ),
    "p2re_eval.pipeline": ("Harness", "Settings"),
    "p2re_eval.prompts.library": ("PromptLibrary",),
    "p2re_eval.records": (
        "Case",
        "Completion",
        "Evaluation",
        "Experiment",
        "Message",
        "ModelSettings",
        "PromptTemplate",
        "RenderedPrompt",
        "Result",
        "Score",
        "Suite",
        "ToolCall",
        "Trace",
        "Usage",
    ),
    "p2re_eval.scorers": ("scorer",),
    "p2re_eval.store": ("Store", "open_store"),
    "p2re_eval.suites.load": ("load_suite",),
    "p2re_eval.online": ("assign", "outcome"),
    "p2re_eval.tracing": ("capture", "record_calls", "session", "span", "trace"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Case",
    "Clock",
    "Completion",
    "Evaluation",
    "Experiment",
    "Harness",
    "Message",
    "ModelSettings",
    "P2REError",
    "Playground",
    "PromptLibrary",
    "PromptTemplate",
    "Provider",
    "ProviderContext",
    "RenderedPrompt",
    "Result",
    "Score",
    "ScoringContext",
    "Settings",
    "Store",
    "Suite",
    "ToolCall",
    "Trace",
    "Traces",
    "Usage",
    "annotate",
    "assign",
    "capture",
    "evaluate",
    "experiment",
    "history",
    "hookimpl",
    "load_ipython_extension",
    "load_suite",
    "open_store",
    "outcome",
    "record_calls",
    "run",
    "scorer",
    "session",
    "span",
    "start_evaluation",
    "trace",
    "unload_ipython_extension",
    "use",
    "view",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'p2re_eval' has no attribute '{name}'")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
