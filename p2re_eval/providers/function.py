"""The user's own code as a model: ``function/package.module:callable``.

The callable, sync (run in a thread of its own) or async, is called with what its signature names:

- a parameter named like an input of the prompt receives that input;
- ``prompt`` receives the RenderedPrompt, ``messages`` a list of ``{"role", "content"}``, unless an
  input has that name;
- ``**inputs`` receives the inputs that no other parameter took.

It returns text, a dict or list (kept as JSON text), or a :class:`~p2re_eval.records.Completion`.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from p2re_eval.documents import did_you_mean
from p2re_eval.errors import FunctionFailed, InvalidRequest, ProviderError, Unsupported
from p2re_eval.interfaces import ProviderContext
from p2re_eval.providers.function_target import Target, find_target, remove_root
from p2re_eval.records import JSON, Completion, ModelSettings, RenderedPrompt


class FunctionProvider:
    """Calls functions of the project; each is imported once, with the root folder on the path."""

    name = "function"
    concurrency: int | None = None

    def __init__(self, context: ProviderContext) -> None:
        self._root = context.root
        self._clock = context.clock
        self._targets: dict[str, Target] = {}

    def check(self, prompt: RenderedPrompt) -> None:
        """Refuse what can never be called.

        Raises NotFound for a module or name that is not there, FunctionFailed when the import
        breaks, InvalidRequest when the signature wants what the prompt has not, Unsupported for
        ``extra``, which no function would see.
        """
        target = self._target(prompt.model)
        if prompt.model.extra:
            what = f"{target.name} takes no 'extra'; remove it, or make it an input"
            raise self._fault(Unsupported, what, prompt.model)
        _arguments(target, prompt)

    def identity(self, model: ModelSettings) -> str:
        """The hash of the source file that defines the function."""
        return self._target(model).source_hash

    async def complete(
        self, prompt: RenderedPrompt, *, on_text: Callable[[str], None] | None = None
    ) -> Completion:
        """What the function returns.

        Raises FunctionFailed with the exception and the last line of the user's code; a
        ProviderError that the function raises itself passes through.
        """
        target = self._target(prompt.model)
        positional, named = _arguments(target, prompt)
        started = self._clock.monotonic_ns()
        try:
            if inspect.iscoroutinefunction(target.function):
                returned = await target.function(*positional, **named)
            else:
                returned = await _in_thread(target.function, positional, named)
                if inspect.isawaitable(returned):
                    returned = await returned
        except (ProviderError, KeyboardInterrupt, asyncio.CancelledError):
            raise
        except BaseException as error:  # SystemExit included: user code may end in any way
            raise self._failed(target, error, prompt.model) from error
        completion = self._completion(target, returned, prompt.model)
        if prompt.model.stream and on_text is not None and completion.text:
            on_text(completion.text)
        if completion.duration_ns is not None:
            return completion
        elapsed_ns = self._clock.monotonic_ns() - started
        return completion.model_copy(update={"duration_ns": elapsed_ns})

    async def close(self) -> None:
        """Take the root folder off the import path again."""
        remove_root(self._root)

    def _target(self, model: ModelSettings) -> Target:
        name = model.name or ""
        if name not in self._targets:
            self._targets[name] = find_target(name, self._root)
        return self._targets[name]

    def _completion(self, target: Target, returned: object, model: ModelSettings) -> Completion:
        if isinstance(returned, Completion):
            return returned
        if isinstance(returned, str):
            return Completion(text=returned, model=target.name)
        if isinstance(returned, (dict, list)):
            try:
                text = json.dumps(returned, ensure_ascii=False)
            except (TypeError, ValueError) as error:
                what = f"{target.name} returned what JSON cannot hold ({error}); return plain data"
                raise self._fault(FunctionFailed, what, model) from None
            return Completion(text=text, model=target.name, raw=returned)
        kind = "nothing" if returned is None else type(returned).__name__
        what = f"{target.name} returned {kind}; return text, a dict, a list or a Completion"
        raise self._fault(FunctionFailed, what, model)

    def _failed(self, target: Target, error: BaseException, model: ModelSettings) -> ProviderError:
        what = f"{target.name} raised {type(error).__name__}: {error}{self._last_line(error)}"
        return self._fault(FunctionFailed, what, model)

    def _last_line(self, error: BaseException) -> str:
        """Where it happened: the last frame inside the project, else the last of all."""
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if self._is_own(Path(f.filename))]
        if not frames:
            return ""
        frame = (own or list(frames))[-1]
        path = Path(frame.filename)
        shown = path.relative_to(self._root) if self._is_own(path) else path
        return f" ({shown}:{frame.lineno} in {frame.name})"

    def _is_own(self, path: Path) -> bool:
        return path.is_relative_to(self._root) and "site-packages" not in path.parts

    def _fault(self, kind: type[ProviderError], what: str, model: ModelSettings) -> ProviderError:
        return kind(f"function/{what}", provider=self.name, model=model.name or "")


def _arguments(target: Target, prompt: RenderedPrompt) -> tuple[list[JSON], dict[str, Any]]:
    """The positional and keyword arguments that the signature asks for. Raises InvalidRequest."""
    inputs = prompt.variables
    offered: dict[str, Callable[[], JSON]] = {
        "prompt": lambda: prompt,
        "messages": lambda: [_message(prompt, index) for index in range(len(prompt.messages))],
    }
    positional: list[JSON] = []
    named: dict[str, Any] = {}
    rest = dict(inputs)
    for name, parameter in target.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            continue
        if name in inputs:
            value = rest.pop(name)
        elif name in offered:
            value = offered[name]()
        elif parameter.default is parameter.empty:
            raise _unknown_parameter(target, name, inputs)
        else:
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(value)
        else:
            named[name] = value
    if any(p.kind is p.VAR_KEYWORD for p in target.parameters.values()):
        named.update(rest)
    return positional, named


def _unknown_parameter(target: Target, name: str, inputs: Mapping[str, JSON]) -> InvalidRequest:
    choices = [*inputs, "prompt", "messages"]
    return InvalidRequest(
        f"function/{target.name} takes '{name}', which is no input of the prompt"
        f"{did_you_mean(name, choices)}",
        provider="function",
        model=target.name,
    )


def _message(prompt: RenderedPrompt, index: int) -> dict[str, JSON]:
    message = prompt.messages[index]
    plain: dict[str, JSON] = message.model_dump(mode="json", exclude_defaults=True)
    return {"content": "", **plain}


async def _in_thread(
    function: Callable[..., object], positional: list[JSON], named: dict[str, Any]
) -> object:
    """Call it in a daemon thread: a hanging function must not keep the process from ending, as
    the threads of an executor would."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[object] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: object, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def work() -> None:
        result: object = None
        failure: BaseException | None = None
        try:
            result = context.run(function, *positional, **named)
        except StopIteration as error:  # a future cannot carry it
            failure = RuntimeError(f"StopIteration: {error}")
            failure.__traceback__ = error.__traceback__
        except BaseException as error:  # noqa: BLE001 - handed to the waiting task
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=work, name="p2re-function", daemon=True).start()
    return await future
