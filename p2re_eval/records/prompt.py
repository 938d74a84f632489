"""What is asked: models and their settings, messages, templates, rendered prompts."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, field_validator

from p2re_eval.records.base import JSON, Place, Record, Role, content_hash
from p2re_eval.records.secrets import NO_KEYS_IN_FILES, key_in_address, key_in_extra


class Price(Record):
    """US dollars per million tokens."""

    input: float
    output: float
    cached: float | None = None


class ModelSettings(Record):
    """Which model, and with what parameters; ``None`` leaves a parameter to the service.

    ``extra`` goes to the service as it is. ``timeout_s`` bounds one attempt, ``run_timeout_s`` all
    attempts of a run together. Neither timeouts, ``stream`` nor ``price`` change what is asked, so
    they are not part of a fingerprint. A key is refused: settings are written down with every run.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    provider: str | None = None
    name: str | None = None
    base_url: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None
    extra: dict[str, JSON] | None = None
    stream: bool | None = None
    timeout_s: float | None = None
    run_timeout_s: float | None = None
    price: Price | None = None

    @field_validator("extra")
    @classmethod
    def _no_key_in_extra(cls, extra: dict[str, JSON] | None) -> dict[str, JSON] | None:
        found = key_in_extra(extra) if extra else None
        if found is not None:
            raise ValueError(f"'extra' holds a key in '{found}'; {NO_KEYS_IN_FILES}")
        return extra

    @field_validator("base_url")
    @classmethod
    def _no_key_in_address(cls, base_url: str | None) -> str | None:
        found = key_in_address(base_url) if base_url else None
        if found is not None:
            raise ValueError(f"'base_url' carries {found}; {NO_KEYS_IN_FILES}")
        return base_url

    @property
    def id(self) -> str:
        """``provider/name``, as item ids and tables show it; as much of it as is known."""
        return "/".join(part for part in (self.provider, self.name) if part)

    def over(self, base: Self) -> Self:
        """These settings where they are given, else the base's; ``extra`` merges key by key."""
        own = {k: v for k, v in self if v is not None}
        if self.extra and base.extra:
            own["extra"] = {**base.extra, **self.extra}
        return base.model_copy(update=own)

    def asked(self) -> dict[str, JSON]:
        """The part that changes the answer: what versions and fingerprints hash."""
        left_out = {"stream", "timeout_s", "run_timeout_s", "price"}
        return self.model_dump(mode="json", exclude_none=True, exclude=left_out)


class TextPart(Record):
    """Text inside a message of several parts."""

    type: Literal["text"] = "text"
    text: str


class ImagePart(Record):
    """An image: an ``http(s):`` address or a ``data:`` URI (files are inlined when rendered)."""

    type: Literal["image"] = "image"
    url: str
    detail: str | None = None


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class ToolCall(Record):
    """A tool the model asks for; ``arguments`` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


class Message(Record):
    """One message as it is sent or received; roles come from YAML structure, never from text."""

    role: Role
    content: str | tuple[Part, ...] = ""
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """The text parts joined; images leave no trace."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


class Tool(Record):
    """A function the model may call; ``parameters`` is a JSON Schema of its arguments."""

    name: str
    description: str | None = None
    parameters: dict[str, JSON] = Field(default_factory=dict)


class TemplatePart(Record):
    """Part of a template message: ``text`` or ``image`` (the template of a path or address)."""

    text: str | None = None
    image: str | None = None
    detail: str | None = None


class TemplateMessage(Record):
    """A message before rendering: Jinja text, parts, or the name of an input with messages."""

    role: Role | None = None
    content: str | tuple[TemplatePart, ...] = ""
    history: str | None = None
    place: Place | None = None


class Example(Record):
    """A few-shot example: rendered like the last user message, answered with ``output``."""

    inputs: dict[str, JSON]
    output: JSON


class PromptTemplate(Record):
    """A prompt as its file (or a git revision of it) says.

    ``version`` is the full content hash (64 hex); ``partials`` maps each reached partial's path
    below the prompts folder to its text; ``commit`` is set when it was read from git.
    """

    name: str
    version: str
    description: str | None = None
    model: ModelSettings = ModelSettings()
    inputs: dict[str, dict[str, JSON]] = Field(default_factory=dict)
    messages: tuple[TemplateMessage, ...]
    examples: tuple[Example, ...] = ()
    output_schema: dict[str, JSON] | None = None
    tools: tuple[Tool, ...] = ()
    partials: dict[str, str] = Field(default_factory=dict)
    path: str | None = None
    commit: str | None = None

    @property
    def short_version(self) -> str:
        """The first twelve digits, as tables show it."""
        return self.version[:12]


class RenderedPrompt(Record):
    """What is sent to a provider: messages and settings with nothing left to fill in."""

    name: str
    version: str | None = None
    messages: tuple[Message, ...]
    model: ModelSettings
    output_schema: dict[str, JSON] | None = None
    tools: tuple[Tool, ...] = ()
    variables: dict[str, JSON] = Field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        """The hash of everything that changes the answer: provider, address, model, parameters,
        messages, tools and schema. The repeat and the provider's own identity join it in
        :func:`run_key`."""
        return content_hash(
            {
                "model": self.model.asked(),
                "messages": [
                    m.model_dump(mode="json", exclude_defaults=True) for m in self.messages
                ],
                "tools": [t.model_dump(mode="json", exclude_none=True) for t in self.tools],
                "output_schema": self.output_schema,
            }
        )

    def model_copy(self, *, update: Mapping[str, JSON] | None = None, deep: bool = False) -> Self:
        """A changed copy; it makes its own fingerprint, where pydantic would copy the old one."""
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop("fingerprint", None)
        return copy


def run_key(prompt: RenderedPrompt, *, repeat: int = 0, identity: str = "") -> str:
    """The cache key of one run: the fingerprint, the repeat, and what the provider says it is
    (a model file's hash, a function's source), 64 hex digits."""
    return content_hash([prompt.fingerprint, repeat, identity])
