"""Texts that the report quotes: fetched for a few records, and cut to the passage that matters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import polars as pl

from curate.record import message

WIDTH: Final = 400  # characters of a text that are quoted

Json = dict[str, Any]


def quoted(records: pl.LazyFrame, ids: Iterable[str]) -> dict[str, Json]:
    """The message, response and address of the records with these ids, by id."""
    wanted = pl.Series(sorted(set(ids)), dtype=pl.String)
    urls = pl.col("works").list.eval(pl.element().struct.field("url")).list.drop_nulls()
    # A filter by value, which a scan of Parquet applies before it decodes texts; a join would decode all.
    found = records.filter(pl.col("id").is_in(wanted.implode())).select(
        "id", "source", message().alias("prompt"), "response", urls.list.first().alias("url")
    )
    return {row["id"]: row for row in found.collect(engine="streaming").to_dicts()}


def excerpt(
    text: str | None, *, around: str | None = None, start: int | None = None, width: int = WIDTH
) -> Json | None:
    """At most `width` characters of a text: the passage around a match, or around a place, or the beginning.

    `match` is where the match lies in the excerpt, as two offsets, or None; `cut_before` and `cut_after` say
    whether the text goes on. None when there is no text.
    """
    if text is None:
        return None
    place = text.find(around) if around else -1
    length = len(around) if around and place >= 0 else 0
    middle = place + length // 2 if length else start
    begin = 0 if middle is None else max(0, min(middle - width // 2, len(text) - width))
    if length > width:
        begin = place
    shown = text[begin : begin + width]
    match = [place - begin, min(place - begin + length, width)] if length else None
    return {
        "text": shown,
        "match": match,
        "cut_before": begin > 0,
        "cut_after": begin + width < len(text),
        "chars": len(text),
    }


def number(value: Any) -> Any:
    """A number for the report: whole where it is whole, else with six significant digits; None if not finite."""
    if not isinstance(value, float):
        return value
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN alone differs from itself
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else float(f"{value:.6g}")


def parting(one: str, other: str) -> int | None:
    """The place of the first character in which two texts differ; None when one begins with the other."""
    return next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
