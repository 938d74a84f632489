"""What makes other people's libraries tell of their calls: found by entry points, used when the
library is imported.

OpenInference's instrumentor of a library is preferred to OpenTelemetry's, so that no call is told
twice.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Protocol

from p2re_eval.tracing.recorder import LOG

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_MODULES = {
    "autogen": "autogen",
    "bedrock": "botocore",
    "google_adk": "google.adk",
    "google_genai": "google.genai",
    "langchain": "langchain_core",
    "llama_index": "llama_index.core",
    "mistralai": "mistralai",
    "openai_agents": "agents",
    "openai_v2": "openai",
    "pydantic_ai": "pydantic_ai",
    "strands_agents": "strands",
    "vertexai": "vertexai",
}
"""The module whose import a library begins with, where it is not the instrumentor's name."""
_GENAI = {
    "anthropic", "bedrock", "cohere", "crewai", "google_genai", "google_generativeai", "groq",
    "haystack", "langchain", "llamaindex", "mistralai", "ollama", "openai", "openai_agents",
    "openai_v2", "together", "vertexai",
}  # fmt: skip
"""Those among OpenTelemetry's instrumentors that are about models."""
_EXPECTED = ("openai", "anthropic", "google_genai", "litellm", "langchain")
"""Libraries that are missed when nothing tells of them."""


class Instrumentor(Protocol):
    """As much of an instrumentor as is used here."""

    def instrument(self, **kwargs: object) -> None: ...

    def uninstrument(self, **kwargs: object) -> None: ...

    @property
    def is_instrumented_by_opentelemetry(self) -> bool: ...


class Instrumentors:
    """Those that are installed, turned on with their libraries and off together."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._wanted = False
        self._known: dict[str, Instrumentor] = {}
        self._on: list[Instrumentor] = []
        self._hooked = False

    def on(self) -> None:
        """Each library's calls are told from now on, if it is imported or when it is."""
        self._wanted = True
        if self._hooked:
            for instrumentor in self._known.values():
                self._turn_on(instrumentor)
            return
        self._hooked = True
        found = dict(installed())
        for name, entry in found.items():
            _when_imported(module_of(name), partial(self._arrived, entry))
        for name in _EXPECTED:
            if name not in found:
                _when_imported(module_of(name), partial(self._missed, name))

    def off(self) -> None:
        """Libraries are as they were."""
        self._wanted = False
        while self._on:
            self._on.pop().uninstrument()

    def _arrived(self, entry: EntryPoint) -> None:
        try:
            self._known[entry.name] = entry.load()()
            if entry.name == "langchain":
                _told_where_it_happens()
            if self._wanted:
                self._turn_on(self._known[entry.name])
        except Exception as error:  # noqa: BLE001 - an instrumentor must not break an import
            LOG.error("p2re: the calls of %s are not recorded: %r", entry.name, error)

    def _turn_on(self, instrumentor: Instrumentor) -> None:
        """Not where the program has done so itself: it is heard at the program's own provider."""
        if not instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.instrument(tracer_provider=self._provider)
            self._on.append(instrumentor)

    def _missed(self, name: str) -> None:
        if self._wanted:
            package = f"openinference-instrumentation-{name.replace('_', '-')}"
            LOG.warning("p2re: the calls of %s are not recorded; pip install %s", name, package)


def _told_where_it_happens() -> None:
    """LangChain tells of what begins in a thread of its own when it runs async, unless whoever
    listens wants to hear in line; only there can the SDK's call that follows be told to be inside.
    """
    with suppress(ImportError):
        from openinference.instrumentation.langchain._tracer import OpenInferenceTracer

        OpenInferenceTracer.run_inline = True


def installed() -> Iterator[tuple[str, EntryPoint]]:
    """Instrumentors of libraries about models, by the library's name, one each."""
    seen: set[str] = set()
    for entry in entry_points(group="openinference_instrumentor"):
        if entry.name not in seen:
            seen.add(entry.name)
            yield entry.name, entry
    for entry in entry_points(group="opentelemetry_instrumentor"):
        library = entry.name.removesuffix("_v2")
        if entry.name in _GENAI and library not in seen:
            seen.add(library)
            yield entry.name, entry


def module_of(name: str) -> str:
    """The module that an instrumentor waits for."""
    return _MODULES.get(name, name)


def _when_imported(module: str, call: Callable[[], None]) -> None:
    """At once if the module is there already, else after its import."""
    import wrapt  # comes with OpenTelemetry's instrumentors

    if importlib.util.find_spec(module.partition(".")[0]) is not None:
        wrapt.register_post_import_hook(lambda _module: call(), module)
