"""How rows lie in the space of a sentence encoder, and how well they stand for their pool.

A row whose vector is all zeros, as that of an empty text may be, lies nowhere: it is left out of the set, of the
pool and of every count of rows here. In formulas n is the number of rows that are left.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from curate.metrics.contract import metric
from curate.metrics.prepared import STANDING, Chosen
from curate.metrics.products import Numbers, Vectors, coarse, eigenvalues, nearest

# Rows whose nearest neighbour is looked for; of a larger set, those that come first in its order by chance.
_ASKED: Final = 2_048

# A row is an outlier below this quantile of the pool's cosines to the middles of their clusters.
_OUTLYING: Final = 0.05

# Rows at a cosine of 0.9 or more say nearly the same: the threshold of SemHash, and of DEITA's filter for
# diversity (arXiv 2312.15685).
_NEAR: Final = 0.1


@metric(
    "Distance to the nearest row",
    unit="1 - cosine",
    kind="diversity",
    higher="more diverse",
    needs="vectors",
    equal_size=True,
)
def nearest_distance(chosen: Chosen) -> float | None:
    """The mean distance of a row to the nearest other row; outliers make it large.

    Of more than 2,048 rows, so many are asked for the nearest among all.

    Formula: mean over rows i of 1 - max over j != i of cos(i, j)
    Source: mean nearest-neighbour distance, as compared in Yang et al., arXiv 2502.17184
    """
    found = chosen.once(_distances)
    return None if found is None else math.fsum(found) / len(found)


@metric(
    "Rows with a near twin",
    unit="share",
    kind="diversity",
    higher="less diverse",
    needs="vectors",
    equal_size=True,
)
def near_twins(chosen: Chosen) -> float | None:
    """Share of rows with another row at a cosine of 0.9 or more.

    Formula: rows i with 1 - max over j != i of cos(i, j) <= 0.1 / rows
    Source: the threshold of DEITA's filter, arXiv 2312.15685
    """
    found = chosen.once(_distances)
    return None if found is None else float(np.count_nonzero(found <= _NEAR) / len(found))


@metric(
    "Clusters of the pool that are met",
    unit="share",
    kind="diversity",
    higher="more diverse",
    needs="pool",
    equal_size=True,
)
def cluster_coverage(chosen: Chosen) -> float | None:
    """Share of the pool's clusters with a row of the set.

    Clusters are of spherical k-means over at most 8,192 rows of the pool, k = 100 or a tenth of the rows.

    Formula: clusters with a row of the set / k
    Source: cluster coverage of a fixed reference, as in Yang et al., arXiv 2502.17184
    """
    counts = _members(chosen)
    return None if counts is None else float(np.count_nonzero(counts) / len(counts))


@metric(
    "Evenness over the pool's clusters",
    unit="share of ln k",
    kind="diversity",
    higher="more diverse",
    needs="pool",
    equal_size=True,
)
def cluster_evenness(chosen: Chosen) -> float | None:
    """The entropy of a set's rows over the pool's clusters, as a share of the most there can be.

    Formula: -sum of p ln p over clusters, p the share of rows in one, / ln k
    Source: cluster inertia and entropy measures, as compared in Yang et al., arXiv 2502.17184
    """
    counts = _members(chosen)
    if counts is None:
        return None
    p = counts[counts > 0] / len(chosen.located)
    return abs(math.fsum(-p * np.log(p))) / math.log(len(counts))


@metric("Outliers", unit="share", kind="diversity", needs="pool")
def outliers(chosen: Chosen) -> float | None:
    """Share of rows further from the middle of their cluster than 95% of the pool's rows are.

    A set that hunts outliers looks diverse by distances and covers its pool badly; the pool itself has 5%.

    Formula: rows with a cosine to the middle of their cluster below the pool's 5% quantile / rows
    Source: ours, to be read beside `nearest_distance` and `pool_coverage`
    """
    clusters = chosen.pool.clusters
    if clusters is None or not len(chosen.located):
        return None
    bar = np.quantile(clusters.cosine[chosen.pool.standing], _OUTLYING, method="inverted_cdf")
    return float(np.count_nonzero(clusters.cosine[chosen.located] < bar) / len(chosen.located))


@metric(
    "Coverage of the pool", unit="cosine", kind="diversity", higher="more diverse", needs="pool", equal_size=True
)
def pool_coverage(chosen: Chosen) -> float | None:
    """How near the set comes to the rows of the pool: what facility location maximises.

    The pool stands as at most 2,048 of its rows, drawn by id.

    Formula: mean over rows i of the pool of max over j in the set of cos(i, j)
    Source: facility location, Wei et al., ICML 2015; for instructions in Bukharin and Zhao, arXiv 2311.14736
    """
    if not len(chosen.located) or not len(chosen.pool.standing):
        return None
    standing = chosen.pool.standing[:STANDING]
    vectors = chosen.pool.vectors(standing)
    inside = np.isin(standing, chosen.located)  # these are nearest to themselves
    found = nearest(vectors[~inside], chosen.vectors()) if not inside.all() else vectors[:0, 0]
    return (math.fsum(found) + int(inside.sum())) / len(standing)


@metric("Vendi score", unit="rows", kind="diversity", higher="more diverse", needs="vectors", equal_size=True)
def vendi(chosen: Chosen) -> float | None:
    """The number of rows that differ in effect, by the entropy of the set's eigenvalues.

    Formula: exp(-sum of l ln l), l the eigenvalues of X X' / n, which those of X' X / n are but for zeros
    Source: Vendi score of order 1, Friedman and Dieng, arXiv 2210.02410
    """
    return _vendi(chosen)


@metric(
    "Vendi score, share of its bound",
    unit="share",
    kind="diversity",
    higher="more diverse",
    needs="vectors",
    equal_size=True,
)
def vendi_share(chosen: Chosen) -> float | None:
    """The Vendi score as a share of the most that vectors of d numbers allow: near 1 it says nothing more.

    Formula: vendi / min(n, d)
    Source: Friedman and Dieng, arXiv 2210.02410; the bound is the rank's
    """
    return _of_bound(_vendi(chosen), chosen)


@metric(
    "Vendi score of order 2",
    unit="rows",
    kind="diversity",
    higher="more diverse",
    needs="vectors",
    equal_size=True,
)
def vendi_2(chosen: Chosen) -> float | None:
    """The number of rows that differ in effect, by which rare kinds of rows count less.

    Formula: 1 / sum of l^2, l the eigenvalues of X X' / n; that is n^2 / sum of cos(i, j)^2 over all pairs
    Source: Vendi score of order 2, Pasarkar and Dieng, arXiv 2310.12952
    """
    return _vendi_2(chosen)


@metric(
    "Vendi score of order 2, share of its bound",
    unit="share",
    kind="diversity",
    higher="more diverse",
    needs="vectors",
    equal_size=True,
)
def vendi_2_share(chosen: Chosen) -> float | None:
    """The Vendi score of order 2 as a share of the most that vectors of d numbers allow.

    Formula: vendi_2 / min(n, d)
    Source: Pasarkar and Dieng, arXiv 2310.12952; the bound is the rank's
    """
    return _of_bound(_vendi_2(chosen), chosen)


def _distances(chosen: Chosen) -> Vectors | None:
    """How far the nearest other row is from each, or from each of those that are asked. Shape (n,)."""
    if len(chosen.located) < 2:
        return None
    asked = next(chosen.vectors())[:_ASKED]
    return 1 - nearest(asked, chosen.vectors(), alike=True)


def _spectrum(chosen: Chosen) -> Vectors | None:
    """The eigenvalues of the rows' cosines, of sum 1; of as many rows or numbers as are fewer."""
    n, d = len(chosen.located), chosen.pool.width
    if not n:
        return None
    blocks = (coarse(block, rows=max(n, d)) for block in chosen.vectors())
    if n < d:
        whole = np.concatenate(list(blocks))
        products = whole @ whole.T
    else:
        products = np.zeros((d, d))
        for block in blocks:
            products += block.T @ block
    total = math.fsum(np.diag(products))  # n, but for the rounding of `coarse`
    return eigenvalues(products / total).clip(0)


def _vendi(chosen: Chosen) -> float | None:
    found = chosen.once(_spectrum)
    if found is None:
        return None
    some = found[found > 0]
    return math.exp(math.fsum(-some * np.log(some)))


def _vendi_2(chosen: Chosen) -> float | None:
    found = chosen.once(_spectrum)
    return None if found is None else 1 / math.fsum(found**2)


def _of_bound(score: float | None, chosen: Chosen) -> float | None:
    return None if score is None else score / min(len(chosen.located), chosen.pool.width)


def _members(chosen: Chosen) -> Numbers | None:
    """How many rows of the set each cluster of the pool has. Shape (k,)."""
    clusters = chosen.pool.clusters
    if clusters is None or not len(chosen.located):
        return None
    return np.bincount(clusters.of[chosen.located], minlength=clusters.k)
