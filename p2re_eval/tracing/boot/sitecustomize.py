"""Turns capture on in a program that was not written for it: Python imports this at its start.

``p2re capture`` puts this folder first on PYTHONPATH. Whatever goes wrong here is one line on
standard error: the program runs all the same.
"""

import importlib
import importlib.util
import os
import sys


def _start() -> None:
    try:
        from p2re_eval.tracing.launched import start
    except ImportError as error:
        sys.stderr.write(
            f"p2re: calls are not recorded: {error}; install p2re-eval[capture] in the environment "
            f"of {sys.executable}\n"
        )
        return
    start()


def _go_on() -> None:
    """A program may have a sitecustomize of its own: ours stands before it."""
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib takes 20 ms
    sys.path[:] = [place for place in sys.path if os.path.abspath(place or ".") != here]  # noqa: PTH100
    ours = sys.modules.pop("sitecustomize")
    try:
        if importlib.util.find_spec("sitecustomize") is not None:
            importlib.import_module("sitecustomize")
    finally:
        sys.modules.setdefault("sitecustomize", ours)  # the import of it is still under way


_start()
_go_on()
