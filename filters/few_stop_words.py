"""Rejects English prose with too few of the words that English cannot do without."""

import polars as pl

from curate.api import Field, Limit, Verdict, below, prose, rejects


@rejects(languages=("en",))
def few_stop_words(*, of: Field = "every_response", min_distinct: Limit[int] = 2, min_words: int = 50) -> Verdict:
    """Prose with fewer than `min_distinct` of the words the, be, to, of, and, that, have and with.

    Why: Gopher asks for two of these eight, among documents of at least 50 words (Rae et al., arXiv
    2112.11446, §A.1.1): shorter texts have no verdict. It finds keywords in a row, bare code, and languages
    other than English. Upper and lower case are the same here. Long lists of names are hit: an answer may be
    one.
    """
    words = prose(of).str.count_matches(r"[^\s\pL\pN]*[\pL\pN]\S*")
    found = prose(of).str.extract_all(r"(?i-u:\b(?:the|be|to|of|and|that|have|with)\b)")
    distinct = found.list.eval(pl.element().str.to_lowercase()).list.n_unique().cast(pl.Int64)
    return below(distinct, min_distinct, applies=words >= max(1, min_words))
