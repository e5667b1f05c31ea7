"""Vectors of the texts that a pass of deduplication compares, made by a measure and cached by content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from curate.measure import Measure
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

    def vectors(self, measure: str, texts: Texts, watch: Watch) -> Vectors:
        """The vectors of all texts; those that are not known yet are made."""
        rows, found = self._measured(measure, texts, watch)
        vectors, filled, cut = np.empty((0, 1), np.float32), 0, 0
        for piece in found:
            lengths = piece[_VECTOR].list.len()
            if not len(vectors):
                vectors = np.empty((len(rows), int(lengths[0])), np.float32)
            if (lengths != vectors.shape[1]).any():
                raise self._spoilt(measure, "have different numbers of dimensions")
            # A list of float32 becomes an array of float32 without a number of Python's between.
            vectors[piece["place"].to_numpy()] = piece[_VECTOR].explode().to_numpy().reshape(-1, vectors.shape[1])
            filled += piece.height
            cut += int(piece["cut"].sum()) if "cut" in piece.columns else 0
        if filled < len(rows):
            raise self._spoilt(measure, "went away while they were read")
        note = f"{cut:,} texts were longer than the model's window, and embedded by their beginning" if cut else ""
        return Vectors(rows, vectors, note)

    def _measured(
        self, measure: str, texts: Texts, watch: Watch
    ) -> tuple[NDArray[np.int64], Iterator[pl.DataFrame]]:
        """The rows that have a text, and what reads their vectors, which are then known."""
        rows = [np.empty(0, np.int64)]

        def blocks() -> Iterator[pl.Series]:
            for some, block in texts.blocks():
                rows.append(some)
                yield block

        plugin, parameters = self._called(measure)
        found = measured_texts(
            plugin, parameters, blocks(), self.store, watch, total=len(texts), workers=self.workers
        )
        return np.concatenate(rows), found

    def _called(self, measure: str) -> tuple[Measure, Mapping[str, Any]]:
        return registry.get("measures", measure), self.pipeline.measures.get(measure, {})

    def _spoilt(self, measure: str, what: str) -> CurateError:
        where = str(cache_of(self.store, *self._called(measure)))
        return CurateError(f"stored vectors {what}", where=where, next="remove that folder: it is made again")

    def plain(self, call: DedupCall) -> list[Any]:
        """All that shapes what a pass finds but the texts, as JSON-able values."""
        measure = call.plugin.measure
        return [call.plain(), code(call.plugin.module), self.key(measure) if measure else None]

    def across(self, call: DedupCall, texts: Texts, clock: Clock) -> Index:
        """The index of texts of which the first are references, with which the others are compared."""
        from curate.dedup.neighbours import neighbours_of

        with clock.stage(f"{call.plugin.measure} {call.on}", len(texts), "texts") as watch:
            made = self.vectors(call.plugin.measure, texts, watch)
        count = texts.references
        references = made.rows < count
        threshold = call.parameters["threshold"]
        device = call.parameters.get("device", "auto")
        found = neighbours_of(
            made.vectors[~references],
            made.vectors[references],
            floor=threshold,
            device=None if device == "auto" else device,
        )
        return Joined(
            made.rows[references][found.left],
            made.rows[~references][found.right],
            found.similarity,
            count=len(texts),
            threshold=threshold,
            floor=threshold,
            note="; ".join(filter(None, [found.searched, made.note])),
        )
