"""The stage of deduplication: which records say the same as another, and which of them stays."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from curate.collapse import check_collapse
from curate.contamination import check_references
from curate.dedup import Index
from curate.dedup.semantic import Joined
from curate.dedup.stars import Pass, check, decide
from curate.dedup.texts import Texts
from curate.eligible import Eligible
from curate.embedding import Embedder
from curate.fingerprint import code
from curate.keys import digest
from curate.pipeline import DedupCall, Pipeline
from curate.store import Store, Table
from curate.tables import NEIGHBOURS
from curate.watch import Clock


def deduplicate(eligible: Eligible, embedder: Embedder, store: Store, clock: Clock) -> dict[str, Table]:
    """The tables `pairs`, `duplicates` and `passes`: who says the same as whom, and which of them stays.

    Raises `PipelineError` when a source loses more than the pipeline's guard lets it.
    """
    pipeline = eligible.pipeline
    guard = pipeline.guard.model_dump(mode="json")
    calls = [embedder.plain(call) for call in pipeline.among]
    key = digest("dedup", eligible.key, calls, pipeline.keep, guard, code(__name__))

    def make() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        for call in pipeline.among:
            embedder.embed(call, eligible.texts(call.on), clock)
        with clock.stage("dedup", eligible.ids.height, "records") as watch:
            passes = [_pass(call, eligible, embedder, store) for call in pipeline.among]
            decided = decide(eligible.ranked(), passes, pipeline.keep, read=eligible.read, progress=watch.advance)
            check_collapse(eligible, decided[1], pipeline.guard)
        return decided

    names = ["pairs", "duplicates", "passes"]
    return dict(zip(names, store.keyed(names, key, make), strict=True))


def check_passes(pipeline: Pipeline) -> None:
    """Raise the `PipelineError` that any pass would raise at its parameters, without any data."""
    check_references(pipeline)
    passes = [Pass(call.plugin, call.use, call.on, call.parameters) for call in pipeline.dedups]
    check(passes, pipeline.keep)


def _pass(call: DedupCall, eligible: Eligible, embedder: Embedder, store: Store) -> Pass:
    if call.plugin.measure:
        return _Compared(call.plugin, call.use, call.on, call.parameters, eligible, embedder, store)
    if call.strip_templates:
        return _Stripped(call.plugin, call.use, call.on, call.parameters, call.strip_templates)
    return Pass(call.plugin, call.use, call.on, call.parameters)


@dataclass(frozen=True)
class _Stripped(Pass):
    """A pass that does not look at beginnings and ends that many texts have in common."""

    min_rows: int

    def index(self, texts: Texts, ids: pl.Series) -> Index:
        from curate.dedup.templates import stripped

        bare, templates = stripped(texts.all(), min_rows=self.min_rows)
        index = super().index(Texts.of(bare), ids)
        rows = int(templates["rows"].sum())
        index.note += f"; {templates.height:,} shared beginnings and ends were left out of {rows:,} texts"
        return index


@dataclass(frozen=True)
class _Compared(Pass):
    """A pass on vectors, whose pairs are a table of their own."""

    eligible: Eligible
    embedder: Embedder
    store: Store

    def index(self, texts: Texts, ids: pl.Series) -> Index:
        shaping = {name: value for name, value in self.parameters.items() if name != "threshold"}
        measure = self.method.measure or ""
        key = digest(
            "neighbours", self.eligible.key, ids.to_list(), self.on, shaping, self.embedder.key(measure),
            code(self.method.module), code(__name__),
        )  # fmt: skip

        def make() -> tuple[pl.DataFrame, pl.DataFrame]:
            vectors = self.embedder.vectors(measure, texts)
            found = self.method.function(vectors.vectors, **self.parameters)
            left, right = ids.gather(vectors.rows[found.left]), ids.gather(vectors.rows[found.right])
            pairs = pl.DataFrame(
                {
                    "id_a": pl.select(pl.min_horizontal(left, right)).to_series(),
                    "id_b": pl.select(pl.max_horizontal(left, right)).to_series(),
                    "similarity": found.similarity,
                },
                schema=NEIGHBOURS,
            )
            note = "; ".join(filter(None, [found.searched, vectors.note]))
            return pairs.sort("id_a", "id_b"), pl.DataFrame({"note": [note]})

        pairs, notes = self.store.keyed([f"neighbours_{self.on}", f"neighbours_{self.on}_note"], key, make)
        rows = ids.to_frame("id").with_row_index("row")
        frame = (
            pairs.scan()
            .join(rows.lazy().rename({"id": "id_a", "row": "a"}), on="id_a")
            .join(rows.lazy().rename({"id": "id_b", "row": "b"}), on="id_b")
            .select(pl.col("a", "b").cast(pl.Int64), "similarity")
            .collect()
        )
        index = Joined(
            frame["a"].to_numpy(),
            frame["b"].to_numpy(),
            frame["similarity"].to_numpy(),
            count=len(ids),
            threshold=self.parameters["threshold"],
        )
        index.note = notes.scan().collect().item()
        return index
