"""Values in some thirty bins, with the cut between two of them."""

from __future__ import annotations

from math import ceil, floor, log2, log10
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.report.excerpts import Json, number

BINS: Final = 30  # at most, and one more at each end for what lies far out
# What lies beyond these quantiles is counted in the bins at the ends, lest a few giants flatten all the others.
_FROM: Final = 0.01
_TO: Final = 0.99
# Values are shown by ratios where the greatest are so many times the least, and lie so many times further above
# the middle than the least lie below.
_SPREAD: Final = 20
_SKEWED: Final = 2
_NEAR: Final = 0.1  # of what is shown: values beyond the quantiles that are shown too where scales are even
_FINE: Final = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)  # powers of two between the edges of bins, where ratios count
_COARSE: Final = 20  # widths of whole numbers from which a unit more or less in a bin does not show
_NICE: Final = (1.0, 2.0, 2.5, 5.0, 10.0)

Edges = NDArray[np.float64]


def histogram(values: pl.Series, limit: float | None = None, *, above: bool = False) -> Json | None:
    """How many values lie in each bin, from the least to the greatest; None when there are none.

    `bins` are half open: `from` is in, `below` is not. The first has no `from` where values lie below all edges,
    the last no `below` where values lie above. `scale` is "linear" or "log", by how far the values spread. A limit
    that has values on either side is one of the edges; with `above`, what equals it is still on the lower side.
    """
    known = values.drop_nulls().cast(pl.Float64).drop_nans().sort().to_numpy()
    finite = known[np.isfinite(known)]
    if not len(finite):
        return None
    whole = bool((finite == np.floor(finite)).all())
    cut = _cut(limit, whole=whole, above=above)
    low, high = (float(finite[min(floor(q * len(finite)), len(finite) - 1)]) for q in (_FROM, _TO))
    if cut is not None and finite[0] < cut <= finite[-1]:
        low, high = min(low, cut), max(high, cut)
    else:
        cut = None
    scale = _scale(low, float(finite[len(finite) // 2]), high)
    if scale == "linear":
        near = _NEAR * (high - low)
        low = min(low, max(float(finite[0]), low - near))
        high = max(high, min(float(finite[-1]), high + near))
    edges = _by_ratio(low, high, cut, whole=whole) if scale == "log" else _by_width(low, high, cut, whole=whole)
    counted = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    ends = [None, *(number(float(edge)) for edge in edges), None]
    bins = [
        {"from": ends[place], "below": ends[place + 1], "records": int(records)}
        for place, records in enumerate(counted)
        if records or 0 < place < len(edges)
    ]
    return {"bins": bins, "limit": number(limit), "scale": scale}


def _scale(low: float, middle: float, high: float) -> str:
    skewed = low > 0 and high / low > _SPREAD and high - middle > _SKEWED * (middle - low)
    return "log" if skewed else "linear"


def _cut(limit: float | None, *, whole: bool, above: bool) -> float | None:
    """The least value on the upper side of a limit."""
    if limit is None:
        return None
    if above:
        return float(floor(limit) + 1) if whole else float(np.nextafter(limit, np.inf))
    return float(ceil(limit)) if whole else float(limit)


def _by_width(low: float, high: float, cut: float | None, *, whole: bool) -> Edges:
    width = _nice((high - low) / (BINS - 2), whole=whole)
    start = floor(low / width) * width if cut is None else cut
    if cut is not None and low >= 0 and not (whole and width < _COARSE):
        width = cut / max(1, round(cut / width))  # so that one of the edges is zero
    edges = _around(low, high, start, lambda steps: start + steps * width, (low - start) / width)
    edges = np.unique(np.rint(edges)) if whole else edges
    return np.unique(edges.clip(min=0)) if low >= 0 else edges


def _by_ratio(low: float, high: float, cut: float | None, *, whole: bool) -> Edges:
    power = next((fine for fine in _FINE if log2(high / low) / fine <= BINS - 2), log2(high / low) / (BINS - 2))
    start = cut or 2.0 ** floor(log2(low))
    edges = _around(low, high, start, lambda steps: start * 2.0 ** (steps * power), log2(low / start) / power)
    return np.unique(np.rint(edges)) if whole else edges


def _around(low: float, high: float, start: float, edge: Any, steps: float) -> Edges:
    """Edges in even steps from `start`: from the last that is no greater than `low` to the first beyond `high`."""
    first = floor(steps)
    while edge(first) > low:
        first -= 1
    edges = [edge(first)]
    while edges[-1] <= high and len(edges) <= 2 * BINS:
        first += 1
        # Twelve digits, so that 0.1 + 0.2 is 0.3. The cut itself stays as it is.
        edges.append(start if first == 0 else float(f"{edge(first):.12g}"))
    return np.unique(np.array(edges))


def _nice(width: float, *, whole: bool) -> float:
    """The next greater width that is 1, 2, 2.5 or 5 times a power of ten."""
    if width <= 0:
        return 1.0
    power = 10.0 ** floor(log10(width))
    nice = next(step * power for step in _NICE if step * power >= width * (1 - 1e-9))
    return float(max(1, ceil(nice))) if whole else float(f"{nice:.12g}")
