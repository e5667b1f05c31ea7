"""The stage of selection: which of the records that are left are drawn, for which split, in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from curate import registry
from curate.dedup.stars import check_texts
from curate.eligible import Eligible
from curate.embedding import Embedder
from curate.errors import PipelineError
from curate.fingerprint import code
from curate.keys import digest
from curate.pipeline import Pipeline
from curate.reduce import of
from curate.selection.quotas import check_quotas, draw_quotas
from curate.store import Store, Table
from curate.vectors import Floats
from curate.watch import Clock

_NEAR: Final = "neighbours_"


@dataclass(frozen=True)
class VectorsOf:
    """The vectors of records by their ids, made where they are not known yet."""

    records: Table
    pipeline: Pipeline
    embedder: Embedder
    clock: Clock

    def __call__(self, measure: str, on: str, ids: pl.Series) -> Floats:
        """Shape (n, d), in the order of the ids, which are sorted; zeros for a record without that text."""
        texts = Eligible(self.records, ids.to_frame("id"), self.pipeline).texts(on)
        with self.clock.stage(f"{measure} {on}", len(texts), "texts") as watch:
            made = self.embedder.vectors(measure, texts, watch)
        vectors = np.zeros((len(ids), made.vectors.shape[1]), dtype=np.float32)
        vectors[made.rows] = made.vectors
        return vectors


def check_selection(pipeline: Pipeline) -> None:
    """Raise the `PipelineError` that selection would raise at its settings, without any data."""
    check_quotas(pipeline.quotas)
    for quota in pipeline.quotas:
        check_texts(_named(quota.order_parameters.get("on")), where=f"quota {quota.name!r}, prefer, on")
    check_texts(_named(pipeline.report.embedding), where="[report], embedding")
    floors = [call.parameters["floor"] for call in pipeline.among if call.plugin.measure]
    if pipeline.apart is not None and pipeline.apart < min(floors, default=2):
        raise PipelineError(
            f"near-duplicates of similarity {pipeline.apart:g} are not looked for",
            where="select, apart",
            next='add a [[dedup]] pass with `use = "semantic"` and a `floor` as low as that',
        )


def _named(text: str | None) -> list[str]:
    return [] if text is None else [text]


def select(
    records: Table, ids: pl.DataFrame, tables: dict[str, Table], vectors_of: VectorsOf, store: Store
) -> Table:
    """The table `picks`: where each eligible record stood in line, and whether it was drawn.

    Of `ids`, those that the table `duplicates` does not drop are eligible. Near-duplicates go into one split: the
    pairs that deduplication listed, and with `apart` all stored neighbours of that similarity or more.
    """
    pipeline, embedder = vectors_of.pipeline, vectors_of.embedder
    kept = ids.join(tables["duplicates"].scan().select("id").collect(), on="id", how="anti")
    quotas = [quota.model_dump(mode="json") for quota in pipeline.quotas]
    orders = [registry.get("rankings", quota.order) for quota in pipeline.quotas]
    made_by = [[code(order.module), order.measure and embedder.key(order.measure)] for order in orders]
    near = {name: table for name, table in sorted(tables.items()) if _parts_splits(name, pipeline)}
    shaping = [pipeline.seed, pipeline.apart, [table.key for table in near.values()], made_by, code(__name__)]
    key = digest("picks", records.key, kept["id"].to_list(), quotas, shaping)

    def make() -> list[pl.DataFrame]:
        scan = of(records.scan(), kept).select(candidate_columns())
        together = [_similar(table, name, pipeline.apart) for name, table in near.items()]
        with vectors_of.clock.stage("select"):
            picks = draw_quotas(
                scan.collect().sort("id"),
                pipeline.quotas,
                seed=pipeline.seed,
                together=pl.concat(together) if together else None,
                vectors_of=vectors_of,
            )
        return [picks]

    (picks,) = store.keyed(["picks"], key, make)
    return picks


def _parts_splits(table: str, pipeline: Pipeline) -> bool:
    """Whether a table has pairs that must not be parted: with one split alone nothing can be."""
    if len({quota.split for quota in pipeline.quotas}) < 2:
        return False
    stored = table.startswith(_NEAR) and not table.endswith("_note")
    return table == "pairs" or (stored and pipeline.apart is not None)


def _similar(table: Table, name: str, apart: float | None) -> pl.DataFrame:
    scan = table.scan()
    if name.startswith(_NEAR):
        scan = scan.filter(pl.col("similarity") >= apart)
    return scan.select("id_a", "id_b").collect()


def candidate_columns() -> list[pl.Expr]:
    """What quotas may ask of a record."""
    of_response = pl.element().filter(pl.element().struct.field("part").str.contains("response"))
    author = pl.col("works").list.eval(of_response.struct.field("author")).list.first()
    return [
        *(pl.col(name) for name in ("id", "source", "domain", "group", "thread")),
        author.alias("author"),
        *(pl.col(name) for name in ("license", "score", "position", "draw")),
        pl.col("response").is_null().alias("prompt_only"),
        pl.col("response").str.len_chars().fill_null(0).alias("chars"),
    ]


def candidates(tables: dict[str, Table]) -> pl.DataFrame:
    """All records with what quotas may ask of them, the state each ended in, and all reasons against it."""
    said = [tables[name].scan().select("id", "reasons") for name in ("verdicts", "verdicts_measured")]
    reasons = pl.concat(said).explode("reasons", empty_as_null=True).drop_nulls("reasons")
    reasons = reasons.group_by("id").agg("reasons")
    frame = tables["records"].scan().select(candidate_columns())
    frame = frame.join(tables["ledger"].scan().select("id", "state"), on="id", how="left")
    frame = frame.join(reasons, on="id", how="left").with_columns(pl.col("reasons").fill_null([]))
    return frame.collect().sort("id")
