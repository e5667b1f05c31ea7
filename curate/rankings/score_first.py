"""By quality, passing by what is too similar to a record that stands before it: DEITA's filter."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import numpy as np
import polars as pl
from pydantic import Field

from curate.rankings import Candidates, Greedy, Integers, ranks
from curate.vectors import SCALE, Nearness, whole

Quality = Literal["score", "longest"]

_BLOCK: Final = 256  # rows compared together with what was taken since


@ranks(measure="embedding")
def score_first(
    candidates: Candidates,
    *,
    by: Quality = "score",
    max_cosine: Annotated[float, Field(gt=0, le=1)] = 0.9,
    on: str = "message",  # noqa: ARG001 - says what the vectors are of
) -> Greedy:
    """The best record first, passing by each whose cosine to one already selected is above `max_cosine`.

    DEITA's score-first, diversity-aware selection (Liu et al., arXiv 2312.15685, §2.4, threshold 0.9): the cosine
    is to those selected before, not to the nearest of all. DEITA's own score comes from two fine-tuned models;
    here it is `by`, the community's score or the length of the response.
    """
    return _ScoreFirst(candidates, by, max_cosine)


class _ScoreFirst(Greedy):
    def __init__(self, candidates: Candidates, by: Quality, max_cosine: float) -> None:
        rows = candidates.rows
        quality = (
            rows["score"].cast(pl.Float64).fill_nan(None) if by == "score" else rows["chars"].cast(pl.Float64)
        )
        places = quality.to_frame("quality").with_row_index("row")
        best_first = places.sort("quality", "row", descending=[True, False], nulls_last=True)["row"]
        order = best_first.to_numpy().astype(np.int64)
        self._near = Nearness(whole(candidates.vectors))
        self._limit = max_cosine * SCALE**2
        codes = candidates.domains[order]
        self._rows: dict[int, Integers] = {int(code): order[codes == code] for code in np.unique(codes)}
        self._next = dict.fromkeys(self._rows, 0)
        self._why = f"cosine above {max_cosine:g} to one before it"
        self._refused: list[int] = []

    def best(self, domain: int) -> int | None:
        rows = self._rows[domain]
        while self._next[domain] < len(rows):
            at = self._next[domain]
            row = int(rows[at])
            if not self._near.is_known(row):
                self._near.refresh(rows[at : (at // _BLOCK + 1) * _BLOCK])
            self._next[domain] += 1
            if self._near.known[row] <= self._limit:
                return row
            self._refused.append(row)
        return None

    def take(self, row: int) -> None:
        self._near.take(row)

    @property
    def refused(self) -> dict[str, list[int]]:
        return {self._why: self._refused} if self._refused else {}
