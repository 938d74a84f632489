"""Under pytest-xdist: one experiment, one database, the concurrency divided, gates at the end."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from p2re_eval.errors import NoSuchRecord, P2REError
from p2re_eval.gates import parse_gate
from p2re_eval.pipeline import Harness
from p2re_eval.planning import PlannedRun
from p2re_eval.pytest_plugin.ahead import Ahead
from p2re_eval.pytest_plugin.items import CaseItem, GateItem
from p2re_eval.records import GateSpec, GateVerdict
from p2re_eval.store import open_store

if TYPE_CHECKING:
    from p2re_eval.pytest_plugin.session import P2RESession


def register(config: pytest.Config, session: P2RESession) -> None:
    """Add the controller's or the worker's part, where xdist is at work."""
    if is_worker(config):
        config.pluginmanager.register(_Worker(config, session), "p2re-worker")
    elif config.getoption("dist", "no") != "no" and not config.option.collectonly:
        config.pluginmanager.register(_Controller(session), "p2re-controller")


def alone(config: pytest.Config) -> None:
    """No workers after all: xdist has not begun when this is asked."""
    if hasattr(config.option, "dist"):
        config.option.dist, config.option.tx, config.option.numprocesses = "no", [], 0


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is one of xdist's workers."""
    return hasattr(config, "workerinput")


def worker(config: pytest.Config) -> tuple[int, int]:
    """This xdist worker's number and how many there are; (0, 1) without xdist."""
    handed = getattr(config, "workerinput", None)
    if handed is None:
        return 0, 1
    return int(handed["workerid"].removeprefix("gw")), int(handed["workercount"])


def ahead(config: pytest.Config, harness: Harness, items: Sequence[pytest.Item]) -> Ahead:
    """What this process may start before it is asked: never a run that another one makes too."""
    number, of = worker(config)
    dist = getattr(config, "workerinput", {}).get("p2re_dist", "load")
    if dist == "load":
        shares = dealt([item.nodeid for item in items], of)
        mine = [item for item, share in zip(items, shares, strict=True) if share == number]
        return Ahead(harness, [item.run for item in mine if isinstance(item, CaseItem)])
    together = {"loadfile": _suite, "loadscope": _scope}.get(dist)
    runs = [item.run for item in items if isinstance(item, CaseItem)]
    return Ahead(harness, [], maybe=runs, together=together)


def dealt(nodeids: Sequence[str], of: int) -> list[int]:
    """Each item's worker, in turns; the repeats of a case stay together, so that it can stop
    early."""
    shares: dict[str, int] = {}
    for nodeid in nodeids:
        shares.setdefault(_without_repeat(nodeid), len(shares) % of)
    return [shares[_without_repeat(nodeid)] for nodeid in nodeids]


def _without_repeat(nodeid: str) -> str:
    return re.sub(r"#\d+\]\Z", "]", nodeid)


def _suite(run: PlannedRun) -> str:
    return run.suite.path


def _scope(run: PlannedRun) -> str:
    return run.item.rpartition("::")[0]


def take_over(session: P2RESession, pytest_session: pytest.Session) -> None:
    """In the controller: what the workers ran is this session's experiment."""
    controller = session.config.pluginmanager.get_plugin("p2re-controller")
    if controller is not None:
        controller.take_over(pytest_session)


_STOP = "p2re_stop"


class _Worker:
    """Leaves the gates to the controller: only there are all results in. Stops when it says so."""

    def __init__(self, config: pytest.Config, session: P2RESession) -> None:
        self._config = config
        self._session = session

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self._session.narrow(items)
        gates = [item for item in items if isinstance(item, GateItem)]
        items[:] = [item for item in items if not isinstance(item, GateItem)]
        self._hand("p2re_gates", [_handed(gate) for gate in gates])

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        self._hand("p2re_selected", self._session.selected)
        if self._session.shard is not None:
            shard = self._session.shard
            self._hand("p2re_shard", {"suites": shard.suites, "gates": shard.gates})
        self._hand("p2re_planned", self._session.planned)
        if self._session.narrowing is not None:
            narrowing = self._session.narrowing
            self._hand("p2re_affected", [narrowing.since, narrowing.left_out])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        self._hand("p2re_compared", self._session.comparing.share())
        self._hand("p2re_limits", self._session.harness.limits())
        self._hand("p2re_versions", self._session.harness.versions)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Listen for the controller's word to stop: xdist knows none, and all items are dealt."""
        plugins = session.config.pluginmanager.get_plugins()
        (interactor,) = (each for each in plugins if hasattr(each, "torun"))
        obey = interactor.handle_command

        def handle(command: Any) -> None:  # in the thread that receives
            if isinstance(command, tuple) and command[0] == _STOP:
                session.shouldstop = "the controller stopped"
                self._session.stop_early(grace_s=command[1]["grace_s"])
            obey(command)

        interactor.handle_command = handle

    def _hand(self, name: str, value: object) -> None:
        self._config.workeroutput[name] = json.dumps(value)  # type: ignore[attr-defined]


def _handed(item: GateItem) -> dict[str, Any]:
    """All that deciding a gate takes: the controller has collected nothing and plans nothing."""
    return {
        "nodeid": item.nodeid,
        "suite": item.plan.suite.path,
        "spec": item.gate.spec.model_dump(mode="json"),
        "planned": len(item.plan.runs),
    }


class _Controller:
    """Hands the experiment to the workers and decides the gates when they are done."""

    def __init__(self, session: P2RESession) -> None:
        self._session = session
        self._gates: dict[str, dict[str, Any]] = {}
        self._nodes: list[Any] = []

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["p2re_experiment"] = self._session.harness.experiment.model_dump_json()
        node.workerinput["p2re_dist"] = self._session.config.getoption("dist")
        self._nodes.append(node)
        try:
            node.workerinput["p2re_against"] = self._session.comparing.hand_over()
        except P2REError as error:
            raise pytest.UsageError(str(error)) from None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self._session.reached_maxfail():
            self._stop_workers()

    @pytest.hookimpl(trylast=True)
    def pytest_keyboard_interrupt(self) -> None:
        self._stop_workers()

    def _stop_workers(self) -> None:
        """Ctrl-C and the failures of -x end the workers' calls too, not only what they report."""
        for node in self._nodes:
            with contextlib.suppress(OSError):  # it is down already
                node.sendcommand(_STOP, grace_s=self._session.grace_s)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Deal all items out at once, so that a worker knows which runs to start ahead."""
        if config.getoption("dist") != "load":
            return None
        from xdist.scheduler import LoadScheduling

        class DealtScheduling(LoadScheduling):  # type: ignore[misc]
            def schedule(self) -> None:
                first = self.collection is None
                if first and self._check_nodes_have_same_collection():
                    _deal(self)
                else:
                    super().schedule()

        return DealtScheduling(config, log)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        output = getattr(node, "workeroutput", {})
        gates = json.loads(output.get("p2re_gates", "[]"))
        self._gates.update({gate["nodeid"]: gate for gate in gates})
        self._session.selected.update(json.loads(output.get("p2re_selected", "{}")))
        self._session.worker_limits.append(json.loads(output.get("p2re_limits", "{}")))
        self._session.harness.versions.update(json.loads(output.get("p2re_versions", "{}")))
        if self._session.shard is not None:
            told = json.loads(output.get("p2re_shard", "{}"))
            self._session.shard.suites.update(told.get("suites", {}))
            self._session.shard.gates.update(told.get("gates", {}))
        if self._session.narrowing is not None and "p2re_affected" in output:
            narrowing = self._session.narrowing
            narrowing.since, narrowing.left_out = json.loads(output["p2re_affected"])
        self._session.planned.update(json.loads(output.get("p2re_planned", "{}")))
        self._session.comparing.take_over(json.loads(output.get("p2re_compared", "[0, {}]")))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        outcome = yield
        if self._gates and not (session.shouldfail or session.shouldstop):
            for gate in self._gates.values():
                self._decide(session, gate)
        return outcome

    def take_over(self, session: pytest.Session) -> None:
        """Open the workers' experiment, and load the conftest.py files of the suites they ran."""
        harness = self._session.harness
        if not (harness.used or _is_recorded(harness)):
            return
        assert harness.store
        for folder in {(harness.settings.root / suite).parent for suite in self._session.selected}:
            collector = pytest.Dir.from_parent(session, path=folder)
            session.config.hook.pytest_make_collect_report(collector=collector)

    def _decide(self, session: pytest.Session, wanted: dict[str, Any]) -> None:
        gate = parse_gate(GateSpec.model_validate(wanted["spec"]))
        place = gate.place
        suite = wanted["suite"]
        planned = wanted["planned"]
        selected = self._session.selected.get(suite, planned)
        verdict = self._session.decide_on(gate, suite, selected=selected, planned=planned)
        location = (suite, place.line - 1 if place else None, wanted["nodeid"].partition("::")[2])
        _report(session, wanted["nodeid"], location, verdict)


def _is_recorded(harness: Harness) -> bool:
    """Whether a worker has written anything down."""
    if not harness.settings.db_path.exists():
        return False
    with open_store(harness.settings.db_path, read_only=True) as store:
        try:
            store.read_experiment(harness.experiment.experiment_id)
        except NoSuchRecord:
            return False
    return True


def _deal(scheduling: Any) -> None:
    """Each worker gets its share of the items at once."""
    scheduling.collection = next(iter(scheduling.node2collection.values()))
    scheduling.pending[:] = range(len(scheduling.collection))
    nodes = sorted(scheduling.nodes, key=lambda node: int(node.gateway.id.removeprefix("gw")))
    shares: dict[Any, list[int]] = {node: [] for node in nodes}
    for index, number in enumerate(dealt(scheduling.collection, len(nodes))):
        shares[nodes[number]].append(index)
    scheduling.pending.clear()
    # What a dead worker leaves is dealt out in chunks, whose size the first round never set.
    if scheduling.maxschedchunk is None:
        scheduling.maxschedchunk = max(1, len(scheduling.collection))
    for node, share in shares.items():
        scheduling.node2pending[node].extend(share)
        node.send_runtest_some(share)
        node.shutdown()


def _report(
    session: pytest.Session,
    nodeid: str,
    location: tuple[str, int | None, str],
    verdict: GateVerdict,
) -> None:
    hook = session.config.hook
    hook.pytest_runtest_logstart(nodeid=nodeid, location=location)
    for when in ("setup", "call", "teardown"):
        failed = when == "call" and verdict.passed is not True
        report = pytest.TestReport(
            nodeid=nodeid,
            location=location,
            keywords={},
            outcome="failed" if failed else "passed",
            longrepr=f"{verdict.place}: {verdict.explanation}" if failed else None,
            when=when,
        )
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)
