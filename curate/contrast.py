"""Two texts side by side: what differs between them is marked, or what they share; the rest is left out.

Words are compared, window by window, and only until as much is shown as is asked for. So two books that differ in
one sentence cost about as much as two sentences.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal, NamedTuple

import polars as pl

from curate.dedup.characters import UNSPACED

_CHARS: Final = 500  # of each text that are shown, about
_AROUND: Final = 8  # words that are shown before and after what differs
_SCATTERED: Final = 3  # places that differ, from which a text of which more differs than not is read by itself
_NEAR: Final = 500  # characters in which those words are sought
_WINDOW: Final = 250  # words of each text that are compared at a time; the work grows with their square
# Characters of a text that are looked at: nobody compares more by eye, and words take many times their bytes.
_MOST: Final = 200_000
# White space goes with the word after it. A sign is a word, and so is each character of a script without spaces.
_WORD: Final = rf"\s*(?:[{UNSPACED}]|[\p{{L}}\p{{M}}\p{{N}}_--[{UNSPACED}]]+|\S)"

Kind = Literal["same", "differs", "shared", "cut"]


class Piece(NamedTuple):
    """A passage of a text. Of one that is cut, `text` is empty."""

    text: str
    kind: Kind


class Run(NamedTuple):
    """Places in the words of both texts: `a[a0:a1]` and `b[b0:b1]`, the same words or others."""

    same: bool
    a0: int
    a1: int
    b0: int
    b1: int


@dataclass(frozen=True)
class Contrast:
    """Two texts in pieces, and whether they differ; where they do not, `said` tells how far that holds."""

    a: tuple[Piece, ...]
    b: tuple[Piece, ...]
    differs: bool
    said: str = ""


def contrast(a: str, b: str, *, chars: int = _CHARS) -> Contrast:
    """What differs between two texts, word by word, with some words around it; about `chars` characters of each.

    White space is shown as single spaces, and does not differ. Of texts that share but words here and there,
    nothing is marked: they are easier to read as they are.
    """
    cut = len(a) > _MOST or len(b) > _MOST
    one, other = (_words(text[:_MOST]) for text in (a, b))
    pieces_a, pieces_b = _Pieces(one, chars), _Pieces(other, chars)
    differs = more = False
    for run in _runs([word.strip() for word in one], [word.strip() for word in other]):
        more = pieces_a.full and pieces_b.full
        if more:
            break
        differs |= not run.same
        ends = run.a0 == run.b0 == 0, (run.a1, run.b1) == (len(one), len(other))
        pieces_a.add(run.a0, run.a1, same=run.same, ends=ends)
        pieces_b.add(run.b0, run.b1, same=run.same, ends=ends)
    more |= cut or pieces_a.shortened or pieces_b.shortened
    shown = pieces_a.done(more=more), pieces_b.done(more=more)
    if differs:
        return apart(a, b, chars=chars) if any(map(_scattered, shown)) else Contrast(*shown, differs=True)
    if cut:
        said = f"no word differs in the first {_MOST:,} characters"
    else:
        said = "the same text" if a == b else "white space alone differs"
    return Contrast(*shown, differs=False, said=said)


def apart(a: str, b: str, *, chars: int = _CHARS) -> Contrast:
    """The beginnings of two texts, in which nothing is marked; about `chars` characters of each."""
    return Contrast(_beginning(a, chars), _beginning(b, chars), differs=True)


def _beginning(text: str, chars: int) -> tuple[Piece, ...]:
    line = " ".join(text[:_MOST].split())
    if len(line) <= chars:
        return (Piece(line, "same"),) if line else ()
    return Piece(line[:chars], "same"), Piece("", "cut")


def _scattered(pieces: tuple[Piece, ...]) -> bool:
    """Whether more of a text is marked than not, and in many places."""
    marked = [len(piece.text) for piece in pieces if piece.kind == "differs"]
    return len(marked) >= _SCATTERED and 2 * sum(marked) > sum(len(piece.text) for piece in pieces)


def sharing(a: str, b: str, shared: tuple[str, str], *, chars: int = _CHARS) -> Contrast:
    """What two texts share, as it stands in each, with some words around it; about `chars` characters of each."""
    return Contrast(_around(a, shared[0], chars), _around(b, shared[1], chars), differs=True)


def _around(text: str, shared: str, chars: int) -> tuple[Piece, ...]:
    start = text.index(shared)
    end = start + len(shared)
    near = text[max(0, start - _NEAR) : start].split()[-_AROUND:], text[end : end + _NEAR].split()[:_AROUND]
    before, after = map(" ".join, near)
    run = " ".join(shared.split())
    pieces = [
        Piece("", "cut" if len(" ".join(text[:start].split())) > len(before) else "same"),
        Piece(before, "same"),
        Piece(f"{' ' * text[start - 1 : start].isspace()}{run[:chars]}", "shared"),
        Piece("", "cut" if len(run) > chars else "same"),
        Piece(f"{' ' * text[end : end + 1].isspace()}{after}", "same"),
        Piece("", "cut" if len(" ".join(text[end:].split())) > len(after) else "same"),
    ]
    return tuple(piece for piece in pieces if piece.text or piece.kind == "cut")


def _words(text: str) -> list[str]:
    words: list[str] = pl.Series([text]).str.extract_all(_WORD)[0].to_list()
    return words


def _runs(a: list[str], b: list[str]) -> Iterator[Run]:
    """What is the same and what differs, in order. A single word between two that differ counts as differing."""
    at_a = at_b = 0
    while at_a < len(a) or at_b < len(b):
        same = _shared(a, b, at_a, at_b)
        if same:
            yield Run(True, at_a, at_a + same, at_b, at_b + same)
            at_a, at_b = at_a + same, at_b + same
            continue
        window_a, window_b = a[at_a : at_a + _WINDOW], b[at_b : at_b + _WINDOW]
        blocks = SequenceMatcher(None, window_a, window_b, autojunk=False).get_matching_blocks()
        block = next((block for block in blocks if _holds(block.size, block.a, block.b, window_a, window_b)), None)
        to_a, to_b = (at_a + block.a, at_b + block.b) if block else (at_a + len(window_a), at_b + len(window_b))
        yield Run(False, at_a, to_a, at_b, to_b)
        at_a, at_b = to_a, to_b


def _holds(size: int, a: int, b: int, window_a: list[str], window_b: list[str]) -> bool:
    """Whether words that are the same end what differs: more than one of them, or the last of both texts."""
    ends = a + size == len(window_a) < _WINDOW and b + size == len(window_b) < _WINDOW
    return size > 1 or (size == 1 and ends)


def _shared(a: list[str], b: list[str], at_a: int, at_b: int) -> int:
    """How many words are the same from here on."""
    most = min(len(a) - at_a, len(b) - at_b)
    return next((k for k in range(most) if a[at_a + k] != b[at_b + k]), most)


class _Pieces:
    """The pieces of one text that are shown, while there is room."""

    def __init__(self, words: list[str], chars: int) -> None:
        self._words, self._chars = words, chars
        self._pieces: list[Piece] = []
        self._used = 0
        self.shortened = False

    @property
    def full(self) -> bool:
        return self._used >= self._chars

    def add(self, start: int, end: int, *, same: bool, ends: tuple[bool, bool]) -> None:
        """Words that differ, or are the same; in both texts the first or last. Both are cut at the same places."""
        if not same:
            self._show(start, end, "differs")
            return
        # Words are shown next to what differs: at a text's beginning or end on one side, else on both.
        first, last = ends
        head = start + (0 if first else _AROUND)
        tail = end - (0 if last else _AROUND)
        if head + 1 >= tail or (first and last):  # of texts that are the same, the beginning is shown
            self._show(start, end, "same")
            return
        if head > start:
            self._show(start, head, "same")
        self._cut()
        if tail < end:
            self._show(tail, end, "same")

    def done(self, *, more: bool) -> tuple[Piece, ...]:
        if more and self._pieces:
            self._cut()
        return tuple(self._pieces)

    def _show(self, start: int, end: int, kind: Kind) -> None:
        shown: list[str] = []
        for word in self._words[start:end]:
            if self.full:
                self.shortened = True
                break
            text = f" {word.lstrip()}" if word[0].isspace() and (self._pieces or shown) else word.lstrip()
            shown.append(text[: self._chars])
            self._used += len(shown[-1])
        if shown:
            self._pieces.append(Piece("".join(shown), kind))

    def _cut(self) -> None:
        if not self._pieces or self._pieces[-1].kind != "cut":
            self._pieces.append(Piece("", "cut"))
