"""What a prompt file may contain: pydantic models that validate it and describe it to editors."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from p2re_eval.records import JSON, ModelSettings, Tool

TypeName = Literal["string", "number", "integer", "boolean", "array", "object", "null"]

_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
_INPUT_KEYS: dict[str, JSON] = {
    "type": {"description": "string, number, integer, boolean, array or object."},
    "description": {"type": "string", "description": "What the input is, for people."},
    "default": {"description": "The value when a case does not give one."},
    "required": {
        "description": "false: the input may be absent (then it is false in Jinja). "
        "For objects, a list of required keys."
    },
    "enum": {"type": "array", "description": "The only values allowed."},
    "items": {"description": "The JSON Schema of an array's elements."},
    "properties": {"type": "object", "description": "The JSON Schema of each key of an object."},
}


class _Entry(BaseModel):
    """What every part of the file shares: no unknown keys, nothing changes afterwards."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, defer_build=True, protected_namespaces=()
    )


class PartEntry(_Entry):
    """One part of a message: `text`, or `image`."""

    text: str | None = Field(None, title="Text", description="Text, a Jinja template.")
    image: str | None = Field(
        None,
        title="Image",
        description="An image file, as a path from the folder above the prompts folder, or an "
        "http(s): or data: address. A Jinja template.",
    )
    detail: str | None = Field(
        None, title="Detail", description="How closely the model looks: low, high or auto."
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.text is None) == (self.image is None):
            raise ValueError("a part is either 'text' or 'image'; keep one of the two")
        if self.detail is not None and self.image is None:
            raise ValueError("'detail' belongs to an image; remove it from this text")
        return self


def _content_kind(value: object) -> str | None:
    if isinstance(value, str):
        return "text"
    return "parts" if isinstance(value, (list, tuple)) else None


Content = Annotated[
    Annotated[str, Tag("text")] | Annotated[tuple[PartEntry, ...], Tag("parts")],
    Discriminator(
        _content_kind,
        custom_error_type="content",
        custom_error_message="a message must be text (put it in quotes) or a list of parts",
    ),
]


def _one_key(value: object) -> object:
    if isinstance(value, dict) and len(value) > 1:
        keys = " and ".join(f"'{key}'" for key in value)
        raise ValueError(f"one message a list item, found {keys}; start each with its own '-'")
    if isinstance(value, dict) and not value:
        raise ValueError("a message is 'ROLE: text'; add it")
    return value


class MessageEntry(_Entry):
    """One message: a role with its content, or `history` with the name of an input."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    system: Content = Field("", title="System", description="Instructions that frame everything.")
    developer: Content = Field(
        "", title="Developer", description="Instructions, as newer OpenAI models name them."
    )
    user: Content = Field("", title="User", description="What the user says, a Jinja template.")
    assistant: Content = Field("", title="Assistant", description="What the model said before.")
    history: str = Field(
        "",
        title="History",
        description="The name of an input that holds a list of {role, content} messages.",
    )


class ExampleEntry(_Entry):
    """A few-shot example: the last user message with these inputs, and the answer to it."""

    inputs: dict[str, JSON] = Field(
        default_factory=dict,
        title="Inputs",
        description="Inputs of the last user message; what is left out takes its default.",
    )
    output: JSON = Field(
        title="Output", description="The model's answer; anything but text is sent as JSON."
    )


class OutputEntry(_Entry):
    """The shape of the answer, for providers with structured output."""

    json_schema: dict[str, JSON] = Field(
        alias="schema", title="Schema", description="The JSON Schema of the answer."
    )


def _model_from_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    provider, slash, name = value.partition("/")
    if not (provider and slash and name):
        raise ValueError(f"the model '{value}' must be written PROVIDER/NAME")
    return {"provider": provider, "name": name}


def _schema_from_short(value: object) -> object:
    if value is None:
        return {}
    if isinstance(value, str):
        if value not in _TYPES:
            raise ValueError(f"'{value}' is no JSON Schema type; use one of {', '.join(_TYPES)}")
        return {"type": value}
    return value


def _input_name(name: str) -> str:
    if not name.isidentifier() or name in _RESERVED:
        raise ValueError(
            f"'{name}' cannot name an input; use letters, digits and _, and no word of Jinja's own"
        )
    return name


def _prompt_name(name: str) -> str:
    if not name.replace("-", "_").replace(".", "_").isidentifier() and not name.isalnum():
        raise ValueError(f"'{name}' cannot name a prompt; use letters, digits, '_', '-' and '.'")
    return name


_RESERVED = {
    *("and", "else", "false", "if", "in", "is", "none", "not", "or", "true"),
    *("False", "None", "True", "caller", "kwargs", "loop", "self", "super", "varargs"),
}

_AnySchema = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "properties": _INPUT_KEYS, "additionalProperties": True}),
]
InputEntry = Annotated[
    dict[str, Any],
    BeforeValidator(_schema_from_short, json_schema_input_type=_AnySchema | TypeName | None),
]


class PromptFile(_Entry):
    """A prompt: messages with Jinja in them, the inputs they take, and how the model is called."""

    model_config = ConfigDict(title="p2re_eval prompt")

    name: Annotated[str, AfterValidator(_prompt_name)] | None = Field(
        None, title="Name", description="How suites refer to it; the file's name by default."
    )
    description: str | None = Field(
        None, title="Description", description="What the prompt is for, for people."
    )
    model: Annotated[
        ModelSettings,
        BeforeValidator(_model_from_text, json_schema_input_type=ModelSettings | str),
    ] = Field(
        ModelSettings(),
        title="Model",
        description="PROVIDER/NAME, or a mapping with parameters. A suite may override each.",
    )
    inputs: dict[Annotated[str, AfterValidator(_input_name)], InputEntry] = Field(
        default_factory=dict,
        title="Inputs",
        description="Each input's JSON Schema, or just its type: `ticket: string`.",
    )
    messages: tuple[Annotated[MessageEntry, BeforeValidator(_one_key)], ...] = Field(
        (), title="Messages", description="What is sent, in order: a list of `ROLE: text`."
    )
    prompt: str | None = Field(
        None, title="Prompt", description="Short for a single user message, instead of messages."
    )
    examples: tuple[ExampleEntry, ...] = Field(
        (), title="Examples", description="Few-shot examples, sent before the last user message."
    )
    output: OutputEntry | None = Field(
        None, title="Output", description="Structured output: `schema` holds a JSON Schema."
    )
    tools: tuple[Tool, ...] = Field(
        (), title="Tools", description="Functions that the model may call."
    )

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.prompt is not None and self.messages:
            raise ValueError("'prompt' is short for one user message; keep it or 'messages'")
        return self
