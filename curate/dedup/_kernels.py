"""The compiled loops of MinHash: from the bytes of texts to hashes of their shingles, and on to signatures.

A shingle's hash is made in one pass over a text: 64 bytes at a time are lower-cased and their words found as bits,
then words are hashed eight bytes at a time, and neighbouring words combined by a polynomial that rolls along.
Arithmetic is modulo 2^64 throughout. All loops leave Python's lock, and are kept compiled where a cache folder
can be written. The module's name begins with an underscore, so that a list of methods does not import numba.
"""

# numba finds the types of what it compiles, and calls to small functions would only hide what a loop does.
# mypy: ignore-errors
# ruff: noqa: C901, PLR0912, PLR0915

from __future__ import annotations

from typing import Final

import numpy as np

from curate.dedup._compiled import compiled
from curate.dedup._parts import GOLDEN, ONE, TWO, decoded, finalised, part
from curate.dedup._wide import WIDTH, classed, eight, lowest_bit, ones, permute
from curate.dedup.characters import BLANK, KIND, LOWER_CASE, PLANE, RANK, SIGN, UNSETTLED, WORD

# Shingles permuted before the next permutations: 16 KB, which stay in a core's first-level cache.
_CACHED: Final = 4096

# So few hashes are sorted one by one.
_FEW: Final = 32

# An odd factor of the finaliser of MurmurHash3.
_THREE: Final = np.uint64(0xFF51AFD7ED558CCD)

_LOWER_CASE: Final = np.uint32(LOWER_CASE)
_UNSETTLED: Final = np.uint32(UNSETTLED)
_KIND: Final = np.uint32(KIND)
_RANK: Final = np.uint32(RANK)
_EVERY: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
_NOT_ASCII: Final = np.uint64(0x8080808080808080)
_NONE: Final = np.uint64(0)
# For a literal 0, or a literal True below, numba would compile what it is given to once more.
_FIRST: Final = np.int64(0)
_BIT: Final = np.uint64(1)


@part
def _encoded(point, into, at):
    """Write a code point; return where the next begins."""
    if point < 0x80:
        into[at] = point
        return at + 1
    size = 2 if point < 0x800 else 3 if point < 0x10000 else 4
    into[at] = (0xF00 >> size) & 0xFF | point >> 6 * (size - 1)
    for more in range(1, size):
        into[at + more] = 0x80 | point >> 6 * (size - 1 - more) & 0x3F
    return at + size


@compiled
def unsettled(data, spans, table, found):
    """Mark in `found` the texts to compose and lower-case as a whole; return what planes the table lacks."""
    missing = np.int64(0)
    for row in range(len(spans)):
        place, end, before = spans[row, 0], spans[row, 1], np.uint32(0)
        found[row] = False
        while place < end:
            if place + 8 <= end and not eight(np.int64(data.ctypes.data) + place) & _NOT_ASCII:
                place += 8
                before = np.uint32(0)
                continue
            point, size = decoded(data, place)
            place += size
            if point < 0x80:
                before = np.uint32(0)
                continue
            entry = table[point]
            rank = np.uint32(entry >> _RANK)
            if not entry:
                missing |= 1 << point // PLANE
            elif entry & _UNSETTLED or 0 < rank < before:
                found[row] = True
            before = rank
    return missing


@part
def _places(bits, at, into, count):
    """Add the places of all bits that are set; return how many there are then."""
    place = count
    total = count + ones(bits)
    while bits:
        # Eight at a time, of which some may be none: guessing their number wrong costs more.
        for more in range(8):
            into[place + more] = at + lowest_bit(bits)
            bits &= bits - _BIT
        place += 8
    return total


@part
def _words(data, place, end, table, by_character, lowered, starts, ends, tail):
    """Lower-case a text; where its words start and end in that; how many there are."""
    at, begun, ended, inside, sign, gap = _FIRST, _FIRST, _FIRST, _NONE, _NONE, False
    target = np.int64(lowered.ctypes.data)
    while place < end:
        if not by_character:
            # As many of the next 64 bytes as come before a character that is not ASCII.
            size = min(end - place, 64)
            source = np.int64(data.ctypes.data) + place
            if place + 64 > len(data):
                for more in range(size):
                    tail[more] = data[place + more]
                source = np.int64(tail.ctypes.data)
            words, signs, beyond = classed(source, target + at)
            size = min(size, lowest_bit(beyond))
            if size:
                last = np.uint64(size - 1)
                every = _EVERY >> (np.uint64(63) - last)
                words &= every
                signs &= every
                was_inside = words << _BIT | inside
                was_sign = signs << _BIT | sign
                begun = _places(words & ~was_inside | signs, at, starts, begun)
                ended = _places((was_inside & ~words | was_sign) & every, at, ends, ended)
                inside = words >> last & _BIT
                sign = signs >> last & _BIT
                at += size
                place += size
        while place < end and (by_character or data[place] >= 0x80):
            point, size = decoded(data, place)
            place += size
            entry = table[point]
            kind = np.int64(entry >> _KIND & np.uint32(3))
            if by_character:
                if kind == BLANK:
                    gap = begun > 0
                    continue
                kind = SIGN
            if sign or (inside and kind != WORD):
                ends[ended] = at
                ended += 1
            if gap:
                starts[begun] = at
                at = _encoded(_FIRST + 32, lowered, at)
                ends[ended] = at
                begun += 1
                ended += 1
                gap = False
            if kind == SIGN or (kind == WORD and not inside):
                starts[begun] = at
                begun += 1
            inside, sign = np.uint64(kind == WORD), np.uint64(kind == SIGN)
            if kind in (WORD, SIGN):
                at = _encoded(np.int64(entry & _LOWER_CASE), lowered, at)
    if inside or sign:
        ends[ended] = at
    return begun


@part
def _runs(lowered, starts, ends, count, size, words, runs):
    """Hash all runs of `size` words; return how many there are. Fewer are one run, and their number counts.

    No two words of up to eight bytes share a hash.
    """
    gone_by = _BIT
    for _ in range(min(size, count)):
        gone_by *= _THREE
    run = _NONE
    for word in range(count):
        place = np.int64(lowered.ctypes.data) + starts[word]
        bytes_left = ends[word] - starts[word]
        hash = _NONE
        while bytes_left > 8:
            hash = (hash ^ eight(place)) * ONE
            hash ^= hash >> np.uint64(32)
            place += 8
            bytes_left -= 8
        hash = (hash ^ eight(place) & _EVERY >> np.uint64(64 - 8 * bytes_left)) * TWO
        hash = (hash ^ hash >> np.uint64(32)) * _THREE
        hash ^= hash >> np.uint64(29)
        words[word] = hash
        run = run * _THREE + hash
        if word >= size:
            run -= words[word - size] * gone_by
        runs[word] = run
    first = size - 1
    if count < size:
        first = max(count - 1, 0)
        runs[first] = run ^ GOLDEN * np.uint64(count + 1)
    found = runs[first:]
    for place in range(max(count, 1) - first):
        words[place] = finalised(found[place])
    return max(count, 1) - first


@part
def _distinct(hashes, count, other, places, out, at):
    """Append the distinct hashes in ascending order; return where they end.

    Hashes are spread evenly, so few have equal highest bytes: by those they are sorted, a byte at a time, and
    what is then out of order is put right one by one. Both arrays are overwritten.
    """
    digits = 0 if count <= _FEW else 2 if count <= 1 << 13 else 3 if count <= 1 << 20 else 4
    for digit in range(digits):
        shift = np.uint64(8 * (8 - digits + digit))
        for byte in range(257):
            places[byte] = 0
        for place in range(count):
            places[(hashes[place] >> shift & np.uint64(255)) + _BIT] += 1
        for byte in range(256):
            places[byte + 1] += places[byte]
        for place in range(count):
            hash = hashes[place]
            byte = hash >> shift & np.uint64(255)
            other[places[byte]] = hash
            places[byte] += 1
        hashes, other = other, hashes
    begin, highest = at, _NONE
    for place in range(count):
        hash = hashes[place]
        if hash > highest or at == begin:
            out[at] = highest = hash
            at += 1
            continue
        before = at - 1
        while before >= begin and out[before] > hash:
            before -= 1
        if before < begin or out[before] != hash:
            for moved in range(at - 1, before, -1):
                out[moved + 1] = out[moved]
            out[before + 1] = hash
            at += 1
    return at


@part
def _signed(hashes, begin, end, factors, shifts, mixed, lowest, into):
    """The signature of one text: datasketch's, scheme affine32, of the low 32 bits of the hashes."""
    for place in range(len(lowest)):
        lowest[place] = 0xFFFFFFFF
    for first in range(begin, end, _CACHED):
        block = hashes[first : min(first + _CACHED, end)]
        count = len(block)
        for place in range(count):
            hash = np.uint32(block[place])
            hash = np.uint32(np.uint32(hash ^ hash >> np.uint32(16)) * np.uint32(0x85EBCA6B))
            hash = np.uint32(np.uint32(hash ^ hash >> np.uint32(13)) * np.uint32(0xC2B2AE35))
            mixed[place] = hash ^ hash >> np.uint32(16)
        for group in range(0, len(factors), WIDTH):
            permute(
                np.int64(mixed.ctypes.data),
                np.int64(count),
                np.int64(factors.ctypes.data) + 4 * group,
                np.int64(shifts.ctypes.data) + 4 * group,
                np.int64(lowest.ctypes.data) + 4 * group,
            )
    for place in range(len(into)):
        into[place] = lowest[place]


@compiled
def sign(hashes, starts, factors, shifts, into):
    """The signatures of texts whose hashes begin at `starts`, the last of which is where all end."""
    mixed, lowest = np.empty(_CACHED, np.uint32), np.empty(len(factors), np.uint32)
    for row in range(len(starts) - 1):
        _signed(hashes, starts[row], starts[row + 1], factors, shifts, mixed, lowest, into[row])


@compiled
def shingle(data, spans, table, size, by_character, factors, shifts, signatures, hashes, counts):
    """Hash the shingles of each text, and sign or keep them.

    With factors, `signatures` are filled; without, `hashes` with the distinct shingles of one text after another,
    and `counts` with how many it has. No text may have an unsettled character whose lower case or composed form
    is not its own.
    """
    longest = 0
    for row in range(len(spans)):
        longest = max(longest, spans[row, 1] - spans[row, 0])
    # Memory that is not written to is never taken; a lower-cased character may have half as many bytes more.
    lowered, tail = np.empty(2 * longest + 128, np.uint8), np.zeros(64, np.uint8)
    begins, ends = np.empty(longest + 9, np.int64), np.empty(longest + 9, np.int64)
    words, runs = np.empty(longest + 1, np.uint64), np.empty(longest + 1, np.uint64)
    mixed, lowest = np.empty(_CACHED, np.uint32), np.empty(len(factors), np.uint32)
    places = np.empty(257, np.int64)
    at = _FIRST
    for row in range(len(spans)):
        begin, end = spans[row, 0], spans[row, 1]
        count, whole = _words(data, begin, end, table, by_character, lowered, begins, ends, tail), size
        if not count:
            # A text without any word is known by its characters.
            count = _words(data, begin, end, table, by_character or size > 0, lowered, begins, ends, tail)
            whole = count + 1
        count = _runs(lowered, begins, ends, count, whole, words, runs)
        if len(factors):
            _signed(words, _FIRST, count, factors, shifts, mixed, lowest, signatures[row])
        else:
            before = at
            at = _distinct(words, count, runs, places, hashes, at)
            counts[row] = at - before
    return at


@compiled
def common(own, theirs):
    """How many numbers two ascending arrays of distinct ones share."""
    if len(own) > len(theirs):
        own, theirs = theirs, own
    one, other, shared = 0, 0, 0
    if 16 * len(own) < len(theirs):
        for one in range(len(own)):
            step = 1
            while other + step < len(theirs) and theirs[other + step] < own[one]:
                step *= 2
            end = min(other + step + 1, len(theirs))
            while other < end:
                middle = (other + end) // 2
                if theirs[middle] < own[one]:
                    other = middle + 1
                else:
                    end = middle
            shared += other < len(theirs) and theirs[other] == own[one]
        return shared
    while one < len(own) and other < len(theirs):
        first, second = own[one], theirs[other]
        shared += first == second
        one += first <= second
        other += second <= first
    return shared
