"""The stage of deduplication: which records say the same as another, and which of them stays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import polars as pl

from curate.collapse import check_collapse
from curate.contamination import check_references
from curate.dedup import Index
from curate.dedup.semantic import Joined
from curate.dedup.stars import Pass, check, decide, placed, preferred_first
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

    For each pass on vectors there are also `neighbours_<text>`, all pairs above its floor, and a note on how they
    were found.

    Raises `PipelineError` when a source loses more than the pipeline's guard lets it.
    """
    pipeline = eligible.pipeline
    calls = [embedder.plain(call) for call in pipeline.among]
    key = digest("dedup", eligible.key, calls, pipeline.keep, code(__name__))
    near = [_neighbours(call, eligible, embedder, store, clock) for call in pipeline.among]

    def make() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        with clock.stage("dedup", eligible.ids.height, "records") as watch:
            passes = [_pass(call, tables) for call, tables in zip(pipeline.among, near, strict=True)]
            return decide(eligible.ranked(), passes, pipeline.keep, read=eligible.read, progress=watch.advance)

    names = ["pairs", "duplicates", "passes"]
    found = dict(zip(names, store.keyed(names, key, make), strict=True))
    # What was found is there already, so that with another guard nothing is looked for again.
    check_collapse(eligible, found["duplicates"].scan().collect(), pipeline.guard)
    return found | {table.name: table for tables in near for table in tables}


def check_passes(pipeline: Pipeline) -> None:
    """Raise the `PipelineError` that any pass would raise at its parameters, without any data."""
    check_references(pipeline)
    passes = [Pass(call.plugin, call.use, call.on, call.parameters) for call in pipeline.dedups]
    check(passes, pipeline.keep)


def _neighbours(
    call: DedupCall, eligible: Eligible, embedder: Embedder, store: Store, clock: Clock
) -> list[Table]:
    """All pairs above the floor of a pass on vectors, and a note; nothing for a pass on texts.

    The threshold is not in their key, so that another one computes nothing again.
    """
    measure = call.plugin.measure
    if not measure:
        return []
    shaping = {name: value for name, value in call.parameters.items() if name != "threshold"}
    shaping["strip_templates"] = call.strip_templates
    made_by = [embedder.key(measure), code(call.plugin.module), code(__name__)]
    key = digest("neighbours", eligible.key, eligible.pipeline.keep, call.on, shaping, made_by)

    def make() -> tuple[pl.DataFrame, pl.DataFrame]:
        ids = preferred_first(eligible.ranked(), eligible.pipeline.keep)["id"]
        texts, stripped = _bare(placed(ids, partial(eligible.read, call.on)), call.strip_templates)
        with clock.stage(f"{measure} {call.on}", len(texts), "texts") as watch:
            made = embedder.vectors(measure, texts, watch)
        with clock.stage("neighbours", len(made.rows), "vectors") as watch:
            found = call.plugin.function(made.vectors, **call.parameters)
            watch.advance(len(made.rows))
        one, other = ids.gather(made.rows[found.left]), ids.gather(made.rows[found.right])
        pairs = pl.select(
            pl.min_horizontal(one, other).alias("id_a"),
            pl.max_horizontal(one, other).alias("id_b"),
            pl.Series("similarity", found.similarity),
        )
        note = "; ".join(filter(None, [found.searched, made.note, stripped]))
        return pairs.match_to_schema(NEIGHBOURS).sort("id_a", "id_b"), pl.DataFrame({"note": [note]})

    return store.keyed([f"neighbours_{call.on}", f"neighbours_{call.on}_note"], key, make)


def _pass(call: DedupCall, neighbours: list[Table]) -> Pass:
    if neighbours:
        return _Compared(call.plugin, call.use, call.on, call.parameters, *neighbours)
    if call.strip_templates:
        return _Stripped(call.plugin, call.use, call.on, call.parameters, call.strip_templates)
    return Pass(call.plugin, call.use, call.on, call.parameters)


@dataclass(frozen=True)
class _Stripped(Pass):
    """A pass that does not look at beginnings and ends that many texts have in common."""

    min_rows: int

    def index(self, texts: Texts, ids: pl.Series) -> Index:
        bare, stripped = _bare(texts, self.min_rows)
        index = super().index(bare, ids)
        texts.sizes = bare.sizes
        index.note += f"; {stripped}"
        return index


def _bare(texts: Texts, min_rows: int) -> tuple[Texts, str]:
    """Texts without the beginnings and ends that so many of them share, and what was left out; 0 leaves all."""
    if not min_rows:
        return texts, ""
    from curate.dedup.templates import stripped

    bare, templates = stripped(texts.all(), min_rows=min_rows)
    rows = int(templates["rows"].sum())
    said = f"{templates.height:,} shared beginnings and ends were left out of {rows:,} texts"
    return Texts.of(bare), said


@dataclass(frozen=True)
class _Compared(Pass):
    """A pass on vectors, of which all pairs are known."""

    pairs: Table
    note: Table

    def index(self, texts: Texts, ids: pl.Series) -> Index:  # noqa: ARG002 - their vectors were compared
        rows = ids.to_frame("id").with_row_index("row").cast({"row": pl.Int64}).lazy()
        frame = (
            self.pairs.scan()
            .join(rows.rename({"id": "id_a", "row": "a"}), on="id_a")
            .join(rows.rename({"id": "id_b", "row": "b"}), on="id_b")
            .collect()
        )
        found = (frame[name].to_numpy() for name in ("a", "b", "similarity"))
        threshold, note = self.parameters["threshold"], self.note.scan().collect().item()
        floor = self.parameters["floor"]
        return Joined(*found, count=len(ids), threshold=threshold, floor=floor, note=note)
