"""What rows ask for: the verbs of their prompts, and their categories."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.metrics.contract import metric
from curate.metrics.prepared import Chosen


@metric("Prompts with a verb that was found", unit="share", kind="diversity")
def verb_parsed(chosen: Chosen) -> float | None:
    """Share of prompts whose request could be parsed: the other verb numbers are of these alone.

    Formula: prompts with a verb / prompts
    Source: ours; see `curate.metrics.verbs`
    """
    return _share(_verbs(chosen)["verb"].is_not_null())


@metric("Prompts with a verb and a noun that were found", unit="share", kind="diversity")
def verb_noun_parsed(chosen: Chosen) -> float | None:
    """Share of prompts in which both the verb and its object were found.

    Formula: prompts with a verb and a noun / prompts
    Source: ours; see `curate.metrics.verbs`
    """
    return _share(_verbs(chosen)["noun"].is_not_null())


@metric("Entropy of verbs", unit="nats", kind="diversity", higher="more diverse", equal_size=True)
def verb_entropy(chosen: Chosen) -> float | None:
    """How evenly the verbs of the prompts' requests are spread, of those that were parsed.

    Formula: -sum of p ln p, p the share of a verb
    Source: after the verbs of Self-Instruct, Wang et al., arXiv 2212.10560, section 3
    """
    return _entropy(_verbs(chosen).select("verb"))


@metric("Distinct verbs", unit="verbs", kind="diversity", higher="more diverse", equal_size=True)
def verb_distinct(chosen: Chosen) -> float | None:
    """How many verbs the prompts' requests have.

    Formula: distinct verbs
    Source: after the verbs of Self-Instruct, Wang et al., arXiv 2212.10560, section 3
    """
    return _distinct(_verbs(chosen).select("verb"))


@metric("Entropy of verb and noun", unit="nats", kind="diversity", higher="more diverse", equal_size=True)
def verb_noun_entropy(chosen: Chosen) -> float | None:
    """How evenly the pairs of verb and object are spread, of those that were parsed.

    Formula: -sum of p ln p, p the share of a pair
    Source: after the verbs and nouns of Self-Instruct, Wang et al., arXiv 2212.10560, section 3
    """
    return _entropy(_verbs(chosen))


@metric("Distinct pairs of verb and noun", unit="pairs", kind="diversity", higher="more diverse", equal_size=True)
def verb_noun_distinct(chosen: Chosen) -> float | None:
    """How many pairs of verb and object the prompts' requests have.

    Formula: distinct pairs
    Source: after the verbs and nouns of Self-Instruct, Wang et al., arXiv 2212.10560, section 3
    """
    return _distinct(_verbs(chosen))


@metric("Categories in effect", unit="categories", kind="diversity", higher="more diverse", equal_size=True)
def category_perplexity(chosen: Chosen) -> float | None:
    """The number of equally frequent categories that would be spread as these are.

    Rows without a category are left out.

    Formula: exp(-sum of p ln p), p the share of a category
    Source: Hill number of order 1, Hill, Ecology 54, 1973
    """
    entropy = _spread(_members(chosen))
    return None if entropy is None else math.exp(entropy)


@metric("Entropy of categories", unit="nats", kind="diversity", higher="more diverse", equal_size=True)
def category_entropy(chosen: Chosen) -> float | None:
    """How evenly rows are spread over categories. Rows without a category are left out.

    Formula: -sum of p ln p, p the share of a category
    Source: Shannon, Bell System Technical Journal 27, 1948
    """
    return _spread(_members(chosen))


@metric("Evenness of categories", unit="share of ln C", kind="diversity", higher="more diverse", equal_size=True)
def category_evenness(chosen: Chosen) -> float | None:
    """The entropy of categories as a share of the most that the pool's categories allow.

    Formula: -sum of p ln p / ln C, C the categories of the pool
    Source: Pielou, Journal of Theoretical Biology 13, 1966, with the pool's categories
    """
    members = _members(chosen)
    entropy = _spread(members)
    return None if entropy is None or len(members) < 2 else entropy / math.log(len(members))


@metric(
    "Categories of the pool that are met", unit="share", kind="diversity", higher="more diverse", equal_size=True
)
def category_coverage(chosen: Chosen) -> float | None:
    """Share of the pool's categories with a row of the set.

    Formula: categories with a row of the set / categories of the pool
    Source: coverage of a reference list of categories, as of tags in Lu et al., arXiv 2308.07074
    """
    members = _members(chosen)
    return float(np.count_nonzero(members) / len(members)) if members.any() else None


def _verbs(chosen: Chosen) -> pl.DataFrame:
    return chosen.pool.verbs[chosen.places]


def _members(chosen: Chosen) -> NDArray[np.int64]:
    """How many rows each category of the pool has. Shape (C,)."""
    found = chosen.pool.categories
    here = found[chosen.places]
    return np.bincount(here[here >= 0], minlength=int(found.max(initial=-1)) + 1)


def _share(true: pl.Series) -> float | None:
    return int(true.sum()) / len(true) if len(true) else None


def _entropy(found: pl.DataFrame) -> float | None:
    known = found.drop_nulls()
    return _spread(known.group_by(known.columns).len()["len"].to_numpy())


def _distinct(found: pl.DataFrame) -> float | None:
    known = found.drop_nulls()
    return float(known.n_unique()) if len(found) else None


def _spread(members: NDArray[np.int64] | NDArray[np.uint32]) -> float | None:
    """The entropy of such counts, in nats; None where they are 0. Their order does not matter."""
    total = int(members.sum())
    if not total:
        return None
    p = members[members > 0] / total
    return abs(math.fsum(-p * np.log(p)))
