"""By chance: what every other order is to be compared with."""

from __future__ import annotations

import polars as pl

from curate.keys import mix
from curate.rankings import Candidates, ranks


@ranks
def random(candidates: Candidates) -> pl.Series:
    """By chance, drawn from the record's id and the pipeline's seed."""
    return mix(candidates.rows["draw"], candidates.seed)
