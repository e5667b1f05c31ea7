"""Rejects text under a number of words."""

import polars as pl

from curate.api import Field, Limit, Verdict, below, rejects, text


@rejects
def too_few_words(*, of: Field = "prompt", min_words: Limit[int] = 4) -> Verdict:
    """Text with fewer than `min_words` words.

    Why: Self-Instruct and Alpaca drop generated instructions of three words or fewer
    (self_instruct/bootstrap_instructions.py in yizhongw/self-instruct; generate_instruction.py in
    tatsu-lab/stanford_alpaca). A word is what stands between spaces, so a script without spaces has few.
    Rejects: Tell a joke.
    Keeps: Tell me a joke.
    """
    return below(text(of).str.count_matches(r"\S+").cast(pl.Int64), min_words)
