"""Rules on what may lie anywhere in a text, such as an address: rows are rejected for it, or it is masked."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, zip_longest
from typing import Final

import polars as pl

from curate.errors import PluginError
from curate.verdict import Verdict

# Where a text is cut between matches: the first of these that it does not hold.
_CUTS: Final = range(0xF0000, 0xFFFFE)  # a whole plane for private use
# What stood glued to a masked part may be found after all. Each pass masks something, and few are ever needed.
_PASSES: Final = 8


def spans(
    subject: pl.Expr,
    pattern: str,
    fault: Callable[[pl.Expr], pl.Expr],
    *,
    mask_with: str,
    applies: pl.Expr | None = None,
) -> Verdict:
    """Reject where a match of the pattern holds the fault; the evidence is the first, and the mask hides each.

    `fault` is an expression over matches, element by element: the part that is to go, null where a match is none.
    So the pattern may also match what only looks like the fault, lest something be found inside it, and words
    that stand before it. Evidence and mask come of the same expressions, run by the same engine: they agree.

    `pattern` is in the syntax of Rust's regex crate. Raises `PluginError` where `mask_with` is itself the fault,
    since masked texts would be masked again.
    """

    def found_in(text: str) -> tuple[list[str], list[tuple[str, str | None]]]:
        """What stands between the matches, and each match with its part that is to go."""
        cut = next(cut for cut in map(chr, _CUTS) if cut not in text)
        row = pl.DataFrame({"text": [text]}).select(
            pl.col("text").str.replace_all(pattern, cut).str.split(cut).alias("between"),
            pl.col("text").str.extract_all(pattern).alias("matches"),
        )
        matches = row["matches"].explode().drop_nulls().to_frame("match")
        parts = matches.select("match", fault(pl.col("match")).alias("part"))
        return row["between"].item().to_list(), parts.rows()

    def mask(text: str) -> str:
        for _ in range(_PASSES):
            between, matches = found_in(text)
            if not any(part for _, part in matches):
                break
            masked = [_masked(match, part, mask_with) for match, part in matches]
            text = "".join(chain.from_iterable(zip_longest(between, masked, fillvalue="")))
        return text

    if any(part is not None for _, part in found_in(mask_with)[1]):
        raise PluginError(f"{mask_with!r} would be masked again", next="mask with what is not masked itself")
    found = subject.str.extract_all(pattern).list.eval(fault(pl.element()))
    return Verdict(found.list.drop_nulls().list.first(), "present", None, applies, mask)


def _masked(match: str, part: str | None, mask_with: str) -> str:
    if part is None:
        return match
    before, _, after = match.rpartition(part)
    return f"{before}{mask_with}{after}"
