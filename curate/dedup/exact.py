"""Finds texts that are equal but for case and white space."""

from __future__ import annotations

import numpy as np
import polars as pl

from curate.dedup import Index, finds
from curate.dedup.shingles import normalised
from curate.dedup.texts import Texts
from curate.keys import text_digests


@finds
def exact(texts: Texts, *, ignore_case: bool = True) -> Index:
    """Texts that are equal but for case, white space and the encoding of accents.

    Nothing else is forgiven: a full stop more, or a superscript for a digit, makes another text.
    """
    return _Equal(texts, ignore_case=ignore_case)


class _Equal(Index):
    note = "texts are compared by the digest of all their characters"

    def __init__(self, texts: Texts, *, ignore_case: bool) -> None:
        # A text is known by the first row that has it.
        numbered = [pl.DataFrame(schema={"row": pl.Int64, "key": pl.String})]
        for rows, block in texts.blocks():
            keys = text_digests(normalised(block, ignore_case=ignore_case))
            numbered.append(pl.DataFrame({"row": rows, "key": keys}))
        every = pl.concat(numbered)
        first = every.select("row", first=pl.col("row").min().over("key"), alone=pl.len().over("key") == 1)
        shared = first.filter(~pl.col("alone"))
        self.groups = np.full(len(texts), -1, np.int64)
        self.groups[shared["row"].to_numpy()] = shared["first"].to_numpy()
        self._kept: dict[int, list[int]] = {}

    def matches(self, row: int) -> list[tuple[int, float]]:
        group = int(self.groups[row])
        return [(kept, 1.0) for kept in self._kept.get(group, ())] if group >= 0 else []

    def keep(self, row: int) -> None:
        self._kept.setdefault(int(self.groups[row]), []).append(row)
