"""The kept rows of an n-gram pass, by the runs of words that they share with others."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.dedup import Index
from curate.dedup._compiled import compiled
from curate.dedup._groups import linked
from curate.dedup.ngram import WORD
from curate.dedup.shingles import shingled
from curate.dedup.texts import Texts

# Counters in which runs that no second row has are told apart before the others are sorted, as a power of two.
# Four are in a byte; there are some eight a run, and 512 MB of them at most.
_FEWEST_COUNTERS: Final = 12
_MOST_COUNTERS: Final = 31

# Hashes of runs that wait in memory rather than in a file, in bytes.
_IN_MEMORY: Final = 256 * 2**20


class Runs(Index):
    """The kept rows, in lists by shared run. `comparisons` counts the pairs whose runs were compared.

    A match shares so many of the shorter text's runs that one of its rarest must be among them. So rows are looked
    up by their own rarest runs in the lists of all kept rows, and by the rest only in lists by the rarest runs of
    those: what a template brings into every row is not looked up where it cannot be enough. Nothing is lost by it.

    Where texts are compared with references, these alone are in the lists, and of runs only those that a reference
    and another text have.
    """

    def __init__(self, texts: Texts, *, n: int, min_share: float, short: bool, max_rows: int) -> None:
        held = _held(texts, n, max_rows, short=short)
        self.note = f"runs of {n} words"
        self._references = texts.references
        if held.common:
            kind = "references" if texts.references else "rows"
            self.note += f"; {held.common:,} runs that more than {max_rows:,} {kind} share were left out"
        shared = np.diff(held.starts)
        required = np.maximum(1, np.ceil(min_share * held.sizes - 1e-9)).astype(np.int64)
        # Runs that no second row has are the rarest of all.
        rarest = np.clip(shared - required + 1, 0, shared)
        self._sizes, self._required, self._rarest = held.sizes, required, rarest
        self._labels, self._starts = held.labels, held.starts
        self._heads = np.full((2, held.distinct), -1, np.int64)
        self._following = np.full((2, len(held.labels)), -1, np.int64)
        self._owner = np.repeat(np.arange(len(texts)), shared)
        firsts = np.zeros(held.distinct, np.int64)
        firsts[held.labels[::-1]] = self._owner[::-1]
        self.groups = linked(self._owner, firsts[held.labels], len(texts))
        self._met = np.full(len(texts), -1, np.int64)
        self._found = np.empty(len(texts), np.int64)
        self._common = np.empty(len(texts), np.int64)

    def matches(self, row: int) -> list[tuple[int, float]]:
        if row < self._references:
            return []
        found, compared = _matches(
            row,
            self._labels,
            self._starts,
            self._sizes,
            self._required,
            self._rarest,
            self._heads,
            self._following,
            self._owner,
            self._met,
            self._found,
            self._common,
        )
        self.comparisons += compared
        if not found:
            return []
        rows = self._found[:found]
        shares = self._common[:found] / np.minimum(self._sizes[row], self._sizes[rows])
        return sorted(zip(rows.tolist(), shares.tolist(), strict=True))

    def keep(self, row: int) -> None:
        if row < self._references or not self._references:
            _keep(row, self._labels, self._starts, self._rarest, self._heads, self._following)


class _Held(NamedTuple):
    """The runs of n rows by which two of them can match, as numbers: the fewer rows it is kept of, the lower.

    `labels` has the rows one after another, ascending in each; `starts`, shape (n + 1,), is where each begins.
    `sizes` counts all runs of a row but the `common`.
    """

    labels: NDArray[np.int64]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    distinct: int
    common: int


def _held(texts: Texts, n: int, max_rows: int, *, short: bool) -> _Held:
    rows, hashes, sizes, again = _repeated(texts, n, short=short)
    order = np.argsort(hashes, kind="stable")
    rows, hashes = rows[order], hashes[order]
    first = np.flatnonzero(np.diff(hashes, prepend=~hashes[:1]))
    ends = np.append(first, len(hashes))
    counts = kept = np.diff(ends)
    common = counts > max_rows
    if texts.references:
        # However many others copied a reference, it is what they are looked through for.
        known = rows < texts.references
        kept = _tally(known, ends)
        common = _tally(known & ~again[rows], ends) > max_rows
    everyones = np.repeat(common, counts)
    lost = np.bincount(rows[everyones], minlength=len(texts))

    wanted = (kept > 0) & (kept < counts) if texts.references else counts > 1
    wanted &= ~common
    labels = np.full(len(counts), -1, np.int64)
    (of,) = np.nonzero(wanted)
    labels[of[np.argsort(kept[of], kind="stable")]] = np.arange(len(of))
    numbered = np.repeat(labels, counts)
    distinct = len(of)

    # A row of which everything is common is compared whole, so that it still matches its equals.
    bare = (sizes > 0) & (sizes == lost)
    whole_rows, whole, kinds = _wholes(rows, hashes, bare, sizes)
    sizes = np.where(bare, 1, sizes - lost)
    rows = np.concatenate([rows[numbered >= 0], whole_rows])
    numbered = np.concatenate([numbered[numbered >= 0], distinct + whole])
    order = np.lexsort((numbered, rows))
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=len(texts)), out=starts[1:])
    return _Held(numbered[order], starts, sizes, distinct + kinds, int(common.sum()))


def _tally(counted: NDArray[np.bool_], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many are counted between each end and the next."""
    return np.diff(np.append(0, np.cumsum(counted))[ends])


def _repeated(
    texts: Texts, n: int, *, short: bool
) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.int64], NDArray[np.bool_]]:
    """Row and hash of each run that a second row may have too, or a reference where there are some.

    And how many runs each row has, and which rows are references with the runs of another. Shapes (n,).
    """
    references = texts.references
    sizes = np.zeros(len(texts), np.int64)
    blocks = []
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        for places, block in texts.blocks():
            made = shingled(block, size=n)
            own, hashes = made.sizes(), made.hashes
            if not short:
                few = _short(block, own, n)
                own, hashes = np.where(few, 0, own), hashes[~np.repeat(few, own)]
            sizes[places] = own
            file.write(hashes.tobytes())
            blocks.append(places)
        total = int(sizes[: references or None].sum())
        power = min(max(total.bit_length() + 3, _FEWEST_COUNTERS), _MOST_COUNTERS)
        counters = np.zeros(1 << (power - 2), np.uint8)
        sums = np.zeros(references, np.uint64)
        for places, hashes in _read(file, blocks, sizes):
            if references:
                known = places < references
                theirs = hashes[np.repeat(known, sizes[places])]
                _count(theirs, counters)
                _sum(theirs, places[known], sizes, sums)
            else:
                _count(hashes, counters)
        least = 1 if references else 2
        rows, kept = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
        for places, hashes in _read(file, blocks, sizes):
            again = _again(hashes, counters, least)
            rows.append(np.repeat(places, sizes[places])[again])
            kept.append(hashes[again])
    # Hashes of runs are spread evenly, and so is their sum; runs are distinct in a row.
    alike = np.zeros(len(texts), np.bool_)
    alike[:references] = True
    alike[np.unique(np.stack([sums, sizes[:references].astype(np.uint64)]), axis=1, return_index=True)[1]] = False
    return np.concatenate(rows), np.concatenate(kept), sizes, alike


def _short(texts: pl.Series, sizes: NDArray[np.int64], n: int) -> NDArray[np.bool_]:
    """Which texts have fewer than n words: these have one shingle, and others may have no more."""
    few = np.zeros(len(texts), np.bool_)
    (single,) = np.nonzero(sizes == 1)
    words = texts.gather(single).str.normalize("NFC").str.count_matches(WORD)
    few[single] = (words < n).to_numpy()
    return few


def _read(
    file: IO[bytes], blocks: list[NDArray[np.int64]], sizes: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint64]]]:
    """Block by block, the rows and the hashes of all their runs."""
    file.seek(0)
    for places in blocks:
        yield places, np.frombuffer(file.read(8 * int(sizes[places].sum())), np.uint64)


def _wholes(
    rows: NDArray[np.int64], hashes: NDArray[np.uint64], bare: NDArray[np.bool_], sizes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Each bare row that has all its runs in common with another bare row, and the number of what they have."""
    mine = bare[rows]
    order = np.argsort(rows[mine], kind="stable")
    owners, own = rows[mine][order], hashes[mine][order]
    first = np.flatnonzero(np.diff(owners, prepend=-1))
    if not len(first):
        return np.empty(0, np.int64), np.empty(0, np.int64), 0
    # As above, rows of equal sums have equal runs.
    sums = np.stack([np.add.reduceat(own, first), sizes[owners[first]].astype(np.uint64)])
    number, counts = np.unique(sums, axis=1, return_inverse=True, return_counts=True)[1:]
    return owners[first], number.reshape(-1).astype(np.int64), len(counts)


@compiled
def _count(hashes, counters):  # type: ignore[no-untyped-def] # pragma: no cover
    """Count each hash as none, one, or more."""
    mask = np.uint64(4 * len(counters) - 1)
    for hash in hashes:
        slot = hash & mask
        byte, shift = slot >> np.uint64(2), np.uint8(slot & np.uint64(3)) * 2
        if counters[byte] >> shift & 3 < 2:
            counters[byte] += np.uint8(1 << shift)


@compiled
def _again(hashes, counters, least):  # type: ignore[no-untyped-def] # pragma: no cover
    """Whether as many rows as were counted may have each run: two that share a counter are taken for one."""
    mask = np.uint64(4 * len(counters) - 1)
    found = np.empty(len(hashes), np.bool_)
    for place in range(len(hashes)):
        slot = hashes[place] & mask
        found[place] = counters[slot >> np.uint64(2)] >> (np.uint8(slot & np.uint64(3)) * 2) & 3 >= least
    return found


@compiled
def _sum(hashes, rows, sizes, sums):  # type: ignore[no-untyped-def] # pragma: no cover
    """The sum of the hashes of each of the rows, one after another."""
    place = 0
    for row in rows:
        for _ in range(sizes[row]):
            sums[row] += hashes[place]
            place += 1


@compiled
def _keep(row, labels, starts, rarest, heads, following):  # type: ignore[no-untyped-def] # pragma: no cover
    for place in range(starts[row], starts[row + 1]):
        label = labels[place]
        following[0, place] = heads[0, label]
        heads[0, label] = place
        if place < starts[row] + rarest[row]:
            following[1, place] = heads[1, label]
            heads[1, label] = place


@compiled
def _matches(  # type: ignore[no-untyped-def] # pragma: no cover
    row, labels, starts, sizes, required, rarest, heads, following, owner, met, found, common
):
    """Fill `found` with the kept rows that match, and `common` with how many runs they share."""
    count, compared = 0, 0
    own_start, own_end = starts[row], starts[row + 1]
    for place in range(own_start, own_end):
        lists = 0 if place < own_start + rarest[row] else 1
        entry = heads[lists, labels[place]]
        while entry >= 0:
            other = owner[entry]
            entry = following[lists, entry]
            if met[other] == row:
                continue
            met[other] = row
            compared += 1
            shared = 0
            one, two, end = own_start, starts[other], starts[other + 1]
            while one < own_end and two < end:
                if labels[one] == labels[two]:
                    shared += 1
                    one += 1
                    two += 1
                elif labels[one] < labels[two]:
                    one += 1
                else:
                    two += 1
            if shared >= (required[row] if sizes[row] <= sizes[other] else required[other]):
                found[count] = other
                common[count] = shared
                count += 1
    return count, compared
