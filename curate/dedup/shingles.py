"""Texts as sets of shingles: the runs of neighbouring words, or characters, by which two texts are compared.

A word is a run of letters, marks and digits. Chinese, Japanese, Thai, Lao, Khmer and Burmese are written
without spaces, so there each character is a word. Marks that end a sentence or quote are no words, because
twins differ in them for no reason; all other signs are, because `2 * (3 + 4)` is not `(2 * 3) + 4`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.dedup import characters

Unit = Literal["word", "character"]

UNSPACED: Final = characters.UNSPACED

Made = TypeVar("Made")

# Bytes of text that one core takes apart at a time, unless one text has more. About forty times as many are the
# most that its characters' places and hashes can need meanwhile; words need a fifth of that.
_BLOCK: Final = 4_000_000


def normalised(texts: pl.Series, *, ignore_case: bool = True) -> pl.Series:
    """Texts in Unicode's composed form and lower case, with each run of white space as one space.

    The form is NFC: NFKC would also turn `10²` into `102`, and two answers into one.
    """
    texts = texts.str.normalize("NFC")
    if ignore_case:
        texts = texts.str.to_lowercase()
    return texts.str.replace_all(r"\s+", " ").str.strip_chars()


@dataclass(frozen=True)
class Shingles:
    """The hashed shingles of n texts, ascending and distinct within each text.

    `hashes` has the texts one after another; `starts`, shape (n + 1,), is where each begins.
    """

    hashes: NDArray[np.uint64]
    starts: NDArray[np.int64]

    def of(self, row: int) -> NDArray[np.uint64]:
        """The shingles of one text."""
        return self.hashes[self.starts[row] : self.starts[row + 1]]

    def sizes(self) -> NDArray[np.int64]:
        """How many shingles each text has. Shape (n,)."""
        return np.diff(self.starts)


def shingled(texts: pl.Series, *, size: int, unit: Unit = "word") -> Shingles:
    """The shingles of `size` words, or characters, of texts, none of which may be null. No text is without one.

    A text of fewer words is one shingle, all its words; one without any word is one shingle, all its characters.
    Texts are `normalised` before they are taken apart.
    """
    nothing = np.empty(0, np.uint32)

    def block(rows: slice) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        data, spans, table = buffers(texts[rows])
        counts = np.empty(len(spans), np.int64)
        hashes = np.empty(len(data) + len(counts), np.uint64)
        kernels, by_character = _kernels(), unit == "character"
        none = nothing.reshape(0, 0)
        end = kernels.shingle(data, spans, table, size, by_character, nothing, nothing, none, hashes, counts)
        return hashes[:end].copy(), counts

    made = list(each_block(texts.str.len_bytes().to_numpy(), block))
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.concatenate([np.empty(0, np.int64), *(counts for _, counts in made)]), out=starts[1:])
    return Shingles(np.concatenate([np.empty(0, np.uint64), *(hashes for hashes, _ in made)]), starts)


def each_block(sizes: NDArray[Any], work: Callable[[slice], Made]) -> Iterator[Made]:
    """What the work makes of blocks of neighbouring rows, in their order, on all cores.

    `sizes` are the rows' bytes. A block has about as many as one core takes at a time, or one longer row.
    """
    if not len(sizes):
        return
    ends = np.cumsum(sizes, dtype=np.int64)
    most = max(min(_BLOCK, int(ends[-1]) // (2 * cores())), 1)
    (last,) = np.nonzero(np.diff(ends // most, append=-1))
    edges = [0, *(last + 1).tolist()]
    blocks = [slice(begin, end) for begin, end in pairwise(edges)]
    if len(blocks) == 1:
        yield work(blocks[0])
        return
    with ThreadPoolExecutor(cores()) as threads:
        yield from threads.map(work, blocks)


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def buffers(texts: pl.Series) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint32]]:
    """The bytes of texts, where each begins and ends in them, and the classes of all their characters.

    Texts that hold characters which change with their neighbours are composed and lower-cased.
    """
    data, spans = stored(texts)
    table, unsettled = classed(data, spans)
    if unsettled.any():
        (rows,) = np.nonzero(unsettled)
        settled, places = stored(texts.gather(rows).str.normalize("NFC").str.to_lowercase())
        # What they became may be in planes that the texts before were not.
        table, _ = classed(settled, places)
        spans[rows] = places + len(data)
        data = np.concatenate([data, settled])
        data.flags.writeable = False  # as Arrow's are, so that loops are compiled for one kind
    return data, spans, table


def classed(data: NDArray[np.uint8], spans: NDArray[np.int64]) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """The classes of all characters, and which texts hold some that change with their neighbours."""
    table, found = characters.classes(), np.empty(len(spans), np.bool_)
    if missing := _kernels().unsettled(data, spans, table, found):
        table = characters.classes(missing)
        _kernels().unsettled(data, spans, table, found)
    return table, found


def stored(texts: pl.Series) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A copy of the bytes of texts, and where each begins and ends. Shapes (bytes,) and (n, 2)."""
    array: Any = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    starts = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data or b"", np.uint8), np.stack([starts[:-1], starts[1:]], axis=1)


def _kernels() -> Any:
    # Late, because numba takes a third of a second to import.
    from curate.dedup import _kernels as kernels

    return kernels
