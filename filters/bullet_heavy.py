"""Rejects text that is nothing but bullet points."""

from typing import Final

from curate.api import Field, Limit, Verdict, above, rejects, text

_CODE: Final = r"(?s)```.*?(?:```|\z)"


@rejects
def bullet_heavy(*, of: Field = "every_response", max_share: Limit[float] = 0.9, min_lines: int = 5) -> Verdict:
    """Text of whose lines more than `max_share` begin with a bullet.

    Why: Gopher removes documents with more than 90% such lines (Rae et al., arXiv 2112.11446, §A.1.1): on the
    web they are menus, but an answer may be a list because a list was asked for. Numbers are no bullets, empty
    lines no lines, and code between fences does not count. Fewer than five lines, which is our number, have no
    verdict.
    """
    written = text(of).str.replace_all(_CODE, " ")
    lines = written.str.count_matches(r"\S[^\n]*")
    bullets = written.str.count_matches(r"(?m)^[^\S\n]*(?:[-*+–][^\S\n]|[•‣◦▪●·])")
    return above(bullets / lines, max_share, applies=lines >= max(1, min_lines))
