"""The hook for an application's own way to call a model: a provider base class, a chat endpoint."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar, overload

from p2re_eval.errors import UsageError
from p2re_eval.tracing.call_reading import Answer, answer_attributes, question_attributes
from p2re_eval.tracing.recorder import LOG
from p2re_eval.tracing.spans import arguments_of, start
from p2re_eval.tracing.steps import Step

_F = TypeVar("_F", bound=Callable[..., Any])
_INSIDE: ContextVar[frozenset[str]] = ContextVar("p2re_inside", default=frozenset())
"""The hooks whose calls are under way here: ``super().chat()`` is not a second call."""


@overload
def record_calls(target: type, method: str, /, *, provider: str = "", model: str = "") -> None: ...


@overload
def record_calls(target: _F, /, *, provider: str = "", model: str = "") -> _F: ...


@overload
def record_calls(*, provider: str = "", model: str = "") -> Callable[[_F], _F]: ...


def record_calls(
    target: Any = None, method: str | None = None, /, *, provider: str = "", model: str = ""
) -> Any:
    """Record each call of a function that asks a model, as a call to a model.

    ``record_calls(BaseProvider, "chat")`` hooks the method of a class and of its subclasses, those
    still to come too; ``@record_calls`` a single function, such as a chat endpoint. Sync, async,
    streamed. Messages, model and parameters are read from the arguments by their names (messages,
    prompt, model, temperature ...), the answer from what comes back: a text, or an answer shaped
    like OpenAI's or Anthropic's. ``provider`` and ``model`` say what the arguments do not.

    Raises UsageError when the class has no such method.
    """
    if target is None:
        return lambda function: _recorded(function, _Hook(function.__qualname__, provider, model))
    if not isinstance(target, type):
        return _recorded(target, _Hook(target.__qualname__, provider, model))
    if method is None or not callable(getattr(target, method, None)):
        what = f"{target.__qualname__} has no method '{method}'; name the one that asks the model"
        raise UsageError(what)
    _hook_class(target, method, _Hook(f"{target.__qualname__}.{method}", provider, model))
    return None


class _Hook:
    """What one ``record_calls`` said."""

    def __init__(self, name: str, provider: str, model: str) -> None:
        self.name = name
        self.provider = provider
        self.model = model

    def begin(self, function: Callable[..., Any], args: Any, kwargs: Any) -> _Call | None:
        """A call to record; None while nothing is captured, or inside another of this hook."""
        if self.name in _INSIDE.get():
            return None
        step = start(self.name, "LLM", {})
        return None if step is None else _Call(self, step, function, args, kwargs)


class _Call:
    """One recorded call."""

    def __init__(
        self, hook: _Hook, step: Step, function: Callable[..., Any], args: Any, kwargs: Any
    ) -> None:
        self._hook = hook
        self._step = step
        self._quietly(self._ask, function, args, kwargs)

    def __enter__(self) -> None:
        self._token = _INSIDE.set(_INSIDE.get() | {self._hook.name})
        self._active = self._step.active()
        self._active.__enter__()

    def __exit__(self, *_: object) -> None:
        self._active.__exit__(None, None, None)
        _INSIDE.reset(self._token)

    def end(self, answer: Answer) -> None:
        self._quietly(lambda: self._step.set(answer_attributes(answer)))
        self._step.end()

    def fail(self, error: BaseException) -> None:
        self._step.end(error)

    def _ask(self, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        given = arguments_of(function, args, kwargs)
        first = next(iter(inspect.signature(function).parameters), "")
        owner = args[0] if args and first == "self" else None
        named = {"provider": self._hook.provider, "model": self._hook.model}
        self._step.set(question_attributes(given, owner, **named))

    def _quietly(self, do: Callable[..., None], *args: Any) -> None:
        try:
            do(*args)
        except Exception as error:  # noqa: BLE001 - a record must not break what it records
            LOG.error("p2re: a call of %s was not understood: %r", self._hook.name, error)


def _hook_class(owner: Any, method: str, hook: _Hook) -> None:
    for known in [owner, *_below(owner)]:
        _patch(known, method, hook)
    before = owner.__dict__.get("__init_subclass__")

    def hooked(cls: Any, /, **kwargs: Any) -> None:
        if before is None:
            super(owner, cls).__init_subclass__(**kwargs)
        else:
            before.__get__(None, cls)(**kwargs)
        _patch(cls, method, hook)

    owner.__init_subclass__ = classmethod(hooked)


def _below(owner: Any) -> Iterator[type]:
    for one in type.__subclasses__(owner):
        yield one
        yield from _below(one)


def _patch(owner: type, method: str, hook: _Hook) -> None:
    """The class's own definition, if it has one that is not hooked."""
    found = owner.__dict__.get(method)
    if inspect.isfunction(found) and not hasattr(found, "__p2re_hook__"):
        setattr(owner, method, _recorded(found, hook))


def _recorded(function: Any, hook: _Hook) -> Any:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            call = hook.begin(function, args, kwargs)
            if call is None:
                return await function(*args, **kwargs)
            return await _settled(function(*args, **kwargs), call)

        wrapper: Any = awaited
    else:

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            call = hook.begin(function, args, kwargs)
            if call is None:
                return function(*args, **kwargs)
            try:
                with call:
                    result = function(*args, **kwargs)
            except BaseException as error:
                call.fail(error)
                raise
            return _settled(result, call) if inspect.isawaitable(result) else _given(result, call)

        wrapper = called
    wrapper.__p2re_hook__ = hook
    return wrapper


async def _settled(result: Awaitable[Any], call: _Call) -> Any:
    try:
        with call:
            answer = await result
    except BaseException as error:
        call.fail(error)
        raise
    return _given(answer, call)


def _given(result: Any, call: _Call) -> Any:
    """What comes back: an answer, or a stream that is read on its way to the caller."""
    if inspect.isasyncgen(result):
        return _read_async(result, call)
    if inspect.isgenerator(result):
        return _read(result, call)
    call.end(Answer([result], streamed=False))
    return result


def _read(stream: Iterator[Any], call: _Call) -> Iterator[Any]:
    pieces: list[Any] = []
    try:
        while True:
            with call:
                try:
                    piece = next(stream)
                except StopIteration:
                    break
            pieces.append(piece)
            yield piece
    except GeneratorExit:
        call.end(Answer(pieces, streamed=True))
        raise
    except BaseException as error:
        call.fail(error)
        raise
    call.end(Answer(pieces, streamed=True))


async def _read_async(stream: AsyncIterator[Any], call: _Call) -> AsyncIterator[Any]:
    pieces: list[Any] = []
    try:
        while True:
            with call:
                try:
                    piece = await anext(stream)
                except StopAsyncIteration:
                    break
            pieces.append(piece)
            yield piece
    except GeneratorExit:
        call.end(Answer(pieces, streamed=True))
        raise
    except BaseException as error:
        call.fail(error)
        raise
    call.end(Answer(pieces, streamed=True))
