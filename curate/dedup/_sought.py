"""Pairs of vectors where not all are compared: within partitions, or by FAISS. What is missed is measured.

The module's name begins with an underscore, so that a list of methods does not import numba.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.dedup._blocks import Blocks, Found, merged
from curate.dedup._cosines import admitted, verified
from curate.dedup._products import Vectors
from curate.keys import mix, seed_for

# Rows of a partition, on average, and with how many of them each row is compared.
_PARTITION: Final = 8192
_NEAREST: Final = 4

# Rows a partition by which centres are found, as FAISS has it (Clustering.h, max_points_per_centroid); and rounds.
_TRAINED: Final = 256
_ROUNDS: Final = 10

# Rows that are compared with all before them to see what was missed.
_DRAWN: Final = 4096

_QUERIES: Final = 512  # rows that FAISS is asked for at a time
_PROBES: Final = 16  # lists of an IVF index that it looks into
_NORMAL: Final = 1.96  # 95% of a normal distribution lie within so many standard deviations


def in_partitions(
    vectors: Vectors, blocks: Blocks, levels: NDArray[np.float64], cap: int, seed: int
) -> tuple[Found, str]:
    """The pairs of each row with the rows before it in the partitions nearest to it; and how they were sought.

    Partitions are those of spherical k-means (Dhillon and Modha, "Concept decompositions for large sparse text
    data using clustering", 2001). A row is in one partition, and looks into `_NEAREST`.
    """
    count = math.ceil(len(vectors) / _PARTITION)
    centres = _centres(vectors, count, seed)
    nearest = np.concatenate([_nearest(unit, centres) for unit in _units(vectors)])
    parts = []
    for partition in range(count):
        (members,) = np.nonzero(nearest[:, 0] == partition)
        (rows,) = np.nonzero((nearest == partition).any(axis=1))
        parts.append(blocks.among(rows, members, np.searchsorted(members, rows)))
    found = merged(parts)
    nearby = f"the {min(count, _NEAREST)} nearest of {count:,} partitions"
    how = f"k-means: each row with those of {nearby}; {blocks.note}"
    return _capped(found, len(vectors), levels, cap), how


def by_faiss(
    vectors: Vectors, search: Literal["flat", "ivf"], levels: NDArray[np.float64], cap: int, seed: int
) -> tuple[Found, str]:
    """The pairs that an index of FAISS proposes, verified; and how they were sought."""
    import faiss

    lists = max(1, round(4 * math.sqrt(len(vectors))))  # as FAISS's guidelines have it for up to a million
    index: Any = faiss.IndexFlatIP(vectors.width)
    how = f"FAISS {faiss.__version__} IndexFlatIP"
    if search == "ivf":
        index = faiss.IndexIVFFlat(index, vectors.width, lists, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed, index.cp.min_points_per_centroid = seed % 2**31, 1
        index.nprobe = min(_PROBES, lists)
        trained = _drawn(len(vectors), min(len(vectors), lists * _TRAINED), seed, "ivf")
        index.train(vectors.unit(trained).astype(np.float32))
        how = f"FAISS {faiss.__version__} IndexIVFFlat, {index.nprobe} of {lists:,} lists"
    for unit in _units(vectors):
        index.add(unit)
    # Sums of so many numbers of 32 bits.
    radius = float(levels[0]) - vectors.width * 2.0**-21 - 1e-6
    numbers, parts, begin = np.arange(len(vectors)), list[Found](), 0
    for unit in _units(vectors, _QUERIES):
        some = numbers[begin : begin + len(unit)]
        limits, _, proposed = index.range_search(unit, radius)
        rows = np.repeat(np.arange(len(unit)), np.diff(limits.astype(np.int64)))
        before = proposed < some[rows]
        rows, columns = rows[before], proposed[before].astype(np.int64)
        order = np.lexsort((columns, rows))
        rows, columns = rows[order], columns[order]
        counts, bars = np.zeros((len(unit), len(levels)), np.int32), np.zeros(len(unit), np.int64)
        keep, cosine, beyond = verified(
            vectors.raw, vectors.raw, vectors.squares, vectors.squares, some, numbers, rows, columns,
            levels, cap, counts, bars,
        )  # fmt: skip
        parts.append(Found(some[rows[keep]], columns[keep], cosine[keep], beyond, len(rows)))
        begin += len(unit)
    return merged(parts), how


def measured(found: Found, blocks: Blocks, count: int, seed: int) -> str:
    """What was missed, from rows that are compared with all before them, in words."""
    drawn = np.sort(_drawn(count, min(count, _DRAWN), seed, "measured"))
    there = blocks.among(drawn, np.arange(count), drawn)
    of_drawn = np.isin(found.rows, drawn)
    missing = ~np.isin(_keys(there, count), _keys(found, count)[of_drawn])
    having, without = len(np.unique(there.rows)), len(np.unique(there.rows[missing]))
    least, most = _interval(without, having)
    return (
        f"of {len(drawn):,} rows drawn and compared with all before them {having:,} have neighbours: recall "
        f"{1 - missing.mean() if len(missing) else 1:.4f} of {len(missing):,} pairs, and {without:,} rows "
        f"({least:.1%} to {most:.1%} with 95% confidence) miss one"
    )


def _interval(hits: int, of: int) -> tuple[float, float]:
    """Between which shares the true one lies (Wilson, "Probable inference", 1927)."""
    if not of:
        return 0.0, 1.0
    share, square = hits / of, _NORMAL**2 / of
    centre = (share + square / 2) / (1 + square)
    width = math.sqrt(share * (1 - share) * square + square**2 / 4) / (1 + square)
    return max(0.0, centre - width), min(1.0, centre + width)


def _keys(found: Found, count: int) -> NDArray[np.int64]:
    return found.rows * count + found.columns


def _drawn(count: int, wanted: int, seed: int, use: str) -> NDArray[np.int64]:
    draws = mix(pl.Series(np.arange(count, dtype=np.uint64)), seed_for(seed, f"neighbours.{use}"))
    return np.argsort(draws.to_numpy(), kind="stable")[:wanted]


def _units(vectors: Vectors, size: int = _PARTITION) -> Iterator[NDArray[np.float32]]:
    for begin in range(0, len(vectors), size):
        yield vectors.unit(np.arange(begin, min(begin + size, len(vectors)))).astype(np.float32)


def _nearest(unit: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.argsort(-(unit @ centres.T), axis=1, kind="stable")[:, :_NEAREST]


def _centres(vectors: Vectors, count: int, seed: int) -> NDArray[np.float32]:
    drawn = _drawn(len(vectors), min(len(vectors), count * _TRAINED), seed, "centres")
    sample = vectors.unit(drawn)
    centres = sample[:count].copy()
    for _ in range(_ROUNDS):
        labels = np.argmax(sample @ centres.T, axis=1)
        for label in np.unique(labels):
            total = sample[labels == label].sum(axis=0)
            length = float(np.linalg.norm(total))
            if length > 0:
                centres[label] = total / length
    return centres.astype(np.float32)


def _capped(found: Found, count: int, levels: NDArray[np.float64], cap: int) -> Found:
    """Pairs of rows whose columns were capped partition by partition, as if they had been met in order."""
    order = np.lexsort((found.columns, found.rows))
    rows, columns, cosine = found.rows[order], found.columns[order], found.cosine[order]
    state = np.zeros((count, len(levels)), np.int32), np.zeros(count, np.int64)
    keep = admitted(rows, cosine, levels, cap, *state)
    beyond = found.beyond + int((~keep).sum())
    return Found(rows[keep], columns[keep], cosine[keep], beyond, found.verified)
