"""Rejects text that ends with a colon."""

import polars as pl

from curate.api import Field, Verdict, rejects, text

_SHOWN = 40  # characters before the colon that the evidence shows


@rejects
def ends_with_colon(*, of: Field = "response") -> Verdict:
    """Text that ends with a colon: what it announces is not there.

    Why: Self-Instruct drops instances whose input or output ends so, as broken off
    (self_instruct/prepare_for_finetuning.py in yizhongw/self-instruct). One rule looks at one field: have a second
    with `of = "context"` for inputs.
    Rejects: The ingredients are as follows:
    Keeps: At noon it was 12:00
    """
    said = text(of).str.strip_chars_end()
    return Verdict(pl.when(said.str.ends_with(":")).then(said.str.tail(_SHOWN)), "present", None)
