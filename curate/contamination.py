"""The stage that compares records with another set, such as evaluation prompts: which repeat a text of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from curate.dedup import Index
from curate.dedup.references import SCHEMA, read_references, text_of
from curate.dedup.texts import Block, Texts
from curate.dedup.walk import batches
from curate.eligible import Eligible
from curate.embedding import Embedder
from curate.fingerprint import code
from curate.keys import digest, file_digest
from curate.pipeline import DedupCall, Pipeline
from curate.store import Store, Table
from curate.tables import CONTAMINATION, PASSES
from curate.watch import Clock


def contaminate(eligible: Eligible, embedder: Embedder, store: Store, clock: Clock) -> dict[str, Table]:
    """The tables `contamination` and `passes_against`: which records have a reference text in them."""
    calls = eligible.pipeline.against
    files = [[file_digest(file) for file in call.against] for call in calls]
    key = digest("contamination", eligible.key, [embedder.plain(call) for call in calls], files, code(__name__))

    def make() -> tuple[pl.DataFrame, pl.DataFrame]:
        compared = [_Comparison.of(call, eligible) for call in calls]
        for each in compared:
            embedder.embed(each.call, each.texts, clock)
        found, passes = [pl.DataFrame(schema=CONTAMINATION)], []
        with clock.stage("compare", eligible.ids.height * len(calls), "records") as watch:
            for number, each in enumerate(compared):
                rows, index = each.found(embedder)
                found.append(rows)
                passes.append((number, each.call.use, each.call.on, rows.height, index.comparisons, index.note))
                watch.advance(eligible.ids.height)
        best = pl.concat(found).sort("id", pl.col("similarity").neg(), "file", "position", maintain_order=True)
        best = best.unique("id", keep="first", maintain_order=True)
        return best, pl.DataFrame(passes, schema=PASSES, orient="row")

    names = ["contamination", "passes_against"]
    return dict(zip(names, store.keyed(names, key, make), strict=True))


@dataclass(frozen=True)
class _Comparison:
    """The records beside the references of one pass: the texts of these come first."""

    call: DedupCall
    references: pl.DataFrame
    ids: pl.Series
    texts: Texts
    without: int  # references that have nothing to be compared with

    @classmethod
    def of(cls, call: DedupCall, eligible: Eligible) -> _Comparison:
        every = read_references(call.against, fields=call.fields)
        references = every.with_columns(text_of(every, call.on)).filter(pl.col("text").is_not_null())
        count, records = references.height, eligible.texts(call.on)

        def read() -> Iterator[Block]:
            yield np.arange(count), references["text"]
            yield from ((rows + count, texts) for rows, texts in records.blocks())

        texts = Texts(count + len(records), read)
        if call.strip_templates:
            from curate.dedup.templates import stripped

            texts = Texts.of(stripped(texts.all(), min_rows=call.strip_templates)[0])
        return cls(call, references, eligible.ids["id"].sort(), texts, without=every.height - references.height)

    def found(self, embedder: Embedder) -> tuple[pl.DataFrame, Index]:
        """For each record the reference that it is most similar to, if that is enough; and what found it."""
        call, count = self.call, self.references.height
        if call.plugin.measure:
            index = embedder.across(call, self.texts, count)
        else:
            index = call.plugin(self.texts, **call.parameters)
        found: list[tuple[int, int, float]] = []
        for batch in batches([index], self.texts.sizes):
            for row in batch:
                if row < count:
                    index.keep(row)
                elif matched := index.matches(row):
                    reference, similarity = min(matched, key=lambda match: (-match[1], match[0]))
                    found.append((row - count, reference, similarity))
        frame = pl.DataFrame(
            found, schema={"row": pl.Int64, "reference": pl.Int64, "similarity": pl.Float64}, orient="row"
        )
        rows = self.references[frame["reference"]].select("file", "position", "text")
        rows = rows.with_columns(
            self.ids.gather(frame["row"]).alias("id"),
            frame["similarity"],
            pl.lit(call.use).alias("method"),
            pl.lit(call.on).alias("on"),
        )
        index.note = f"{count:,} references, {self.without:,} without such a text; {index.note}"
        return rows.match_to_schema(CONTAMINATION), index


def check_references(pipeline: Pipeline) -> None:
    """Raise `PipelineError` where a pass is to compare what references do not have."""
    nothing = pl.DataFrame(schema=SCHEMA)
    for call in pipeline.against:
        text_of(nothing, call.on)
