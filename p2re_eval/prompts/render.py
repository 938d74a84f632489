"""From a template and inputs to what is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, Protocol

from jinja2 import Environment, Template, TemplateNotFound, UndefinedError
from jinja2.exceptions import SecurityError

from p2re_eval.errors import DefinitionError, RenderError
from p2re_eval.prompts.images import image_url
from p2re_eval.prompts.inputs import Declared, parse_history
from p2re_eval.prompts.load import last_user_message
from p2re_eval.prompts.sandbox import Absent, PartialLoader, compile_text, is_literal
from p2re_eval.records import (
    JSON,
    ImagePart,
    Message,
    ModelSettings,
    Part,
    PromptTemplate,
    RenderedPrompt,
    TemplateMessage,
    TemplatePart,
    TextPart,
)

ReadImage = Callable[[str], bytes | None]
_Context = dict[str, Any]
_Text = Callable[[_Context], str]
_MODELS_KEPT = 100


class _Step(Protocol):
    """A part of a prompt that can say its messages."""

    def __call__(self, context: _Context) -> Iterator[Message]: ...


class CompiledPrompt:
    """A template with its Jinja compiled; renders any number of times."""

    def __init__(
        self, template: PromptTemplate, environment: Environment, read_image: ReadImage
    ) -> None:
        self._template = template
        self._read_image = read_image
        self._environment = environment.overlay(loader=PartialLoader(template.partials))
        declared = Declared.by(template.name, template.inputs, template.messages)
        self._names = frozenset(template.inputs)
        self._required = frozenset(declared.required)
        self._defaults = declared.defaults
        self._absent = {
            name: Absent(name=name) for name in template.inputs if name not in self._defaults
        }
        self._models: dict[int, tuple[ModelSettings, ModelSettings]] = {}
        self._steps = [self._step(i, m) for i, m in enumerate(template.messages)]
        self._last_user = last_user_message(template.messages)

    def render(self, inputs: Mapping[str, JSON], settings: ModelSettings) -> RenderedPrompt:
        """What is sent for these inputs. Raises RenderError."""
        self._check_names(inputs)
        template = self._template
        variables = {**self._defaults, **inputs}
        context = {**self._absent, **variables}
        messages: list[Message] = []
        for index, step in enumerate(self._steps):
            if index == self._last_user:
                messages += self._examples
            messages += step(context)
        return RenderedPrompt(
            name=template.name,
            version=template.version,
            messages=tuple(messages),
            model=self._model(settings),
            output_schema=template.output_schema,
            tools=template.tools,
            variables=variables,
        )

    def _model(self, settings: ModelSettings) -> ModelSettings:
        """The settings over the template's; the same few come again with every run."""
        known = self._models.get(id(settings))
        if known is None:
            if len(self._models) >= _MODELS_KEPT:
                self._models.clear()
            # With the settings themselves, so that their id stays theirs.
            known = self._models[id(settings)] = settings, settings.over(self._template.model)
        return known[1]

    def _check_names(self, inputs: Mapping[str, JSON]) -> None:
        unknown = inputs.keys() - self._names
        missing = self._required - inputs.keys()
        for names, problem in ((unknown, "does not take"), (missing, "needs")):
            if names:
                listed = ", ".join(f"'{name}'" for name in sorted(names))
                takes = ", ".join(self._template.inputs) or "none"
                what = f"it {problem} the input {listed}; it takes {takes}"
                raise self._error(what)

    @cached_property
    def _examples(self) -> list[Message]:
        """Each example as a user and an assistant message; they do not depend on the inputs."""
        messages: list[Message] = []
        if self._last_user is None:
            return messages
        for example in self._template.examples:
            context = {**self._absent, **self._defaults, **example.inputs}
            messages += self._steps[self._last_user](context)
            output = example.output
            text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
            messages.append(Message(role="assistant", content=text))
        return messages

    def _step(self, index: int, message: TemplateMessage) -> _Step:
        if message.history is not None:
            return self._history_step(message.history)
        role = message.role or "user"
        if isinstance(message.content, str):
            text = self._text(message.content, index, "")
            return lambda context: iter((Message(role=role, content=text(context)),))
        parts = [self._part(part, index, i) for i, part in enumerate(message.content)]
        return lambda context: iter(
            (Message(role=role, content=tuple(part(context) for part in parts)),)
        )

    def _history_step(self, name: str) -> _Step:
        def step(context: _Context) -> Iterator[Message]:
            value = context[name]
            if isinstance(value, Absent):
                return
            try:
                messages = parse_history(value)
            except ValueError as error:
                raise self._error(f"input '{name}' {error}") from None
            yield from (self._with_images(message) for message in messages)

        return step

    def _with_images(self, message: Message) -> Message:
        if isinstance(message.content, str):
            return message
        parts = tuple(
            part.model_copy(update={"url": self._image(part.url)})
            if isinstance(part, ImagePart)
            else part
            for part in message.content
        )
        return message.model_copy(update={"content": parts})

    def _part(self, part: TemplatePart, index: int, number: int) -> Callable[[_Context], Part]:
        where = f", part {number + 1}"
        if part.image is None:
            text = self._text(part.text or "", index, where)
            return lambda context: TextPart(text=text(context))
        address = self._text(part.image, index, where)
        return lambda context: ImagePart(
            url=self._image(address(context).strip()), detail=part.detail
        )

    def _image(self, address: str) -> str:
        try:
            return image_url(address, self._read_image)
        except DefinitionError as error:
            raise self._error(error.what) from None

    def _text(self, text: str, index: int, where: str) -> _Text:
        if is_literal(text):
            return lambda context: text
        try:
            name = f"messages[{index}]"
            compiled = compile_text(self._environment, text, name=name, filename=None)
        except Exception as error:  # templates made in Python come unchecked
            raise self._failure(error, index, where) from error
        render, new_context = compiled.root_render_func, compiled.new_context

        def rendered(context: _Context) -> str:
            try:
                return "".join(render(new_context(context)))
            except Exception as error:  # a plug-in's filter may raise anything
                raise self._failure(error, index, where) from error

        return rendered

    def _failure(self, error: Exception, index: int, where: str) -> RenderError:
        return self._error(_sentence(error), self._place(error, index, where))

    def _place(self, error: Exception, index: int, where: str) -> str:
        """``prompts/route.yaml:12``, or the partial and line where it happened."""
        partial, line = _template_line(error)
        if partial is not None:
            return f"{partial}:{line}"
        place = self._template.messages[index].place
        if place is None:
            return f"messages[{index}]{where}, line {line}"
        if place.column == 0:
            return f"{place.path}:{place.line + line - 1}"
        return f"{place}{where}" + (f", line {line} of the text" if line > 1 else "")

    def _error(self, what: str, place: str = "") -> RenderError:
        name = self._template.name
        at = f" ({place})" if place else ""
        return RenderError(f"prompt '{name}'{at}: {what}", prompt=name)


def _template_line(error: Exception) -> tuple[str | None, int]:
    """The partial (``None`` for a message's own text) and the line that were being rendered."""
    partial, line = None, getattr(error, "lineno", None) or 1
    trace = error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(template, Template):
            known = template.filename not in {None, "<template>"}
            partial = template.filename if known else None
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return partial, line


def _sentence(error: Exception) -> str:
    message = str(error).rstrip(".")
    if isinstance(error, UndefinedError):
        return f"{message}; give it, or ask `is defined` first"
    if isinstance(error, SecurityError):
        return f"refused by the sandbox: {message}"
    if isinstance(error, TemplateNotFound):
        return f"no partial '{error.name}' below the prompts folder"
    return f"{type(error).__name__}: {message}"
