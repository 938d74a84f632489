"""``python -m wire FILE.jsonl ...``: rows, claimed and right per service of these recordings."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from pathlib import Path

from wire.claims import NOT_CLAIMED, WIRE, adapter, read
from wire.replay import outcomes
from wire.verdict import table


def main(paths: list[str]) -> None:
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "AKIA0123456789ABCDEF")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    rows = [row for path in paths for row in read(Path(path))]
    lines, wrong = table(rows, asyncio.run(outcomes(rows)))
    unclaimed = Counter(adapter(row)[1] for row in rows if not adapter(row)[0])
    print(lines)
    for name, count in unclaimed.most_common():
        print(f"not claimed: {count} {name}: {NOT_CLAIMED.get(name, 'no adapter')}")
    for row_id, problems in wrong.items():
        print(row_id, *problems, sep="\n    ")


if __name__ == "__main__":
    main(sys.argv[1:] or [str(WIRE)])
