"""What must not be parted: records of one thread, and near-duplicates of one another."""

from __future__ import annotations

import numpy as np
import polars as pl

from curate.selection.interleave import Integers


def components(ids: pl.Series, threads: Integers, pairs: pl.DataFrame | None) -> Integers:
    """A number for each record that it shares with all it hangs together with, from 0 up. Shape (n,).

    Records of one thread hang together, and so do `id_a` and `id_b` of each pair, also by way of ids that are not
    among these: two records that a third is a copy of are near each other.
    """
    if pairs is None or pairs.is_empty():
        return np.unique(threads, return_inverse=True)[1].astype(np.int64)
    nodes = pl.concat([ids, pairs["id_a"], pairs["id_b"]]).unique().sort()
    place = nodes.to_frame("id").with_row_index("node")
    one, other, own = (
        named.to_frame("id").join(place, on="id", how="left", maintain_order="left")["node"].to_numpy()
        for named in (pairs["id_a"], pairs["id_b"], ids)
    )
    # The first record of each thread stands for it.
    _, first, of = np.unique(threads, return_index=True, return_inverse=True)
    left, right = np.concatenate([one, own]), np.concatenate([other, own[first][of]])
    least = np.arange(len(nodes))
    while True:
        lower = np.minimum(least[left], least[right])
        now = least.copy()
        np.minimum.at(now, left, lower)
        np.minimum.at(now, right, lower)
        now = now[now]  # a step further along the chain each time, so that long ones are short work
        if (now == least).all():
            return np.unique(least[own], return_inverse=True)[1].astype(np.int64)
        least = now
