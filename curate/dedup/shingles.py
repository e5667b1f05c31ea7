"""Texts as sets of shingles: the runs of neighbouring words by which two texts are compared.

A word is a run of letters, marks and digits. Chinese, Japanese, Thai, Lao, Khmer and Burmese are written
without spaces, so there each character is a word. Marks that end a sentence or quote are no words, because
twins differ in them for no reason; all other signs are, because `2 * (3 + 4)` is not `(2 * 3) + 4`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.keys import chained, text_hashes

UNSPACED: Final = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_UNSAID: Final = r"_.,;:!?\"'…“”„‘’«»‹›。、，．；：！？「」『』،؛؟۔।"
_WORD: Final = rf"[{UNSPACED}]|[\p{{L}}\p{{M}}\p{{N}}_--[{UNSPACED}]]+|[\p{{P}}\p{{S}}--[{_UNSAID}]]"

# Characters that are taken apart at a time: their words and shingles need about thirty bytes a character.
_BLOCK: Final = 8_000_000


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

    def only(self, wanted: NDArray[np.bool_]) -> Shingles:
        """The same texts, of which those that are not wanted are emptied to free memory."""
        sizes = self.sizes()
        return Shingles(self.hashes[np.repeat(wanted, sizes)], _starts(np.where(wanted, sizes, 0)))

    def shared(self) -> Shingles:
        """The same texts with only those shingles that at least two of them have."""
        _, number, texts = np.unique(self.hashes, return_inverse=True, return_counts=True)
        wanted = texts[number] > 1
        rows = np.repeat(np.arange(len(self.starts) - 1), self.sizes())
        return Shingles(self.hashes[wanted], _starts(np.bincount(rows[wanted], minlength=len(self.starts) - 1)))


def shingled(texts: Sequence[str], size: int) -> Shingles:
    """The shingles of `size` words of each text. No text is without one.

    A text of fewer words is one shingle, all its words; one without any word is one shingle, itself.
    """
    made = [_block(block, size) for block in _blocks(texts)]
    if not made:
        return Shingles(np.empty(0, np.uint64), np.zeros(1, np.int64))
    return Shingles(
        np.concatenate([block.hashes for block in made]),
        _starts(np.concatenate([block.sizes() for block in made])),
    )


def _starts(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    starts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    return starts


def _blocks(texts: Sequence[str]) -> Iterator[pl.Series]:
    first = chars = 0
    for place, text in enumerate(texts):
        chars += len(text)
        if chars >= _BLOCK:
            yield pl.Series(texts[first : place + 1], dtype=pl.String)
            first, chars = place + 1, 0
    if first < len(texts):
        yield pl.Series(texts[first:], dtype=pl.String)


def _block(texts: pl.Series, size: int) -> Shingles:
    texts = normalised(texts)
    words = texts.str.extract_all(_WORD)
    hashes = _word_hashes(words)
    lengths = words.list.len().to_numpy().astype(np.int64)
    starts = _starts(lengths)[:-1]

    # First the texts that are one shingle, length by length, then all full windows of the long ones.
    rows, found = [], []
    for length in range(size):
        (short,) = np.nonzero(lengths == length)
        if len(short):
            rows.append(short)
            parts = [hashes[starts[short] + place] for place in range(length)]
            found.append(chained(parts) if parts else text_hashes(texts.gather(short).to_list()))
    windows = np.maximum(lengths - size + 1, 0)
    row = np.repeat(np.arange(len(texts)), windows)
    if len(row):
        begin = np.arange(len(row)) - np.repeat(_starts(windows)[:-1] - starts, windows)
        every = chained([hashes[place : len(hashes) - size + 1 + place] for place in range(size)])
        rows.append(row)
        found.append(every[begin])
    return _sets(np.concatenate(rows), np.concatenate(found), len(texts))


def _word_hashes(words: pl.Series) -> NDArray[np.uint64]:
    """The hash of each word, text after text."""
    flat = words.explode(empty_as_null=False)
    distinct = flat.unique()
    if distinct.is_empty():
        return np.empty(0, np.uint64)
    hashes = pl.Series(text_hashes(distinct.to_list()))
    return flat.replace_strict(distinct, hashes, return_dtype=pl.UInt64).to_numpy()


def _sets(rows: NDArray[np.int64], hashes: NDArray[np.uint64], n: int) -> Shingles:
    order = np.lexsort((hashes, rows))
    rows, hashes = rows[order], hashes[order]
    new = np.ones(len(rows), np.bool_)
    new[1:] = (rows[1:] != rows[:-1]) | (hashes[1:] != hashes[:-1])
    return Shingles(hashes[new], _starts(np.bincount(rows[new], minlength=n)))
