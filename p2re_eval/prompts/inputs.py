"""Inputs against what a prompt declares: unknown, missing, or of the wrong shape."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from p2re_eval.errors import DefinitionError, MissingValue, UnknownName, WrongType
from p2re_eval.explain import Step, did_you_mean
from p2re_eval.records import JSON, Message, TemplateMessage, canonical_json

_KEYWORDS = frozenset(
    """$anchor $comment $defs $dynamicAnchor $dynamicRef $id $ref $schema $vocabulary
    additionalProperties allOf anyOf const contains contentEncoding contentMediaType contentSchema
    default definitions dependentRequired dependentSchemas deprecated description else enum
    examples exclusiveMaximum exclusiveMinimum format if items maxContains maxItems maxLength
    maxProperties maximum minContains minItems minLength minProperties minimum multipleOf not oneOf
    pattern patternProperties prefixItems properties propertyNames readOnly required then title
    type unevaluatedItems unevaluatedProperties uniqueItems writeOnly""".split()  # noqa: SIM905 - 60 quoted words are no easier to read
)


@dataclass(frozen=True)
class InputProblem:
    """A mistake in given inputs; ``steps`` lead to the value inside them."""

    kind: type[DefinitionError]
    what: str
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Declared:
    """What a prompt takes: each input's JSON Schema, and which inputs hold messages."""

    prompt: str
    schemas: Mapping[str, Mapping[str, JSON]]
    histories: frozenset[str] = frozenset()

    @classmethod
    def by(
        cls,
        prompt: str,
        schemas: Mapping[str, Mapping[str, JSON]],
        messages: Iterable[TemplateMessage],
    ) -> Declared:
        """What a prompt of these inputs and messages takes."""
        return cls(prompt, schemas, frozenset(m.history for m in messages if m.history))

    @property
    def defaults(self) -> dict[str, JSON]:
        """What an input is when it is not given."""
        return {name: each["default"] for name, each in self.schemas.items() if "default" in each}

    @property
    def required(self) -> set[str]:
        """The inputs without a default that are not ``required: false``."""
        return {
            name
            for name, each in self.schemas.items()
            if "default" not in each and each.get("required") is not False
        }


@dataclass
class InputChecker:
    """Checks inputs; each JSON Schema is compiled once."""

    _validators: dict[str, Any] = field(default_factory=dict)

    def problems(
        self,
        declared: Declared,
        given: Mapping[str, JSON],
        *,
        needed: Collection[str] | None = None,
    ) -> list[InputProblem]:
        """Everything wrong with these inputs; ``needed`` replaces the set that must be there."""
        found = list(_unknown(declared, given))
        for name in sorted(declared.required if needed is None else needed):
            if name not in given:
                what = f"input '{name}' is missing; the prompt '{declared.prompt}' requires it"
                found.append(InputProblem(MissingValue, what))
        for name, value in given.items():
            if name in declared.schemas:
                found += self.value_problems(name, value, declared)
        return found

    def value_problems(self, name: str, value: JSON, declared: Declared) -> list[InputProblem]:
        """What is wrong with one input's value."""
        if _is_plain_text(declared.schemas[name]) and _is_json_text(value):
            return _history_problems(name, value) if name in declared.histories else []
        found = []
        try:
            errors = list(self._validator(value_schema(declared.schemas[name])).iter_errors(value))
        except ValueError as error:
            return [InputProblem(WrongType, f"input '{name}' is not JSON: {error}", (name,))]
        for each in errors:
            steps = (name, *each.instance_path)
            where = "".join(f"[{step!r}]" for step in each.instance_path)
            what = f"input '{name}'{where}: {_short(each.message)}"
            found.append(InputProblem(WrongType, what, steps))
        if name in declared.histories and not found:
            found += _history_problems(name, value)
        return found

    def schema_problem(self, schema: JSON) -> tuple[str, tuple[Step, ...]] | None:
        """Why this is no JSON Schema, and where in it; ``None`` when it is one."""
        if _is_plain_text(schema):
            return None
        try:
            self._validator(schema)
        except ValueError as error:
            message = getattr(error, "message", str(error).splitlines()[0])
            steps = tuple(getattr(error, "instance_path", ()))
            if steps[-1:] == ("type",):
                message = _type_sentence(getattr(error, "instance", None)) or message
            return _short(message), steps
        return None

    def _validator(self, schema: JSON) -> Any:
        key = canonical_json(schema)
        if key not in self._validators:
            # A compiled module of 40 ms: most commands never look at an input.
            import jsonschema_rs

            self._validators[key] = jsonschema_rs.validator_for(schema, retriever=_refuse_fetching)
        return self._validators[key]


_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")


def _type_sentence(given: object) -> str:
    """Which of JSON's seven types was meant, where one name or several were given."""
    names = given if isinstance(given, list) else [given]
    for name in names:
        if isinstance(name, str) and name not in _TYPES:
            return f"'{name}' is no type{did_you_mean(name, _TYPES)}"
    return ""


_NOTES = frozenset({"type", "required", "title", "description"})


def _is_plain_text(schema: JSON) -> bool:
    """The commonest input by far, ``{type: string}``: understood without a validator, whose
    library takes longer to import than a small suite to run."""
    if not isinstance(schema, Mapping) or schema.get("type") != "string":
        return False
    notes = (schema.get(key, "") for key in ("title", "description"))
    return _NOTES.issuperset(schema) and all(isinstance(note, str) for note in notes)


def _is_json_text(value: JSON) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def value_schema(entry: Mapping[str, JSON]) -> dict[str, JSON]:
    """The JSON Schema of an input: its entry without our own ``required: false``."""
    return {k: v for k, v in entry.items() if k != "required" or not isinstance(v, bool)}


def unknown_keywords(entry: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
    """Each key of an input that JSON Schema does not know, with the sentence that says so."""
    for key in entry:
        if key not in _KEYWORDS and not key.startswith("x-"):
            known = did_you_mean(key, _KEYWORDS) if len(key) > 2 else ""
            hint = known if "did you mean" in known else "; see json-schema.org for what is known"
            yield key, f"'{key}' is no JSON Schema keyword{hint}"


def parse_history(value: JSON) -> tuple[Message, ...]:
    """A list of ``{role, content}`` as messages. Raises ValueError with a sentence."""
    if not isinstance(value, (list, tuple)):
        raise ValueError("must be a list of {role, content} messages")
    messages = []
    for number, entry in enumerate(value):
        try:
            messages.append(Message.model_validate(entry))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(step) for step in (number, *first["loc"]))
            message = first["msg"][:1].lower() + first["msg"][1:]
            raise ValueError(
                f"must be a list of {{role, content}} messages; at {where}: {message}"
            ) from None
    return tuple(messages)


def _unknown(declared: Declared, given: Mapping[str, JSON]) -> Iterator[InputProblem]:
    for name in given:
        if name in declared.schemas:
            continue
        hint = did_you_mean(name, declared.schemas)
        if "did you mean" not in hint:
            names = ", ".join(f"'{each}'" for each in declared.schemas) or "no inputs"
            hint = f"; the prompt '{declared.prompt}' takes {names}"
        yield InputProblem(UnknownName, f"unknown input '{name}'{hint}", (name,))


def _history_problems(name: str, value: JSON) -> list[InputProblem]:
    try:
        parse_history(value)
    except ValueError as error:
        return [InputProblem(WrongType, f"input '{name}' {error}", (name,))]
    return []


def _refuse_fetching(address: str) -> JSON:
    raise ValueError(f"{address} is not fetched; write the schema out")


def _short(message: str) -> str:
    return message if len(message) <= 200 else message[:197] + "..."
