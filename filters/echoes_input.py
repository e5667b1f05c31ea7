"""Rejects outputs that only say the input again."""

import polars as pl

from curate.api import Field, Verdict, rejects, text


@rejects
def echoes_input(*, of: Field = "response") -> Verdict:
    """An output that is equal to its input but for white space around it.

    Why: Self-Instruct drops such instances (self_instruct/prepare_for_finetuning.py in yizhongw/self-instruct):
    the model had nothing to do. It also hits corrections of what was right already. A record without an input
    has nothing to echo. The evidence is the text.
    """
    said = text(of).str.strip_chars()
    return Verdict(pl.when(said == text("context").str.strip_chars()).then(said), "present", None)
