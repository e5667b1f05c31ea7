"""The texts that one pass of deduplication looks at, a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

# Text that is looked at together, in bytes; what a method makes of it takes a few times as much.
BLOCK_BYTES: Final = 16 * 2**20

Block = tuple[NDArray[np.int64], pl.Series]


class Texts:
    """The texts of n rows, in the order in which rows are decided: row 0 is the most preferred.

    They are read in blocks, in any order of rows, and as often as they are asked for; so millions of them need
    not fit into memory. A row without a text, or with nothing but white space, is in no block. `sizes`, shape
    (n,), are bytes, known once the blocks were read. The first `references` rows are those of another set: they
    stay whatever happens, and the others are compared with them alone.
    """

    def __init__(self, count: int, read: Callable[[], Iterable[Block]], *, references: int = 0) -> None:
        self._count, self._read = count, read
        self.sizes: NDArray[np.int64] = np.zeros(count, np.int64)
        self.references = references

    @classmethod
    def of(cls, texts: Iterable[str | None]) -> Texts:
        """The texts at hand, in their order."""
        every = pl.Series(texts, dtype=pl.String)
        return cls(len(every), lambda: [(np.arange(len(every)), every)])

    def __len__(self) -> int:
        return self._count

    def blocks(self) -> Iterator[Block]:
        """Rows and their texts, in blocks of some megabytes."""
        for read, found in self._read():
            rows, texts = read, found
            # The first character that is no white space ends the search; taking white space off copies the text.
            said = texts.str.contains(r"\S").fill_null(value=False)
            if not said.all():
                rows, texts = rows[said.to_numpy()], texts.filter(said)
            sizes = texts.str.len_bytes().to_numpy().astype(np.int64)
            self.sizes[rows] = sizes
            block = np.cumsum(sizes) // BLOCK_BYTES
            for piece in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(block)) + 1):
                if len(piece):
                    yield rows[piece], texts.slice(int(piece[0]), len(piece))

    def all(self) -> pl.Series:
        """All texts by row; null where there is none. Shape (n,)."""
        read = list(self.blocks())
        if not read:
            return pl.Series([None] * self._count, dtype=pl.String)
        rows = np.concatenate([rows for rows, _ in read])
        place = np.full(self._count, -1, np.int64)
        place[rows] = np.arange(len(rows))
        texts = pl.concat([texts for _, texts in read], rechunk=True)
        return texts.gather(pl.Series(place).replace(-1, None))
