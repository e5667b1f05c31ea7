"""Products of vectors that are the same whoever makes them, and clusters by them.

A library multiplies matrices in an order of its own, which changes with its threads, and a sum of rounded numbers
changes with its order. So unit vectors are rounded to multiples of 2^-25, about the precision of 32-bit numbers
near 1: products of such numbers, and sums of them within a vector's length of 1, have at most 50 binary digits,
and none is lost in the 53 of a 64-bit number. Then every order gives the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from curate.vectors import k_means

Vectors = NDArray[np.float64]
Numbers = NDArray[np.int64]

_GRID: Final = 2.0**25
_DIGITS: Final = 53
# As many clusters as NovelSum's authors take for a reference (arXiv 2502.17184); fewer in a small pool, so that
# each has ten rows at the mean.
CLUSTERS: Final = 100
_ROWS_A_CLUSTER: Final = 10
_ROUNDS: Final = 12

# Products that lie in memory at once: 64 MB.
_PRODUCTS: Final = 8_000_000


@dataclass(frozen=True)
class Clusters:
    """Of k clusters, which each row is in, and its cosine to the middle of that. Both of shape (n,)."""

    k: int
    of: Numbers
    cosine: Vectors


def exact(vectors: NDArray[np.floating[Any]]) -> Vectors:
    """Vectors of length 1, or 0 where they were zeros, whose products are exact. Shape (n, d)."""
    wide = vectors.astype(np.float64)
    lengths = np.sqrt(_squares(wide))
    if not np.isfinite(lengths).all():
        raise ValueError("a vector is not finite")
    wide /= np.where(lengths == 0, 1, lengths)[:, None]
    return _on_grid(wide, _GRID)


def coarse(vectors: Vectors, *, rows: int) -> Vectors:
    """Vectors rounded so that sums of products over so many rows are exact too. Shape (n, d)."""
    return _on_grid(vectors, min(_GRID, 2.0 ** ((_DIGITS - 1 - rows.bit_length()) // 2)))


def _on_grid(vectors: Vectors, grid: float) -> Vectors:
    wide = vectors * grid
    np.rint(wide, out=wide)
    wide /= grid
    return wide


def products(left: Vectors, right: Vectors) -> Iterator[tuple[slice, Vectors]]:
    """Cosines of rows of the left with all of the right, block by block: which rows, and (rows, len(right))."""
    step = max(1, _PRODUCTS // max(1, len(right)))
    for begin in range(0, len(left), step):
        rows = slice(begin, min(begin + step, len(left)))
        yield rows, left[rows] @ right.T


def nearest(left: Vectors, right: Iterable[Vectors], *, alike: bool = False) -> Vectors:
    """The greatest cosine of each row of the left to any of the right, between -1 and 1. Shape (n,).

    The right comes in blocks. `alike`: the left are the first rows of the right, and none is compared with itself.
    Equal vectors have exactly 1. A row with none to compare it with has -1.
    """
    reached, squares = np.full(len(left), -np.inf), np.zeros(len(left))
    begun = 0
    for block in right:
        lengths = _squares(block)
        for rows, cosines in products(left, block):
            numbers = np.arange(rows.start, rows.stop)
            if alike:
                own = (numbers >= begun) & (numbers < begun + len(block))
                cosines[own, numbers[own] - begun] = -np.inf
            best = cosines.argmax(axis=1)
            found = cosines[np.arange(len(best)), best]
            higher = found > reached[rows]
            reached[rows] = np.where(higher, found, reached[rows])
            squares[rows] = np.where(higher, lengths[best], squares[rows])
        begun += len(block)
    # The root of a rounded square is the number itself.
    both = np.sqrt(_squares(left) * squares)
    cosines = np.divide(reached, both, out=np.where(np.isinf(reached), -1.0, 0.0), where=both > 0)
    return np.asarray(cosines.clip(-1, 1))


def _squares(vectors: Vectors) -> Vectors:
    return np.asarray(np.einsum("nd,nd->n", vectors, vectors))


def eigenvalues(symmetric: Vectors) -> Vectors:
    """The eigenvalues of a symmetric matrix, ascending. Shape (d,).

    In one thread where threadpoolctl is installed, as it is with the extra `embed`: the threads of a matrix so
    small mostly wait for one another, and on a busy machine took 0.25 CPU-seconds for 0.006 at d = 384.
    """
    if find_spec("threadpoolctl") is None:
        return np.asarray(np.linalg.eigvalsh(symmetric))
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(limits=1):
        return np.asarray(np.linalg.eigvalsh(symmetric))


def clustered(seeds: Vectors, rows: Iterable[Vectors]) -> Clusters | None:
    """Clusters of the seeds, and where all rows belong. None where fewer than two clusters have enough rows.

    They begin with the first k seeds, which are in an order by chance.
    """
    k = min(CLUSTERS, len(seeds) // _ROWS_A_CLUSTER)
    if k < 2:
        return None
    _, middles = k_means(seeds, k, first=np.arange(k), rounds=_ROUNDS, centre=exact)
    found = [_belonging(block, middles) for block in rows]
    return Clusters(k, np.concatenate([of for of, _ in found]), np.concatenate([cosine for _, cosine in found]))


def _belonging(rows: Vectors, middles: Vectors) -> tuple[Numbers, Vectors]:
    """The nearest middle of each row, the first of equal ones, and the cosine to it."""
    of, cosine = np.empty(len(rows), np.int64), np.empty(len(rows))
    for at, cosines in products(rows, middles):
        of[at] = cosines.argmax(axis=1)
        cosine[at] = cosines.max(axis=1)
    return of, cosine
