"""``/stats``: calls, tokens, cost, errors, latency and scores, from the rollups."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from p2re_eval.records import Source
from p2re_eval.server.api.parameters import Word
from p2re_eval.server.backend import Reading, answer
from p2re_eval.server.problems import RecordRoute
from p2re_eval.store.stat_queries import StatsQuery, StatsReport
from p2re_eval.store.stat_windows import Dimension

router = APIRouter(prefix="/stats", tags=["stats"], route_class=RecordRoute)
_Time = Annotated[int | None, Query(ge=0, lt=1 << 62)]


class Asked(BaseModel):
    """What to count and by what. `source=all` counts replayed and cached runs too."""

    by: list[Dimension] = Field([], max_length=3)
    since_ns: _Time = None
    until_ns: _Time = None
    model: Word = None
    prompt: Word = None
    version: Word = None
    source: Source | Literal["all"] = "live"

    def query(self) -> StatsQuery:
        """As the service takes it."""
        source = None if self.source == "all" else self.source
        return StatsQuery.model_validate(
            {**self.model_dump(exclude={"source", "by"}), "by": tuple(self.by), "source": source}
        )


@router.get("", response_model=StatsReport, summary="Usage and quality")
def stats(backend: Reading, asked: Annotated[Asked, Query()]) -> Response:
    """By any of model, prompt, version, day, hour and status; cost says what is unknown of it."""
    return answer(backend.service.statistics.report(asked.query()))
