"""Answers written down beforehand: for tests, and for examples that need no model.

In a prompt or suite, ``extra`` of a ``scripted/ANY`` model holds the script::

    model: {provider: scripted, name: router, extra: {answers: {charged: billing, ".*": technical}}}

- ``answers``: a mapping whose first regular expression found in the last user message decides, or
  a list that is gone through call by call and begins again. Without it the last user message
  comes back. An answer is text, or a mapping of Completion's fields.
- ``latency_s``: how long each call takes, on the session's clock.
- ``error``: the kind of a ProviderError (``rate_limited``, ``server`` ...) instead of an answer;
  with ``error_times: N`` only for the first N calls of the same prompt.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TypeAlias

from pydantic import ValidationError

from p2re_eval.clock import SystemClock
from p2re_eval.documents import did_you_mean
from p2re_eval.errors import InvalidRequest, ProviderError, Unsupported
from p2re_eval.interfaces import Clock
from p2re_eval.records import JSON, Completion, ModelSettings, RenderedPrompt, Usage, canonical_json

Answer: TypeAlias = str | Completion | Mapping[str, JSON]
Script: TypeAlias = Callable[[RenderedPrompt], Answer | Awaitable[Answer]]
_SETTINGS = ("answers", "latency_s", "error", "error_times")


class ScriptedProvider:
    """Answers from the model settings, or from a Python function of the rendered prompt.

    ``calls`` counts the calls begun, ``in_flight`` those not yet ended, ``most_in_flight`` the
    most there were at once. Tokens are counted as words; an answer costs nothing unless the model
    settings name a price or the answer a ``cost_usd``.
    """

    name = "scripted"
    concurrency: int | None = None
    free = True

    def __init__(self, script: Script | None = None, *, clock: Clock | None = None) -> None:
        self._script = script
        self._clock = clock or SystemClock()
        self._asked: Counter[str] = Counter()
        self.calls = 0
        self.in_flight = 0
        self.most_in_flight = 0

    def check(self, prompt: RenderedPrompt) -> None:
        """Refuse a script that cannot be read. Raises Unsupported or InvalidRequest."""
        if self._script is not None:
            return
        script = prompt.model.extra or {}
        for name in script:
            if name not in _SETTINGS:
                what = f"unknown setting '{name}'{did_you_mean(name, _SETTINGS)}"
                raise self._fault(Unsupported, what, prompt.model)
        _error_kind(str(script.get("error", "server")))
        answers = script.get("answers")
        if answers is not None and not (isinstance(answers, (dict, list)) and answers):
            what = "'answers' must be a mapping of regular expressions, or a list, and not empty"
            raise self._fault(InvalidRequest, what, prompt.model)
        for pattern in answers if isinstance(answers, dict) else ():
            try:
                re.compile(pattern)
            except re.error as error:
                what = f"'{pattern}' is no regular expression ({error}); correct it in 'answers'"
                raise self._fault(InvalidRequest, what, prompt.model) from None

    def identity(self, model: ModelSettings) -> str:
        """The function's name when one answers; a script in the settings is in the fingerprint."""
        return "" if self._script is None else getattr(self._script, "__qualname__", "")

    async def complete(
        self, prompt: RenderedPrompt, *, on_text: Callable[[str], None] | None = None
    ) -> Completion:
        """The scripted answer, after the scripted latency. Raises the scripted error."""
        self.calls += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        started = self._clock.monotonic_ns()
        try:
            answer = await self._answer(prompt)
        finally:
            self.in_flight -= 1
        completion = self._completion(prompt, answer)
        if prompt.model.stream and on_text is not None:
            for piece in _words(completion.text):
                on_text(piece)
        return completion.model_copy(
            update={"duration_ns": self._clock.monotonic_ns() - started}
            if completion.duration_ns is None
            else {}
        )

    async def close(self) -> None:
        """Nothing to give back."""

    async def _answer(self, prompt: RenderedPrompt) -> Answer:
        if self._script is not None:
            answer = self._script(prompt)
            return await answer if inspect.isawaitable(answer) else answer
        script = prompt.model.extra or {}
        # Chosen before the wait, so that the order of the calls alone decides who gets what.
        error = self._error(script, prompt)
        answer = "" if error else self._chosen(script.get("answers"), prompt)
        latency_s = float(script.get("latency_s", 0))
        if latency_s:
            await self._clock.sleep(latency_s)
        if error:
            raise error
        return answer

    def _error(self, script: Mapping[str, JSON], prompt: RenderedPrompt) -> ProviderError | None:
        if "error" not in script:
            return None
        key = f"error {prompt.fingerprint}"
        self._asked[key] += 1
        if self._asked[key] > script.get("error_times", self._asked[key]):
            return None
        kind = str(script["error"])
        return self._fault(_error_kind(kind), f"scripted error '{kind}'", prompt.model)

    def _chosen(self, answers: JSON, prompt: RenderedPrompt) -> Answer:
        question = _last_question(prompt)
        if answers is None:
            return question
        if isinstance(answers, list):
            key = f"list {prompt.model.id} {canonical_json(answers)}"
            self._asked[key] += 1
            chosen: Answer = answers[(self._asked[key] - 1) % len(answers)]
            return chosen
        for pattern, answer in answers.items():
            if re.search(pattern, question):
                return answer if isinstance(answer, Mapping) else str(answer)
        what = f"no scripted answer matches '{question[:80]}'; add one, or '.*' as the last"
        raise self._fault(InvalidRequest, what, prompt.model)

    def _completion(self, prompt: RenderedPrompt, answer: Answer) -> Completion:
        completion = answer if isinstance(answer, Completion) else self._read(prompt, answer)
        filled: dict[str, JSON] = {}
        if completion.model is None:
            filled["model"] = prompt.model.name
        if completion.usage == Usage():
            filled["usage"] = Usage(
                input_tokens=sum(len(message.text.split()) for message in prompt.messages),
                output_tokens=len(completion.text.split()),
            )
        if completion.cost_usd is None:
            filled["cost_usd"] = _cost_usd(prompt.model, filled.get("usage", completion.usage))
        return completion.model_copy(update=filled)

    def _read(self, prompt: RenderedPrompt, answer: str | Mapping[str, JSON]) -> Completion:
        if not isinstance(answer, Mapping):
            return Completion(text=str(answer))
        try:
            return Completion.model_validate(answer)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(step) for step in first["loc"])
            what = f"a scripted answer is no completion: {where}: {first['msg']}; correct it"
            raise self._fault(InvalidRequest, what, prompt.model) from None

    def _fault(self, kind: type[ProviderError], what: str, model: ModelSettings) -> ProviderError:
        name = model.name or ""
        return kind(f"{self.name}/{name}: {what}", provider=self.name, model=name)


def _error_kind(kind: str) -> type[ProviderError]:
    known = {found.kind: found for found in _all_kinds(ProviderError)}
    if kind not in known:
        raise InvalidRequest(
            f"scripted: no provider error is called '{kind}'{did_you_mean(kind, known)}",
            provider="scripted",
        )
    return known[kind]


def _all_kinds(root: type[ProviderError]) -> Iterator[type[ProviderError]]:
    yield root
    for below in root.__subclasses__():
        yield from _all_kinds(below)


def _last_question(prompt: RenderedPrompt) -> str:
    asked = [message.text for message in prompt.messages if message.role == "user"]
    return asked[-1] if asked else ""


def _cost_usd(model: ModelSettings, usage: Usage) -> float:
    from p2re_eval.providers.prices import from_price

    return 0.0 if model.price is None else from_price(model.price, usage)


def _words(text: str) -> Iterator[str]:
    yield from re.findall(r"\s*\S+\s*?(?=\s|$)|\s+$", text)
