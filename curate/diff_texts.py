"""What a difference shows of records: excerpts of their texts, and what differs where both sides have them."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

import polars as pl

from curate.contrast import contrast
from curate.report.excerpts import WIDTH, excerpt

Json = dict[str, Any]

FIELDS: Final = ("prompt", "response")


def beside(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None, *, width: int = WIDTH) -> Json:
    """What to show of a record whose message and response are given as `a` and `b` have them, None for neither.

    `prompt` and `response` are excerpts, of `b` where it has the record. `apart` has for each of the two that
    differs the pieces of both sides, as `[text, "same" | "differs" | "cut"]`, and `said` where
    white space alone does.
    """
    shown: Json = {field: excerpt((b or a or {}).get(field), width=width) for field in FIELDS}
    shown["apart"] = {}
    if a and b:
        for field in FIELDS:
            if a[field] != b[field]:
                found = contrast(a[field] or "", b[field] or "", chars=width)
                sides = {side: [[piece.text, piece.kind] for piece in getattr(found, side)] for side in "ab"}
                shown["apart"][field] = sides | {"said": found.said}
    return shown


def shifts_frame(shifts: list[Json]) -> pl.DataFrame:
    """Shifts as a table: how far each distribution is apart, and what chance alone would make of it."""
    rows = [(row["title"], row["of"], row["shift"], row["by_chance"]) for row in shifts]
    schema = {"distribution": pl.String, "of": pl.String, "shift": pl.Float64, "by chance": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def table_html(caption: str, frame: pl.DataFrame) -> str:
    """A small frame as an HTML table, for a notebook."""
    head = "".join(f"<th>{escape(name)}</th>" for name in frame.columns)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in frame.iter_rows())
    return f"<table><caption>{escape(caption)}</caption><tr>{head}</tr>{rows}</table>"


def _cell(value: Any) -> str:
    if isinstance(value, int | float):
        return f"<td style='text-align:right'>{value:{',.3f' if isinstance(value, float) else ','}}</td>"
    return f"<td style='text-align:left'>{'' if value is None else escape(str(value))}</td>"
