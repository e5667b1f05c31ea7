"""Stops deduplication that takes a template for a copy, before it eats a source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from curate.dedup.stars import with_text
from curate.eligible import Eligible
from curate.errors import PipelineError
from curate.pipeline import Guard

# A source that loses fewer rows than this is not collapsing, whatever their share.
_MANY: Final = 1000
_SHOWN: Final = 80  # characters of a text in an error


def check_collapse(eligible: Eligible, duplicates: pl.DataFrame, guard: Guard) -> None:
    """Raise `PipelineError` when one source lost too much, or one record took too many others."""
    if duplicates.is_empty():
        return
    largest = _largest(duplicates)
    if largest.height > guard.group_size:
        raise PipelineError(
            f"{largest.height:,} records would go as duplicates of one: {_shown(eligible, largest)}",
            where="[guard], key group_size",
            next="if they are copies, raise it; if they share a template, set strip_templates in [[dedup]]",
        )
    sources = pl.concat([scan.select("id", "source").collect() for scan in eligible.scans()] or [pl.DataFrame()])
    lost = (
        sources.join(duplicates.select("id", "kept_id"), on="id", how="left")
        .group_by("source")
        .agg(rows=pl.len(), lost=pl.col("kept_id").count())
        .filter((pl.col("lost") >= _MANY) & (pl.col("lost") > guard.source_share * pl.col("rows")))
        .sort("source")
    )
    for source, rows, gone in lost.iter_rows():
        raise PipelineError(
            f"{gone:,} of {rows:,} records of {source!r} would go as duplicates, most of them of "
            f"{_shown(eligible, _largest(duplicates.join(_of(sources, source), on='id', how='semi')))}",
            where="[guard], key source_share",
            next="if they are copies, raise it; if they share a template, set strip_templates in [[dedup]]",
        )


def _of(sources: pl.DataFrame, source: str) -> pl.DataFrame:
    return sources.filter(pl.col("source") == source)


def _largest(duplicates: pl.DataFrame) -> pl.DataFrame:
    """The records that go for the one that takes the most, the least similar first."""
    sizes = duplicates.group_by("kept_id").len().sort("len", "kept_id", descending=[True, False])
    return duplicates.filter(pl.col("kept_id") == sizes["kept_id"][0]).sort("similarity", "id")


def _shown(eligible: Eligible, group: pl.DataFrame) -> str:
    """The record that stays, and the one that is least similar to it."""
    least = group.row(0, named=True)
    ids = [least["kept_id"], least["id"]]
    texts: Mapping[str, str] = {
        id: text
        for scan in eligible.scans()
        for id, text in with_text(scan.filter(pl.col("id").is_in(ids)), least["on"]).collect().iter_rows()
    }
    kept, gone = (f"{id} {' '.join((texts[id] or '').split())[:_SHOWN]!r}" for id in ids)
    return (
        f"{kept}; the least similar of them, {least['similarity']:.3f} by {least['method']} on {least['on']}, "
        f"is {gone}"
    )
