"""The stage of controls: what was selected, beside what chance and length would have selected.

Three large studies find that most selectors do not reliably beat random choice (Xia et al., arXiv 2410.09335;
Diddee and Ippolito, 2410.15225; Ivison et al., 2503.01807), and the longest responses alone beat published
selections (Zhao et al., 2402.04833). So no number of a selection stands alone: 20 random sets of its size, from
the same pool, give the band in which chance lies, and the longest records and other orders stand beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl

from curate import registry
from curate.fingerprint import code
from curate.keys import canonical, digest, mix, seed_for
from curate.metrics import Prepared, Sample
from curate.metrics.panel import panel
from curate.metrics.prepared import FAMILIES
from curate.pipeline import Pipeline
from curate.rankings import Candidates, Greedy, Integers
from curate.record import message
from curate.reduce import of
from curate.selecting import VectorsOf, candidate_columns
from curate.selection.quotas import ELSEWHERE, matches
from curate.store import Store, Table
from curate.vectors import Floats

DRAWS: Final = 20
# Rows that stand for a larger pool, and rows of a larger set that are described: by id, drawn by chance.
POOL: Final = 60_000
DESCRIBED: Final = 5_000

_ROWWISE: Final = ("longest", "score")
_GREEDY: Final = ("k_center", "clusters")
_TITLES: Final = {
    "selection": "the selection",
    "random": "a random set",
    "longest": "the longest responses",
    "score": "the highest scores",
    "k_center": "k-centre greedy",
    "clusters": "clusters in turn",
    "pool": "the pool",
}

Json = dict[str, Any]


def controls(records: Table, picks: Table, vectors_of: VectorsOf, store: Store) -> Json | None:
    """The training set beside its controls, as plain values; None when nothing is selected.

    Vectors are compared if the pipeline makes some, or `[report]` names the text that they are to be made of.
    """
    pipeline = vectors_of.pipeline
    text = vector_text(pipeline)
    model = vectors_of.embedder.key(text[0]) if text else None
    # What is found by name is not among what this module imports.
    families = [f"curate.metrics.{name}" for name in (*FAMILIES, "verbs")]
    orders = [registry.get("rankings", name).module for name in (*_ROWWISE, *_GREEDY)]
    made_by = [code(module) for module in (__name__, *families, *orders)]
    key = digest("controls", records.key, picks.key, text, model, pipeline.seed, made_by)

    def make() -> list[pl.DataFrame]:
        found = _Compared(_pool(records, picks, pipeline), records, vectors_of, text)
        return [pl.DataFrame({"json": [canonical(found.plain() if found.selected.any() else None)]})]

    (table,) = store.keyed(["controls"], key, make)
    read: Json | None = json.loads(table.scan().collect().item())
    return read


def vector_text(pipeline: Pipeline) -> tuple[str, str] | None:
    """The measure and the text by whose vectors rows are compared; None where the pipeline makes no vectors."""
    if pipeline.report.embedding:
        return "embedding", pipeline.report.embedding
    orders = [(registry.get("rankings", quota.order), quota) for quota in pipeline.quotas]
    for order, quota in orders:
        if order.measure:
            return order.measure, quota.order_parameters.get("on", order.text)
    return next(((call.plugin.measure, call.on) for call in pipeline.among if call.plugin.measure), None)


def _pool(records: Table, picks: Table, pipeline: Pipeline) -> pl.DataFrame:
    """The records that could be drawn to train on, by id, with what orders look at; `selected` are those drawn."""
    open_to = (pl.col("split") == "train") | (
        pl.col("split").is_null() & ~pl.col("why").str.contains(ELSEWHERE, literal=True)
    )
    drawn = picks.scan().filter(open_to).select("id", selected=pl.col("split").is_not_null()).collect()
    wanted = pl.any_horizontal([matches(quota) for quota in pipeline.quotas if quota.split == "train"] or [False])
    rows = of(records.scan(), drawn).select(candidate_columns())
    pool = rows.filter(wanted, ~pl.col("prompt_only")).collect(engine="streaming")
    return pool.join(drawn, on="id", how="left").sort("id")


@dataclass(frozen=True)
class _Compared:
    """A pool, what was selected from it, and what else could have been."""

    pool: pl.DataFrame
    records: Table
    vectors_of: VectorsOf
    text: tuple[str, str] | None

    @cached_property
    def selected(self) -> pl.Series:
        return self.pool["selected"]

    @cached_property
    def own(self) -> Integers:
        """The places of what was selected."""
        return np.flatnonzero(self.selected.to_numpy())

    @cached_property
    def size(self) -> int:
        return int(self.selected.sum())

    @cached_property
    def seed(self) -> int:
        return self.vectors_of.pipeline.seed

    @cached_property
    def standing(self) -> Integers:
        """The places of rows that stand for the pool: all of them, or `POOL` drawn by chance."""
        return np.sort(self._by_chance("controls.pool", np.arange(self.pool.height))[:POOL])

    @cached_property
    def _standing_vectors(self) -> Floats | None:
        return self._vectors_at(self.standing)

    def _vectors_at(self, places: Integers) -> Floats | None:
        return self.vectors_of(*self.text, self.pool["id"][places]) if self.text else None

    def _by_chance(self, name: str, among: Integers) -> Integers:
        keys = mix(self.pool["draw"], seed_for(self.seed, name)).to_numpy()[among]
        return among[np.argsort(keys, kind="stable")]

    @cached_property
    def draws(self) -> list[Integers]:
        """So many random sets of the selection's size, as far as it is described."""
        return [
            self._by_chance(f"controls.{number}", self.standing)[: min(self.size, DESCRIBED)]
            for number in range(DRAWS)
        ]

    @cached_property
    def _others(self) -> list[str]:
        """Orders on vectors that no quota prefers: the selection's own would be the same from another start."""
        preferred = {quota.order for quota in self.vectors_of.pipeline.quotas if quota.split == "train"}
        return [name for name in _GREEDY if name not in preferred]

    @cached_property
    def whole(self) -> Mapping[str, Integers]:
        """The sets to be compared, each of the selection's size, by name."""
        candidates = Candidates(self.pool, self.seed, np.zeros(self.pool.height, dtype=np.int64))
        sets = {
            "selection": self.own,
            "random": self._by_chance("controls.0", np.arange(self.pool.height))[: self.size],
        }
        for name in _ROWWISE:
            keys = registry.get("rankings", name)(candidates)
            if keys.count() >= self.size:  # a record without a score has no place in the order of scores
                sets[name] = _first(keys, self.size)
        if self._standing_vectors is not None and self.size <= DESCRIBED:
            some = self.pool[self.standing]
            among = Candidates(some, self.seed, np.zeros(len(some), dtype=np.int64), self._standing_vectors)
            for name in self._others:
                order = registry.get("rankings", name)(among)
                sets[name] = self.standing[_first(order, self.size)]
        return sets

    def plain(self) -> Json:
        """The comparison as plain values; of a set that took all there was, its own metrics alone."""
        choice = self.size < self.pool.height
        sets = self.whole if choice else {"selection": self.own}
        return {
            "split": "train",
            "n": self.size,
            "pool": self.pool.height,
            "standing": len(self.standing),
            "described": min(self.size, DESCRIBED),
            "seed": self.seed,
            "draws": DRAWS if choice else 0,
            "note": self._note(choice),
            "sets": [{"name": name, "title": _TITLES[name], "n": len(rows)} for name, rows in sets.items()],
            "metrics": self._metrics(sets, self.draws if choice else []),
            "overlap": self._overlap(sets) if choice else None,
            "length": self._length(sets) if choice else None,
        }

    def _note(self, choice: bool) -> str:
        if not choice:
            return "Every record that could be drawn was drawn, so there is no other choice to compare with."
        said = [f"Random sets are drawn from {self.pool.height:,} records that could have been selected."]
        if len(self.standing) < self.pool.height:
            said = [f"Random sets are drawn from {POOL:,} of {self.pool.height:,} records, by id."]
        if self.size > DESCRIBED:
            said.append(f"Of each set {DESCRIBED:,} rows are described, drawn by id.")
        return " ".join(said)

    def _metrics(self, sets: Mapping[str, Integers], draws: list[Integers]) -> list[Json]:
        described = {
            name: self._by_chance("controls.described", np.sort(rows))[:DESCRIBED] for name, rows in sets.items()
        }
        needed = np.unique(np.concatenate([self.standing, *described.values(), *draws]))
        place = np.full(self.pool.height, -1)
        place[needed] = np.arange(len(needed))
        sample = self._sample(needed)
        beside = {"pool": self.standing} if draws else {}
        with self.vectors_of.clock.stage("controls", len(described) + len(draws), "sets") as watch:
            found = panel(
                Prepared(sample, seed=self.seed, reference=place[self.standing]),
                {name: place[rows] for name, rows in (described | beside).items()},
                of="selection",
                draws=[place[rows] for rows in draws],
                model=f"{self.text[0]} of {self.text[1]}" if self.text else "",
            )
            watch.advance(len(described) + len(draws))
        return found

    def _sample(self, places: Integers) -> Sample:
        """Rows of the pool with their texts and, where there are any, their vectors."""
        narrow = self.pool[places]
        texts = of(self.records.scan(), narrow).select("id", message().alias("prompt"), "response")
        rows = narrow.join(texts.collect(engine="streaming"), on="id", how="left", maintain_order="left")
        by = next((name for name in ("domain", "group") if narrow[name].null_count() < len(narrow)), "source")
        # What stands for the pool is always among these rows, and mostly it is all of them.
        every = len(places) == len(self.standing)
        vectors = self._standing_vectors if every else self._vectors_at(places)
        return Sample(rows.with_columns(pl.col(by).alias("category")), vectors)

    def _overlap(self, sets: Mapping[str, Integers]) -> Json:
        """How many records two selectors share, and how many two sets of these sizes share by chance."""
        found = list(sets.values())
        return {
            "names": list(sets),
            "shared": [[len(np.intersect1d(one, other)) for other in found] for one in found],
            "expected": [[round(len(one) * len(other) / self.pool.height, 1) for other in found] for one in found],
        }

    def _length(self, sets: Mapping[str, Integers]) -> Json:
        """Whether what was selected is told apart by its length alone.

        `rank_correlation` is the rank-biserial one (Cureton, Psychometrika 21, 1956): of all pairs of a selected
        and another record, the share in which the selected one is longer, less the share in which it is shorter.
        """
        ranks = self.pool["chars"].rank("average").to_numpy()
        others = self.pool.height - self.size
        above = ranks[self.selected.to_numpy()].sum() - self.size * (self.size + 1) / 2
        correlation = round(float(2 * above / (self.size * others) - 1), 3)
        shared = len(np.intersect1d(sets["selection"], sets["longest"])) if "longest" in sets else 0
        lengths = self.pool["chars"]
        medians = {name: lengths[rows].quantile(0.5, interpolation="nearest") for name, rows in sets.items()}
        chars = {name: int(median or 0) for name, median in medians.items()}
        by_chance = self.size**2 / self.pool.height
        longer = 100 * (correlation + 1) / 2
        return {
            "median_chars": chars,
            "rank_correlation": correlation,
            "sentence": (
                f"A selected response is longer than one that is not in {longer:.0f}% of pairs (by chance 50%);"
                f" {shared:,} of {self.size:,} are among the longest (by chance {by_chance:,.0f})."
            ),
        }


def _first(order: pl.Series | Greedy, count: int) -> Integers:
    """The first rows of an order."""
    if isinstance(order, pl.Series):
        return order.arg_sort(nulls_last=True).to_numpy().astype(np.int64)[:count]
    line: list[int] = []
    while len(line) < count and (row := order.best(0)) is not None:
        order.take(row)
        line.append(row)
    return np.array(line, dtype=np.int64)
