"""The providers that come with the package, registered by the same door as everybody's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from p2re_eval.hookspecs import hookimpl
from p2re_eval.interfaces import Provider, ProviderContext, ProviderFactory
from p2re_eval.providers.services import SERVICES, Service


@hookimpl
def register_providers(register: Callable[[str, ProviderFactory], None]) -> None:
    """Every service of the table, and those with a form of their own."""
    for service in SERVICES:
        register(service.name, partial(_chat_completions, service))
    register("anthropic", _anthropic)
    register("gemini", _gemini)
    register("vertex", _vertex)
    register("bedrock", _bedrock)
    register("cohere", _cohere)
    register("litellm", _litellm)
    register("ollama", _ollama)
    register("local", _local)
    register("function", _function)
    register("scripted", _scripted)


# Imported on first use: aiohttp alone costs 180 ms, and most sessions use one provider.


def _chat_completions(service: Service, context: ProviderContext) -> Provider:
    from p2re_eval.providers.openai import OpenAIProvider

    return OpenAIProvider(context, service)


def _anthropic(context: ProviderContext) -> Provider:
    from p2re_eval.providers.anthropic import AnthropicProvider

    return AnthropicProvider(context)


def _gemini(context: ProviderContext) -> Provider:
    from p2re_eval.providers.gemini import GeminiProvider

    return GeminiProvider(context)


def _vertex(context: ProviderContext) -> Provider:
    from p2re_eval.providers.gemini import GeminiProvider
    from p2re_eval.providers.vertex import LOCATION_NAME, PROJECT_NAME, vertex_service

    return GeminiProvider(context, vertex_service, variables=(PROJECT_NAME, LOCATION_NAME))


def _bedrock(context: ProviderContext) -> Provider:
    from p2re_eval.providers.bedrock import BedrockProvider

    return BedrockProvider(context)


def _cohere(context: ProviderContext) -> Provider:
    from p2re_eval.providers.cohere import CohereProvider

    return CohereProvider(context)


def _litellm(context: ProviderContext) -> Provider:
    from p2re_eval.providers.litellm import LiteLLMProvider

    return LiteLLMProvider(context)


def _ollama(context: ProviderContext) -> Provider:
    from p2re_eval.providers.ollama import OllamaProvider

    return OllamaProvider(context)


def _local(context: ProviderContext) -> Provider:
    from p2re_eval.providers.local import LocalProvider

    return LocalProvider(context)


def _function(context: ProviderContext) -> Provider:
    from p2re_eval.providers.function import FunctionProvider

    return FunctionProvider(context)


def _scripted(context: ProviderContext) -> Provider:
    from p2re_eval.providers.scripted import ScriptedProvider

    return ScriptedProvider(clock=context.clock)
