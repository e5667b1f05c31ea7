"""By length, the shortest first."""

from __future__ import annotations

import polars as pl

from curate.rankings import Candidates, ranks


@ranks
def shortest(candidates: Candidates) -> pl.Series:
    """The shortest response first, in characters; records without a response last."""
    return candidates.rows["chars"].replace(0, None)
