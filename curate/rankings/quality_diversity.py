"""By quality and distance together."""

from __future__ import annotations

from typing import Literal

import polars as pl

from curate.keys import mix
from curate.rankings import Candidates, Greedy, ranks
from curate.rankings.spread import Spread

Quality = Literal["score", "longest"]


@ranks(measure="embedding")
def quality_diversity(
    candidates: Candidates,
    *,
    by: Quality = "score",
    on: str = "message",  # noqa: ARG001 - says what the vectors are of
) -> Greedy:
    """The record with the largest quality × distance to the nearest record before it.

    Quality is the share of the candidates that are no better, by `by`: the community's score, or the length of the
    response; 0 without a value. Distance is 1 − the cosine of embeddings. So a record must be both good and unlike
    those before it, as in k-centre greedy weighted by quality.
    """
    rows = candidates.rows
    quality = rows["score"].cast(pl.Float64).fill_nan(None) if by == "score" else rows["chars"].cast(pl.Float64)
    known = max(quality.count(), 1)
    worth = (quality.rank("max").fill_null(0).cast(pl.Float64) / known).to_numpy()
    return Spread(candidates, worth, mix(rows["draw"], candidates.seed).to_numpy())
