"""By distance: each record is the one farthest from all that stand before it."""

from __future__ import annotations

import numpy as np

from curate.keys import mix
from curate.rankings import Candidates, Greedy, ranks
from curate.rankings.spread import Spread


@ranks(measure="embedding")
def k_center(candidates: Candidates, *, on: str = "message") -> Greedy:  # noqa: ARG001 - says what vectors are of
    """The record farthest from all records before it, by the cosine of embeddings; the first by chance.

    Greedy k-centre (Gonzalez, Theoretical Computer Science 38, 1985): no other k records leave the farthest one
    less than half as far. It seeks out outliers, and represents the pool worse than chance does.
    """
    ties = mix(candidates.rows["draw"], candidates.seed).to_numpy()
    return Spread(candidates, np.ones(len(candidates.rows)), ties)
