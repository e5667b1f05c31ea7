"""Cosines that are the same on every machine: vectors of whole numbers, whose products float32 holds exactly.

A sum of float32 depends on the order of its terms, which threads, blocks and processors choose. Components
rounded to whole numbers with a length of at most `SCALE` cannot: every partial sum of a dot product lies below
SCALE² < 2²⁴ (Cauchy–Schwarz), where float32 counts by ones. So a selection made by comparing cosines is the same
whatever library multiplies. Rounding moves a cosine by some 0.0001 at 384 dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Exact = NDArray[Any]  # of float32 or float64, in which products of vectors so rounded are exact

# The half of a unit that rounding may add to each of 1,000s of components must not carry a product beyond 2²⁴.
SCALE: Final = 4000
_ROWS: Final = 8_192  # rows multiplied at a time: a block of products stays in the processor's cache


def whole(vectors: NDArray[np.floating[Any]]) -> Floats:
    """The vectors with length `SCALE` and whole components, as float32.

    Shape (n, d); a vector of zeros stays one.
    """
    rounded = np.empty(vectors.shape, dtype=np.float32)
    for start in range(0, len(vectors), _ROWS):
        block = vectors[start : start + _ROWS].astype(np.float64)
        # Summed by component, in order: the pairs that numpy's own sum makes depend on the processor.
        lengths = np.sqrt(_squares(block))[:, None]
        rounded[start : start + _ROWS] = np.rint(
            np.divide(block * SCALE, lengths, where=lengths > 0, out=block * 0)
        )
    return rounded


def _squares(block: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.add.accumulate(block * block, axis=1)[:, -1] if block.shape[1] else np.zeros(len(block))


class Nearness:
    """The greatest product of each row with those taken so far, brought up to date only where it is asked for.

    A value that is out of date is too small, never too large: rows only ever come nearer to what is taken.
    """

    def __init__(self, vectors: Floats) -> None:
        self.known = np.full(len(vectors), -np.inf, dtype=np.float32)
        self._vectors = vectors  # of whole numbers
        self._taken = np.empty((64, vectors.shape[1]), dtype=np.float32)
        self._count = 0
        self._seen = np.zeros(len(vectors), dtype=np.int64)  # how many of those taken a row was compared with

    def take(self, row: int) -> None:
        """From now on, `row` is one of those taken."""
        if self._count == len(self._taken):
            self._taken = np.concatenate([self._taken, np.empty_like(self._taken)])
        self._taken[self._count] = self._vectors[row]
        self._count += 1

    def is_known(self, row: int) -> bool:
        """Whether `known` is up to date for this row."""
        return bool(self._seen[row] == self._count)

    def refresh(self, rows: Integers) -> None:
        """Bring `known` up to date for these rows: one product, with all that the oldest of them has not met."""
        behind = rows[self._seen[rows] < self._count]
        if len(behind):
            latest = self._taken[int(self._seen[behind].min()) : self._count]
            nearest = (self._vectors[behind] @ latest.T).max(axis=1)
            self.known[behind] = np.maximum(self.known[behind], nearest)
            self._seen[behind] = self._count

    def refresh_all(self) -> None:
        """Bring `known` up to date for every row, so that none stays far behind."""
        latest = self._taken[int(self._seen.min(initial=self._count)) : self._count]
        for start in range(0, len(self.known) if len(latest) else 0, _ROWS):
            block = slice(start, start + _ROWS)
            nearest = (self._vectors[block] @ latest.T).max(axis=1)
            np.maximum(self.known[block], nearest, out=self.known[block])
        self._seen[:] = self._count


def k_means(
    vectors: Exact,
    k: int,
    *,
    first: Integers,
    rounds: int = 20,
    centre: Callable[[NDArray[np.float64]], Exact] = whole,
) -> tuple[Integers, Exact]:
    """The cluster of each row, shape (n,), and the clusters' centres, shape (k, d), by cosine.

    Vectors are rounded so that their products and sums are exact; `centre` rounds sums of them in the same way.
    Clusters begin at the rows `first`, shape (k,), and move for at most so many rounds (spherical k-means, Dhillon
    and Modha, Machine Learning 42, 2001). A cluster that loses all its rows keeps its centre.
    """
    centres = vectors[first[:k]].copy()
    clusters = np.full(len(vectors), -1, dtype=np.int64)
    for _ in range(rounds):
        now = nearest_of(vectors, centres)
        if (now == clusters).all():
            break
        clusters = now
        order = np.argsort(clusters, kind="stable")
        members, starts = np.unique(clusters[order], return_index=True)
        # In float64, where such sums are exact in any order.
        sums = np.add.reduceat(vectors[order], starts, axis=0, dtype=np.float64)
        centres[members] = centre(sums)
    return clusters, centres


def nearest_of(vectors: Exact, centres: Exact) -> Integers:
    """The centre nearest to each row, the first of equal ones. Shape (n,)."""
    found = np.empty(len(vectors), dtype=np.int64)
    for start in range(0, len(vectors), _ROWS):
        found[start : start + _ROWS] = (vectors[start : start + _ROWS] @ centres.T).argmax(axis=1)
    return found
