"""Rejects text in a language that is not asked for."""

from typing import Literal

import polars as pl

from curate.api import Field, Limit, Verdict, measured, outside, rejects


@rejects
def wrong_language(
    *,
    of: Field = "response",
    keep: Limit[tuple[str, ...]] = ("en",),
    sure: float = 0.98,
    by: Literal["language", "langdetect"] = "language",
) -> Verdict:
    """Text in a language other than those in `keep`, as ISO 639-1 codes.

    The rule applies where the measure is at least `sure` of its answer: a list of names or a line of code looks a
    little like many languages. Of a text with too few letters to tell by the measure says nothing:
    `wrong_language:unknown`.

    Why: a set for one language is spoilt by answers in another, which length and score do not show. Of 300
    labelled rows (benchmarks/decisions), `sure` at 0.98 rejects the same 18 in other languages as at 0.95, and 7
    rather than 9 others, mostly lists of foreign names.
    """
    told = (measured(by, "confidence", of) >= sure).fill_null(value=True)
    return outside(pl.when(told).then(measured(by, "language", of)), keep, applies=told)
