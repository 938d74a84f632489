"""Reports: an experiment and its results in, text out. Each format is imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2re_eval.report.files import SUFFIXES, write_report
    from p2re_eval.report.html import html_report
    from p2re_eval.report.json_file import json_report, report_schema
    from p2re_eval.report.markdown import markdown_report
    from p2re_eval.report.summary import Summary, headline, summarize
    from p2re_eval.report.terminal import terminal_report
    from p2re_eval.report.terminal_comparison import comparison_report

__all__ = [
    "SUFFIXES",
    "Summary",
    "comparison_report",
    "headline",
    "html_report",
    "json_report",
    "markdown_report",
    "report_schema",
    "summarize",
    "terminal_report",
    "write_report",
]

_MODULES = ("files", "summary", "terminal", "terminal_comparison", "markdown", "json_file", "html")


def __getattr__(name: str) -> object:
    if name in __all__:
        for module in _MODULES:
            found = import_module(f"{__name__}.{module}")
            if name in vars(found):
                return vars(found)[name]
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
