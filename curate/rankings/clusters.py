"""By clusters taking turns."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import polars as pl
from pydantic import Field

from curate.keys import mix
from curate.rankings import Candidates, ranks
from curate.vectors import k_means, whole

Share = Annotated[float, Field(ge=0, le=1)]


@ranks(measure="embedding")
def clusters(
    candidates: Candidates,
    *,
    k: Annotated[int, Field(ge=1)] = 100,
    nearest: Share = 0.25,
    farthest: Share = 0.75,
    on: str = "message",  # noqa: ARG001 - says what the vectors are of
) -> pl.Series:
    """One record of each cluster in turn, drawn by chance from the middle of the cluster first.

    k-means by cosine; the middle lies between the quantiles `nearest` and `farthest` of the distances to the
    cluster's centre, as in the first stage of Cherry LLM (Li et al., arXiv 2308.12032: 100 clusters, 25th to 75th
    percentile); what lies outside it comes after all that lies inside.
    """
    if not len(candidates.rows):
        return pl.Series([], dtype=pl.Float64)
    vectors = whole(candidates.vectors)
    draw = mix(candidates.rows["draw"], candidates.seed)
    first = np.argsort(draw.to_numpy(), kind="stable")
    first = first[(vectors[first] != 0).any(axis=1)]
    if not len(first):
        return draw
    of, centres = k_means(vectors, min(k, len(first)), first=first)
    # Distances of one cluster alone are compared, all to one centre: a product is as good as a cosine.
    closeness = np.einsum("ij,ij->i", vectors, centres[of], dtype=np.float64)
    place = (pl.col("closeness").rank("ordinal", descending=True) - 1) / pl.len()
    frame = pl.DataFrame({"cluster": of, "closeness": closeness, "draw": draw})
    frame = frame.with_columns(outside=~place.over("cluster").is_between(nearest, farthest))
    frame = frame.with_columns(turn=pl.struct("outside", "draw").rank("ordinal").over("cluster"))
    # A row without a vector is in no cluster, and comes after all others.
    placed = pl.Series((vectors != 0).any(axis=1))
    return frame.select(key=pl.when(placed).then(pl.struct("outside", "turn", "draw").rank("ordinal")))["key"]
