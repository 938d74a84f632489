"""One pytest run with ``--p2re``: hooks as methods around one harness."""

from __future__ import annotations

import gc
from argparse import ArgumentTypeError
from collections.abc import Generator
from concurrent.futures import CancelledError
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from p2re_eval.clock import SystemClock, new_trace_id
from p2re_eval.engine.budget import BudgetSettings
from p2re_eval.engine.lanes import merged
from p2re_eval.errors import NotRun, P2REError, UsageError
from p2re_eval.gates import Gate
from p2re_eval.gates.verdicts import verdict_of
from p2re_eval.pipeline import DEFAULT_CONCURRENCY, Harness, Settings
from p2re_eval.planning import Overrides, PlannedRun, SuitePlan
from p2re_eval.pytest_plugin import distributed, nothing_runs
from p2re_eval.pytest_plugin.ahead import Ahead
from p2re_eval.pytest_plugin.comparing import Comparing
from p2re_eval.pytest_plugin.items import (
    AnsweredBadly,
    CaseItem,
    GateItem,
    MachineBroke,
    Quarantined,
    SuiteFile,
    call_report,
)
from p2re_eval.pytest_plugin.narrowing import Narrowing
from p2re_eval.pytest_plugin.options import dollars
from p2re_eval.pytest_plugin.provenance import Provenance
from p2re_eval.pytest_plugin.shards import Shard
from p2re_eval.pytest_plugin.spending import check_prices, is_over_budget, spending
from p2re_eval.pytest_plugin.summary import (
    ReportFile,
    check_reports,
    import_report,
    show_plan,
    summarize_session,
    write_reports,
)
from p2re_eval.records import JSON, Comparison, Experiment, GateVerdict, Result
from p2re_eval.store import default_path
from p2re_eval.suites.load import is_suite

_KEPT_OPTIONS = ("p2re_model", "p2re_repeat", "p2re_source", "p2re_budget", "keyword", "markexpr")
if TYPE_CHECKING:
    from p2re_eval.experiments.forecast import Forecast

COLLECT_AFTER = 10_000
"""Objects made and not freed before Python looks for garbage; its own figure is 700."""
GRACE_S = 5.0
"""How long calls in flight may still land when a session stops early: they are paid for."""


def start(
    config: pytest.Config, key: pytest.StashKey[P2RESession], *, collector_was_on: bool
) -> None:
    """Turn the plugin on for this pytest run. Raises pytest.UsageError for options that clash."""
    try:
        check_reports(config.getoption("p2re_report"))
        session = P2RESession(config, collector_was_on=collector_was_on)
    except (UsageError, ValueError) as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[key] = session
    if config.getoption("p2re_plan"):
        distributed.alone(config)
    config.pluginmanager.register(session, "p2re-session")
    distributed.register(config, session)
    _collect_suites_too(config)


class P2RESession:
    """What the hooks share. Parts of the harness are made when the first suite needs them."""

    def __init__(self, config: pytest.Config, *, collector_was_on: bool) -> None:
        self.config = config
        self._collector_was_on = collector_was_on
        self.only_looks = nothing_runs(config)
        self.harness = Harness(_settings(config), experiment=_experiment(config))
        self.verdicts: list[GateVerdict] = []
        self.worker_limits: list[dict[str, JSON]] = []
        self.reports: list[ReportFile] = []
        self.fault: str | None = None
        self.interrupted = False
        self._provenance = Provenance(config.rootpath)
        self._ahead: Ahead | None = None
        self.selected: dict[str, int] = {}
        share = config.getoption("p2re_shard")
        self.forecast: Forecast | None = None
        self.shard = None if share is None else Shard(*share)
        self.narrowing = Narrowing(self) if config.getoption("p2re_affected") else None
        self._narrowed = False
        self.planned: dict[str, int] = {}
        self.comparing = Comparing(self)
        self.comparison: Comparison | None = None
        self.grace_s = GRACE_S
        self._marks: set[str] = set()

    # --- collection --------------------------------------------------------------------------

    @pytest.hookimpl(trylast=True)
    def pytest_plugin_registered(self, plugin: object, plugin_name: str) -> None:
        if isinstance(plugin, ModuleType) and Path(plugin_name).name == "conftest.py":
            self.harness.add_plugin(plugin, plugin_name)

    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> pytest.Collector | None:
        if file_path.suffix not in {".yaml", ".yml"} or not self._is_wanted(file_path):
            return None
        suite = SuiteFile.from_parent(parent, path=file_path)
        suite.p2re = self
        return suite

    def know_mark(self, name: str) -> None:
        """Declare a tag as a pytest mark, so that ``-m TAG`` and --strict-markers agree."""
        if name not in self._marks:
            self._marks.add(name)
            self.config.addinivalue_line("markers", f"{name}: a tag of a suite or case")

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        try:
            return (yield)
        finally:
            # What was imported and collected stays: the collector need not look through it at
            # each of the many passes that thousands of runs cause.
            gc.freeze()
            # A run makes hundreds of objects, hardly any in a cycle: look for those less often.
            threshold = gc.get_threshold()
            self.config.add_cleanup(lambda: gc.set_threshold(*threshold))
            gc.set_threshold(COLLECT_AFTER, *threshold[1:])
            if self._collector_was_on:
                gc.enable()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.narrow(items)

    def narrow(self, items: list[pytest.Item]) -> None:
        """Leave what is affected, and this shard's share of it; done once."""
        if self._narrowed:
            return
        self._narrowed = True
        left_out = [] if self.narrowing is None else self.narrowing.keep(items)
        if self.shard is not None:
            left_out += self.shard.keep(items)
        if left_out:
            self.config.hook.pytest_deselected(items=left_out)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self.only_looks or session.testsfailed:
            return
        selected: dict[str, list[CaseItem]] = {}
        for item in session.items:
            if isinstance(item, CaseItem):
                selected.setdefault(item.run.suite.path, []).append(item)
        for suite, items in selected.items():
            self.selected[suite] = len(items)
            if items[0].plan.stop_early:
                runs = [item.run for item in items]
                self.harness.early_stops.watch(runs, items[0].plan.stop_early)
        self._ahead = distributed.ahead(self.config, self.harness, session.items)

    def _is_wanted(self, path: Path) -> bool:
        named = {
            (self.config.invocation_params.dir / argument.partition("::")[0]).resolve()
            for argument in self.config.args
        }
        inside = any(path.is_relative_to(folder) for folder in _suite_folders(self.config))
        return (inside and is_suite(path)) or path.resolve() in named

    # --- running -----------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if self.config.getoption("p2re_plan"):
            if not session.testsfailed:
                runs = [item.run for item in session.items if isinstance(item, CaseItem)]
                runs += self.comparing.counterparts(runs)
                from p2re_eval.experiments.forecast import forecast

                self.forecast = forecast(self.harness, runs)
            return not session.testsfailed or None
        if self._ahead is not None and self.selected:
            self._provenance.start()
            try:
                check_prices(self.harness, session.items)
                self.comparing.prepare()
                self._ahead.start()
            except P2REError as error:
                raise pytest.UsageError(str(error)) from None
            import_report()
        return None

    def result(self, planned: PlannedRun) -> Result:
        """The result of a selected run, waited for. Raises NotRun, StoreError, RenderError."""
        assert self._ahead is not None
        try:
            result = self._ahead.result(planned)
        except CancelledError:
            raise NotRun("the session was stopped") from None
        if result.outcome != "not_run":
            self.comparing.follow(planned, result)
        return result

    def decide(self, gate: Gate, plan: SuitePlan) -> GateVerdict:
        """A gate's verdict on the selected runs; a gate selected alone runs its whole suite."""
        selected = self.selected.get(plan.suite.path, 0)
        if not selected:
            for planned in plan.runs:
                self.result(planned)
            selected = self.selected[plan.suite.path] = len(plan.runs)
        return self.decide_on(gate, plan.suite.path, selected=selected, planned=len(plan.runs))

    def decide_on(self, gate: Gate, suite: str, *, selected: int, planned: int) -> GateVerdict:
        """A gate's verdict on what is recorded of a suite: so many runs of those planned."""
        if gate.relative is not None:
            verdict = self.comparing.verdict(gate, suite, selected=selected, planned=planned)
        else:
            results = self.harness.results(suite=suite)
            verdict = verdict_of(gate, results, selected=selected, planned=planned)
        verdict = verdict.model_copy(update={"suite": suite})
        self.verdicts.append(verdict)
        return verdict

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "call":
            item.stash[call_report] = report
        error = call.excinfo.value if call.excinfo else None
        if isinstance(error, MachineBroke):
            report.longrepr = error.shown()
        elif isinstance(error, AnsweredBadly) and error.tolerated:
            report.outcome = "skipped"
            report.wasxfail = "answered badly; the suite's gates decide"
            report.p2re_missed = True  # type: ignore[attr-defined]
        elif isinstance(error, Quarantined):
            report.outcome = "skipped"
            report.wasxfail = f"quarantined: {error.result.quarantine}"
            report.p2re_quarantined = True  # type: ignore[attr-defined]
        elif (
            isinstance(error, P2REError) and call.when == "call" and not isinstance(item, GateItem)
        ):
            report.p2re_broke = True  # type: ignore[attr-defined]
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, Any] | None:
        if getattr(report, "p2re_missed", False):
            return "missed", "f", ("MISSED", {"yellow": True})
        if getattr(report, "p2re_quarantined", False):
            return "quarantined", "q", ("QUARANTINED", {"yellow": True})
        if getattr(report, "p2re_broke", False):
            return "error", "E", "ERROR"
        return None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.reached_maxfail():
            self._stop("pytest stopped at the first failures (-x or --maxfail)")

    def reached_maxfail(self) -> bool:
        """Whether so many items have failed that -x or --maxfail ends the session."""
        most = self.config.getoption("maxfail")
        session = self.config.pluginmanager.getplugin("session")
        return bool(most and session is not None and session.testsfailed >= most)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.interrupted = True
        if excinfo.type is KeyboardInterrupt:  # not --sw or xdist's -x, which wait like any end
            self.grace_s = 0
        self._stop("interrupted")

    def stop_early(self, *, grace_s: float) -> None:
        """No new call; those in flight may land for so long. May be called from any thread."""
        self.grace_s = grace_s
        self._stop("the session was stopped")

    def _stop(self, reason: str) -> None:
        if self._ahead is not None:
            self._ahead.abandon()
        self.harness.stop(reason)

    # --- the end -----------------------------------------------------------------------------

    @pytest.hookimpl(trylast=True)  # xdist has ended its workers by then
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not self.interrupted and self.harness.used:
            self.comparing.wait()
        self._stop("the session has ended")
        self.harness.loop.settle(self.grace_s)
        if distributed.is_worker(self.config):
            return
        distributed.take_over(self, session)
        if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self._may_be_empty():
            session.exitstatus = pytest.ExitCode.OK
        if not self.harness.used:
            return
        try:
            self.finish_experiment()
        except P2REError as error:
            self.fault = f"the end of the experiment could not be recorded: {error}"
        incomplete = self.fault is not None or is_over_budget(self.harness)
        if incomplete and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self.reports = write_reports(self)

    def _may_be_empty(self) -> bool:
        """Nothing affected: nothing can be worse. An empty share: the merge wants to know of it."""
        if self.shard is not None and self.shard.suites and not self.only_looks:
            assert self.harness.store
            return True
        return self.narrowing is not None and self.narrowing.left_out > 0

    def finish_experiment(self) -> None:
        """Write down how the session ended; reports are made from what is on disk.

        Raises StoreError.
        """
        revision, packages = self._provenance.found()
        experiment = self.harness.experiment.model_copy(
            update={
                "settings": self._ended_settings(),
                "ended_ns": self.harness.clock.now_ns(),
                "status": "INTERRUPTED" if self.interrupted else "COMPLETE",
                "suites": tuple(self.selected),
                "revision": revision,
                "packages": packages,
                "verdicts": tuple(self.verdicts),
                "planned": sum(self.selected.values()),
            }
        )
        self.comparing.finish(experiment)
        self.comparison = self.comparing.comparison()
        settings = {**experiment.settings, **self.comparing.settings()}
        experiment = experiment.model_copy(update={"settings": settings})
        self.harness.finish(experiment, self.comparison)

    def _ended_settings(self) -> dict[str, JSON]:
        settings = {**self.harness.experiment.settings, **spending(self.harness)}
        reached = merged([self.harness.limits(), *self.worker_limits])
        limits = {
            name: told for name, told in reached.items() if "cuts" in told or "closed" in told
        }
        if limits:
            settings["limits"] = limits
        if self.shard is not None:
            settings["p2re_shard"] = self.shard.told()
        return settings

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.forecast is not None:
            show_plan(self, terminalreporter, self.forecast)
        if self.narrowing is not None and self.narrowing.since:
            terminalreporter.write_line(self.narrowing.told())
        if self.harness.used:
            summarize_session(self, terminalreporter)

    def pytest_unconfigure(self) -> None:
        self.harness.close()


def _settings(config: pytest.Config) -> Settings:
    root = config.rootpath
    database = config.getoption("p2re_db") or config.getini("p2re_db")
    source = config.getoption("p2re_source")
    concurrency = config.getoption("p2re_concurrency") or _whole(config, "p2re_concurrency")
    workers = distributed.worker(config)[1]
    return Settings(
        root=root,
        db_path=(root / Path(database).expanduser()) if database else default_path(),
        prompts=root / config.getini("p2re_prompts"),
        concurrency=max(1, concurrency // workers),
        overrides=Overrides(
            models=tuple(config.getoption("p2re_model")),
            repeat=config.getoption("p2re_repeat"),
            source=source,
            early_stop={"always": True, "never": False}.get(config.getoption("p2re_early_stop")),
        ),
        budget=_budget(config, shared=workers > 1),
    )


def _budget(config: pytest.Config, *, shared: bool) -> BudgetSettings | None:
    """``shared`` among xdist's workers; the controller spends nothing."""
    limit_usd, text = config.getoption("p2re_budget"), config.getini("p2re_budget")
    if limit_usd is None and text:
        try:
            limit_usd = dollars(text)
        except ArgumentTypeError as error:
            raise UsageError(f"the ini option p2re_budget: {error}") from None
    if limit_usd is None:
        return None
    allow = config.getoption("p2re_allow_unpriced") or config.getini("p2re_allow_unpriced")
    return BudgetSettings(limit_usd, allow_unpriced=bool(allow), shared=shared)


def _whole(config: pytest.Config, name: str) -> int:
    text = config.getini(name) or str(DEFAULT_CONCURRENCY)
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"the ini option {name} = {text} must be a whole number of at least 1")
    return int(text)


def _experiment(config: pytest.Config) -> Experiment:
    handed = getattr(config, "workerinput", {}).get("p2re_experiment")
    if handed:
        return Experiment.model_validate_json(handed)
    now_ns = SystemClock().now_ns()
    settings = {name: value for name in _KEPT_OPTIONS if (value := config.getoption(name, None))}
    settings["args"] = [str(argument) for argument in config.invocation_params.args]
    return Experiment(
        experiment_id=new_trace_id(now_ns),
        name=config.rootpath.name,
        started_ns=now_ns,
        settings=settings,
    )


def _suite_folders(config: pytest.Config) -> list[Path]:
    return [config.rootpath / folder for folder in config.getini("p2re_suites")]


def _collect_suites_too(config: pytest.Config) -> None:
    """Where the ini file's testpaths decide what is collected, the suites belong to it."""
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    for folder in _suite_folders(config):
        if folder.is_dir() and str(folder) not in config.args:
            config.args.append(str(folder))
