"""Texts as sequences of words, numbered by how rare they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.dedup.shingles import UNSPACED, normalised

Words = Literal["any", "latin"]

# The tokeniser of google-research/rouge, rouge_score/tokenize.py, without a stemmer.
_LATIN: Final = "[a-z0-9]+"

# Finds the same words as the other in text of ASCII.
_ANY: Final = rf"[{UNSPACED}]|[\p{{L}}\p{{M}}\p{{N}}--[{UNSPACED}]]+"


def words_of(texts: pl.Series, words: Words) -> pl.Series:
    """The words of each text, in their order and in lower case: a list a text.

    `latin`: runs of a-z and 0-9; any other character parts two words, so that `café` is `caf`, and a text in
    Korean or Chinese has no word at all. `any`: runs of letters, marks and digits of all scripts; of scripts
    written without spaces, each character is a word.
    """
    if words == "latin":
        return texts.str.to_lowercase().str.extract_all(_LATIN)
    return normalised(texts).str.extract_all(_ANY)


@dataclass(frozen=True)
class Worded:
    """The words of n texts, as numbers: the rarer a word in all texts together, the lower its number.

    `words` has the texts one after another; `starts`, shape (n + 1,), is where each begins. Of the `distinct`
    words, those below `unshared` occur only once.
    """

    words: NDArray[np.int32]
    starts: NDArray[np.int64]
    distinct: int
    unshared: int

    def of(self, row: int) -> NDArray[np.int32]:
        """The words of one text, in their order."""
        return self.words[self.starts[row] : self.starts[row + 1]]

    def sizes(self) -> NDArray[np.int64]:
        """How many words each text has. Shape (n,)."""
        return np.diff(self.starts)


def worded(texts: Sequence[str], words: Words) -> Worded:
    """The words of each text as numbers."""
    found = words_of(pl.Series(texts, dtype=pl.String), words)
    starts = np.zeros(len(found) + 1, np.int64)
    np.cumsum(found.list.len().to_numpy(), out=starts[1:])
    flat = found.explode(empty_as_null=False).alias("word")
    counted = flat.value_counts().sort("count", "word")
    numbers = pl.int_range(counted.height, dtype=pl.Int32, eager=True)
    # Where there is no word to replace, what replaces it has no say in the type.
    numbered = flat.replace_strict(counted["word"], numbers).cast(pl.Int32)
    return Worded(
        numbered.to_numpy(),
        starts,
        distinct=counted.height,
        unshared=counted.filter(pl.col("count") == 1).height,
    )
