"""In the order of the source."""

from __future__ import annotations

import polars as pl

from curate.rankings import Candidates, ranks


@ranks
def native(candidates: Candidates) -> pl.Series:
    """In the order of the source's own files."""
    return candidates.rows["position"]
