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
    largest = duplicates.group_by("kept_id").len().sort("len", "kept_id", descending=[True, False])
    if largest.height and largest["len"][0] > guard.group_size:
        raise PipelineError(
            f"{largest['len'][0]:,} records would go as duplicates of one: "
            f"{_shown(eligible, largest, duplicates)}",
            where="[guard], key group_size",
            next="if they are copies, raise it; if they share a template, set strip_templates in [[dedup]]",
        )
    sources = pl.concat([scan.select("id", "source").collect() for scan in eligible.scans()] or [pl.DataFrame()])
    if duplicates.is_empty():
        return
    lost = (
        sources.join(duplicates.select("id", "kept_id"), on="id", how="left")
        .group_by("source")
        .agg(rows=pl.len(), lost=pl.col("kept_id").count())
        .filter((pl.col("lost") >= _MANY) & (pl.col("lost") > guard.source_share * pl.col("rows")))
        .sort("source")
    )
    for source, rows, gone in lost.iter_rows():
        raise PipelineError(
            f"{gone:,} of {rows:,} records of {source!r} would go as duplicates, most of them of: "
            f"{_shown(eligible, largest, duplicates)}",
            where="[guard], key source_share",
            next="if they are copies, raise it; if they share a template, set strip_templates in [[dedup]]",
        )


def _shown(eligible: Eligible, largest: pl.DataFrame, duplicates: pl.DataFrame) -> str:
    """The largest group: its kept record, and the record that is least similar to it."""
    kept = largest["kept_id"][0]
    members = duplicates.filter(pl.col("kept_id") == kept).sort("similarity", "id")
    least = members.row(0, named=True)
    wanted = pl.col("id").is_in([kept, least["id"]])
    texts: Mapping[str, str] = {
        id: text
        for scan in eligible.scans()
        for id, text in with_text(scan.filter(wanted), least["on"]).collect().iter_rows()
    }
    said = {id: repr(" ".join((texts[id] or "").split())[:_SHOWN]) for id in (kept, least["id"])}
    return (
        f"{kept} {said[kept]}; the least similar of them, {least['similarity']:.3f} by {least['method']} on "
        f"{least['on']}, is {least['id']} {said[least['id']]}"
    )
