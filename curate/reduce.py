"""The stages that look at all records together: who is excluded, drawn, and what became of each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from curate.addresses import variants
from curate.errors import PipelineError
from curate.fingerprint import code
from curate.keys import digest, mix, seed_for
from curate.store import MAX_PART_ROWS, Store, Table
from curate.tables import DECIDED, EXCLUSIONS, LEDGER


def read_takedown(file: Path | None) -> list[str]:
    """The entries of a takedown list: an id, an address or an author a line; `#` begins a comment.

    Raises `PipelineError` when the file is not UTF-8.
    """
    if file is None:
        return []
    try:
        lines = file.read_bytes().decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise PipelineError("the takedown list is not UTF-8", where=f"{file}, byte {error.start}") from None
    return sorted({line.strip() for line in lines if line.strip() and not line.strip().startswith("#")})


def exclude(
    records: Table, takedown: list[str], rejected: Mapping[str, str], sample: int | None
) -> tuple[pl.DataFrame, list[str]]:
    """The records that a takedown entry names, a decision rejects or a sample leaves out, and the unmet entries.

    `rejected` says of ids why somebody decided against them.
    """
    scan = records.scan()
    found, met = [], set()
    if takedown:
        meant = {variant: entry for entry in takedown for variant in variants(entry)}
        works = pl.col("works").list
        fields = [works.eval(pl.element().struct.field(name)) for name in ("url", "author", "author_url")]
        named = scan.select("id", pl.concat_list(pl.concat_list("id"), *fields).alias("entry")).explode("entry")
        hits = named.filter(pl.col("entry").is_in(list(meant))).collect(engine="streaming")
        hits = hits.with_columns(pl.col("entry").replace(meant)).sort("id", "entry")
        met = set(hits["entry"])
        found.append(hits)
    decided = [(id, f"{DECIDED}: {why}") for id, why in sorted(rejected.items())]
    found.append(pl.DataFrame(decided, schema=EXCLUSIONS, orient="row"))
    if sample is not None:
        drawn = scan.select("id", "source", "draw").collect()
        drawn = drawn.with_columns(mix(drawn["draw"], seed_for(0, "sample")).alias("draw"))
        place = pl.col("draw").rank("ordinal").over("source")
        left_out = drawn.sort("source", "draw", "id").filter(place > sample)
        found.append(left_out.select("id", pl.lit(f"not in the sample of {sample:,}").alias("entry")))
    every = pl.concat([pl.DataFrame(schema=EXCLUSIONS), *found]).unique("id", keep="first", maintain_order=True)
    return every.sort("id"), [entry for entry in takedown if entry not in met]


def standing(
    verdicts: Table, measured: Table, exclusions: pl.DataFrame, accepted: Collection[str] = ()
) -> pl.DataFrame:
    """The ids of the records that nothing has ruled out so far, sorted; against those accepted no rule counts."""
    clean = (pl.col("reasons").list.len() == 0) | pl.col("id").is_in(list(accepted))
    ids = verdicts.scan().filter(clean).select("id").collect()
    fallen = measured.scan().filter(~clean).select("id").collect()
    return ids.join(fallen, on="id", how="anti").join(exclusions.select("id"), on="id", how="anti").sort("id")


def of(records: pl.LazyFrame, ids: pl.DataFrame) -> pl.LazyFrame:
    """The records with these ids."""
    # A filter by value reaches the scan of Parquet, which then decodes no text of the others; a join does not.
    return records.filter(pl.col("id").is_in(ids["id"].implode()))


def settle(
    tables: dict[str, Table], exclusions: pl.DataFrame, store: Store, accepted: Collection[str] = ()
) -> Table:
    """The ledger: every record in exactly one state; those accepted are rejected by no rule."""
    names = ("records", "verdicts", "verdicts_measured", "contamination", "duplicates", "picks")
    key = digest(
        "ledger", [tables[name].key for name in names], exclusions.rows(), sorted(accepted), code(__name__)
    )
    (ledger,) = store.keyed(["ledger"], key, lambda: [_ledger(tables, exclusions, accepted)])
    return ledger


def _ledger(tables: dict[str, Table], exclusions: pl.DataFrame, accepted: Collection[str]) -> pl.DataFrame:
    def said(name: str, by: str) -> pl.LazyFrame:
        against = tables[name].scan().filter(~pl.col("id").is_in(list(accepted)))
        return against.select("id", pl.col("reasons").alias(by))

    joined = tables["records"].scan().select("id", "source")
    for other in (
        exclusions.lazy(),
        said("verdicts", "on_text"),
        said("verdicts_measured", "on_measures"),
        tables["contamination"].scan().select("id", found_in=pl.concat_str("file", "position", separator=":")),
        tables["duplicates"].scan().select("id", "kept_id"),
        tables["picks"].scan().select("id", "split", "why"),
    ):
        joined = joined.join(other, on="id", how="left", maintain_order="left")
    empty = pl.lit([], dtype=pl.List(pl.String))
    reasons = pl.concat_list(pl.col("on_text").fill_null(empty), pl.col("on_measures").fill_null(empty))
    state = (
        pl.when(pl.col("entry").is_not_null())
        .then(pl.struct(state=pl.lit("excluded"), detail="entry"))
        .when(reasons.list.len() > 0)
        .then(pl.struct(state=pl.lit("rejected"), detail=reasons.list.join(", ")))
        .when(pl.col("found_in").is_not_null())
        .then(pl.struct(state=pl.lit("contaminated"), detail="found_in"))
        .when(pl.col("kept_id").is_not_null())
        .then(pl.struct(state=pl.lit("duplicate"), detail="kept_id"))
        .when(pl.col("split").is_not_null())
        .then(pl.struct(state=pl.lit("kept"), detail="split"))
        .otherwise(pl.struct(state=pl.lit("not drawn"), detail=pl.col("why").fill_null("no quota takes it")))
    )
    ledger = joined.select("id", "source", state.alias("end")).unnest("end").collect().sort("id")
    return ledger.select(LEDGER.names())


def in_order(
    records: pl.LazyFrame, picks: pl.LazyFrame, split: str, quotas: list[dict[str, Any]]
) -> Iterator[pl.DataFrame]:
    """The records of a split: quotas in the pipeline's order, each by rank, in frames of bounded size."""
    names = [quota["name"] for quota in quotas]
    drawn = picks.filter(pl.col("split") == split).select("id", "quota", "rank").collect()
    place = pl.col("quota").replace_strict(names, list(range(len(names))), default=None, return_dtype=pl.UInt32)
    ids = drawn.sort(place, "rank", "id").select("id")
    for start in range(0, max(1, ids.height), MAX_PART_ROWS):
        piece = ids.slice(start, MAX_PART_ROWS)
        found = of(records, piece).collect()
        yield piece.join(found, on="id", how="left", maintain_order="left")
