"""A scorer's options, read from its function's signature, and whether the given ones fit."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from p2re_eval.errors import MissingValue, PluginError, UnknownName, WrongType
from p2re_eval.records import JSON

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_GIVEN = ("completion", "case")
_RESERVED = frozenset({"name", "weight", "threshold"})
_POSITIONAL = frozenset(
    {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
)


class Signature:
    """The keyword-only parameters of a scorer's function; ``context`` is not an option.

    Raises PluginError when the function cannot be a scorer.
    """

    def __init__(self, name: str, function: Callable[..., object]) -> None:
        self._name = name
        self._function = function
        given, options = _parameters(name, function)
        if tuple(given) != _GIVEN:
            raise PluginError(_wrong_start(name, given))
        self.takes_context = options.pop("context", None) is not None
        self.options = options

    def named(self, value: JSON) -> dict[str, JSON]:
        """The short form's value under the name of the first option."""
        if not self.options:
            raise WrongType(f"'{self._name}' takes no value; write its name alone")
        return {next(iter(self.options)): value}

    def fit(self, options: Mapping[str, JSON]) -> dict[str, JSON]:
        """The options as the function's annotations want them, defaults left to the function.

        Raises UnknownName, MissingValue or WrongType, without a place.
        """
        for name in options:
            if name not in self.options:
                raise UnknownName(self._unknown(name), option=name)
        for name, parameter in self.options.items():
            if name not in options and parameter.default is parameter.empty:
                raise MissingValue(f"'{self._name}' needs the option '{name}'; add it")
        return {name: self._fit(name, value) for name, value in options.items()}

    def _unknown(self, name: str) -> str:
        # YAML is needed for the message only, and costs more than all scorers together.
        from p2re_eval.documents import did_you_mean

        what = f"'{self._name}' has no option '{name}'"
        if not self.options:
            return f"{what}; it takes none"
        return what + did_you_mean(name, self.options)

    def _fit(self, name: str, value: JSON) -> JSON:
        from pydantic import ValidationError

        adapter = self._adapters[name]
        if adapter is None:
            return value
        try:
            try:
                text = json.dumps(value)
            except (TypeError, ValueError):
                return adapter.validate_python(value, strict=True)
            # The rules of JSON: a list may fill a tuple, but "3" is no number and 1 no boolean.
            return adapter.validate_json(text, strict=True)
        except ValidationError as error:
            from p2re_eval.documents import type_mistake

            what = type_mistake(name, error, value)
            raise WrongType(f"option {what}, in '{self._name}'", option=name) from None

    @cached_property
    def _adapters(self) -> dict[str, TypeAdapter[Any] | None]:
        return {name: _adapter(self._function, option) for name, option in self.options.items()}


def _parameters(
    name: str, function: Callable[..., object]
) -> tuple[list[str], dict[str, inspect.Parameter]]:
    """The positional names, and the keyword-only parameters."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        what = f"the scorer '{name}' has no readable signature; wrap it in a Python function"
        raise PluginError(what) from None
    for parameter in parameters:
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            raise PluginError(
                f"the scorer '{name}' takes '{parameter}'; name every option, so that a misspelt "
                "one is found"
            )
        if parameter.name in _RESERVED:
            raise PluginError(
                f"the scorer '{name}' has a parameter '{parameter.name}', which every scorer has "
                "already in a suite; rename it"
            )
    given = [p.name for p in parameters if p.kind in _POSITIONAL]
    return given, {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}


def _wrong_start(name: str, given: list[str]) -> str:
    wanted = f"def {name.rpartition(':')[2]}(completion, case, *, ...)"
    extra = [n for n in given if n not in _GIVEN]
    if extra:
        return f"the scorer '{name}' takes '{extra[0]}' by position; make it keyword-only: {wanted}"
    return f"the scorer '{name}' must take completion and case, in that order: {wanted}"


def _adapter(function: Callable[..., object], option: inspect.Parameter) -> TypeAdapter[Any] | None:
    """What checks one option; ``None`` for no annotation and for those pydantic cannot check."""
    # A TypeAdapter is built when a scorer is first bound: a session uses few of all scorers.
    from pydantic import PydanticSchemaGenerationError, TypeAdapter

    if option.annotation is option.empty:
        return None
    annotation = option.annotation
    if isinstance(annotation, str):
        annotation = _evaluated(annotation, function)
    try:
        return TypeAdapter(annotation)
    except PydanticSchemaGenerationError:
        return None


def _evaluated(annotation: str, function: Callable[..., object]) -> Any:
    """The annotation as a type; ``Any`` when it names what only a type checker imports."""
    while isinstance(function, partial):
        function = function.func
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return eval(annotation, scope)  # noqa: S307 - the scorer's own source, already imported
    except NameError:
        return Any
