"""Two distributions side by side, from counts of their values: a plain distance, quantiles, bins and shares.

All takes frames of `value` and the counts `a` and `b` of the rows that have it on either side, in any order. All
is exact: no value is sampled, or rounded before it is counted.
"""

from __future__ import annotations

from itertools import pairwise
from math import floor, log, log2, log10, pi, sqrt
from typing import Any, Final, NamedTuple

import polars as pl

from curate.report.evidence import QUANTILES
from curate.report.excerpts import number

Json = dict[str, Any]

SHOWN_CATEGORIES: Final = 30  # the others are one row

_BINS: Final = 12  # at most: what is legible side by side on a phone
_SPREAD: Final = 20.0  # 95% against 5%, from which bins double in width instead of being equally wide
# The mean of Kolmogorov's distribution (Marsaglia, Tsang and Wang, Journal of Statistical Software 8(18), 2003).
_MEAN_OF_KOLMOGOROV: Final = sqrt(pi / 2) * log(2)


class Gap(NamedTuple):
    """The widest gap between two cumulative distributions: how wide, at which value, and the shares up to it."""

    distance: float
    at: float | None
    a: float | None
    b: float | None


def total_variation(counts: pl.DataFrame) -> float:
    """The total variation distance of two distributions of categories, of which null is one.

    ½ Σ |a(v)/Σa - b(v)/Σb|: the share of one set's rows that would have to have another value to make the two
    alike, 0 to 1 (Levin, Peres and Wilmer, Markov Chains and Mixing Times, proposition 4.2). NaN where either is
    empty.
    """
    a, b = _sizes(counts)
    if not a or not b:
        return float("nan")
    # Over a common denominator the sum is one of whole numbers, which no order of rows changes.
    one, other = counts["a"].cast(pl.Int64), counts["b"].cast(pl.Int64)
    return int((one * b - other * a).abs().sum()) / (2 * a * b)


def kolmogorov_smirnov(counts: pl.DataFrame) -> Gap:
    """The Kolmogorov-Smirnov distance of two distributions of numbers, and where it is met.

    sup |A(x) - B(x)| of the shares at or below x, 0 to 1: the two-sample statistic (Smirnov, Ann. Math. Stat.
    19(2), 1948), as `scipy.stats.ks_2samp` has it. No value may be null. The first of several values where it is
    met is named. NaN where either is empty.
    """
    a, b = _sizes(counts)
    if not a or not b:
        return Gap(float("nan"), None, None, None)
    rows = counts.sort("value")
    up_to_a, up_to_b = rows["a"].cast(pl.Int64).cum_sum(), rows["b"].cast(pl.Int64).cum_sum()
    apart = (up_to_a * b - up_to_b * a).abs()
    place = int(apart.arg_max() or 0)
    if not apart[place]:
        return Gap(0.0, None, None, None)
    return Gap(apart[place] / (a * b), rows["value"][place], up_to_a[place] / a, up_to_b[place] / b)


def by_chance(counts: pl.DataFrame, *, numeric: bool) -> float:
    """The distance to expect on average between two random draws of these sizes from the pooled rows.

    Of numbers sqrt(π/2) ln 2 · sqrt(1/a + 1/b), the mean of Kolmogorov's limit distribution, which few distinct
    values make smaller; of categories ½ Σ sqrt(2/π · p(1 - p)(1/a + 1/b)), p the pooled share: the mean of each
    category's difference as the normal distribution has it. NaN where either is empty.
    """
    a, b = _sizes(counts)
    if not a or not b:
        return float("nan")
    spread = 1 / a + 1 / b
    if numeric:
        return min(1.0, _MEAN_OF_KOLMOGOROV * sqrt(spread))
    pooled = sorted((x + y) / (a + b) for x, y in zip(counts["a"].to_list(), counts["b"].to_list(), strict=True))
    return min(1.0, sum(sqrt(2 / pi * p * (1 - p) * spread) for p in pooled) / 2)


def of_numbers(counts: pl.DataFrame) -> Json:
    """Two distributions of numbers: distance, quantiles under `a` and `b`, where the gap is widest, and bins.

    Rows without a number, or with an infinite one, are under `missing` and in nothing else.
    """
    known = counts.filter(_known(counts["value"])).sort("value")
    unknown = counts.filter(~_known(counts["value"]))
    gap = kolmogorov_smirnov(known)
    at = {"value": number(gap.at), "a": number(gap.a), "b": number(gap.b)}
    return _of("number", "Kolmogorov-Smirnov distance", gap.distance, known) | {
        "a": _quantiles(known, "a") | {"missing": int(unknown["a"].sum())},
        "b": _quantiles(known, "b") | {"missing": int(unknown["b"].sum())},
        "at": None if gap.at is None else at,
        "bins": _bins(known),
    }


def of_categories(counts: pl.DataFrame) -> Json:
    """Two distributions of categories: distance, how many there are, and the rows of the most frequent.

    `leading` is the category that stands for each side, with its share: the most frequent, or yes of yes and no;
    null where the side has no rows.
    """
    ordered = _ordered(counts)
    return _of("category", "total variation distance", total_variation(counts), counts) | {
        "distinct": {side: int(counts.filter(pl.col(side) > 0)["value"].drop_nulls().len()) for side in "ab"},
        "leading": {side: _leading(ordered, side, size) for side, size in zip("ab", _sizes(counts), strict=True)},
        "rows": _rows(ordered),
    }


def _sizes(counts: pl.DataFrame) -> tuple[int, int]:
    return int(counts["a"].sum()), int(counts["b"].sum())


def _of(kind: str, measure: str, distance: float, counts: pl.DataFrame) -> Json:
    a, b = _sizes(counts)
    chance = by_chance(counts, numeric=kind == "number")
    said = {"kind": kind, "measure": measure, "n_a": a, "n_b": b}
    return said | {"shift": number(distance), "by_chance": number(chance)}


def _known(values: pl.Series) -> pl.Series:
    # Infinity is no place on a line: no bin can begin or end there.
    finite = values.is_finite() if values.dtype.is_float() else values.is_not_null()
    return finite.fill_null(value=False)


def _quantiles(counts: pl.DataFrame, side: str) -> Json:
    """Quantiles of one side, from counts in order of value; null where there is none.

    Each is the value nearest to q·(n - 1) among those in order, counted from 0, the upper one of two: what Polars
    calls "nearest", and has of the values themselves.
    """
    own = counts.filter(pl.col(side) > 0)
    n = int(own[side].sum())
    if not n:
        return {"n": 0} | dict.fromkeys(QUANTILES)
    up_to = own[side].cast(pl.UInt64).cum_sum()
    places = {key: up_to.search_sorted(floor(q * (n - 1) + 0.5) + 1) for key, q in QUANTILES.items()}
    return {"n": n} | {key: number(own["value"][place]) for key, place in places.items()}


def _ordered(counts: pl.DataFrame) -> pl.DataFrame:
    """The categories, those with the largest share on either side first."""
    a, b = (max(1, size) for size in _sizes(counts))
    share = pl.max_horizontal(pl.col("a") / a, pl.col("b") / b)
    return counts.select("value", "a", "b").sort(share, "value", descending=[True, False], nulls_last=True)


def _rows(ordered: pl.DataFrame) -> list[Json]:
    """The categories that come first, and the others together."""
    rows = [
        {"category": _named(value), "a": x, "b": y} for value, x, y in ordered.head(SHOWN_CATEGORIES).iter_rows()
    ]
    rest = ordered.slice(SHOWN_CATEGORIES)
    if rest.height:
        rows.append({"category": None, "others": rest.height} | dict(zip("ab", _sizes(rest), strict=True)))
    return rows


def _leading(ordered: pl.DataFrame, side: str, n: int) -> Json | None:
    if not n:
        return None
    values, records = ordered["value"], ordered[side]
    answers = {_named(value): int(rows) for value, rows in zip(values.head(2), records, strict=False)}
    if ordered.height == len(answers) and answers.keys() <= {"yes", "no"}:
        return {"category": "yes", "share": number(answers.get("yes", 0) / n)}
    # Of all categories, since what is most of one side may be too little of both to be shown.
    most = int(records.arg_max() or 0)
    return {"category": _named(values[most]), "share": number(int(records[most]) / n)}


def _named(value: Any) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _bins(counts: pl.DataFrame) -> list[Json]:
    """Rows by value in at most twelve bins: of equal width, or doubling where values spread far."""
    if counts.is_empty():
        return []
    pooled = _quantiles(counts.select("value", a=pl.col("a") + pl.col("b")), "a")
    edges = _edges(pooled["p5"], pooled["p95"], whole=counts["value"].dtype.is_integer())
    value, made = counts["value"], []
    for low, high in pairwise([None, *edges, None]):
        own = counts
        own = own if low is None else own.filter(pl.col("value") >= low)
        own = own if high is None else own.filter(pl.col("value") < high)
        made.append({"from": low, "below": high} | dict(zip("ab", _sizes(own), strict=True)))
    if made and made[0]["from"] is None:
        made[0]["from"] = number(value[0])
    return [row for row in made if row["a"] or row["b"] or row is not made[-1]]


def _edges(low: float, high: float, *, whole: bool) -> list[float]:
    """Inner edges of bins between two quantiles, on round numbers."""
    if high >= _SPREAD * max(low, 1) and low >= 0:
        power = int(log2(max(low, 1)))
        return [2**each for each in range(power + 1, power + _BINS) if 2**each < 2 * high]
    if high <= low:
        return []
    step = _round_step((high - low) / (_BINS - 3), whole=whole)
    first = int(low // step) + 1
    return [number(each * step) for each in range(first, first + _BINS - 1) if each * step < high + step]


def _round_step(least: float, *, whole: bool) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is no less."""
    power = 10.0 ** floor(log10(least))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
    return max(1.0, step) if whole else step
