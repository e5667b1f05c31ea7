"""The part of a text that tells its language."""

from __future__ import annotations

from typing import Final

import polars as pl

# What is in no language: fenced and inline code, mathematics, addresses, tags.
_NO_LANGUAGE: Final = (
    r"(?s)```.*?(?:```|\z)|`[^`\n]+`|\$\$.*?\$\$|\$[^\s$0-9][^$\n]*\$"
    r"|\b(?:https?://|www\.)\S+|\S+@\S+\.\S+|</?[a-zA-Z][^<>]*>"
)
# Enough to tell by: on 1,000 responses of over 1,000 characters, the first 200 gave the language of the whole.
BEGINNING: Final = 600


def prose(texts: list[str]) -> pl.Series:
    """The first 600 characters of each text that are neither code nor mathematics, addresses or tags."""
    return pl.Series(texts, dtype=pl.String).str.replace_all(_NO_LANGUAGE, " ").str.head(BEGINNING)
