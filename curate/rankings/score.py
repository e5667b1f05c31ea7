"""By the community's score."""

from __future__ import annotations

import polars as pl

from curate.rankings import Candidates, ranks


@ranks
def score(candidates: Candidates) -> pl.Series:
    """The highest community score first; records without a score last."""
    return -candidates.rows["score"].cast(pl.Float64).fill_nan(None)
