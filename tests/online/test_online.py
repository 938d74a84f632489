"""A/B experiments from the first assignment to the label that moves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from p2re_eval.errors import NoSuchRecord, UsageError
from p2re_eval.online import Online, assign, outcome
from p2re_eval.online.assigning import FRESH_S, Desk
from p2re_eval.online.buckets import bucket, variant_of
from p2re_eval.online.findings import findings
from p2re_eval.records import (
    Evaluation,
    Exposure,
    OnlineExperiment,
    PromptTemplate,
    Score,
    TemplateMessage,
    UnitOutcomes,
    Variant,
)
from p2re_eval.service import Service
from p2re_eval.store import Store, open_store
from p2re_eval.tracing import capture, span

CALM, BRISK = Variant(name="calm", prompt="route@v1"), Variant(name="brisk", prompt="route@v2")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "p2re.db"


@pytest.fixture
def store(database: Path) -> Iterator[Store]:
    with open_store(database) as opened:
        yield opened


@pytest.fixture
def online(store: Store) -> Online:
    return Online(store)


@pytest.fixture
def desk(database: Path) -> Iterator[Desk]:
    made = Desk(database)
    yield made
    made.close()


def experiment(*variants: Variant, **more: Any) -> OnlineExperiment:
    given = {"name": "tone", "outcome": "solved", "salt": "s", "started_ns": 1}
    return OnlineExperiment(**{**given, "variants": variants or (CALM, BRISK), **more})


def test_units_fall_into_variants_by_their_weights() -> None:
    """Evenly over units, and the same for ever: these values must never change."""
    weighted = experiment(Variant(name="a", weight=3), Variant(name="b", weight=1))
    counts = {"a": 0, "b": 0}
    for number in range(10_000):
        counts[variant_of(weighted, f"user-{number}").name] += 1
    assert counts == {"a": 7448, "b": 2552}
    assert bucket("s", "user-7") == pytest.approx(0.0454641, abs=1e-7)
    assert [variant_of(experiment(), f"user-{n}").name for n in range(5)] == [
        "calm", "calm", "brisk", "brisk", "brisk"
    ]  # fmt: skip


def test_another_salt_deals_anew() -> None:
    """Who has a variant of one experiment says nothing about another."""
    both = [
        (bucket("one", f"user-{number}") < 0.5, bucket("two", f"user-{number}") < 0.5)
        for number in range(4000)
    ]
    together = sum(first == second for first, second in both) / 4000
    assert 0.47 < together < 0.53


@pytest.mark.parametrize(
    ("variants", "more"),
    [
        ((CALM,), {}),
        ((CALM, CALM), {}),
        ((CALM, Variant(name="b", weight=0)), {}),
        ((CALM, BRISK), {"effect": 0}),
        ((CALM, BRISK), {"winner": "nobody"}),
    ],
)
def test_what_cannot_be_compared_is_refused(variants: Any, more: Any) -> None:
    """Before anybody gets a variant."""
    with pytest.raises(ValidationError):
        experiment(*variants, **more)


def test_an_assignment_is_sticky_and_written_once(
    online: Online, desk: Desk, database: Path, store: Store
) -> None:
    """In this process, in another one, and in the table."""
    online.start("tone", [CALM, BRISK], outcome="solved")
    first = [desk.assign("tone", f"user-{number}") for number in range(20)]
    again = [desk.assign("tone", f"user-{number}") for number in range(20)]
    assert first == again
    assert {one.variant.name for one in first} == {"calm", "brisk"}
    desk.close()
    other = Desk(database)
    assert [other.assign("tone", f"user-{number}") for number in range(20)] == first
    other.close()
    found = online.findings("tone")
    assert sum(one.assigned for one in found.variants) == 20


def test_the_definition_is_not_read_at_every_assignment(
    online: Online, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, then not before it is stale; a stop is heard then."""
    online.start("tone", [CALM, BRISK], outcome="solved")
    now = [100.0]
    monkeypatch.setattr("p2re_eval.online.assigning.time.monotonic", lambda: now[0])
    before = desk.assign("tone", "user-7")
    online.stop("tone", winner="brisk")
    assert desk.assign("tone", "user-7") == before
    now[0] += FRESH_S + 1
    after = desk.assign("tone", "user-7")
    assert (after.variant.name, after.counts) == ("brisk", False)


def test_a_service_goes_on_while_the_database_is_away(
    online: Online, store: Store, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was known a moment ago still holds."""
    online.start("tone", [CALM, BRISK], outcome="solved")
    desk = Desk(database)
    now = [100.0]
    monkeypatch.setattr("p2re_eval.online.assigning.time.monotonic", lambda: now[0])
    before = desk.assign("tone", "user-7")
    desk.close()
    store.close()
    for path in database.parent.glob("p2re.db*"):
        path.unlink()
    database.mkdir()
    now[0] += FRESH_S + 1
    assert desk.assign("tone", "user-7").variant == before.variant


def test_an_unknown_experiment_is_said_with_the_nearest(online: Online, desk: Desk) -> None:
    """A typing mistake must not give everybody the control."""
    online.start("tone", [CALM, BRISK], outcome="solved")
    with pytest.raises(NoSuchRecord, match="no A/B experiment 'tome'; did you mean 'tone'"):
        desk.assign("tome", "user-7")


def test_a_second_experiment_of_the_name_is_refused(online: Online) -> None:
    """People would change sides."""
    online.start("tone", [CALM, BRISK], outcome="solved")
    with pytest.raises(UsageError, match="variants cannot change"):
        online.start("tone", [BRISK, CALM], outcome="solved")


def test_outcomes_come_from_evaluations_of_captured_traces(
    online: Online, store: Store, database: Path
) -> None:
    """A trace made after an assignment has met its variant; a unit counts once, by its mean."""
    online.start("tone", [CALM, BRISK], outcome="helpful")
    with capture(database, sdks=False):
        given = assign("tone", "user-7", db=database)
        for _ in range(2):
            with span("answer", kind="LLM"):
                pass
    rows = store.list_traces()
    exposure = Exposure(experiment="tone", variant=given.variant.name, unit="user-7")
    assert [store.read_trace(row.trace_id).exposures for row in rows] == [(exposure,)] * 2
    for value, row in enumerate(rows):
        judged = Evaluation(
            evaluation_id=f"{value:032x}",
            trace_id=row.trace_id,
            name="helpful",
            scorer="human",
            scorer_version="1",
            kind="HUMAN",
            score=Score(passed=bool(value)),
        )
        store.save_evaluations([judged]).result()
    found = {one.variant: one for one in online.findings("tone").variants}
    mine = found[given.variant.name]
    assert (mine.assigned, mine.judged, mine.rate) == (1, 1, 0.5)


def test_an_outcome_of_a_unit_needs_no_trace(online: Online, database: Path) -> None:
    """Whether a ticket was solved is known a week later; the last word counts."""
    online.start("tone", [CALM, BRISK], outcome="solved")
    given = assign("tone", "user-7", db=database)
    outcome("tone", "user-7", 0, db=database)
    outcome("tone", "user-7", 1, db=database)
    outcome("tone", "stranger", 1, db=database)  # nobody assigned it: it counts for no variant
    found = {one.variant: one for one in online.findings("tone").variants}
    assert (found[given.variant.name].judged, found[given.variant.name].rate) == (1, 1)
    assert sum(one.judged for one in found.values()) == 1


def units(variant: str, passed: int, n: int, assigned: int | None = None) -> UnitOutcomes:
    values = (1.0,) * passed + (0.0,) * (n - passed)
    return UnitOutcomes(variant=variant, assigned=assigned or n, outcomes=values)


def test_findings_tell_a_clear_difference_from_none() -> None:
    """Rates with intervals, the difference with one that peeking cannot break."""
    found = findings(experiment(), [units("calm", 300, 1000), units("brisk", 400, 1000)])
    control, brisk = found.variants
    assert (control.rate, control.difference, control.verdict) == (0.3, None, None)
    assert control.low == pytest.approx(0.27243, abs=1e-4)
    assert brisk.difference == pytest.approx(0.1)
    assert (brisk.verdict, found.leader) == ("better", brisk)
    assert brisk.difference_low is not None
    assert 0 < brisk.difference_low < 0.1
    same = findings(experiment(), [units("calm", 300, 1000), units("brisk", 310, 1000)])
    assert (same.variants[1].verdict, same.leader) == ("not yet", None)
    worse = findings(experiment(), [units("calm", 400, 1000), units("brisk", 300, 1000)])
    assert worse.variants[1].verdict == "worse"


def test_several_variants_share_the_error() -> None:
    """Two comparisons at 95 % together are wider than one."""
    three = experiment(CALM, BRISK, Variant(name="kind"))
    data = [units("calm", 300, 1000), units("brisk", 330, 1000), units("kind", 300, 1000)]
    one = findings(experiment(), data[:2]).variants[1]
    both = findings(three, data).variants[1]
    assert one.difference_high is not None
    assert both.difference_high is not None
    assert both.difference_high > one.difference_high


def test_a_sample_ratio_mismatch_is_an_alarm() -> None:
    """Something drops units of one variant: no comparison can be believed."""
    broken = findings(experiment(), [units("calm", 1, 2, 5000), units("brisk", 1, 2, 5400)])
    sound = findings(experiment(), [units("calm", 1, 2, 5000), units("brisk", 1, 2, 5100)])
    assert (broken.mismatch, sound.mismatch) == (True, False)


def test_the_needed_units_are_known_when_the_control_varies() -> None:
    """Not before: they depend on how much outcomes differ."""
    assert findings(experiment(), [units("calm", 0, 0), units("brisk", 0, 0)]).needed is None
    needed = findings(experiment(), [units("calm", 30, 100), units("brisk", 0, 0)]).needed
    assert needed is not None
    assert 1000 < needed < 4000


def test_promotion_moves_the_label(online: Online, store: Store) -> None:
    """The winner's version is in production, and everybody has it."""
    for number, text in enumerate(("calm", "brisk")):
        template = PromptTemplate(
            name="route",
            version=f"{number}" * 64,
            messages=(TemplateMessage(role="user", content=text),),
        )
        store.save_prompt_version(template).result()
    brisk = Variant(name="brisk", prompt=f"route@{'1' * 12}")
    online.start("tone", [Variant(name="calm"), brisk], outcome="solved")
    assert online.promote("tone", "brisk").shown == "1" * 12
    assert Service(store).prompts.get("route", "production").row.version == "1" * 64
    stopped = online.get("tone")
    assert (stopped.status, stopped.winner) == ("STOPPED", "brisk")
    assert variant_of(stopped, "anybody").name == "brisk"


def test_a_winner_must_be_one_that_can_win(online: Online) -> None:
    """A variant of models alone has no version to label."""
    online.start("size", [Variant(name="s", model="openai/a"), Variant(name="l")], outcome="ok")
    with pytest.raises(UsageError, match="names no prompt"):
        online.promote("size", "s")
    with pytest.raises(UsageError, match="has no variant 'x'; its variants are s, l"):
        online.stop("size", winner="x")
    assert online.stop("size", winner="l").winner == "l"


def test_the_same_unit_in_another_process(online: Online, database: Path) -> None:
    """Hash seeds and start order do not matter."""
    online.start("tone", [CALM, BRISK], outcome="solved")
    code = (
        "from p2re_eval import assign\n"
        "print(*(assign('tone', f'u{n}').variant.name for n in range(20)))"
    )

    def said(seed: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"P2RE_DB": str(database), "PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    assert said("1") == said("2") != ""
