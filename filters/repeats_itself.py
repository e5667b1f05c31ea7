"""Rejects responses that end in a loop."""

from typing import Final

import polars as pl

from curate.api import Verdict, rejects

_WINDOW: Final = 2000  # characters at the end that are looked at
_ENDS: Final = " \t\n\r.,;:!?…\"'”’*_`"

_OF_ASSISTANT: Final = pl.element().struct.field("role") == "assistant"
_EARLIER: Final = pl.col("history").list.eval(pl.element().filter(_OF_ASSISTANT).struct.field("text"))
_RESPONSES: Final = pl.concat_list(_EARLIER, "response").list.drop_nulls()
_ENDINGS: Final = _RESPONSES.list.eval(pl.element().str.strip_chars_end(_ENDS).str.tail(_WINDOW))


@rejects
def repeats_itself(*, times: int = 3, min_chars: int = 30) -> Verdict:
    """A response that ends by saying one thing over and over, perhaps broken off in the middle.

    Why: a language model that has lost its way repeats itself to the end. The phrase before the end must stand
    `times` times in a row, and at least `min_chars` characters must be the same as those one phrase earlier;
    both numbers are ours. It must hold a letter: rules, tables and numbers repeat. Every response of a
    dialogue is looked at, and its last 2,000 characters. The evidence is the phrase. What a text repeats
    elsewhere: `repeated_lines`.
    Rejects: It is the best of the best of the best of the best of the best of the best of the best of the
    Keeps: It was a long way, a very long way, and a very, very long way back.
    """
    # Step by step, because nothing that is said twice within an `eval` is shared.
    suspects = _ENDINGS.list.eval(_if_end_comes_twice(pl.element(), min_chars // 3)).list.drop_nulls()
    phrases = suspects.list.eval(pl.element().str.reverse()).list.eval(_loop(pl.element(), times, min_chars))
    return Verdict(phrases.list.drop_nulls().list.first(), "present", None, _RESPONSES.list.len() > 0)


def _if_end_comes_twice(text: pl.Expr, chars: int) -> pl.Expr:
    """The text, or null where its last characters stand there once: a loop holds a third of itself twice."""
    return pl.when(text.str.count_matches(text.str.tail(max(1, chars)), literal=True) > 1).then(text)


def _loop(back: pl.Expr, times: int, min_chars: int) -> pl.Expr:
    """What a text, read backwards, says over and over from its end, or null."""
    # The end is met again one phrase later; what stands between is all but the phrase's first letter.
    between = back.str.slice(1).str.split(back.str.head(min_chars)).list.first()
    phrase = back.str.head(between.str.len_chars() + 1)
    # Before the first of all there is no comma and no line end.
    several = pl.concat_str([*[phrase] * (times - 1), phrase.str.strip_chars_end(_ENDS)])
    loops = back.str.starts_with(several) & phrase.str.contains(r"\pL")
    return pl.when(loops).then(phrase.str.reverse().str.strip_chars())
