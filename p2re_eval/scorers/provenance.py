"""Where a scorer comes from: the source that its version hashes, the line where it broke."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

_ROOM = "p2re_eval."


def source_of(function: Callable[..., object]) -> str:
    """The text that changes when the scorer does.

    A function's source; where that cannot be had, its module's file, then its compiled code. The
    scorers of this package add the package's version: they lean on the modules around them.
    """
    if isinstance(function, functools.partial):
        return f"{source_of(function.func)}{function.args!r}{function.keywords!r}"
    plain = inspect.unwrap(function)
    named = plain if inspect.isroutine(plain) else type(plain)
    try:
        text = inspect.getsource(named)
    except (OSError, TypeError):
        text = _file_of(named.__module__) or _code_of(plain)
    if named.__module__.startswith(_ROOM):
        return f"{_package_version()}\n{text}"
    return text


def _file_of(module: str) -> str:
    path = getattr(sys.modules.get(module), "__file__", None)
    try:
        return Path(path).read_text(encoding="utf-8") if path else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _code_of(function: Callable[..., object]) -> str:
    code = getattr(function, "__code__", None)
    name = f"{function.__module__}.{getattr(function, '__qualname__', '')}"
    if code is None:
        return name
    # Nested code would show its address, which changes from run to run.
    constants = [constant for constant in code.co_consts if not inspect.iscode(constant)]
    return f"{name}{code.co_code.hex()}{constants!r}"


def _package_version() -> str:
    # Reading package metadata takes milliseconds, so not at import.
    from importlib.metadata import version

    return version("p2re-eval")


def raised_at(error: Exception, *, root: Path | None) -> str:
    """`` (scorers.py:12, in polite)``: the last line of the user's own in the traceback, or ""."""
    # Only a crash needs these two.
    import sysconfig
    import traceback

    foreign = tuple(sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib"))
    binding = str(Path(__file__).with_name("binding.py"))
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((*foreign, binding, "<frozen")):
            return f" ({_short(frame.filename, root)}:{frame.lineno}, in {frame.name})"
    return ""


def _short(filename: str, root: Path | None) -> str:
    path = Path(filename)
    if root is not None and path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    return path.name
