"""Rejects text whose lines trail off."""

from typing import Final

from curate.api import Field, Limit, Verdict, above, rejects, text

_CODE: Final = r"(?s)```.*?(?:```|\z)"


@rejects
def ellipsis_lines(*, of: Field = "every_response", max_share: Limit[float] = 0.3, min_lines: int = 5) -> Verdict:
    """Text of whose lines more than `max_share` end in an ellipsis.

    Why: Gopher removes documents with more than 30% such lines (Rae et al., arXiv 2112.11446, §A.1.1), which
    on the web are beginnings of articles. Empty lines are no lines, and code between fences does not count.
    Fewer than five lines, which is our number, have no verdict: one of two is a story that ends so.
    """
    written = text(of).str.replace_all(_CODE, " ")
    lines = written.str.count_matches(r"\S[^\n]*")
    trailing = written.str.count_matches(r"(?m)(?:\.\.\.|…)[^\S\n]*$")
    return above(trailing / lines, max_share, applies=lines >= max(1, min_lines))
