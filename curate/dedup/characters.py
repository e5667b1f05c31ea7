"""What each character is to a comparison of texts, as a table that compiled loops can read.

Whether a character is a letter, a sign or nothing is said once, in Polars' regular expressions, and its lower case
and composed form are Polars' too; the table holds their answers. It is filled when a text needs it: the ASCII
characters at once, each plane of 65,536 others when the first character of that plane is met.
"""

from __future__ import annotations

from threading import Lock
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

# Scripts that are written without spaces.
UNSPACED: Final = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
# Marks that end a sentence or quote, and the underscore, which is part of a word.
UNSAID: Final = r"_.,;:!?\"'…“”„‘’«»‹›。、，．；：！？「」『』،؛؟۔।"

IN_WORD: Final = rf"[\p{{L}}\p{{M}}\p{{N}}_--[{UNSPACED}]]"
ALONE: Final = rf"[{UNSPACED}]|[\p{{P}}\p{{S}}--[{UNSAID}]]"
SPACE: Final = r"\s"

PLANE: Final = 1 << 16
_END: Final = 0x110000
_SURROGATES: Final = (0xD800, 0xE000)

# A character's entry: its lower case in the lowest 21 bits, what it is, and on top its rank among marks that
# follow a letter. One that is not known yet has 0.
LOWER_CASE: Final = (1 << 21) - 1
KIND: Final = 21
NOTHING, WORD, SIGN, BLANK = range(4)
UNSETTLED: Final = 1 << 23
_KNOWN: Final = 1 << 24
RANK: Final = 25

# Its lower case depends on the letters around it (Unicode, SpecialCasing, Final_Sigma).
_SIGMA: Final = "Σ"

_TABLE: Final = np.zeros(_END, np.uint32)
_LEARNING: Final = Lock()


def classes(missing: int = 0) -> NDArray[np.uint32]:
    """The table, one entry a code point, in which the planes whose bits are set in `missing` are known.

    A text must be composed and lower-cased as a whole if a character is `UNSETTLED`, or a mark follows one of a
    higher rank. Any other is in composed form, and its lower case is that of its characters.
    """
    with _LEARNING:
        if not _TABLE[0]:
            _TABLE[:128] = _entries(0, 128)
        for plane in range(_END // PLANE):
            begin = plane * PLANE
            if missing >> plane & 1 and not _TABLE[begin + PLANE - 1]:
                _TABLE[begin : begin + PLANE] = _entries(begin, begin + PLANE)
    return _TABLE


def _entries(begin: int, end: int) -> NDArray[np.uint32]:
    points = np.arange(begin, end, dtype=np.uint32)
    points = points[(points < _SURROGATES[0]) | (points >= _SURROGATES[1])]
    each = pl.Series(list(points.tobytes().decode("utf-32-le")))
    lower, composed, apart = (
        each.str.to_lowercase(),
        each.str.normalize("NFC"),
        each.str.normalize("NFD"),
    )

    # By the quick check of Unicode Standard Annex #15, a character may change with its neighbours if it changes by
    # itself, or is or begins with the second part of a composed one. Marks beyond the first plane are not ranked.
    second = {char for parts in apart.filter(apart != each) for char in parts[1:]}
    unsettled = (composed != each) | apart.str.head(1).is_in(pl.Series(sorted(second), dtype=pl.String).implode())
    unsettled |= (lower.str.len_chars() != 1) | (each == _SIGMA)
    marks = each.filter(each.str.contains(r"^\p{M}") & (apart == each))
    if begin:
        unsettled |= each.is_in(marks.implode())

    # It is what its lower case is: of the youngest letters, Polars' expressions may know the small ones alone.
    lower = lower.str.head(1)
    kinds = np.zeros(_END, np.uint8)
    for kind, pattern in ((WORD, IN_WORD), (SIGN, ALONE), (BLANK, SPACE)):
        kinds[_points(pl.Series([lower.str.join()[0]]).str.extract_all(pattern))] = kind
    small = _points(lower.implode())

    entries = np.full(end - begin, _KNOWN, np.uint32)
    entries[points - begin] |= small | kinds[small].astype(np.uint32) << np.uint32(KIND)
    entries[points[unsettled.to_numpy()] - begin] |= np.uint32(UNSETTLED)
    if end == PLANE:
        ranked, ranks = _ranks(marks)
        entries[ranked] |= ranks << np.uint32(RANK)
    return entries


def _ranks(marks: pl.Series) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The marks that composed form puts into an order where they follow one letter, and the rank of each."""
    # Those that change places with the mark of the lowest or the highest class; all others stay where they are.
    moved = (marks + "\u0334").str.normalize("NFD") != marks + "\u0334"
    moved |= ("\u0345" + marks).str.normalize("NFD") != "\u0345" + marks
    ordered = pl.Series([marks.filter(moved).str.join().item()]).str.normalize("NFD").str.split("").explode()
    swapped = ordered + ordered.shift()
    higher = (swapped.str.normalize("NFD") != swapped).fill_null(value=True)
    return _points(ordered.implode()), higher.cast(pl.UInt32).cum_sum().to_numpy()


def _points(characters: pl.Series) -> NDArray[np.uint32]:
    """The code points of one list of characters."""
    joined: str = characters.list.join("").item()
    return np.frombuffer(joined.encode("utf-32-le"), "<u4").astype(np.uint32)
