"""Rejects text over a number of words."""

import polars as pl

from curate.api import Field, Limit, Verdict, above, rejects, text


@rejects
def too_many_words(*, of: Field = "prompt", max_words: Limit[int] = 150) -> Verdict:
    """Text with more than `max_words` words.

    Why: Self-Instruct and Alpaca drop generated instructions of more than 150 words, in which the model has mostly
    run on into another task (self_instruct/bootstrap_instructions.py in yizhongw/self-instruct;
    generate_instruction.py in tatsu-lab/stanford_alpaca). A word is what stands between spaces.
    Keeps: Summarise the paragraph below in one sentence.
    """
    return above(text(of).str.count_matches(r"\S+").cast(pl.Int64), max_words)
