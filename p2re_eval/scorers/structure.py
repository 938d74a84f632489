"""Scorers that read the answer as JSON: json_schema, json_path."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from p2re_eval.errors import ScorerError
from p2re_eval.interfaces import ScoringContext
from p2re_eval.records import JSON, Case, Completion, Score, canonical_json
from p2re_eval.scorers.binding import scorer
from p2re_eval.scorers.excerpt import excerpt

if TYPE_CHECKING:
    from jsonpath import CompoundJSONPath, JSONPath
    from jsonschema_rs import ValidationError, Validator

_FENCE = re.compile(r"```[\w+-]*[ \t]*\r?\n(.*?)```", re.DOTALL)
_OPENING = re.compile(r"[{\[]")
_MOST_OPENINGS = 200


class NotJSONError(ValueError):
    """The answer cannot be read as JSON; the message is an explanation."""


def parse_json(text: str, *, extract: bool = False) -> JSON:
    """The answer as JSON by RFC 8259: no NaN, nothing around it.

    ``extract`` takes the first fenced block that is JSON, else the first object or list.
    Raises NotJSONError.
    """
    try:
        return _load(text)
    except NotJSONError as error:
        if not extract:
            if _extracted(text):
                raise NotJSONError(
                    f"{error}; it holds JSON, which extract: true would find"
                ) from None
            raise
        found = _extracted(text)
        if not found:
            raise NotJSONError(f"there is no JSON in the answer {excerpt(text)}") from None
        return found[0]


def _load(text: str) -> JSON:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise NotJSONError("the answer is JSON nested too deeply to read") from None
    except ValueError as error:
        where = f"{error}" if text.strip() else "it is empty"
        raise NotJSONError(f"the answer {excerpt(text)} is not JSON: {where}") from None


def _refuse_constant(name: str) -> JSON:
    raise ValueError(f"{name} is no JSON number")


def _extracted(text: str) -> list[JSON]:
    """At most one value, in a list because ``null`` is a value too."""
    for block in _FENCE.findall(text):
        try:
            return [_load(block)]
        except NotJSONError:
            continue
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    for opening in list(_OPENING.finditer(text))[:_MOST_OPENINGS]:
        try:
            return [decoder.raw_decode(text, opening.start())[0]]
        except (ValueError, RecursionError):
            continue
    return []


def _check_schema(options: Mapping[str, JSON]) -> None:
    if options.get("schema") is not None:
        _validator(options["schema"])


@scorer(check=_check_schema)
def json_schema(
    completion: Completion,
    case: Case,
    *,
    schema: dict[str, JSON] | bool | None = None,
    extract: bool = False,
    context: ScoringContext | None = None,
) -> Score:
    """The answer is JSON that fits a JSON Schema; by default the prompt's own output schema.

    ``schema: true`` asks for any JSON. ``extract`` finds the JSON in a fenced block or among prose.
    The draft is 2020-12 unless ``$schema`` says otherwise; ``format`` is not asserted, and a
    ``$ref`` never leaves the schema.

    >>> answer = Completion(text='{"team": "billing"}')
    >>> json_schema.function(answer, Case(id="a"), schema={"required": ["team"]}).passed
    True
    """
    if schema is None and context is not None:
        schema = context.prompt.output_schema
    if schema is None:
        raise ScorerError(
            "'json_schema' has no schema and the prompt no output schema; give it `schema:`, or "
            "`schema: true` for any JSON"
        )
    try:
        value = parse_json(completion.text, extract=extract)
        value_text = canonical_json(value)
        value_text.encode()
    except NotJSONError as error:
        return Score(value=0.0, passed=False, explanation=str(error))
    except UnicodeEncodeError:
        what = "the answer's JSON holds half a surrogate pair, which is no text"
        return Score(value=0.0, passed=False, explanation=what)
    mistakes = [f"{_pointer(e.instance_path)}: {e.message}" for e in _errors(schema, value)]
    if not mistakes:
        return Score(value=1.0, passed=True, explanation="the answer fits the schema")
    more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
    explanation = f"the answer does not fit the schema at {_short(mistakes[0])}{more}"
    return Score(value=0.0, passed=False, explanation=explanation)


def _errors(schema: JSON, value: JSON) -> list[ValidationError]:
    try:
        return list(_validator(schema).iter_errors(value))
    except ValueError as error:
        raise ScorerError(f"the output schema is no JSON Schema: {error}") from error


def _validator(schema: JSON) -> Validator:
    """Raises ValueError: not a schema, or a reference that leads out of it."""
    # A Rust extension of several megabytes, needed by this scorer alone.
    import jsonschema_rs

    outside: list[str] = []

    def refuse(uri: str) -> JSON:
        outside.append(uri)
        raise ValueError(uri)

    try:
        # Without a retriever of ours the library would open files and sockets.
        return jsonschema_rs.validator_for(schema, retriever=refuse)
    except jsonschema_rs.ValidationError as error:
        if outside:
            what = f"the schema refers to {excerpt(outside[0])}, which is not inside it"
            raise ValueError(f"{what}; put that schema under $defs") from None
        at = f" at {_pointer(error.instance_path)}" if error.instance_path else ""
        raise ValueError(f"not a JSON Schema{at}: {_short(error.message)}; correct it") from None


def _pointer(path: list[str | int]) -> str:
    """RFC 6901, and a word for the root."""
    parts = [str(step).replace("~", "~0").replace("/", "~1") for step in path]
    return "/" + "/".join(parts) if parts else "the root"


def _short(text: str) -> str:
    return excerpt(text, 200)[1:-1]


def _check_path(options: Mapping[str, JSON]) -> None:
    _compiled(options["path"])
    if options.get("expected") and "equals" in options:
        raise ValueError("give 'equals' or 'expected: true', not both")
    if options.get("exists") is False and (options.get("expected") or "equals" in options):
        raise ValueError("'exists: false' leaves nothing to compare; remove one of the two")


@scorer(check=_check_path, needs_expected=lambda options: bool(options.get("expected")))
def json_path(
    completion: Completion,
    case: Case,
    *,
    path: str,
    equals: JSON = ...,
    expected: bool = False,
    exists: bool = True,
    extract: bool = False,
) -> Score:
    """A JSONPath (RFC 9535) selects something in the answer; with ``equals``, only that value.

    ``expected: true`` compares with the case's ``expected``, ``exists: false`` wants nothing there.

    >>> answer = Completion(text='{"team": "billing", "tags": ["refund"]}')
    >>> json_path.function(answer, Case(id="a"), path="$.tags[*]", equals="refund").passed
    True
    """
    try:
        found = _selected(path, parse_json(completion.text, extract=extract))
    except NotJSONError as error:
        return Score(value=0.0, passed=False, explanation=str(error))
    wanted = case.expected if expected else equals
    passed, explanation = _at_path(path, found, wanted, exists)
    return Score(value=float(passed), passed=passed, explanation=explanation)


def _selected(path: str, value: JSON) -> list[object]:
    """The values at a path. Raises NotJSONError for an answer nested too deeply to search."""
    from jsonpath.exceptions import JSONPathRecursionError

    try:
        return _compiled(path).findall(value)
    except JSONPathRecursionError:
        raise NotJSONError("the answer is JSON nested too deeply to search") from None


def _at_path(path: str, found: list[object], wanted: JSON, exists: bool) -> tuple[bool, str]:
    if not found:
        return not exists, f"{path} selects nothing in the answer"
    shown = excerpt(canonical_json(found[0] if len(found) == 1 else found))
    if not exists or wanted is ...:
        return exists, f"{path} is {shown}"
    others = [one for one in found if not same_json(one, wanted)]
    if not others:
        return True, f"{path} is {shown}, as expected"
    other, want = excerpt(canonical_json(others[0])), excerpt(canonical_json(wanted))
    return False, f"{path} is {other}, expected {want}"


def same_json(one: JSON, other: JSON) -> bool:
    """Equality of JSON values: ``1 == 1.0``, but a boolean is no number."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _compiled(path: str) -> JSONPath | CompoundJSONPath:
    """Raises ValueError for what RFC 9535 does not allow."""
    import jsonpath  # tens of modules, needed by this scorer alone

    try:
        # Strict, because the library's own extensions would not work elsewhere.
        compiled = jsonpath.JSONPathEnvironment(strict=True).compile(path)
    except jsonpath.JSONPathError as error:
        why = str(error).partition("\n")[0]  # the rest is a drawing of the place
        raise ValueError(f"{excerpt(path)} is no JSONPath: {why}; correct it") from None
    return compiled
