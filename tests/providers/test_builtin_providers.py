"""The providers that come with the package."""

from __future__ import annotations

import asyncio

import pluggy

from p2re_eval import hookspecs
from p2re_eval.providers import builtin


def test_builtin_providers_register_under_their_names(context):
    """By the same hook as everybody's; a factory makes a provider of the registered name."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(builtin)
    factories = {}
    manager.hook.register_providers(register=factories.__setitem__)
    assert {"function", "local", "openai", "scripted", "groq", "azure"} <= set(factories)
    for name, factory in factories.items():
        provider = factory(context)
        assert provider.name == name
        asyncio.run(provider.close())
