"""Rejects prose with too many hash signs or ellipses."""

import polars as pl

from curate.api import Field, Limit, Verdict, above, prose, rejects


@rejects
def symbol_heavy(*, of: Field = "every_response", max_ratio: Limit[float] = 0.1, min_words: int = 50) -> Verdict:
    """Prose with more than `max_ratio` hash signs or ellipses a word, whichever are more.

    Why: Gopher removes documents with more than 0.1 of either a word, among documents of at least 50 words
    (Rae et al., arXiv 2112.11446, §A.1.1): shorter texts have no verdict. A word is what stands between spaces
    and holds a letter or a digit. What begins a heading or a comment, "## ", is not counted. Hits in
    instruction data are mostly hashtags, which somebody asked for.
    """
    words = prose(of).str.count_matches(r"[^\s\pL\pN]*[\pL\pN]\S*")
    hashes = prose(of).str.replace_all(r"(?m)^[^\S\n]*#+[^\S\n]", "").str.count_matches("#", literal=True)
    ellipses = prose(of).str.count_matches(r"\.\.\.|…")
    return above(pl.max_horizontal(hashes, ellipses) / words, max_ratio, applies=words >= max(1, min_words))
