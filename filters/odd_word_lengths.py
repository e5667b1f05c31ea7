"""Rejects prose whose words are too short or too long on average."""

import polars as pl

from curate.api import Field, Verdict, prose, rejects


@rejects
def odd_word_lengths(
    *, of: Field = "every_response", min_mean: float = 3.0, max_mean: float = 10.0, min_words: int = 50
) -> Verdict:
    """Prose whose words have fewer than `min_mean` or more than `max_mean` letters and digits on average.

    Why: Gopher keeps documents whose words have 3 to 10 characters on average, among documents of at least 50
    words (Rae et al., arXiv 2112.11446, §A.1.1): shorter texts have no verdict. A word is what stands between
    spaces and holds a letter or a digit. The evidence is the mean, where it is outside. Tables of numbers have
    short words, and scripts without spaces, such as Chinese, long ones: leave the rule off there.
    """
    words = prose(of).str.count_matches(r"[^\s\pL\pN]*[\pL\pN]\S*")
    characters = prose(of).str.len_chars() - prose(of).str.count_matches(r"[^\pL\pM\pN]")
    mean = characters / words
    applies = words >= max(1, min_words)
    return Verdict(pl.when(~mean.is_between(min_mean, max_mean)).then(mean), "present", None, applies)
