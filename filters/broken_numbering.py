"""Rejects lists whose numbers begin again at one."""

import polars as pl

from curate.api import Verdict, rejects

# Turns with a 2 between them, which no match of the pattern can hold: so it stays inside a turn.
_TURNS = pl.concat_list(
    pl.col("history").list.eval(pl.element().struct.field("text")),
    pl.concat_str("prompt", "context", separator="\n\n", ignore_nulls=True),
    "response",
)
_EACH_ALONE = _TURNS.list.drop_nulls().list.join("2")


@rejects
def broken_numbering() -> Verdict:
    r"""A turn with a list whose items are all numbered 1.

    Why: some pages lost the numbers when they were copied. The pattern is Vicuna's: `\n1\. [^2]*\n1\. ` in any
    turn (FastChat, fastchat/data/filter_wrong_format.py): two lines that begin with "1. " and no digit 2
    between them. So two short lists of one item are hit as well, and a list in which a 2 stands is not. The
    source `sharegpt` does it while reading only under `compat = true`.
    """
    return Verdict(_EACH_ALONE.str.extract(r"\n(1\. [^2]*\n1\. )", 1), "present", None)
