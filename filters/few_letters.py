"""Rejects prose in which too few words hold a letter."""

from curate.api import Field, Limit, Verdict, below, prose, rejects


@rejects
def few_letters(*, of: Field = "every_response", min_share: Limit[float] = 0.8, min_words: int = 50) -> Verdict:
    """Prose in which fewer than `min_share` of the words hold a letter.

    Why: Gopher asks that 80% of a document's words hold a letter, among documents of at least 50 words (Rae et
    al., arXiv 2112.11446, §A.1.1): shorter texts have no verdict. A word is what stands between spaces and
    holds a letter or a digit, but for the numbers of a list. Letters of all scripts count. Sums and timelines
    are hit: an answer may be one.
    """
    words = prose(of).str.count_matches(r"[^\s\pL\pN]*[\pL\pN]\S*")
    with_letter = prose(of).str.count_matches(r"[^\s\pL]*\pL\S*")
    listed = prose(of).str.count_matches(r"(?m)^[^\S\n]*[0-9]+[.)][^\S\n]")
    counted = words - listed
    return below(with_letter / counted, min_share, applies=counted >= max(1, min_words))
