"""5,000 calls against a service on a bad day: ``make chaos``.

Every call must end in a whole answer or the right error, both sides must have counted the same
requests, and no more than the allowed may have been in flight.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter

from tabulate import tabulate

from p2re_eval.engine.calls import Answer
from wire import chaos

CALLS, CONCURRENCY, SEED = 5000, 60, 11


def main() -> None:
    """Run it once, print what came of it, and fail when anything is wrong."""
    began = time.perf_counter()
    outcome = asyncio.run(chaos.run(CALLS, concurrency=CONCURRENCY, seed=SEED))
    took = time.perf_counter() - began
    ends = Counter(
        "answered" if isinstance(end, Answer) else getattr(end, "kind", "not run")
        for end in outcome.answers
    )
    attempts = sum(getattr(end, "attempts", 0) for end in outcome.answers)
    print(tabulate(outcome.ledger.ways.most_common(), headers=["the service", "requests"]))
    print(tabulate(ends.most_common(), headers=["calls ended", ""]))
    print(f"requests: {outcome.ledger.requests:,} by the service, {attempts:,} by the engine")
    print(f"in flight: {outcome.ledger.most} by the service, {outcome.provider.most} by us")
    print(f"limits: {outcome.limits}")
    mistakes = chaos.wrong(outcome)
    print(f"{len(mistakes)} wrong, {took:.1f} s", *mistakes[:10], sep="\n")
    within = max(outcome.ledger.most, outcome.provider.most) <= CONCURRENCY
    sys.exit(bool(mistakes) or attempts != outcome.ledger.requests or not within)


if __name__ == "__main__":
    main()
