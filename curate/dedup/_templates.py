"""The compiled loops that find shared beginnings and ends of texts, a word at a time."""

from __future__ import annotations

import numpy as np

from curate.dedup._compiled import compiled
from curate.dedup._parts import decoded, finalised, part
from curate.dedup.characters import KIND, LOWER_CASE, SIGN, WORD

_LOWER_CASE = np.uint32(LOWER_CASE)
_KIND = np.uint32(KIND)
# FNV-1a's basis and prime.
_BASIS = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)


@part
def _start(data, place, first, backwards):  # type: ignore[no-untyped-def] # pragma: no cover
    """Where the next character begins: here, or before this place."""
    if backwards:
        place -= 1
        while place > first and data[place] & 0xC0 == 0x80:
            place -= 1
    return place


@part
def _word(data, table, place, first, last, backwards):  # type: ignore[no-untyped-def] # pragma: no cover
    """Where the next word ends, going on from a place or back from it, and its hash: 0 where there is none."""
    hash = np.uint64(0)
    while place > first if backwards else place < last:
        at = _start(data, place, first, backwards)
        point, size = decoded(data, at)
        entry = table[point]
        kind = entry >> _KIND & np.uint32(3)
        if hash and kind != WORD:
            break
        place = at if backwards else at + size
        if WORD <= kind <= SIGN:
            hash = ((hash or _BASIS) ^ np.uint64(entry & _LOWER_CASE)) * _PRIME
            if kind == SIGN:
                break
    return place, hash


@compiled
def step(  # type: ignore[no-untyped-def] # pragma: no cover
    data, table, rows, begins, ends, places, hashes, words, backwards
):
    """Go on by some words in each of the rows, and hash them with those before; say which rows have so many."""
    more = np.zeros(len(rows), np.bool_)
    for number in range(len(rows)):
        row = rows[number]
        place, chain, count = places[row], hashes[row], 0
        while count < words:
            place, hash = _word(data, table, place, begins[row], ends[row], backwards)
            if not hash:
                break
            chain = finalised(finalised(hash) + chain * _PRIME)
            count += 1
        if count == words:
            more[number] = True
            places[row], hashes[row] = place, chain
    return more


@compiled
def counted(hashes):  # type: ignore[no-untyped-def] # pragma: no cover
    """How often each of the hashes occurs among them."""
    slots = 16
    while slots < 2 * len(hashes):
        slots *= 2
    mask = np.uint64(slots - 1)
    keys, counts = np.zeros(slots, np.uint64), np.zeros(slots, np.int64)
    found = np.empty(len(hashes), np.int64)
    for number in range(len(hashes)):
        hash = hashes[number]
        slot = hash & mask
        while counts[slot] and keys[slot] != hash:
            slot = (slot + np.uint64(1)) & mask
        keys[slot] = hash
        counts[slot] += 1
        found[number] = slot
    for number in range(len(hashes)):
        found[number] = counts[found[number]]
    return found
