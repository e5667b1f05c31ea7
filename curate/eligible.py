"""The records that come to deduplication, and how their texts are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import polars as pl

from curate.dedup.stars import placed, ranked, with_text
from curate.dedup.texts import Texts
from curate.pipeline import Pipeline
from curate.store import Table


@dataclass(frozen=True)
class Eligible:
    """The records that nothing has ruled out so far, and how they are read."""

    records: Table
    ids: pl.DataFrame
    pipeline: Pipeline

    @cached_property
    def _parts(self) -> list[tuple[Path, pl.DataFrame]]:
        parts = [(part.path, pl.read_parquet(part.path, columns=["id"])) for part in self.records.parts]
        return [(path, ids.join(self.ids, on="id", how="semi", maintain_order="left")) for path, ids in parts]

    def scans(self) -> Iterator[pl.LazyFrame]:
        """The records, part by part."""
        for path, ids in self._parts:
            if ids.height:
                # A filter by value reaches the scan, which then decodes no text of the others; a join does not.
                yield pl.scan_parquet(path).filter(pl.col("id").is_in(ids["id"].implode()))

    def read(self, on: str) -> Iterator[pl.DataFrame]:
        """The texts that a pass looks at, as frames of `id` and `text`."""
        for scan in self.scans():
            yield with_text(scan, on).collect()

    def texts(self, on: str) -> Texts:
        """The same, in the order of their ids."""
        return placed(self.ids["id"].sort(), partial(self.read, on))

    def ranked(self) -> pl.DataFrame:
        """What makes one of them preferred to another, in the order of their ids."""
        order = [source.name for source in self.pipeline.sources]
        nothing = self.records.scan().head(0)
        frames = [ranked(scan, order).collect() for scan in [nothing, *self.scans()]]
        return pl.concat(frames).sort("id")

    @property
    def key(self) -> list[Any]:
        return [self.records.key, self.ids["id"].to_list(), [source.name for source in self.pipeline.sources]]
