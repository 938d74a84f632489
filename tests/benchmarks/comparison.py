"""Two experiments of 100,000 cases compared: how many seconds, where they go.

``python tests/benchmarks/comparison.py [CASES]`` makes a database, fills it through the store's own
writer and compares, each phase timed; nothing is kept.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

from p2re_eval.compare import Sample, compare, recorded
from p2re_eval.records import Evaluation, Experiment, Result, Score, content_hash
from p2re_eval.store import Store, open_store

CASES = 100_000


def filled(store: Store, name: str, cases: int, chance: float) -> Sample:
    """An experiment in which each case passes with this chance."""
    dice = random.Random(name)
    experiment = Experiment(experiment_id=content_hash(name)[:32], name=name, started_ns=1)
    store.start_experiment(experiment)
    rules = content_hash("rules")
    for number in range(cases):
        result = one(experiment.experiment_id, number, dice.random() < chance, rules)
        saved = store.save_result(result, result.evaluations)
        if number % 5000 == 0:
            saved.result()
    saved.result()
    return recorded(store, experiment, label=name)


def one(experiment_id: str, number: int, passed: bool, rules: str) -> Result:
    trace_id = f"{experiment_id[:16]}{number:016x}"
    evaluation = Evaluation(
        evaluation_id=trace_id,
        trace_id=trace_id,
        name="equals",
        scorer="equals",
        scorer_version=rules,
        score=Score(value=float(passed), passed=passed),
        identifier=f"{experiment_id}:suite.yaml:{number}#0",
        experiment_id=experiment_id,
    )
    return Result(
        experiment_id=experiment_id,
        item=f"suite.yaml::p::{number}",
        suite="suite.yaml",
        prompt="p",
        model="m/x",
        case_id=f"case-{number:06}",
        position=number,
        outcome="passed" if passed else "failed",
        value=float(passed),
        trace_id=trace_id,
        evaluations=(evaluation,),
        output_preview="an answer of some length " * 4,
        row_hash=f"{number:064x}",
        rules_hash=rules,
        fingerprint=f"{number:064x}",
    )


def main(cases: int) -> None:
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "runs.db") as store:
        started = time.perf_counter()
        before, after = (filled(store, n, cases, c) for n, c in (("before", 0.8), ("after", 0.79)))
        print(f"wrote     {2 * cases:,} results in {time.perf_counter() - started:.1f} s")
        started = time.perf_counter()

        def tell(sentence: str) -> None:
            print(f"{time.perf_counter() - started:8.2f} s  {sentence}", flush=True)

        found = compare(before, after, tell=tell)
        seconds = time.perf_counter() - started
    delta = found.deltas[0]
    print(f"{seconds:8.2f} s  done: {found.broke:,} worse, {found.fixed:,} better of {cases:,}")
    print(f"pass rate {delta.difference:+.4f}, {delta.low:+.4f} to {delta.high:+.4f}")
    print(f"CPU       {time.process_time():.1f} s in all")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CASES)
