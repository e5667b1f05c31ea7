"""One pass over the texts of kept records, batch by batch, for all the numbers that need them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import polars as pl

from curate.report.books import Tables, collected
from curate.views import with_views

ROWS: Final = 4096  # of a batch
_READ: Final = ("id", "draw", "prompt", "context", "response", "history", "system", "works")


class Counter(Protocol):
    """What counts something in texts. Batches come in any order, so what it counts must not depend on it."""

    @property
    def reads(self) -> Sequence[pl.Expr]:
        """The views of a record's text that it wants as columns."""
        ...

    def add(self, kept: pl.DataFrame) -> None:
        """Count a batch of kept records: `id`, `draw`, `split`, columns with texts and the views it reads."""
        ...


def read_kept(tables: Tables, counters: Sequence[Counter]) -> None:
    """Show each kept record to all counters, once."""
    drawn = tables["picks"].filter(pl.col("split").is_not_null()).select("id", "split")
    wanted = collected(drawn).sort("id")
    # A filter by value, which a scan of Parquet applies before it decodes texts; a join would decode all.
    records = tables["records"].filter(pl.col("id").is_in(wanted["id"].implode())).select(_READ)
    views = [view for counter in counters for view in counter.reads]
    for batch in records.collect_batches(chunk_size=ROWS, maintain_order=False, engine="streaming"):
        if batch.height:
            kept = with_views(batch.join(wanted, on="id").lazy(), views).collect()
            for counter in counters:
                counter.add(kept)
