"""The instances of a task: the inputs and outputs that records of one instruction have."""

from __future__ import annotations

import polars as pl

from curate.measure import measures


@measures(schema={"conflicts": pl.UInt32(), "place": pl.UInt32()}, revision="2", beside=("context", "response"))
def instances(rows: pl.DataFrame) -> pl.DataFrame:
    """How a record stands among the records of the same text: its task's conflicting inputs, and its place.

    `conflicts` is how many inputs of the task have several outputs; no input is none, and no output is
    none. `place` counts the task's distinct pairs of input and output from 1 on in an order drawn by id; equal
    pairs share a place.
    """
    instance = ["key", "context", "response"]
    outputs = pl.col("response").drop_nulls().n_unique().over("key", "context")
    disputed = pl.col("context").is_not_null() & (outputs > 1)
    # A pair that several records have stands where the first of them is drawn.
    first = pl.col("draw").min().over(instance)
    return rows.select(
        pl.col("context").filter(disputed).n_unique().over("key").cast(pl.UInt32).alias("conflicts"),
        first.rank("dense").over("key").cast(pl.UInt32).alias("place"),
    )
