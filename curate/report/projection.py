"""A map of a set: records as points, near where their texts are alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.keys import mix, seed_for
from curate.report.books import Json, Tables, collected
from curate.tables import STATES
from curate.vectors import whole

POINTS: Final = 5_000
# The least and the greatest share of points for records that are not kept, where there are enough of either kind:
# in proportion, a map of 1,000 out of 52,000 would show 96 kept ones.
OTHERS: Final = (0.2, 0.5)
SIDE: Final = 1_000  # coordinates are whole numbers from 0 to this
NEIGHBOURS: Final = 15  # UMAP's own number (arXiv 1802.03426)
_ROUNDS: Final = 200
_WIDE: Final = 10.0  # of the first arrangement, as in UMAP
_TURNS: Final = 60  # of power iteration: it only starts the map, so that it need not converge
_ROWS: Final = 512  # compared with all others at a time
METHOD: Final = (
    f"nearest neighbours ({NEIGHBOURS} by cosine) drawn together and others pushed away, as UMAP does, starting "
    "from principal components: who lies beside whom says something, distances and directions do not"
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Vectors:
    """The vectors of a run's records: which have one, and how to read those of some ids.

    `of` takes some of `ids`, sorted, and returns their vectors in that order, shape (n, d). `model` names what
    made them.
    """

    ids: pl.Series
    of: Callable[[pl.Series], NDArray[np.float32]]
    model: str


def mapped(tables: Tables, vectors: Vectors | None, seed: int) -> Json | None:
    """A map of at most 5,000 records; None without vectors of three at least."""
    if vectors is None or len(vectors.ids) < 3:
        return None
    drawn = seed_for(seed, "report.map")
    known = vectors.ids.rename("id").to_frame()
    ends = collected(tables["ledger"].select("id", "source", "state")).join(known, on="id")
    draws = collected(tables["records"].select("id", "draw"))
    ends = ends.join(draws.with_columns(mix(draws["draw"], drawn)), on="id")
    shown = sampled(ends).sort("id")
    if shown.height < 3:
        return None
    points = projected(vectors.of(shown["id"]), drawn)
    states = [state for state in STATES if state in shown["state"]]
    sources = sorted(shown["source"].unique())
    counted = dict(ends.group_by("state").len().iter_rows())
    taken = dict(shown.group_by("state").len().iter_rows())
    return {
        "points": [
            [x, y, states.index(state), sources.index(source)]
            for (x, y), state, source in zip(points.tolist(), shown["state"], shown["source"], strict=True)
        ],
        "states": states,
        "sources": sources,
        "model": vectors.model,
        "method": METHOD,
        "of": ends.height,
        "sample": shown.height,
        "seed": seed,
        "drawn": [{"state": state, "records": counted[state], "shown": taken[state]} for state in states],
    }


def sampled(ends: pl.DataFrame) -> pl.DataFrame:
    """At most 5,000 rows of `id`, `state` and `draw`, by their draws, at least half of them kept ones."""
    ordered = ends.sort("draw", "id")
    kept = ordered.filter(pl.col("state") == "kept")
    others = ordered.filter(pl.col("state") != "kept")
    least, most = (int(POINTS * share) for share in OTHERS)
    fair = POINTS * others.height // max(ends.height, 1)
    room = min(max(fair, least), most, others.height)
    kept = kept.head(POINTS - room)
    return pl.concat([kept, others.head(POINTS - kept.height)])


def projected(vectors: NDArray[Any], seed: int) -> NDArray[np.int64]:
    """Places for vectors in a square, near one another where cosines are high. Shape (n, 2), from 0 to 1,000.

    Texts that are alike in many different ways have no place in a plane. So what is kept is who the neighbours
    are, as in LargeVis (arXiv 1602.00370) and UMAP (arXiv 1802.03426), with Student's kernel of t-SNE: the 15
    nearest pull, points drawn at random push. Vectors are rounded so that products are whole numbers, and the rest
    is done in one order: the result does not depend on threads.
    """
    rounded = whole(np.asarray(vectors, dtype=np.float32))
    start = _components(rounded)
    if len(rounded) > NEIGHBOURS:
        from curate.report._layout import arranged

        spread = np.abs(start).max()
        places = arranged(start * (_WIDE / spread if spread else 1.0), _edges(rounded), _ROUNDS, np.uint64(seed))
    else:
        places = start
    return _in_square(places)


def _components(rounded: NDArray[np.float32]) -> Floats:
    """The first two principal components, by power iteration from fixed starts. Shape (n, 2).

    Sums are those of whole numbers below 2⁵³, or made by loops of numpy's own: libraries for matrices sum in an
    order that depends on threads.
    """
    exact = rounded.astype(np.float64)
    n, width = exact.shape
    total = exact.sum(axis=0)
    spread = (exact.T @ exact) / n - np.outer(total / n, total / n)
    found: list[Floats] = []
    for number in range(2):
        axis = 1.0 / (1.0 + np.arange(width, dtype=np.float64) + number)
        for _ in range(_TURNS):
            for other in found:
                axis = axis - np.einsum("i,i->", axis, other) * other
            axis = np.einsum("ij,j->i", spread, axis)
            length = np.sqrt(np.einsum("i,i->", axis, axis))
            axis = axis / length if length > 0 else axis
        # A component may point either way; its greatest part is positive here.
        found.append(axis if axis[np.argmax(np.abs(axis))] >= 0 else -axis)
    centred = exact - total / n
    return np.stack([np.einsum("ij,j->i", centred, axis) for axis in found], axis=1)


def _edges(rounded: NDArray[np.float32]) -> NDArray[np.int64]:
    """Each row with its nearest others, the lower row first among equally near ones; shuffled by their places.

    Shape (n · 15, 2).
    """
    n = len(rounded)
    nearest = np.empty((n, NEIGHBOURS), dtype=np.int64)
    for begin in range(0, n, _ROWS):
        products = rounded[begin : begin + _ROWS] @ rounded.T
        rows = np.arange(len(products))
        products[rows, begin + rows] = -np.inf
        # Products are whole numbers, so that a row's place can stand behind them as what decides between equals.
        ranked = products.astype(np.float64) * n - np.arange(n)
        nearest[begin : begin + _ROWS] = np.argpartition(-ranked, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    # Sorted, so that it does not matter how the partition left them.
    nearest.sort(axis=1)
    # Neighbours' turns are far apart: first everybody's first, then everybody's second.
    return np.stack([np.tile(np.arange(n), NEIGHBOURS), nearest.T.ravel()], axis=1)


def _in_square(places: Floats) -> NDArray[np.int64]:
    """Places as whole numbers in a square, in the middle of it and with both directions to the same scale."""
    low, high = places.min(axis=0), places.max(axis=0)
    span = float((high - low).max())
    scale = SIDE / span if span > 0 else 0.0
    found: NDArray[np.int64] = np.rint((places - (low + high) / 2) * scale + SIDE / 2).astype(np.int64)
    return found
