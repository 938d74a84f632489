"""The plug-in door: registrations, their clashes and the hooks that are called."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import jinja2
import pytest

from p2re_eval import hookimpl
from p2re_eval.errors import PluginError
from p2re_eval.plugins import Plugins


def _scoring(name: str) -> Any:
    class Plugin:
        @hookimpl
        def register_scorers(self, register: Any) -> None:
            register(name, lambda completion, case: True)

    return Plugin()


def test_built_ins_enter_by_the_same_door() -> None:
    """Nothing is special about them."""
    plugins = Plugins(entry_points=False)
    assert {"scripted", "openai", "function", "local"} <= set(plugins.providers)
    assert {"equals", "contains", "llm_judge"} <= set(plugins.scorers)


def test_a_plugin_may_come_late_and_only_it_is_asked() -> None:
    """Adding one does not register the others anew, which would be a clash."""
    plugins = Plugins(entry_points=False)
    plugins.add(_scoring("polite"), "first")
    plugins.add(_scoring("brief"), "second")
    assert {"polite", "brief"} <= set(plugins.scorers)


def test_the_same_plugin_twice_is_once() -> None:
    """pytest tells of a conftest.py whenever it sees it."""
    plugins, plugin = Plugins(entry_points=False), _scoring("polite")
    plugins.add(plugin, "one")
    plugins.add(plugin, "two")
    plugins.add(_scoring("other"), "one")
    assert "other" not in plugins.scorers


def test_a_name_that_is_taken_names_both_owners() -> None:
    """Never silently one of the two."""
    plugins = Plugins(entry_points=False)
    with pytest.raises(PluginError) as caught:
        plugins.add(_scoring("equals"), "suites/conftest.py")
    assert str(caught.value) == (
        "the scorer 'equals' is registered by p2re_eval.scorers and by suites/conftest.py; "
        "rename one of them"
    )


def test_a_provider_name_is_taken_in_the_same_way() -> None:
    """Providers and scorers have names of their own: the same word in both is no clash."""

    class Plugin:
        @hookimpl
        def register_providers(self, register: Any) -> None:
            register("equals", lambda context: None)
            register("openai", lambda context: None)

    plugins = Plugins(entry_points=False)
    with pytest.raises(PluginError, match=r"the provider 'openai' is registered by p2re_eval\."):
        plugins.add(Plugin(), "mine")
    assert "equals" in plugins.providers


def test_filters_reach_environments_made_before_and_after() -> None:
    """A conftest.py may be found when the library is already there."""

    class Plugin:
        @hookimpl
        def prepare_environment(self, environment: jinja2.Environment) -> None:
            environment.filters["shout"] = str.upper

    plugins = Plugins(entry_points=False)
    early, late = jinja2.Environment(autoescape=True), jinja2.Environment(autoescape=True)
    plugins.prepare(early)
    plugins.add(Plugin(), "mine")
    plugins.prepare(late)
    assert [e.from_string("{{ 'a' | shout }}").render() for e in (early, late)] == ["A", "A"]


def test_a_module_without_hooks_costs_nothing() -> None:
    """Every conftest.py of a project is handed over."""
    plugins = Plugins(entry_points=False)
    plugins.add(ModuleType("conftest"), "conftest.py")
    assert not plugins.listens_to_traces


def _install(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, source: str) -> None:
    """A distribution with one entry point, as an installer leaves it."""
    (tmp_path / "shout_plugin.py").write_text(source)
    meta = tmp_path / "shout-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: shout\nVersion: 1.0\n")
    (meta / "entry_points.txt").write_text("[p2re_eval]\nshout = shout_plugin\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "shout_plugin", raising=False)


def test_an_installed_plugin_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """The entry point group is ``p2re_eval``."""
    source = (
        "import p2re_eval\n\n@p2re_eval.hookimpl\ndef register_scorers(register):\n"
        "    register('shouted', lambda completion, case: completion.text.isupper())\n"
    )
    _install(monkeypatch, tmp_path, source)
    assert "shouted" in Plugins().scorers


def test_a_broken_installed_plugin_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """It names the plug-in and what to do."""
    _install(monkeypatch, tmp_path, "raise RuntimeError('no licence')\n")
    with pytest.raises(PluginError) as caught:
        Plugins()
    assert str(caught.value) == (
        "the plug-in 'shout' (shout_plugin) cannot be loaded: RuntimeError: no licence; "
        "fix or uninstall it"
    )
