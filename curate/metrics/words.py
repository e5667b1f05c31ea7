"""Texts as words, numbered so that runs of words can be counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.keys import mix

# Scripts that are written without spaces: each character of theirs is a word.
_UNSPACED: Final = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
WORD: Final = rf"[{_UNSPACED}]|[\p{{L}}\p{{M}}\p{{N}}--[{_UNSPACED}]]+"

# Bytes of text that are taken apart at a time; its words need some ten times as much meanwhile.
_BLOCK: Final = 16_000_000


@dataclass(frozen=True)
class Words:
    """The words of n texts as numbers, equal ones of equal words.

    `codes` has the texts one after another; `starts`, shape (n + 1,), is where each begins.
    """

    codes: NDArray[np.uint32]
    starts: NDArray[np.int64]

    def counts(self) -> NDArray[np.int64]:
        """How many words each text has. Shape (n,)."""
        return np.diff(self.starts)

    def of(self, places: NDArray[np.int64]) -> Words:
        """The words of some of the texts, in that order."""
        counts = self.counts()[places]
        starts = _starts(counts)
        # Where each word lies: the first of its text, and how far behind it.
        at = np.repeat(self.starts[places] - starts[:-1], counts) + np.arange(starts[-1])
        return Words(self.codes[at], starts)


def words_of(texts: pl.Series) -> Words:
    """The words of each text: its runs of letters, marks and digits in lower case; null has none.

    Of scripts written without spaces, each character is a word.
    """
    codes, counts = [np.empty(0, np.uint32)], [np.empty(0, np.int64)]
    # Numbers of words are forgotten when nothing is left that bears them, be it an empty series.
    numbered = pl.Series(dtype=pl.Categorical(pl.Categories.random()))
    for block in blocks(texts):
        found = block.fill_null("").str.to_lowercase().str.extract_all(WORD)
        counts.append(found.list.len().to_numpy().astype(np.int64))
        words = found.explode(empty_as_null=False)
        codes.append(words.cast(numbered.dtype).to_physical().to_numpy().astype(np.uint32))
    return Words(np.concatenate(codes), _starts(np.concatenate(counts)))


def runs(words: Words, n: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Each run of n neighbouring words within a text, hashed to 64 bits, and the number of its text.

    The more often a run occurs, the more often it is there; a text of fewer words has none.
    """
    ends = len(words.codes) - n + 1
    if ends <= 0:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    texts = np.repeat(np.arange(len(words.starts) - 1), words.counts())
    whole = texts[:ends] == texts[n - 1 :]
    at = np.flatnonzero(whole)
    hashed = np.zeros(len(at), np.uint64)
    for step in range(n):
        hashed = mix(pl.Series(hashed ^ words.codes[at + step]), step).to_numpy()
    return hashed, texts[at]


def blocks(texts: pl.Series) -> Iterator[pl.Series]:
    """The texts in blocks of so many bytes, or of one text that has more."""
    sizes = texts.str.len_bytes().fill_null(0).to_numpy().astype(np.int64)
    numbers = np.cumsum(sizes) // _BLOCK
    edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(texts)]
    for begin, end in pairwise(edges):
        if begin < end:
            yield texts[begin:end]


def _starts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    starts = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts
