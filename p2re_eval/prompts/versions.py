"""A prompt's version: the hash of what it sends, whoever formatted it and wherever it lives."""

from __future__ import annotations

from p2re_eval.prompts.sandbox import RENDER_OPTIONS
from p2re_eval.records import JSON, PromptTemplate, Record, TemplateMessage, content_hash


class VersionEntry(Record):
    """One version in a prompt's history: the commit that brought it.

    ``number`` counts from 1, the oldest, and stays: a version that comes back keeps its number.
    ``date`` is the author's, ISO 8601.
    """

    number: int
    version: str
    commit: str
    date: str
    author: str
    subject: str

    @property
    def short_version(self) -> str:
        """The first twelve digits, as tables show it."""
        return self.version[:12]


def version_of(template: PromptTemplate) -> str:
    """The hash of everything that a rendering can depend on but the inputs: messages, examples,
    input defaults, partials, model settings, output schema, tools and the rules of rendering.

    Name, description, path, input descriptions and YAML formatting are not part of it.
    """
    defaults = {
        name: each["default"] for name, each in template.inputs.items() if "default" in each
    }
    return content_hash(
        {
            "messages": [_message(message) for message in template.messages],
            "examples": [example.model_dump(mode="json") for example in template.examples],
            "defaults": defaults,
            "partials": template.partials,
            "model": template.model.asked(),
            "output_schema": template.output_schema,
            "tools": [tool.model_dump(mode="json", exclude_none=True) for tool in template.tools],
            "render": RENDER_OPTIONS,
        }
    )


def _message(message: TemplateMessage) -> JSON:
    return message.model_dump(mode="json", exclude={"place"}, exclude_defaults=True)
