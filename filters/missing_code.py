"""Rejects tasks about code that is not there."""

from __future__ import annotations

from typing import Final

import polars as pl

from curate.api import Field, Verdict, rejects, text

_ABOUT_CODE: Final = (
    r"(?i)\b(?:(?:the following|this|the given|the provided|the below|provided) (?:\w+ ){0,2}"
    r"(?:code|program|function|script|snippet|sql query|query|regular expression|method|class definition)\b"
    r"|(?:code|program|function|script|snippet|query)(?: \w+)? (?:below|given below|provided)\b)"
)
_CODE: Final = r"[{};=<>\[\]`\"“”]|\w\(|:\s*\S|\n\s*\S"


@rejects(languages=("en",))
def missing_code(*, of: Field = "prompt") -> Verdict:
    """An instruction about "the following code" where no code follows, and there is no input.

    Why: AlpacaDataCleaned lists missing code among Alpaca's defects (gururise/AlpacaDataCleaned, README): the
    answer is made up. The rule is ours: the instruction points at code, and neither brackets, quotation marks nor
    anything after a colon or in another line can be that code. The evidence is what points.
    Rejects: Find the bug in the following code.
    Rejects: Explain what this function does.
    Keeps: Explain what this function does: len(x)
    Keeps: Write a function that adds two numbers.
    """
    points = text(of).str.extract(f"({_ABOUT_CODE})", 1)
    # Earlier turns may have shown the code.
    first = pl.col("context").is_null() & (pl.col("history").list.len() == 0)
    bare = first & ~text(of).str.contains(_CODE)
    return Verdict(pl.when(bare).then(points), "present", None)
