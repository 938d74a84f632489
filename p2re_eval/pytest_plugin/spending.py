"""The budget as pytest sees it: prices known beforehand, and what was spent at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from p2re_eval.engine.budget import unpriced
from p2re_eval.errors import ProviderError, UsageError
from p2re_eval.pipeline import Harness
from p2re_eval.planning import PlannedRun
from p2re_eval.providers.prices import quoted_usd
from p2re_eval.pytest_plugin.items import CaseItem
from p2re_eval.records import JSON, ModelSettings, Usage
from p2re_eval.store import SharedLedger

_A_FEW = Usage(input_tokens=1, output_tokens=1)


def check_prices(harness: Harness, items: Iterable[pytest.Item]) -> None:
    """Before any call: a budget needs to know what each model and judge costs. Raises UsageError.

    xdist's workers leave it to each call.
    """
    wanted = harness.settings.budget
    if wanted is None or wanted.allow_unpriced or wanted.shared:
        return
    checked: set[str] = set()
    for item in items:
        if isinstance(item, CaseItem) and item.run.source == "live":
            for model in _models(item.run):
                if model.id not in checked:
                    checked.add(model.id)
                    _check_price(harness, model)


def is_over_budget(harness: Harness) -> bool:
    """Whether a run was not made for want of money, or of a price."""
    if harness.settings.budget is None:
        return False
    return any(
        result.outcome == "not_run" and result.fault is not None and result.fault.kind == "budget"
        for result in harness.results()
    )


def spending(harness: Harness) -> dict[str, JSON]:
    """What the experiment's settings keep of the budget."""
    wanted = harness.settings.budget
    if wanted is None:
        return {}
    ledger = SharedLedger(
        harness.store.path, harness.experiment.experiment_id, wanted.limit_usd, clock=harness.clock
    )
    spent_usd = ledger.spent_usd
    ledger.close()
    if harness.budget is not None:  # with xdist the workers spend, and this process nothing
        spent_usd += harness.budget.ledger.spent_usd
    return {"p2re_budget": wanted.limit_usd, "p2re_spent": spent_usd}


def _models(run: PlannedRun) -> Iterator[ModelSettings]:
    """The model of a run, and those its scorers ask."""
    yield run.settings
    for scorer in run.scorers:
        judge = scorer.options.get("model") if scorer.kind == "LLM" else None
        if isinstance(judge, str) and "/" in judge:
            provider, _, name = judge.partition("/")
            yield ModelSettings(provider=provider, name=name)


def _check_price(harness: Harness, model: ModelSettings) -> None:
    try:
        provider = harness.providers.get(model.provider or "")
    except ProviderError:
        return  # its runs will say so
    if quoted_usd(provider, model, _A_FEW) is None:
        raise UsageError(f"--p2re-budget: {unpriced(model)}")
