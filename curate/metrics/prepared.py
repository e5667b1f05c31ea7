"""What is made once of a pool of rows, so that any choice from it is described at little cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from typing import Any, Final, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.keys import mix, seed_for
from curate.metrics.contract import COLUMNS, Metric, MetricInfo, Sample
from curate.metrics.products import Clusters, clustered, exact
from curate.metrics.words import Words, words_of

# The modules whose functions are metrics, in the order in which a reader meets them.
FAMILIES: Final = ("lexical", "structure", "semantic", "quality", "style", "lengths")

# The pool stands as so many of its rows where each is compared with each row of a set: 20 sets of 1,000 rows then
# take one CPU-second, and some 25 with all of Alpaca (benchmarks/metrics.py).
STANDING: Final = 2_048
# Rows that clusters are made of, and whose vectors are in memory at once.
_CLUSTERED: Final = 8_192
# Vectors of a set of so many rows are kept while it is described, 100 MB of 384 numbers each.
_KEPT: Final = 32_768

# Digits that are given. Beyond them, values may depend on how many threads a processor's library takes.
_DIGITS: Final = 9

Places = NDArray[np.int64]
Value = TypeVar("Value")


class Prepared:
    """A pool of rows, and what is made of it once.

    `reference` are the places of rows that stand for the pool; all do by default. Where rows were drawn from a
    larger pool, and the sets put beside them, these are the rows drawn. A row whose vector is all zeros lies
    nowhere: what goes by vectors leaves it out, of sets and of the pool. `seed` decides the order of rows wherever
    one matters: it goes by `id` and `draw`, so that the order in which rows are given changes nothing.

    Up to some 200,000 rows are meant; of more, draw by id, and say so.
    """

    def __init__(self, pool: Sample, *, seed: int, reference: Places | None = None) -> None:
        _checked(pool)
        rows = pool.rows.select(*COLUMNS)
        keys = pl.DataFrame({"key": mix(rows["draw"], seed_for(seed, "metrics")), "id": rows["id"]})
        self._original = keys.with_row_index("place").sort("key", "id")["place"].to_numpy().astype(np.int64)
        self._sorted = np.empty_like(self._original)
        self._sorted[self._original] = np.arange(len(rows))
        self._vectors = pool.vectors
        self.rows = rows[self._original]
        self.seed = seed
        self.reference = np.arange(len(rows)) if reference is None else np.sort(self._sorted[reference])

    def values(self, places: Places | Iterable[int], *, of_any_size: bool = False) -> dict[str, float | None]:
        """Every metric of the rows at these places of the pool as it was given; None where it cannot be told.

        `of_any_size` leaves out what may be compared between sets of one size only, and costs most of a large one.
        """
        chosen = self.chosen(places)
        wanted = [each for each in self.metrics() if not (of_any_size and each.info.equal_size)]
        return {each.info.name: _rounded(each(chosen)) for each in wanted}

    def chosen(self, places: Places | Iterable[int]) -> Chosen:
        """The rows at these places of the pool as it was given."""
        given = places if isinstance(places, np.ndarray) else np.fromiter(places, np.int64)
        return Chosen(self, np.sort(self._sorted[given.astype(np.int64)]))

    def infos(self) -> list[MetricInfo]:
        """The metrics that `values` gives, in its order."""
        return [each.info for each in self.metrics()]

    def metrics(self) -> list[Metric]:
        """The metrics themselves."""
        return [each for each in _all() if self._vectors is not None or each.info.needs == "text"]

    @cached_property
    def words(self) -> Mapping[str, Words]:
        """The words of prompts and of responses."""
        return {field: words_of(self.rows[field]) for field in ("prompt", "response")}

    @cached_property
    def asked(self) -> pl.DataFrame:
        """What was asked of each row: a column of true, false or null by the name of its metric."""
        from curate.metrics.shares import QUESTIONS

        _all()  # the families have their questions asked when they are imported
        return self.rows.lazy().select(**QUESTIONS).collect(engine="streaming")

    @cached_property
    def verbs(self) -> pl.DataFrame:
        """The verb and the noun of each prompt, as numbers; null where not parsed."""
        from curate.metrics.verbs import verb_nouns

        found = verb_nouns(self.rows["prompt"])
        return found.select(pl.all().cast(pl.Categorical).to_physical())

    @cached_property
    def categories(self) -> NDArray[np.int64]:
        """The number of each row's category, -1 where it is null. Shape (n,)."""
        names = self.rows["category"]
        known = names.drop_nulls().unique().sort()
        numbers = pl.int_range(len(known), dtype=pl.Int64, eager=True)
        return names.replace_strict(known, numbers, default=-1, return_dtype=pl.Int64).to_numpy()

    @cached_property
    def clusters(self) -> Clusters | None:
        """The clusters of the reference, and the cluster of each row; None where there are too few rows.

        What is said of a row that lies nowhere means nothing.
        """
        seeds = self.vectors(self.standing[:_CLUSTERED])
        return clustered(seeds, self.vector_blocks(np.arange(len(self.rows))))

    def vectors(self, at: Places) -> NDArray[np.float64]:
        """Unit vectors whose products are exact. Shape (n, d)."""
        if self._vectors is None:
            raise ValueError("these rows have no vectors")
        return exact(self._vectors[self._original[at]])

    def vector_blocks(self, at: Places) -> Iterator[NDArray[np.float64]]:
        """Such vectors in blocks, so that those of many rows are never all in memory."""
        for begin in range(0, len(at), _CLUSTERED):
            yield self.vectors(at[begin : begin + _CLUSTERED])

    @cached_property
    def located(self) -> NDArray[np.bool_]:
        """Whether each row's vector is any other than zeros. Shape (n,)."""
        if self._vectors is None:
            raise ValueError("these rows have no vectors")
        found: NDArray[np.bool_] = np.asarray(self._vectors.any(axis=1))[self._original]
        return found

    @cached_property
    def standing(self) -> Places:
        """The places of the reference's rows that lie anywhere, ascending."""
        found: Places = self.reference[self.located[self.reference]]
        return found

    @property
    def width(self) -> int:
        """How many numbers a vector has; 0 without vectors."""
        return 0 if self._vectors is None else self._vectors.shape[1]


class Chosen:
    """Some rows of a pool, in an order by chance that is the same for the same rows.

    `places` are their places in `pool.rows`, ascending.
    """

    def __init__(self, pool: Prepared, places: Places) -> None:
        self.pool = pool
        self.places = places
        self._made: dict[Any, Any] = {}

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The rows themselves."""
        return self.pool.rows[self.places]

    @cached_property
    def located(self) -> Places:
        """The places of those whose vector is not all zeros, ascending."""
        return self.places[self.pool.located[self.places]]

    @cached_property
    def _few_vectors(self) -> list[NDArray[np.float64]]:
        return list(self.pool.vector_blocks(self.located))

    def vectors(self) -> Iterator[NDArray[np.float64]]:
        """The vectors of `located` in blocks, each of shape (rows, d)."""
        if len(self.located) > _KEPT:
            return self.pool.vector_blocks(self.located)
        return iter(self._few_vectors)

    def words(self, field: str) -> Words:
        """The words of their prompts or responses."""
        if field not in self._made:
            self._made[field] = self.pool.words[field].of(self.places)
        found: Words = self._made[field]
        return found

    def once(self, made: Callable[[Chosen], Value]) -> Value:
        """What a function makes of these rows, made at its first call."""
        if made not in self._made:
            self._made[made] = made(self)
        found: Value = self._made[made]
        return found

    def asked(self, name: str) -> pl.Series:
        """What was asked of each row: true, false or null."""
        return self.pool.asked[name][self.places]

    @staticmethod
    def mean(values: pl.Series) -> float | None:
        """The mean of those that are not null; None where all are."""
        known = values.drop_nulls()
        return int(known.sum()) / len(known) if len(known) else None


def metrics(*, vectors: bool = True) -> list[MetricInfo]:
    """All metrics, or those that need no vectors, in the order in which they are shown."""
    return [each.info for each in _all() if vectors or each.info.needs == "text"]


def _all() -> list[Metric]:
    modules = [import_module(f"curate.metrics.{family}") for family in FAMILIES]
    return [each for module in modules for each in vars(module).values() if isinstance(each, Metric)]


def _checked(pool: Sample) -> None:
    missing = [name for name in COLUMNS if name not in pool.rows.columns]
    if missing:
        raise ValueError(f"rows to be measured have no column {missing[0]!r}")
    if pool.vectors is not None and (pool.vectors.ndim != 2 or len(pool.vectors) != pool.rows.height):
        raise ValueError(
            f"there are {pool.rows.height} rows to be measured, and vectors of the shape {pool.vectors.shape}"
        )


def _rounded(value: float | None) -> float | None:
    """A value with the digits that are the same wherever it is made."""
    return None if value is None else float(f"{value:.{_DIGITS}g}")
