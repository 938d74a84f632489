"""Finding the callable that ``package.module:callable`` names, with the project on the path."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from p2re_eval.documents import did_you_mean
from p2re_eval.errors import FunctionFailed, NotFound, ProviderError


@dataclass(frozen=True, slots=True)
class Target:
    """A callable, the parameters it takes, and the hash of the file that defines it."""

    name: str
    function: Callable[..., Any]
    parameters: Mapping[str, inspect.Parameter]
    source_hash: str


def find_target(name: str, root: Path) -> Target:
    """Import the module and look the callable up; ``root`` stays on the path for later imports.

    Raises NotFound with a did-you-mean, or FunctionFailed when the module breaks at import.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise _fault(NotFound, name, "is no function; write function/package.module:callable")
    _add_root(root)
    found: Any = _imported(name, module_name, root)
    for step in attribute.split("."):
        known = [key for key in vars(found) if not key.startswith("_")]
        if not hasattr(found, step):
            raise _fault(NotFound, name, f"has no '{step}'{did_you_mean(step, known)}")
        found = getattr(found, step)
    if not callable(found):
        raise _fault(NotFound, name, f"is a {type(found).__name__}, not a function; name one")
    return Target(name, _awaitable(found), _parameters(name, found), _source_hash(found, name))


def remove_root(root: Path) -> None:
    """Undo what :func:`find_target` did to the import path."""
    if str(root) in sys.path:
        sys.path.remove(str(root))


def _add_root(root: Path) -> None:
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    importlib.invalidate_caches()


def _imported(name: str, module_name: str, root: Path) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if module_name == missing or module_name.startswith(f"{missing}."):
            known = did_you_mean(module_name, _modules_below(root))
            raise _fault(NotFound, name, f"has no module '{missing}'{known}") from None
        raise _broken_import(name, module_name, error) from error
    except Exception as error:
        raise _broken_import(name, module_name, error) from error


def _broken_import(name: str, module_name: str, error: Exception) -> ProviderError:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError):
        place = f" ({error.filename}:{error.lineno})"
    what = f"cannot be imported: {type(error).__name__}: {error}{place}; correct {module_name}"
    return _fault(FunctionFailed, name, what)


def _modules_below(root: Path) -> list[str]:
    files = [*root.glob("*.py"), *root.glob("*/*.py")]
    dotted = [".".join(file.relative_to(root).with_suffix("").parts) for file in files]
    return [module.removesuffix(".__init__") for module in dotted]


def _parameters(name: str, function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        what = "does not tell its parameters; wrap it in a Python function"
        raise _fault(NotFound, name, what) from None


def _awaitable(found: Callable[..., Any]) -> Callable[..., Any]:
    """The async ``__call__`` of an object, so that it is seen to be async; else the callable."""
    call = getattr(found, "__call__", None)  # noqa: B004 - the bound method itself is wanted
    if call is not None and inspect.iscoroutinefunction(call) and not inspect.isclass(found):
        return found if inspect.iscoroutinefunction(found) else call
    return found


def _source_hash(function: Callable[..., Any], name: str) -> str:
    target = inspect.unwrap(function)
    try:
        path = inspect.getsourcefile(target if hasattr(target, "__code__") else type(target))
        source = Path(path or "").read_bytes()
    except (TypeError, OSError):
        return ""
    return hashlib.sha256(name.encode() + b"\0" + source).hexdigest()


def _fault(kind: type[ProviderError], name: str, what: str) -> ProviderError:
    return kind(f"function/{name} {what}", provider="function", model=name)
