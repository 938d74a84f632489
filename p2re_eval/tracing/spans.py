"""Steps of the user's own code: ``@trace`` for functions, ``span()`` for blocks.

Both do nothing while nothing is captured, and need no OpenTelemetry.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast, overload

from pydantic_core import to_json

from p2re_eval.records import JSON, SpanKind
from p2re_eval.tracing.capturing import current_steps
from p2re_eval.tracing.hiding import HIDDEN, hides
from p2re_eval.tracing.steps import Step

_P = ParamSpec("_P")
_R = TypeVar("_R")


class OpenSpan:
    """A step that is open; ``trace_id`` is empty while nothing is captured."""

    def __init__(self, step: Step | None) -> None:
        self._step = step
        self.trace_id = "" if step is None else step.trace_id
        self.span_id = "" if step is None else step.span_id

    def set(self, **attributes: JSON) -> None:
        """Say more about the step; values that are no text or number are kept as JSON."""
        if self._step is not None:
            self._step.set({name: _plain(value) for name, value in attributes.items()})

    def input(self, value: object) -> None:
        """What went in."""
        self._said("input", value)

    def output(self, value: object) -> None:
        """What came out."""
        self._said("output", value)

    def attributes(self, attributes: Mapping[str, JSON]) -> None:
        """Attributes by their full names, as a convention has them."""
        if self._step is not None:
            self._step.set(attributes)

    def _said(self, side: str, value: object) -> None:
        if self._step is None:
            return
        if hides(f"{side}s", os.environ):
            self._step.set({f"{side}.value": HIDDEN})
        elif isinstance(value, str):
            self._step.set({f"{side}.value": value, f"{side}.mime_type": "text/plain"})
        else:
            self._step.set(
                {f"{side}.value": json_of(value), f"{side}.mime_type": "application/json"}
            )


@contextmanager
def span(name: str, *, kind: SpanKind = "CHAIN", **attributes: JSON) -> Iterator[OpenSpan]:
    """A step of a trace, or a trace of its own: ``with span("look up", kind="RETRIEVER") as step``.

    An exception that leaves the block is recorded and goes on.
    """
    step = start(name, kind, {key: _plain(value) for key, value in attributes.items()})
    if step is None:
        yield OpenSpan(None)
        return
    try:
        with step.active():
            yield OpenSpan(step)
    except BaseException as error:
        step.end(error)
        raise
    step.end()


def start(name: str, kind: SpanKind, attributes: Mapping[str, JSON]) -> Step | None:
    """A step that the caller ends; None while nothing is captured."""
    steps = current_steps()
    if steps is None:
        return None
    return steps.start(name, {"openinference.span.kind": kind, **attributes})


@overload
def trace(function: Callable[_P, _R], /) -> Callable[_P, _R]: ...


@overload
def trace(
    *, name: str | None = None, kind: SpanKind = "CHAIN"
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]: ...


def trace(
    function: Callable[_P, _R] | None = None,
    /,
    *,
    name: str | None = None,
    kind: SpanKind = "CHAIN",
) -> Callable[_P, _R] | Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Record each call of a function with its arguments and what it gives: ``@trace`` or
    ``@trace(kind="TOOL")``; sync, async, and generators of both, which end when they are used up.
    """
    if function is None:
        return lambda given: _traced(given, name, kind)
    return _traced(function, name, kind)


def _traced(function: Callable[_P, _R], name: str | None, kind: SpanKind) -> Callable[_P, _R]:
    calls = _Calls(function, name or str(getattr(function, "__qualname__", function)), kind)
    if inspect.isasyncgenfunction(function):
        wrapper: Callable[..., Any] = calls.async_generator
    elif inspect.isgeneratorfunction(function):
        wrapper = calls.generator
    elif inspect.iscoroutinefunction(function):
        wrapper = calls.coroutine
    else:
        wrapper = calls.plain

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: _P.args, **kwargs: _P.kwargs) -> Any:
            return await wrapper(*args, **kwargs)

        return cast(Callable[_P, _R], awaited)

    @functools.wraps(function)
    def called(*args: _P.args, **kwargs: _P.kwargs) -> Any:
        return wrapper(*args, **kwargs)

    return cast(Callable[_P, _R], called)


class _Calls:
    """The four ways to call a function, each inside a step."""

    def __init__(self, function: Callable[..., Any], name: str, kind: SpanKind) -> None:
        self._function = function
        self._name = name
        self._kind = kind

    def plain(self, *args: Any, **kwargs: Any) -> Any:
        with span(self._name, kind=self._kind) as step:
            self._arguments(step, args, kwargs)
            result = self._function(*args, **kwargs)
            step.output(result)
            return result

    async def coroutine(self, *args: Any, **kwargs: Any) -> Any:
        with span(self._name, kind=self._kind) as step:
            self._arguments(step, args, kwargs)
            result = await self._function(*args, **kwargs)
            step.output(result)
            return result

    def generator(self, *args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        """The step is active while the function runs, not while the caller uses an item."""
        step = start(self._name, self._kind, {})
        inner = self._function(*args, **kwargs)
        if step is None:
            return (yield from inner)
        self._arguments(OpenSpan(step), args, kwargs)
        given: list[Any] = []
        resume = partial(next, inner)
        try:
            while True:
                with step.active():
                    given.append(resume())
                try:
                    resume = partial(inner.send, (yield given[-1]))
                except Exception as error:  # noqa: BLE001 - the caller's, for the function
                    resume = partial(inner.throw, error)
        except StopIteration as end:
            _finish(step, given)
            return end.value
        except GeneratorExit:
            inner.close()
            _finish(step, given)
            raise
        except BaseException as error:
            _finish(step, given, error)
            raise

    async def async_generator(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        """The same, awaited."""
        step = start(self._name, self._kind, {})
        inner = self._function(*args, **kwargs)
        if step is not None:
            self._arguments(OpenSpan(step), args, kwargs)
        given: list[Any] = []
        resume = partial(anext, inner)
        try:
            while True:
                with nullcontext() if step is None else step.active():
                    item = await resume()
                if step is not None:
                    given.append(item)
                try:
                    resume = partial(inner.asend, (yield item))
                except Exception as error:  # noqa: BLE001 - the caller's, for the function
                    resume = partial(inner.athrow, error)
        except StopAsyncIteration:
            _finish(step, given)
        except GeneratorExit:
            await inner.aclose()
            _finish(step, given)
            raise
        except BaseException as error:
            _finish(step, given, error)
            raise

    def _arguments(self, step: OpenSpan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if step.trace_id:
            step.input(arguments_of(self._function, args, kwargs))


def arguments_of(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """A call's arguments by name, without ``self``."""
    try:
        bound = inspect.signature(function).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return {"args": list(args), **kwargs}
    return {name: value for name, value in bound.items() if name not in ("self", "cls")}


def json_of(value: object) -> str:
    """JSON of anything: what JSON does not know is written as its ``str()``."""
    try:
        return to_json(value, inf_nan_mode="constants", fallback=str).decode()
    except Exception:  # noqa: BLE001 - somebody's __str__ may do anything
        return json_of(f"<{type(value).__qualname__}>")


def _finish(step: Step | None, given: list[Any], error: BaseException | None = None) -> None:
    if step is None:
        return
    texts = given and all(isinstance(item, str) for item in given)
    OpenSpan(step).output("".join(given) if texts else given)
    step.end(error)


def _plain(value: JSON) -> JSON:
    return value if isinstance(value, (str, bool, int, float)) else json_of(value)
