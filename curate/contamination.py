"""The stage that compares records with another set, such as evaluation prompts: which repeat a text of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from curate.dedup import Index
from curate.dedup.references import SCHEMA, read_references, shown_names, text_of
from curate.dedup.texts import Block, Texts
from curate.dedup.walk import batches
from curate.eligible import Eligible
from curate.embedding import Embedder
from curate.errors import PipelineError
from curate.fingerprint import code
from curate.keys import digest, file_digest
from curate.pipeline import DedupCall, Pipeline
from curate.store import Store, Table
from curate.tables import CONTAMINATION, PASSES
from curate.watch import Clock


def contaminate(eligible: Eligible, embedder: Embedder, store: Store, clock: Clock) -> dict[str, Table]:
    """The tables `contamination` and `passes_against`: which records have a reference text in them."""
    calls = eligible.pipeline.against
    files = [
        [[name, file_digest(file)] for name, file in sorted(shown_names(list(call.against)).items())]
        for call in calls
    ]
    key = digest("contamination", eligible.key, [embedder.plain(call) for call in calls], files, code(__name__))

    def make() -> tuple[pl.DataFrame, pl.DataFrame]:
        compared = [_Comparison.of(call, eligible) for call in calls]
        across = [each.vectors(embedder, clock) for each in compared]
        found, passes = [pl.DataFrame(schema=CONTAMINATION).with_columns(pl.lit(0, pl.UInt32).alias("pass"))], []
        with clock.stage("compare", eligible.ids.height * len(calls), "records") as watch:
            for number, (each, vectors) in enumerate(zip(compared, across, strict=True)):
                rows, index = each.found(vectors)
                found.append(rows.with_columns(pl.lit(number, pl.UInt32).alias("pass")))
                passes.append((number, each.call.use, each.call.on, index.comparisons, index.note))
                watch.advance(eligible.ids.height)
        # Of passes that find one record, the first counts; similarities of two methods cannot be compared.
        named = pl.concat(found).unique("id", keep="first", maintain_order=True)
        dropped = dict(named.group_by("pass").len().iter_rows())
        done = [(number, use, on, dropped.get(number, 0), *rest) for number, use, on, *rest in passes]
        return (
            named.select(CONTAMINATION.names()).sort("id"),
            pl.DataFrame(done, schema=PASSES, orient="row"),
        )

    names = ["contamination", "passes_against"]
    return dict(zip(names, store.keyed(names, key, make), strict=True))


@dataclass(frozen=True)
class _Comparison:
    """The records beside the references of one pass: the texts of these come first."""

    call: DedupCall
    references: pl.DataFrame
    ids: pl.Series
    texts: Texts
    unused: str  # what of the references cannot be compared with

    @classmethod
    def of(cls, call: DedupCall, eligible: Eligible) -> _Comparison:
        every = read_references(call.against, fields=call.fields)
        said = every.with_columns(text_of(every, call.on)).filter(pl.col("text").is_not_null())
        # A prompt with several answers is one prompt.
        references = said.unique(["file", "position", "text"], keep="first", maintain_order=True)
        count, records = references.height, eligible.texts(call.on)

        def read() -> Iterator[Block]:
            yield np.arange(count), references["text"]
            yield from ((rows + count, texts) for rows, texts in records.blocks())

        texts = Texts(count + len(records), read, references=count)
        return cls(call, references, eligible.ids["id"].sort(), texts, unused=_unused(every, said.height))

    def vectors(self, embedder: Embedder, clock: Clock) -> Index | None:
        """The index of a pass that compares vectors; None of one that compares texts."""
        return embedder.across(self.call, self.texts, clock) if self.call.plugin.measure else None

    def found(self, vectors: Index | None) -> tuple[pl.DataFrame, Index]:
        """For each record the reference that it is most similar to, if that is enough; and what found it."""
        call, count = self.call, self.references.height
        index = vectors or call.plugin(self.texts, **call.parameters)
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
        index.note = f"{count:,} references{self.unused}; {index.note}"
        return rows.match_to_schema(CONTAMINATION), index


def _unused(references: pl.DataFrame, said: int) -> str:
    bad = references.filter(pl.col("misfit").is_not_null())
    without = references.height - bad.height - said
    told = f", {without:,} without such a text" if without else ""
    if bad.is_empty():
        return told
    first = bad.row(0, named=True)
    where = f"row {first['position']} of {first['file']}: {first['misfit']}"
    return f"{told}; {bad.height:,} rows are no references (first: {where})"


def check_references(pipeline: Pipeline) -> None:
    """Raise `PipelineError` where a pass is to compare what references do not have."""
    nothing = pl.DataFrame(schema=SCHEMA)
    for call in pipeline.against:
        text_of(nothing, call.on)
        if call.parameters.get("search", "exact") != "exact" and call.plugin.measure:
            raise PipelineError(
                "another set is compared with exactly",
                where=f"[[dedup]] {call.use} against {call.against[0].name}, key search",
                next="leave it out",
            )
