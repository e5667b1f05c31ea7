"""By length, the longest first."""

from __future__ import annotations

import polars as pl

from curate.rankings import Candidates, ranks


@ranks
def longest(candidates: Candidates) -> pl.Series:
    """The longest response first, in characters; records without a response last.

    As a baseline: the 1,000 longest of Alpaca's responses were preferred to LIMA's and AlpaGasus' 1,000 (Zhao et
    al., Long Is More for Alignment, arXiv 2402.04833).
    """
    return -candidates.rows["chars"].cast(pl.Int64)
