"""Rejects text whose lines do not end as sentences do."""

from typing import Final

from curate.api import Field, Limit, Verdict, below, rejects, text

_CODE: Final = r"(?s)```.*?(?:```|\z)"
_FINISHED: Final = r"(?m)(?:[!?\"'”’»。！？؟।]|(?:^|[^.\n])\.)[^\S\n]*$"


@rejects
def unfinished_lines(
    *, of: Field = "every_response", min_share: Limit[float] = 0.12, min_lines: int = 5
) -> Verdict:
    """Text of whose lines fewer than `min_share` end with a full stop, `!`, `?` or a quotation mark.

    Why: C4 keeps only the lines that end so, and an ellipsis is no such end (Raffel et al., arXiv 1910.10683,
    §2.2); of an answer that would take every heading. FineWeb removes the document if no more than 12% of its
    lines end so (Penedo et al., arXiv 2406.17557, §3.6). Empty lines are no lines, and code between fences
    does not count. Fewer than five lines, which is our number, have no verdict. Lists, poems and tables are
    hit: an answer may be one.
    """
    written = text(of).str.replace_all(_CODE, " ")
    lines = written.str.count_matches(r"\S[^\n]*")
    finished = written.str.count_matches(_FINISHED)
    return below(finished / lines, min_share, applies=lines >= max(1, min_lines))
