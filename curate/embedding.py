"""Vectors of the texts that a pass of deduplication compares, made by a measure and cached by content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate import registry
from curate.dedup import Index
from curate.dedup.semantic import Joined
from curate.dedup.texts import Texts
from curate.errors import CurateError
from curate.fingerprint import code
from curate.measuring import cache_of, measure_key, measured_texts
from curate.pipeline import DedupCall, Pipeline
from curate.store import Store
from curate.watch import Clock, Watch

_VECTOR: Final = "vector"


@dataclass(frozen=True)
class Vectors:
    """The vectors of those rows that have a text. Shapes (m,) and (m, d); `note` says what was cut off."""

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]
    note: str


@dataclass(frozen=True)
class Embedder:
    """Makes vectors with the parameters that a pipeline gives the measure, once for each text."""

    pipeline: Pipeline
    store: Store
    workers: int

    def key(self, measure: str) -> str:
        """The digest of all that shapes a vector but its text."""
        return measure_key(registry.get("measures", measure), self.pipeline.measures.get(measure, {}))

    def vectors(self, measure: str, texts: Texts, watch: Watch | None = None) -> Vectors:
        """The vectors of all texts. The watch hears of those that are not known yet."""
        plugin, parameters = registry.get("measures", measure), self.pipeline.measures.get(measure, {})
        known = [(rows, block) for rows, block in texts.blocks()]
        rows = np.concatenate([np.empty(0, np.int64), *(rows for rows, _ in known)])
        every = pl.concat([pl.Series(dtype=pl.String), *(block for _, block in known)])
        frame = measured_texts(
            plugin, parameters, every.to_list(), self.store, watch or Watch(), workers=self.workers
        )
        if frame.is_empty():
            return Vectors(rows, np.empty((0, 1), np.float32), "")
        if frame[_VECTOR].list.len().n_unique() > 1:
            raise CurateError(
                "stored vectors have different numbers of dimensions",
                where=str(cache_of(self.store, plugin, parameters)),
                next="remove that folder: it is made again",
            )
        flat = frame[_VECTOR].explode().to_numpy().astype(np.float32)
        return Vectors(rows, flat.reshape(frame.height, -1), _cut(frame))

    def plain(self, call: DedupCall) -> list[Any]:
        """All that shapes what a pass finds but the texts, as JSON-able values."""
        measure = call.plugin.measure
        return [call.plain(), code(call.plugin.module), self.key(measure) if measure else None]

    def embed(self, call: DedupCall, texts: Texts, clock: Clock) -> None:
        """Make the vectors that a pass will ask for, in a stage that shows how far it is."""
        if call.plugin.measure:
            with clock.stage(f"{call.plugin.measure} {call.on}", len(texts), "texts") as watch:
                self.vectors(call.plugin.measure, texts, watch)

    def across(self, call: DedupCall, texts: Texts, count: int) -> Index:
        """The index of texts of which the first `count` are references, with which the others are compared."""
        from curate.dedup.neighbours import neighbours_of

        made = self.vectors(call.plugin.measure, texts)
        references = made.rows < count
        threshold = call.parameters["threshold"]
        found = neighbours_of(made.vectors[~references], made.vectors[references], floor=threshold)
        return Joined(
            made.rows[references][found.left],
            made.rows[~references][found.right],
            found.similarity,
            count=len(texts),
            threshold=threshold,
            floor=threshold,
            note="; ".join(filter(None, [found.searched, made.note])),
        )


def _cut(frame: pl.DataFrame) -> str:
    cut = int(frame["cut"].sum()) if "cut" in frame.columns else 0
    return f"{cut:,} texts were longer than the model's window, and embedded by their beginning" if cut else ""
