"""Parameters that many routes share, with their limits."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

MOST_ITEMS = 500

Limit = Annotated[int, Query(ge=1, le=MOST_ITEMS, description="How many items a page holds.")]
Cursor = Annotated[
    str | None, Query(max_length=2000, description="The `next_cursor` of the page before.")
]
Id = Annotated[
    str,
    Path(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f]+$",
        description="An id or its beginning.",
    ),
]
Name = Annotated[str, Path(min_length=1, max_length=300, description="A prompt's name.")]
Word = Annotated[str | None, Query(max_length=500)]
