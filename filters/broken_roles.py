"""Rejects dialogues whose turns are out of order."""

from typing import Final

import polars as pl

from curate.api import Verdict, rejects

# What a model called tools for stands between a question and its answer: calls are the assistant's turns.
_WITH_TOOLS: Final = r"\A(?:user (?:(?:assistant )*(?:tool )+)*assistant )+"
_STRICT: Final = r"\A(?:user assistant )+"


@rejects
def broken_roles(*, tools: bool = True) -> Verdict:
    """A dialogue in which user and assistant do not take turns, beginning with the user.

    Why: most chat templates refuse it, and a turn without its partner is missing something. Vicuna keeps only
    conversations that alternate strictly (FastChat, fastchat/data/clean_sharegpt.py: "wrong format"). With
    `tools`, calls and results of tools may stand between question and answer, which FastChat's format cannot
    say. The source `sharegpt` passes such conversations over while reading; this rule is for others. The
    evidence is who speaks from the first exchange that is wrong.
    """
    earlier = pl.col("history").list.eval(pl.element().struct.field("role")).list.join(" ")
    last = pl.when(pl.col("response").is_null()).then(pl.lit("user ")).otherwise(pl.lit("user assistant "))
    order = pl.when(earlier == "").then(last).otherwise(pl.concat_str(earlier, pl.lit(" "), last))
    rest = order.str.replace(_WITH_TOOLS if tools else _STRICT, "")
    wrong = pl.when(~rest.is_in(["", "user "])).then(rest.str.extract(r"\A((?:\w+ ){1,4})", 1))
    return Verdict(wrong.str.strip_chars_end().str.replace_all(" ", ", ", literal=True), "present", None)
