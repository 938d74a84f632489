"""Suites as pytest sees them: a file of cases, and gates that decide at its end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy
import pytest
from _pytest._code.code import TerminalRepr

from p2re_eval.errors import NotRun, P2REError
from p2re_eval.gates import Gate
from p2re_eval.planning import PlannedRun, SuitePlan
from p2re_eval.pytest_plugin.explain import (
    as_failure,
    broken_reason,
    explain_broken,
    explain_failure,
    failure_reason,
)
from p2re_eval.records import Place, Result

if TYPE_CHECKING:
    from p2re_eval.pytest_plugin.session import P2RESession

call_report: pytest.StashKey[pytest.TestReport] = pytest.StashKey()
"""The report of an item's call, for the fixture's results."""

_MARK = re.compile(r"[A-Za-z][\w.\-]*\Z")
_TAKEN_MARKS = {"skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings"}


class AnsweredBadly(Exception):
    """The model's answer did not satisfy the case."""

    def __init__(self, result: Result, *, threshold: float | None, tolerated: bool) -> None:
        super().__init__(explain_failure(result, threshold=threshold))
        self.result = result
        self.reason = failure_reason(result, threshold=threshold)
        self.tolerated = tolerated


class Quarantined(Exception):
    """The case did not pass, and decides nothing for now."""

    def __init__(self, result: Result) -> None:
        broke = result.outcome in {"error", "unscored"}
        super().__init__(explain_broken(result) if broke else explain_failure(result))
        self.result = result


class MachineBroke(Exception):
    """There is no verdict on the answer: the provider or a scorer broke."""

    def __init__(self, result: Result) -> None:
        super().__init__(explain_broken(result))
        self.result = result

    def shown(self) -> TerminalRepr:
        return as_failure(str(self), broken_reason(self.result), self.result.place)


class GateNotMet(Exception):
    """A gate decided against the experiment, or could not decide."""


class SuiteFile(pytest.File):
    """One suite file: a node for each prompt, then the gates, ``gate[pass_rate >= 0.9]``."""

    p2re: P2RESession

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        plan = self.p2re.harness.plan(self.path)
        self.p2re.planned[plan.suite.path] = len(plan.runs)
        for prompt in plan.suite.prompts:
            yield PromptNode.from_parent(self, name=prompt, plan=plan)
        for gate in plan.gates:
            name = f"gate[{gate.text}]"
            nodeid = f"{self.nodeid}::{name}"
            yield GateItem.from_parent(self, name=name, nodeid=nodeid, gate=gate, plan=plan)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> str | Any:
        if isinstance(excinfo.value, P2REError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


class PromptNode(pytest.Collector):
    """The runs of one prompt of a suite, named ``case[model#repeat]`` as pytest names parameters:
    ``suite.yaml::prompt::case`` selects all models and repeats of a case."""

    def __init__(self, *, plan: SuitePlan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._plan = plan

    def collect(self) -> Iterator[pytest.Item]:
        for run in self._plan.runs:
            if run.prompt == self.name:
                # Said in full: pytest's cache reads ids back from text, brackets apart.
                nodeid = f"{self.nodeid}::{run.name}"
                yield CaseItem.from_parent(
                    self, name=run.name, nodeid=nodeid, run=run, plan=self._plan
                )


class CaseItem(pytest.Item):
    """One run: its answer is awaited in setup (a broken machine is an error), judged in the call.

    Where the suite has gates, they decide and a bad answer is only reported. What is in quarantine
    decides nothing, however it ends.
    """

    def __init__(self, *, run: PlannedRun, plan: SuitePlan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run = run
        self.plan = plan
        self._result: Result | None = None
        for tag in (*run.suite.tags, *run.case.tags):
            self._tag(tag)

    @cached_property
    def ihook(self) -> pluggy.HookRelay:
        """The hooks of its folder, looked up once: pytest asks six times an item."""
        return super().ihook

    def _tag(self, tag: str) -> None:
        self.extra_keyword_matches.add(tag)
        if _MARK.match(tag) and tag not in _TAKEN_MARKS:
            _session(self).know_mark(tag)
            self.add_marker(tag)

    def setup(self) -> None:
        session = _session(self)
        if session.only_looks:
            return
        try:
            result = session.result(self.run)
        except NotRun as error:
            pytest.skip(f"not run: {error}")
        except P2REError as error:
            # Alone: pytest would print the error, and then the same again as its consequence.
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        if result.outcome == "not_run":
            pytest.skip(f"not run: {result.fault.message if result.fault else ''}")
        if result.outcome in {"error", "unscored"} and result.quarantine is None:
            self.user_properties += _properties(result)
            raise MachineBroke(result)
        self._result = result

    def runtest(self) -> None:
        result, self._result = self._result, None
        assert result is not None
        self.user_properties += _properties(result)
        if result.outcome != "passed" and result.quarantine is not None:
            raise Quarantined(result)
        if result.outcome == "failed":
            threshold, tolerated = self.run.threshold, bool(self.plan.gates)
            raise AnsweredBadly(result, threshold=threshold, tolerated=tolerated)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> str | Any:
        if isinstance(excinfo.value, AnsweredBadly):
            error = excinfo.value
            return as_failure(str(error), error.reason, error.result.place)
        if isinstance(excinfo.value, Quarantined):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        # Not the end of the node id: of that, pytest's -v would turn dots into colons.
        return _where(self, self.run.case.place, f"{self.run.prompt}: {self.name}")


class GateItem(pytest.Item):
    """A gate of a suite, decided on the selected runs once they are all in."""

    def __init__(self, *, gate: Gate, plan: SuitePlan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gate = gate
        self.plan = plan

    def runtest(self) -> None:
        verdict = _session(self).decide(self.gate, self.plan)
        if verdict.passed is not True:
            raise GateNotMet(verdict.explanation)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> str | Any:
        if isinstance(excinfo.value, (GateNotMet, P2REError)):
            place = f"{self.gate.place}: " if self.gate.place else ""
            return as_failure(f"{place}{excinfo.value}", str(excinfo.value), self.gate.place)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return _where(self, self.gate.place, self.name)


def _session(item: pytest.Item) -> P2RESession:
    from p2re_eval.pytest_plugin import session_key

    return item.config.stash[session_key]


def _where(item: pytest.Item, place: Place | None, heading: str) -> tuple[Path, int | None, str]:
    line = place.line - 1 if place is not None and place.line else None
    return item.path, line, heading


def _properties(result: Result) -> list[tuple[str, object]]:
    """What JUnit keeps of a run: its outcome, its numbers and every score."""
    numbers: dict[str, object] = {
        "p2re_outcome": result.outcome,
        "p2re_trace_id": result.trace_id,
        "p2re_source": result.source,
        "p2re_value": result.value,
        "p2re_cost_usd": result.cost_usd,
        "p2re_input_tokens": result.usage.input_tokens,
        "p2re_output_tokens": result.usage.output_tokens,
        "p2re_latency_s": None if result.duration_ns is None else result.duration_ns / 1e9,
    }
    scores: list[tuple[str, object]] = [
        (f"score:{e.name}", e.score.value if e.score.value is not None else e.score.passed)
        for e in result.evaluations
        if e.score is not None
    ]
    return [(name, value) for name, value in numbers.items() if value is not None] + scores
