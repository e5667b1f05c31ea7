"""Finds what many texts begin or end with, so that they can be compared by what each of them says itself.

Texts of one template resemble each other by the template alone: of a set in which every prompt begins with the
same hundred words, all may be duplicates of one. How much of a beginning is the template is told by where texts
part: it ends where fewer than half of those that have it go on with the same word. To go by the number of texts
alone would take whatever the most common of them say next for a part of it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.dedup.shingles import classed, each_block, stored
from curate.errors import PipelineError

SCHEMA: Final = pl.Schema(
    {"template": pl.String(), "side": pl.String(), "words": pl.UInt32(), "rows": pl.UInt32()}
)

# A template is looked for this far into a text, in words; of a longer one the rest is taken for the text's own.
_LONGEST: Final = 256

# What stands between a template and the text itself, beside white space.
_MARKS: Final = " \n\t\r.,;:!?…。、，．；：！？،؛؟۔।"


def stripped(texts: pl.Series, *, min_rows: int, min_words: int = 8) -> tuple[pl.Series, pl.DataFrame]:
    """The texts without shared beginnings and ends, and the table of those.

    A beginning is left out when at least `min_rows` texts have it and it is at least `min_words` words long; it
    reaches as far as at least half of the texts that have it go on alike, and what follows it is left out by the
    same rule: again at least so many words that so many texts have. Ends are treated likewise. Words are
    those of `curate.dedup.shingles`. A text that is nothing but template stays as it is, for else all such texts
    would be equal. Copies have a beginning in common too, so `min_rows` must be more than a text has near copies;
    and what says the same under two templates is the same without them, such as one sentence to be put into
    French and into German.

    Shape (n,), null where a text is. Of each template (as its first text has it), the table says whether it is a
    `beginning` or an `end`, and how many texts it was taken off; those of the most texts come first.

    Beside the texts that it is given, it takes three times their bytes at most, and 200 bytes a text.

    Raises `PipelineError` when a parameter is out of its range.
    """
    if min_rows < 2:
        raise PipelineError(
            f"what {min_rows} texts have is no template",
            where="[[dedup]], key strip_templates",
            next="give the least number of texts that share one, such as 100",
        )
    if min_words < 1:
        raise PipelineError(f"a template cannot have {min_words} words", next="8 is the default")
    found = _Found(texts, min_rows, min_words)
    front, back = found.cuts(backwards=False), found.cuts(backwards=True)
    (rows,) = np.nonzero((front.words > 0) | (back.words > 0))
    rows = rows[found.has_more(rows, front.places[rows], back.places[rows])]
    if not len(rows):
        return texts, pl.DataFrame(schema=SCHEMA)
    own = found.between(front, back, rows)
    frames = [found.table(front, rows, "beginning"), found.table(back, rows, "end")]
    table = pl.concat(frames).sort("rows", "side", "template", descending=[True, False, False])
    del found
    # What is scattered into changes.
    return texts.clone().scatter(rows, own), table


class _Cuts:
    """Where a template ends in each text, how many words it has (0: there is none), and which it is."""

    def __init__(self, places: NDArray[np.int64]) -> None:
        self.places = places
        self.words = np.zeros(len(places), np.int64)
        self.hashes = np.zeros(len(places), np.uint64)

    def end(
        self, rows: NDArray[np.int64], places: NDArray[np.int64], words: int, hashes: NDArray[np.uint64]
    ) -> None:
        self.places[rows], self.words[rows], self.hashes[rows] = places, words, hashes


class _Found:
    """The bytes of texts, and the search for what they share."""

    def __init__(self, texts: pl.Series, min_rows: int, min_words: int) -> None:
        from curate.dedup import _templates

        self._loops: Any = _templates
        self._min_rows, self._min_words = min_rows, min_words
        # Texts are shown as they are, so none is lower-cased.
        self._data, spans = stored(texts.fill_null("").str.normalize("NFC"))
        self._table, _ = classed(self._data, spans)
        self._begins, self._ends = spans[:, 0].copy(), spans[:, 1].copy()

    def cuts(self, *, backwards: bool) -> _Cuts:
        """Where each text parts from the others with which it begins, or with which it ends."""
        places = (self._ends if backwards else self._begins).copy()
        hashes = np.zeros(len(places), np.uint64)
        cuts = _Cuts(places.copy())
        rows = np.arange(len(places))
        rows = rows[self._step(rows, places, hashes, self._min_words, backwards=backwards)]
        counts, words = self._loops.counted(hashes[rows]), self._min_words
        while True:
            # Each of the rows has so many words in common with as many others as were counted.
            many = counts >= self._min_rows
            rows, counts = rows[many], counts[many]
            if not len(rows):
                return cuts
            before, known = places[rows], hashes[rows]
            more = np.zeros(len(rows), np.bool_)
            if words < _LONGEST:
                more = self._step(rows, places, hashes, 1, backwards=backwards)
            following = np.zeros(len(rows), np.int64)
            following[more] = self._loops.counted(hashes[rows[more]])
            parts = (2 * following < counts) & (words - cuts.words[rows] >= self._min_words)
            cuts.end(rows[parts], before[parts], words, known[parts])
            counts, words = following, words + 1

    def has_more(
        self, rows: NDArray[np.int64], begins: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Whether there is a word between two places of each of the rows."""
        places, hashes = self._begins.copy(), np.zeros(len(self._begins), np.uint64)
        places[rows], lasts = begins, self._ends.copy()
        lasts[rows] = ends
        more: NDArray[np.bool_] = self._loops.step(
            self._data, self._table, rows, self._begins, lasts, places, hashes, 1, False
        )
        return more

    def _step(
        self,
        rows: NDArray[np.int64],
        places: NDArray[np.int64],
        hashes: NDArray[np.uint64],
        words: int,
        *,
        backwards: bool,
    ) -> NDArray[np.bool_]:
        more: NDArray[np.bool_] = self._loops.step(
            self._data, self._table, rows, self._begins, self._ends, places, hashes, words, backwards
        )
        return more

    def between(self, front: _Cuts, back: _Cuts, rows: NDArray[np.int64]) -> pl.Series:
        """What of each of the rows is no template, without the marks and white space that parted it."""

        def block(places: slice) -> pl.Series:
            some = rows[places]
            own = pl.Series(map(self._text, front.places[some], back.places[some]), dtype=pl.String)
            begun, ended = pl.Series(front.words[some] > 0), pl.Series(back.words[some] > 0)
            own = pl.select(pl.when(begun).then(own.str.strip_chars_start(_MARKS)).otherwise(own)).to_series()
            return pl.select(pl.when(ended).then(own.str.strip_chars_end()).otherwise(own)).to_series()

        return pl.concat(list(each_block(back.places[rows] - front.places[rows], block)))

    def _text(self, begin: int, end: int) -> str:
        """The text between two places."""
        return self._data[begin:end].tobytes().decode()

    def table(self, cuts: _Cuts, rows: NDArray[np.int64], side: str) -> pl.DataFrame:
        """The templates that were taken off the rows."""
        rows = rows[cuts.words[rows] > 0]
        _, first, counts = np.unique(cuts.hashes[rows], return_index=True, return_counts=True)
        shown = rows[first]
        spans = (
            zip(self._begins[shown], cuts.places[shown], strict=True)
            if side == "beginning"
            else zip(cuts.places[shown], self._ends[shown], strict=True)
        )
        columns = {
            "template": [self._text(begin, end).strip() for begin, end in spans],
            "side": [side] * len(shown),
            "words": cuts.words[shown],
            "rows": counts,
        }
        return pl.DataFrame(columns, schema=SCHEMA)
