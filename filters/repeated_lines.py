"""Rejects text that says the same lines again."""

from typing import Final, Literal

import polars as pl

from curate.api import Field, Limit, Verdict, above, rejects, text

_CODE: Final = r"(?s)```.*?(?:```|\z)"
_UNITS: Final = {
    # With two letters in a row: brackets, rules and rows of a matrix repeat.
    "line": r"[^\n]*\pL\pL[^\n]*",
    "paragraph": r"\S(?:[^\n]|\n[^\S\n]*\S)*",
    "sentence": r"[^\s.!?][^.!?\n]*[.!?]*",
}


@rejects
def repeated_lines(
    *,
    of: Field = "every_response",
    unit: Literal["line", "paragraph", "sentence"] = "line",
    share_of: Literal["units", "characters"] = "units",
    max_share: Limit[float] = 0.3,
    min_units: int = 5,
) -> Verdict:
    """Text of whose lines, paragraphs or sentences more than `max_share` have stood there before.

    Why: Gopher removes documents with more than 30% repeated lines or paragraphs, or with more than 20% of
    their characters in them (Rae et al., arXiv 2112.11446, Table A1), so `max_share = 0.2` goes with
    `share_of = "characters"`. `sentence` is ours. Lines without a word are no lines, and code between fences
    does not count. Fewer than five, which is our number, have no verdict. Songs have refrains; a loop at the
    end is `repeats_itself`.
    """
    found = text(of).str.replace_all(_CODE, " ").str.extract_all(_UNITS[unit])
    units = found.list.eval(pl.element().str.strip_chars())
    if share_of == "units":
        every, distinct = units.list.len(), units.list.n_unique()
    else:
        every, distinct = (each.list.join("").str.len_chars() for each in (units, units.list.unique()))
    share = (every - distinct) / every
    return above(share, max_share, applies=units.list.len() >= max(1, min_units))
