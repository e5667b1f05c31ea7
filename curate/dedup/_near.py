"""The kept rows of a MinHash pass, and the search among them."""

from __future__ import annotations

import tempfile
import weakref
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.dedup import Index
from curate.dedup._compiled import compiled
from curate.dedup._groups import joined
from curate.dedup._kernels import common as shared_by
from curate.dedup._parts import GOLDEN, finalised
from curate.dedup.shingles import shingled
from curate.dedup.signatures import signed
from curate.dedup.texts import Texts
from curate.errors import PipelineError

Unit = Literal["word", "character"]

# Shingles that wait in memory rather than in a file, in bytes.
_IN_MEMORY: Final = 256 * 2**20

# Counters a shingle of a batch, and how often what is left is counted, each time by other bits. Of shingles that
# one text has alone, four in ten may stay after the first count, and one in four hundred after the third.
_COUNTERS: Final = 2
_ROUNDS: Final = 3


class Near(Index):
    """The kept rows of a MinHash pass, by bucket. `comparisons` counts the pairs whose shingles were compared."""

    def __init__(
        self,
        texts: Texts,
        *,
        shape: tuple[int, Unit],
        num_perm: int,
        banding: tuple[int, int],
        threshold: float,
        contained: bool,
        device: str,
    ) -> None:
        self._texts, self._shape, self._threshold, self._contained = texts, shape, threshold, contained
        self._buckets = _buckets(len(texts), *_band_keys(texts, shape, num_perm, banding, device))
        self.groups = joined(self._buckets, len(texts))
        self._offsets = np.zeros(len(texts), np.int64)
        self._sizes = np.zeros(len(texts), np.int64)

    def prepare(self, batches: NDArray[np.int32]) -> None:
        (asked,) = np.nonzero((batches >= 0) & (self.groups >= 0))
        self._asked = asked[np.argsort(batches[asked], kind="stable")]
        self._firsts = np.searchsorted(batches[self._asked], np.arange(int(batches.max(initial=-1)) + 2))
        self._shingles = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - it lives as long as the index
        weakref.finalize(self, self._shingles.close)
        wanted = self.groups >= 0
        written = 0
        for rows, texts in self._texts.blocks():
            mine = wanted[rows]
            if not mine.any():
                continue
            made = shingled(texts.filter(pl.Series(mine)), size=self._shape[0], unit=self._shape[1])
            self._sizes[rows[mine]] = made.sizes()
            self._offsets[rows[mine]] = written + 8 * made.starts[:-1]
            self._shingles.write(made.hashes.view(np.uint8).data)
            written += made.hashes.nbytes

    def begin(self, batch: int) -> None:
        self._rows = self._asked[self._firsts[batch] : self._firsts[batch + 1]]
        starts = np.zeros(len(self._rows) + 1, np.int64)
        np.cumsum(self._sizes[self._rows], out=starts[1:])
        hashes = np.empty(starts[-1], np.uint64)
        into = hashes.view(np.uint8).data
        places = self._offsets[self._rows].tolist()
        for place, start, end in zip(places, (8 * starts[:-1]).tolist(), (8 * starts[1:]).tolist(), strict=True):
            self._shingles.seek(place)
            self._shingles.readinto(into[start:end])
        # What no second text of the batch has is known by its number alone, and a text with too much of it
        # matches nothing. Two shingles may share a counter; then one stays that need not.
        bits = max(10, int(_COUNTERS * starts[-1]).bit_length())
        for turn in range(_ROUNDS):
            starts = _only_shared(hashes, starts, np.zeros(1 << bits, np.uint8), np.uint64(turn * 13))
        self._starts = starts
        self._hashes = hashes[: starts[-1]].copy()
        self._place = {row: place for place, row in enumerate(self._rows.tolist())}
        numbers = np.unique(self._buckets[:, self._rows], return_inverse=True)[1]
        # Buckets of no second row have the lowest number, which is not looked up.
        has_none = bool((self._buckets[:, self._rows] < 0).any())
        self._near = np.ascontiguousarray(numbers.reshape(len(self._buckets), -1).T) - int(has_none)
        # Kept texts of a bucket are chained by kind: of those with as many shingles, and as many of them shared,
        # none can match for the same reason, so a look at the first is enough.
        kinds = np.stack([self._sizes[self._rows], np.diff(self._starts)])
        self._kinds = np.unique(kinds, axis=1, return_inverse=True)[1].reshape(-1)
        self._heads = np.full(int(self._near.max(initial=-1)) + 1, -1, np.int64)
        self._next = np.full(self._near.size, -1, np.int64)
        self._next_kind = np.full(self._near.size, -1, np.int64)
        self._met = np.full(len(self._rows), -1, np.int64)
        self._counts = self._sizes[self._rows]
        self._found = np.empty(len(self._rows), np.int64)
        self._common = np.empty(len(self._rows), np.int64)

    def matches(self, row: int) -> list[tuple[int, float]]:
        place = self._place[row]
        found, compared = _matches(
            place,
            self._near,
            self._heads,
            self._next,
            self._next_kind,
            self._met,
            self._hashes,
            self._starts,
            self._counts,
            self._threshold,
            self._contained,
            self._found,
            self._common,
        )
        self.comparisons += compared
        if not found:
            return []
        rows, common = self._rows[self._found[:found]], self._common[:found]
        others = self._sizes[rows]
        own = self._sizes[row]
        similarities = common / (np.minimum(own, others) if self._contained else own + others - common)
        return sorted(zip(rows.tolist(), similarities.tolist(), strict=True))

    def keep(self, row: int) -> None:
        _keep(self._place[row], self._near, self._heads, self._next, self._next_kind, self._kinds)


def _band_keys(
    texts: Texts, shape: tuple[int, Unit], num_perm: int, banding: tuple[int, int], device: str
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """The rows that have a text, and what stands for each of their bands. Shapes (m,) and (bands, m)."""
    bands, size = banding
    places, keys = [np.empty(0, np.int64)], [np.empty((bands, 0), np.uint64)]
    for rows, block in texts.blocks():
        signatures = signed(block, size=shape[0], unit=shape[1], num_perm=num_perm, device=device)
        places.append(rows)
        keys.append(_folded(signatures, bands, size))
    return np.concatenate(places), np.concatenate(keys, axis=1)


def _buckets(count: int, places: NDArray[np.int64], keys: NDArray[np.uint64]) -> NDArray[np.int32]:
    """The bucket of each of so many texts in each band, -1 where no other text is in it. Shape (bands, count).

    Numbers go on from band to band, so that a bucket is known by its number alone.
    """
    buckets = np.full((len(keys), count), -1, np.int32)
    used = 0
    for band, own in zip(buckets, keys, strict=True):
        shared = pl.Series(own).is_duplicated().to_numpy()
        distinct, number = np.unique(own[shared], return_inverse=True)
        band[places[shared]] = number + used
        used += len(distinct)
        if used > np.iinfo(np.int32).max:
            raise PipelineError(
                f"{count:,} texts have more buckets than can be numbered",
                where="minhash",
                next="lower num_perm, or deduplicate source by source first",
            )
    return buckets


@compiled
def _folded(signatures, bands, size):  # type: ignore[no-untyped-def] # pragma: no cover
    """What stands for each band of each signature. Shape (bands, n)."""
    keys = np.empty((bands, len(signatures)), np.uint64)
    for text in range(len(signatures)):
        for band in range(bands):
            key = np.uint64(band)
            for each in range(band * size, band * size + size):
                key = finalised((key ^ signatures[text, each]) + GOLDEN)
            keys[band, text] = key
    return keys


@compiled
def _only_shared(hashes, starts, counters, shift):  # type: ignore[no-untyped-def] # pragma: no cover
    """Move the shingles that at least two texts may have to the front; return where each text's then begin."""
    mask = np.uint64(len(counters) - 1)
    for place in range(starts[-1]):
        slot = (hashes[place] >> shift) & mask
        if counters[slot] < 2:
            counters[slot] += 1
    left = np.zeros(len(starts), np.int64)
    end = 0
    for text in range(len(starts) - 1):
        for place in range(starts[text], starts[text + 1]):
            if counters[(hashes[place] >> shift) & mask] > 1:
                hashes[end] = hashes[place]
                end += 1
        left[text + 1] = end
    return left


@compiled
def _keep(place, near, heads, following, next_kind, kinds):  # type: ignore[no-untyped-def] # pragma: no cover
    """Put a text behind the first of its kind in each of its buckets, or make it the first of a kind there."""
    bands = near.shape[1]
    for band in range(bands):
        bucket = near[place, band]
        if bucket < 0:
            continue
        mine = place * bands + band
        first = heads[bucket]
        while first >= 0 and kinds[first // bands] != kinds[place]:
            first = next_kind[first]
        if first >= 0:
            following[mine] = following[first]
            following[first] = mine
        else:
            next_kind[mine] = heads[bucket]
            heads[bucket] = mine


@compiled
def _matches(  # type: ignore[no-untyped-def] # pragma: no cover
    place, near, heads, following, next_kind, met, hashes, starts, sizes, threshold, contained, found, common
):
    """Fill `found` with the places of kept texts that match, and `common` with how many shingles they share."""
    bands = near.shape[1]
    count, compared = 0, 0
    own_size, own_start, own_end = sizes[place], starts[place], starts[place + 1]
    for band in range(bands):
        bucket = near[place, band]
        if bucket < 0:
            continue
        first = heads[bucket]
        entry = np.int64(-1)
        while first >= 0 or entry >= 0:
            if entry < 0:
                entry, other = first, first // bands
                first = next_kind[first]
                # The numbers of shared shingles alone may forbid a whole kind.
                most = min(own_end - own_start, starts[other + 1] - starts[other])
                whole = min(own_size, sizes[other]) if contained else own_size + sizes[other] - most
                if most < threshold * whole * (1 - 1e-12):
                    entry = np.int64(-1)
                    continue
            other = entry // bands
            entry = following[entry]
            if met[other] == place:
                continue
            met[other] = place
            compared += 1
            shared = shared_by(hashes[own_start:own_end], hashes[starts[other] : starts[other + 1]])
            whole = min(own_size, sizes[other]) if contained else own_size + sizes[other] - shared
            if shared / whole >= threshold:
                found[count] = other
                common[count] = shared
                count += 1
    return count, compared
