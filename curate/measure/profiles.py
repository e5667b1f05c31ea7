"""The n-gram profiles that langdetect ships, evaluated by column.

langdetect is naive Bayes over profiles of one to three letters of 55 languages; it draws n-grams at random until
it believes one language, and averages seven trials. Here all n-grams of a text count, of many texts at once, so
there is nothing random. Weights are whole numbers: their sums are exact in any order, on any machine.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]

# Texts whose n-grams are counted at once: as many as the processor's caches like.
_TEXTS: Final = 128
_CODE_POINTS: Final = 0x10000  # those beyond are counted as the last one, which is no letter
_UNKNOWN, _SPACE = 0, 1  # of an alphabet: letters follow
# Hundredths of a natural logarithm, rounded.
_UNITS: Final = 100
# What an n-gram counts that a language does not have: langdetect's alpha / BASE_FREQ (`detector.py`), and less for
# a letter or two, which tell more by their absence. Chosen on the sentences of 28 languages.
_FLOOR: Final = (5e-6, 4e-5, 4e-5)
# How often an n-gram counts at most: a word said again says nothing new of the language, a letter may once.
_AT_MOST: Final = (2, 1, 1)
# Profiles of fewer letters than this, most of them of rarely met languages, start behind by their size.
_LARGE_PROFILE: Final = 1e7
# A letter of another alphabet than the Latin tells more: those from here on count as five.
_BEYOND_LATIN: Final = 0x370
_BEYOND_LATIN_COUNTS: Final = 5
# Marks that langdetect composes with the letter before, as Vietnamese needs.
_MARKS: Final = "[\u0300\u0301\u0303\u0309\u0323]"
# Multipliers of the hash tables, odd and with bits well spread (the golden ratio, and primes of xxHash).
_SPREAD: Final = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5)
_TABLE_BITS: Final = 21


class Profiles:
    """The weights of n-grams by language.

    `score` answers with a row a text: the weight of the text's n-grams in each of `languages`, in hundredths of a
    natural logarithm, and with the letters of each text.
    """

    def __init__(self) -> None:
        from langdetect.detector_factory import PROFILES_DIRECTORY

        files = sorted(Path(PROFILES_DIRECTORY).iterdir())
        profiles = [
            json.loads(file.read_text("utf-8")) for file in files if file.name[0] != "." and file.is_file()
        ]
        grams = sorted({gram for profile in profiles for gram in profile["freq"] if _counts(gram)})
        self.languages = [profile["name"] for profile in profiles]
        self._letters = _Letters(grams)
        self._table = _Table(np.array([self._letters.code(gram) for gram in grams], dtype=np.int64))
        place = {gram: number for number, gram in enumerate(grams)}
        shares = np.zeros((len(grams), len(profiles)))
        for column, profile in enumerate(profiles):
            for gram, count in profile["freq"].items():
                if _counts(gram):
                    shares[place[gram], column] = count / profile["n_words"][len(gram) - 1]
        lengths = np.array([len(gram) for gram in grams]) - 1
        floors = np.array(_FLOOR)[lengths]
        self._at_most = np.array(_AT_MOST, dtype=np.int32)[lengths]
        self._weights = np.rint(_UNITS * np.log(shares + floors[:, None])).astype(np.int32)
        sizes = np.array([profile["n_words"][0] for profile in profiles])
        self._start = np.rint(_UNITS * np.log(np.minimum(sizes / _LARGE_PROFILE, 1))).astype(np.int64)

    def score(self, texts: pl.Series) -> tuple[Ints, Ints]:
        """The weight of every language in every text, and the letters that each text has."""
        scored = [self._score(texts[first : first + _TEXTS]) for first in range(0, len(texts), _TEXTS)]
        if not scored:
            return np.zeros((0, len(self.languages)), dtype=np.int64), np.zeros(0, dtype=np.int64)
        return np.concatenate([weights for weights, _ in scored]), np.concatenate(
            [letters for _, letters in scored]
        )

    def _score(self, texts: pl.Series) -> tuple[Ints, Ints]:
        codes, of, letters = self._letters.grams(texts)
        found = self._table.find(codes)
        known = found >= 0
        met = np.sort(of[known] * len(self._weights) + found[known])
        first = np.flatnonzero(np.diff(met, prepend=-1))
        text, gram = np.divmod(met[first], len(self._weights))
        often = np.minimum(np.diff(first, append=len(met)), self._at_most[gram]).astype(np.int32)
        weights = np.full((len(texts), len(self.languages)), self._start)
        there, begins = np.unique(text, return_index=True)
        if len(there):
            weights[there] += np.add.reduceat(self._weights[gram] * often[:, None], begins, axis=0)
        return weights, letters


@cache
def profiles() -> Profiles:
    """The profiles, read once a process."""
    return Profiles()


def _counts(gram: str) -> bool:
    return 1 <= len(gram) <= len(_FLOOR) and gram != " "


class _Letters:
    """What each character counts as, and the n-grams that a text's characters make."""

    def __init__(self, grams: list[str]) -> None:
        from langdetect.utils.ngram import NGram
        from langdetect.utils.unicode_block import UNICODE_LATIN_EXTENDED_ADDITIONAL, unicode_block

        self._composed = NGram.normalize_vi
        alphabet = sorted({char for gram in grams for char in gram} - {" "})
        self._numbers = {" ": _SPACE, **{char: number for number, char in enumerate(alphabet, _SPACE + 1)}}
        self._bits = (len(alphabet) + _SPACE).bit_length()
        every = [chr(point) for point in range(_CODE_POINTS)]
        normal = [NGram.normalize(char) for char in every]
        self._number = np.array([self._numbers.get(char, _UNKNOWN) for char in normal], dtype=np.int64)
        self._upper = np.array([char.isupper() for char in normal])
        self._alphabetic = np.array([char.isalpha() for char in every])
        self._tells = self._alphabetic * np.where(np.arange(_CODE_POINTS) < _BEYOND_LATIN, 1, _BEYOND_LATIN_COUNTS)
        # As langdetect's `cleaning_text` has it, the marks between Z and a among the Latin letters.
        self._latin = np.array(["A" <= char <= "z" for char in every])
        self._other = np.array(
            [char >= "\u0300" and unicode_block(char) != UNICODE_LATIN_EXTENDED_ADDITIONAL for char in every]
        )

    def code(self, gram: str) -> int:
        """The number of an n-gram."""
        code = 0
        for char in gram:
            code = code << self._bits | self._numbers[char]
        return code

    def grams(self, texts: pl.Series) -> tuple[Ints, Ints, Ints]:
        """The numbers of all n-grams, the text that each is of, and what the letters of each text count."""
        listed = texts.to_list()
        for marked in texts.str.contains(_MARKS).arg_true():
            listed[marked] = self._composed(listed[marked])
        buffer = "".join(f"{text} " for text in listed).encode("utf-32-le", "surrogatepass")
        points = np.minimum(np.frombuffer(buffer, dtype=np.uint32), _CODE_POINTS - 1)
        of = np.repeat(np.arange(len(listed)), [len(text) + 1 for text in listed])
        letters = np.bincount(of, self._tells[points], len(listed)).astype(np.int64)
        latin = np.bincount(of, self._latin[points], len(listed))
        other = np.bincount(of, self._other[points], len(listed))
        kept = ~((latin * 2 < other)[of] & self._latin[points])
        codes, of = self._codes(points[kept], of[kept])
        return codes, of, letters

    def _codes(self, points: npt.NDArray[np.uint32], of: Ints) -> tuple[Ints, Ints]:
        # A space ends each text, so no n-gram reaches into the next.
        number, upper = self._number[points], self._upper[points]
        before = np.concatenate([[_SPACE], number])[: len(number)]
        earlier = np.concatenate([[_SPACE, _SPACE], number])[: len(number)]
        # Words in capitals have no n-grams: langdetect's profiles know none.
        shouted = upper & np.concatenate([[False], upper])[: len(upper)]
        single = ~shouted & (number > _SPACE)
        double = ~shouted & (number != _UNKNOWN) & (before != _UNKNOWN) & ((number != _SPACE) | (before != _SPACE))
        triple = double & (before != _SPACE) & (earlier != _UNKNOWN)
        pairs = before << self._bits | number
        triples = earlier << 2 * self._bits | pairs
        codes = np.concatenate([number[single], pairs[double], triples[triple]])
        return codes, np.concatenate([of[single], of[double], of[triple]])


class _Table:
    """The places of numbers in a list, found for many at once: hash tables, each of what the one before lost."""

    def __init__(self, codes: Ints) -> None:
        self._codes = codes
        self._tables: list[tuple[np.uint64, npt.NDArray[np.int32]]] = []
        left = np.arange(len(codes))
        for multiplier in map(np.uint64, _SPREAD):
            table = np.full(1 << _TABLE_BITS, -1, dtype=np.int32)
            slots = _slots(codes[left], multiplier)
            table[slots] = left
            self._tables.append((multiplier, table))
            left = left[table[slots] != left]
            if not len(left):
                return
        raise AssertionError("n-grams that no table holds")  # the profiles are fixed, and two tables hold them

    def find(self, codes: Ints) -> npt.NDArray[np.int32]:
        """The place of each number, -1 where it has none."""
        multiplier, table = self._tables[0]
        found = table[_slots(codes, multiplier)]
        lost = np.flatnonzero(self._codes[found] != codes)
        for multiplier, table in self._tables[1:]:
            found[lost] = table[_slots(codes[lost], multiplier)]
            lost = lost[self._codes[found[lost]] != codes[lost]]
        found[lost] = -1
        return found


def _slots(codes: Ints, multiplier: np.uint64) -> Ints:
    return (codes.astype(np.uint64) * multiplier >> np.uint64(64 - _TABLE_BITS)).astype(np.int64)
