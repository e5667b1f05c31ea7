"""Rejects dialogues under a number of turns."""

import polars as pl

from curate.api import Limit, Verdict, below, rejects


@rejects
def too_few_turns(*, min_turns: Limit[int] = 2) -> Verdict:
    """A dialogue of fewer than `min_turns` turns, the last question and its answer among them.

    Why: Vicuna leaves out conversations of one turn or none (FastChat, fastchat/data/clean_sharegpt.py). It
    also leaves out those of fewer than 16 characters in all: that is the parameter `min_chars` of the source
    `sharegpt`, and for other sources `too_short = { of = "conversation", min_chars = 16 }`. With 4, only
    dialogues of two exchanges and more are kept.
    Keeps: A question and this answer are two turns.
    """
    turns = pl.col("history").list.len().cast(pl.Int64) + 1 + pl.col("response").is_not_null().cast(pl.Int64)
    return below(turns, min_turns)
