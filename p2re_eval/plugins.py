"""What plug-ins bring: a fresh manager per session, providers and scorers by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pluggy

from p2re_eval import hookspecs
from p2re_eval.errors import PluginError
from p2re_eval.interfaces import (
    Environment,
    ExperimentLog,
    ProviderFactory,
    RedactionFunction,
    ScorerFunction,
)
from p2re_eval.project import layout
from p2re_eval.records import Comparison, Evaluation, Experiment, Trace, content_hash

if TYPE_CHECKING:
    from p2re_eval.scorers.binding import Scorer


_CONFTEST = "conftest.py"


class Plugins:
    """The registries of one session.

    Built-ins enter by the same door as everybody else. A plug-in may be added at any time (pytest
    finds a suite's ``conftest.py`` late): what it registers is there from then on.

    Raises PluginError when a name is taken or a plug-in cannot be loaded.
    """

    def __init__(self, *, entry_points: bool = True, builtins: bool = True) -> None:
        self.providers: dict[str, ProviderFactory] = {}
        self.scorers: dict[str, Scorer] = {}
        self.redactions: dict[str, RedactionFunction] = {}
        self._environments: list[Environment] = []
        self._owners: dict[str, str] = {}
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        if builtins:
            self._add_builtins()
        if entry_points:
            self._add_installed()

    def add(self, plugin: object, name: str) -> None:
        """Let one more module or object in; a module without our hooks costs nothing."""
        if self._manager.has_plugin(name) or self._manager.is_registered(plugin):
            return
        self._manager.register(plugin, name=name)
        self._welcome(plugin, name)

    def add_project(self, root: Path) -> None:
        """Let a project's ``conftest.py`` files in, where pytest is not there to find them: that of
        the root folder, and those among its suites. Raises PluginError."""
        suites = (folder for folder in layout(root).suites if folder.is_dir())
        inside = (path for folder in suites for path in sorted(folder.rglob(_CONFTEST)))
        for path in (root / _CONFTEST, *inside):
            if path.is_file() and not self._manager.has_plugin(str(path)):
                self.add(_imported(path), str(path))

    def prepare(self, environment: Environment) -> None:
        """Give a Jinja environment every plug-in's filters and globals, later plug-ins' too."""
        self._environments.append(environment)
        self._manager.hook.prepare_environment(environment=environment)

    @property
    def redact(self) -> Callable[[str], str] | None:
        """Every plug-in's redaction as one, of those that are registered by now; None without."""
        functions = dict(self.redactions)
        if not functions:
            return None

        def redacted(text: str) -> str:
            for name, function in functions.items():
                text = _passed(name, function, text)
            return text

        return redacted

    def trace_recorded(self, trace: Trace, evaluations: Sequence[Evaluation]) -> None:
        """Tell plug-ins that a run is on disk."""
        self._manager.hook.trace_recorded(trace=trace, evaluations=evaluations)

    def choose_baseline(self, experiment: Experiment, store: ExperimentLog) -> str | None:
        """What the first plug-in with an opinion would compare the experiment with."""
        chosen: str | None = self._manager.hook.choose_baseline(experiment=experiment, store=store)
        return chosen

    def experiment_finished(
        self, experiment: Experiment, comparison: Comparison | None = None
    ) -> None:
        """Tell plug-ins that the session's gates have decided."""
        self._manager.hook.experiment_finished(experiment=experiment, comparison=comparison)

    @property
    def listens_to_traces(self) -> bool:
        """Whether anybody implements ``trace_recorded``: spares building what nobody reads."""
        return bool(self._manager.hook.trace_recorded.get_hookimpls())

    def _add_builtins(self) -> None:
        from p2re_eval.providers import builtin as providers
        from p2re_eval.scorers import builtin as scorers

        self.add(providers, "p2re_eval.providers")
        self.add(scorers, "p2re_eval.scorers")

    def _add_installed(self) -> None:
        import importlib.metadata

        for entry_point in importlib.metadata.entry_points(group=hookspecs.PROJECT):
            try:
                plugin = entry_point.load()
            except Exception as error:  # a plug-in may fail in any way at import
                raise PluginError(
                    f"the plug-in '{entry_point.name}' ({entry_point.value}) cannot be loaded: "
                    f"{type(error).__name__}: {error}; fix or uninstall it"
                ) from error
            self.add(plugin, entry_point.name)

    def _welcome(self, plugin: object, name: str) -> None:
        hooks = {caller.name for caller in self._manager.get_hookcallers(plugin) or []}
        others = [p for p in self._manager.get_plugins() if p is not plugin]

        def only_its(hook: str) -> pluggy.HookCaller:
            return self._manager.subset_hook_caller(hook, others)

        if "register_providers" in hooks:
            only_its("register_providers")(
                register=lambda key, factory: self._add_provider(key, factory, name)
            )
        if "register_scorers" in hooks:
            only_its("register_scorers")(
                register=lambda key, function: self._add_scorer(key, function, name)
            )
        if "register_redactions" in hooks:
            only_its("register_redactions")(
                register=lambda key, function: self._add_redaction(key, function, name)
            )
        if "prepare_environment" in hooks:
            for environment in self._environments:
                only_its("prepare_environment")(environment=environment)

    def _add_provider(self, key: str, factory: ProviderFactory, owner: str) -> None:
        self._claim(f"the provider '{key}'", owner)
        self.providers[key] = factory

    def _add_scorer(self, key: str, function: ScorerFunction, owner: str) -> None:
        from p2re_eval.scorers.binding import Scorer

        self._claim(f"the scorer '{key}'", owner)
        self.scorers[key] = function if isinstance(function, Scorer) else Scorer(key, function)

    def _add_redaction(self, key: str, function: RedactionFunction, owner: str) -> None:
        self._claim(f"the redaction '{key}'", owner)
        self.redactions[key] = function

    def _claim(self, what: str, owner: str) -> None:
        if what in self._owners:
            taken = self._owners[what]
            raise PluginError(f"{what} is registered by {taken} and by {owner}; rename one of them")
        self._owners[what] = owner


def installed_redact() -> Callable[[str], str] | None:
    """The redaction of the plug-ins that are installed, for those who need nothing else of them.

    Raises PluginError.
    """
    return Plugins(builtins=False).redact


def _passed(name: str, function: RedactionFunction, text: str) -> str:
    """What a redaction lets through. Raises PluginError when it fails: a text that it did not see
    is not to be stored."""
    try:
        kept = function(text)
    except Exception as error:
        what = f"the redaction '{name}' failed, so nothing was stored of a record: {error!r}"
        raise PluginError(f"{what}; correct it") from error
    return f"[redacted by {name}]" if kept is None else kept


def _imported(path: Path) -> ModuleType:
    """The file as a module of its own; its folder joins the path, as under pytest."""
    import importlib.util
    import sys

    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    name = f"p2re_conftest_{content_hash(str(path))[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and pickles look a class's module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001 - a user's module may fail in any way at import
        del sys.modules[name]
        what = f"{path} cannot be loaded: {type(error).__name__}: {error}; correct it"
        raise PluginError(what) from None
    return module
