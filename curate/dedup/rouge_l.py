"""Finds texts that have most of their words in common, in the same order.

ROUGE-L (Lin, "ROUGE: A package for automatic evaluation of summaries", 2004, §3): of two texts of m and n words
whose longest common subsequence has L, the F1 of L/m and L/n, which is 2L/(m + n). Self-Instruct and Alpaca take
an instruction for new by it (self_instruct/bootstrap_instructions.py; generate_instruction.py).

No pair is missed, and few are compared. A common subsequence is no longer than what two texts share in any order,
so the filters of exact set-similarity joins hold. Texts that exceed the threshold have a word in common that is
among the rarest of each (prefix filter: Bayardo, Ma and Srikant, "Scaling up all pairs similarity search", 2007)
and comes early enough in both to leave room for what else must be (positional filter: Xiao et al., "Efficient
similarity joins for near duplicate detection", 2008), and signatures of their words differ in few bits (Sandes,
Teodoro and Melo, "Bitmap filter", 2020). Of what is left the subsequence is computed, by Hyyrö's additions
("Bit-parallel LCS-length computation revisited", 2004).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from curate.dedup import Index, finds
from curate.dedup.texts import Texts
from curate.dedup.words import Worded, Words, worded
from curate.errors import PipelineError

# Rows whose candidates are sought at a time. With more there is less to prepare; but rows of one template meet one
# another here, before it is known which of them is kept.
_ROWS: Final = 1024

# Words in common that are met at a time, some 60 bytes each; more, if the index is larger, since each time it is
# gone through: 416,016 rows took 86 s with a fixed number and 45 s so, in no more memory.
_MET: Final = 500_000

# Bits of a signature for each word of a text of mean length. With fewer, more is computed in vain: of the 52,002
# responses of Alpaca 299,071 subsequences with 6 bits, 13,931 with 10, 4,769 with 16, of which 3,052 are matches.
_BITS: Final = 10

# Eight bytes of signatures that are compared at a time: they stay in a core's second-level cache.
_STEP: Final = 32_768

# From so many others on, a text of at most 64 words is compared with all of them at once.
_MANY: Final = 32

# Pruning goes by a threshold that is lower than the true one by more than its arithmetic can err.
_SLACK: Final = 1e-9


@finds
def rouge_l(texts: Texts, *, threshold: float = 0.7, words: Words = "any") -> Index:
    """Texts whose ROUGE-L F1 exceeds `threshold`: most of their words are the same, in the same order.

    The threshold itself is not too much, as published. With words = "latin", as published, only a-z and 0-9 make
    words, so that Korean or Chinese text matches nothing. "any" knows all scripts, and is the same for ASCII. A
    text without a word matches nothing.

    Raises `PipelineError` when the threshold is out of its range.
    """
    if not 0 < threshold < 1:
        raise PipelineError(
            f"{threshold} is no F1 that some pairs exceed and others do not",
            where="rouge_l, key threshold",
            next="give a number above 0 and below 1; 0.7 is published",
        )
    every = texts.all()
    index = Alike(worded(every.fill_null("").to_list(), words), threshold)
    index.groups[every.is_null().to_numpy()] = -1
    return index


def f1(common: NDArray[np.int64], own: np.int64, others: NDArray[np.int64]) -> NDArray[np.float64]:
    """The F1 of common subsequences of a text and others of so many words, to the last bit that of rouge_score.

    Published rules compare that with 0.7 (scoring.py, fmeasure). Seven words common to 10 and 10 make 0.7, which
    stays; seven common to 11 and 9 make the next number above it, which goes.
    """
    precision, recall = common / others, common / own
    # Where nothing is common, any divisor makes 0.
    return np.asarray(2 * precision * recall / np.where(common > 0, precision + recall, 1))


class Alike(Index):
    """The kept rows of a ROUGE-L pass. Rows are asked for in their order.

    `comparisons` counts the pairs whose longest common subsequence was computed.
    """

    def __init__(self, texts: Worded, threshold: float) -> None:
        self._texts, self._sizes, self._threshold = texts, texts.sizes(), threshold
        self._candidates = _Candidates(texts, threshold * (1 - _SLACK))
        self._masks = np.zeros(texts.distinct, np.uint64)
        self._kept = np.zeros(len(self._sizes), np.bool_)
        # Any two texts may match, and candidates are sought for the next rows at once: one group, in its order.
        self.groups = np.zeros(len(self._sizes), np.int64)
        self.note = f"every pair that can exceed an F1 of {threshold} was compared"

    def matches(self, row: int) -> list[tuple[int, float]]:
        others = self._candidates.of(row, self._kept)
        if not len(others):
            return []
        self.comparisons += len(others)
        similarities = f1(self._common(row, others), self._sizes[row], self._sizes[others])
        above = similarities > self._threshold
        return list(zip(others[above].tolist(), similarities[above].tolist(), strict=True))

    def keep(self, row: int) -> None:
        self._kept[row] = True

    def _common(self, row: int, others: NDArray[np.int64]) -> NDArray[np.int64]:
        """The length of the longest common subsequence of a row and each of the others."""
        # Of each word, the places at which the row has it, as bits.
        masks: dict[int, int] = {}
        for place, word in enumerate(self._texts.of(row).tolist()):
            masks[word] = masks.get(word, 0) | 1 << place
        every = (1 << int(self._sizes[row])) - 1
        if len(others) >= _MANY and every.bit_length() <= 64:
            return self._common_at_once(masks, every, others)
        common = []
        for other in others.tolist():
            met = [masks[word] for word in self._texts.of(other).tolist() if word in masks]
            common.append((every & ~_unmatched(met, every)).bit_count())
        return np.array(common, np.int64)

    def _common_at_once(self, masks: dict[int, int], every: int, others: NDArray[np.int64]) -> NDArray[np.int64]:
        sizes = self._sizes[others]
        column = np.repeat(np.arange(len(others)), sizes)
        place = np.arange(len(column)) - (np.cumsum(sizes) - sizes)[column]
        self._masks[list(masks)] = np.array(list(masks.values()), np.uint64)
        met = np.zeros((int(sizes.max()), len(others)), np.uint64)
        met[place, column] = self._masks[self._texts.words[self._texts.starts[others][column] + place]]
        self._masks[list(masks)] = 0
        left = _unmatched(met, np.full(len(others), every, np.uint64))
        return np.asarray(np.bitwise_count(np.uint64(every) & ~left), np.int64)


def _unmatched(masks: Iterable[Any], left: Any) -> Any:
    """The places, as bits, of a text that a longest common subsequence leaves out; bits beyond it mean nothing.

    `left` is all of them; `masks` are, for each word of the other text, the places at which this text has it:
    whole numbers, or arrays of them for several other texts.
    """
    for mask in masks:
        met = left & mask
        left = (left + met) | (left - met)
    return left


class _Candidates:
    """For each row, the rows before it that may reach the threshold: all that do, and few others."""

    def __init__(self, texts: Worded, least: float) -> None:
        self._least, self._sizes = least, texts.sizes()
        rows, words, nth = _bags(texts)
        met = words >= texts.unshared
        # Another factor than 17 would do, if not 1: the second "to" is not to have the bit of the next word.
        self._sign(rows[met], (words + 17 * nth)[met])

        # The fewest words of a match, all of them in common; so at which places the first in common may be, which
        # is always the first of its kind.
        self._fewest = np.ceil(least / (2 - least) * self._sizes).astype(np.int64)
        place = np.arange(len(rows)) - texts.starts[rows]
        first = met & (nth == 0) & (place <= (self._sizes - self._fewest)[rows])
        # Besides, each text that has a word has one more, common to all, by which any finds any.
        (said,) = np.nonzero(self._sizes)
        entries = np.concatenate([rows[first], said.astype(np.int32)])
        order = np.argsort(entries, kind="stable")
        self._rows = entries[order]
        words = np.concatenate([words[first], np.full(len(said), texts.distinct)])[order]
        place = np.concatenate([place[first], np.zeros(len(said), np.int64)])[order]
        self._any = words == texts.distinct
        self._begins: NDArray[np.int64] = np.searchsorted(self._rows, np.arange(len(self._sizes) + 1))
        sizes, most = self._sizes[self._rows], int(self._sizes.max(initial=0))
        # The most words of a match, if this word is the first in common.
        self._largest = np.minimum(2 * (sizes - place) / least - sizes, most).astype(np.int64)
        # A word, and the number of words of a text that has it: a range of numbers for each word.
        self._keys = words * (most + 1)
        self._order = np.argsort(self._keys + sizes, kind="stable")
        self._found: NDArray[np.int64] = np.empty(0, np.int64)
        self._begin = self._end = 0

    def _sign(self, rows: NDArray[np.int32], bits: NDArray[np.int64]) -> None:
        count = len(self._sizes)
        width = max(1, round(_BITS * len(rows) / max(count, 1) / 64))
        bits = bits % (64 * width)
        self._signatures = np.zeros((count, width), np.uint64)
        np.bitwise_or.at(self._signatures, (rows, bits // 64), np.uint64(1) << (bits % 64).astype(np.uint64))
        self._signed = np.bincount(rows, minlength=count)

    def of(self, row: int, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The candidates of a row that are kept by now."""
        if not self._begin <= row < self._end:
            self._seek(row, kept)
        begin, end = self._spans[row - self._begin : row - self._begin + 2]
        found = self._found[begin:end]
        return found[kept[found]]

    def _seek(self, row: int, kept: NDArray[np.bool_]) -> None:
        """Find the candidates of the next rows, among those kept so far and these rows themselves."""
        end = min(row + _ROWS, len(self._sizes))
        known = kept.copy()
        known[row:end] = True
        index = self._order[known[self._rows[self._order]]]
        keys = self._keys[index] + self._sizes[self._rows[index]]

        asked = slice(self._begins[row], self._begins[end])
        rows = self._rows[asked]
        first = np.searchsorted(keys, self._keys[asked] + self._fewest[rows])
        after = np.searchsorted(keys, self._keys[asked] + self._largest[asked], "right")
        counts = np.maximum(after - first, 0)
        # A row meets others by its rare words, or all others if they are fewer than those meetings.
        every = self._any[asked]
        by_words = np.bincount(rows[~every] - row, counts[~every], end - row)
        in_all = np.bincount(rows[every] - row, counts[every], end - row)
        counts[every != (in_all < by_words)[rows - row]] = 0
        met = np.cumsum(counts)
        most = max(_MET, len(self._keys))
        if len(met) and met[-1] > most:
            end = max(int(rows[np.searchsorted(met, most)]), row + 1)
            fit = int(np.searchsorted(rows, end))
            rows, first, counts, met = rows[:fit], first[:fit], counts[:fit], met[:fit]

        rows = np.repeat(rows, counts)
        places = index[np.repeat(first - (met - counts), counts) + np.arange(len(rows))]
        others = self._rows[places]
        able = (others < rows) & (self._largest[places] >= self._sizes[rows])
        rows, others = self._similar(rows[able], others[able])
        # A pair is met at each of its common words.
        pairs = np.sort((rows - row) * np.int64(len(self._sizes)) + others)
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]
        self._found = pairs % len(self._sizes)
        self._spans = np.searchsorted(pairs, np.arange(end - row + 1) * len(self._sizes))
        self._begin, self._end = row, end

    def _similar(
        self, rows: NDArray[np.int32], others: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Those pairs whose signatures do not rule out that they reach the threshold."""
        different = np.empty(len(rows), np.int64)
        step = max(1, _STEP // self._signatures.shape[1])
        for begin in range(0, len(rows), step):
            pairs = slice(begin, begin + step)
            bits = self._signatures[rows[pairs]] ^ self._signatures[others[pairs]]
            different[pairs] = np.bitwise_count(bits).sum(axis=1, dtype=np.int64)
        # Each bit in which they differ is a word that only one of them has.
        common = self._signed[rows] + self._signed[others] - different
        able = common >= self._least * (self._sizes[rows] + self._sizes[others])
        return rows[able], others[able]


def _bags(texts: Worded) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """The words of each text, its rarest first: whose each is, its number, and how often it came before."""
    rows = np.repeat(np.arange(len(texts.starts) - 1, dtype=np.int32), texts.sizes())
    both = (rows.astype(np.int64) << 32) | texts.words
    both.sort()
    at = np.arange(len(both))
    begins = np.maximum.accumulate(np.where(np.diff(both, prepend=-1) > 0, at, 0))
    return rows, both & 0xFFFFFFFF, at - begins
