"""Rows as long as they are, and what a recipe's limit leaves of them, without reading all of them twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.train.recipe import Recipe
from curate.train.rows.joining import UNLEARNED
from curate.train.rows.templates import Template
from curate.train.rows.tokens import Markers, Tokens, TooLong, tokenize

_ENDLESS: Final = 2**31 - 1  # tokens of a row


def whole(records: pl.DataFrame, template: Template, recipe: Recipe) -> Tokens:
    """The rows as long as they are, those with marks of the template as well."""
    return tokenize(records, template, loss=recipe.loss, max_tokens=_ENDLESS, too_long="error", markers="text")


def limited(records: pl.DataFrame, unlimited: Tokens, template: Template, recipe: Recipe) -> Tokens:
    """What `tokenize` makes of the records under the recipe, given the rows as long as they are.

    Where the recipe would stop at a row, it is what is left without it.
    """
    too_long: TooLong = "drop" if recipe.too_long == "error" else recipe.too_long
    markers: Markers = "text" if recipe.markers == "error" else recipe.markers
    marked = bool(unlimited.table["markers"]["rows"]) and markers == "drop"
    beyond = unlimited.lengths > recipe.max_tokens
    policies: dict[str, Any] = {"max_tokens": recipe.max_tokens, "too_long": too_long}
    if not marked and not beyond.any():
        named = {**unlimited.table["markers"], "policy": markers}
        return replace(unlimited, table={**unlimited.table, **policies, "markers": named})
    few = pl.Series([unlimited.ids[at] for at in np.flatnonzero(beyond)], dtype=pl.String)
    some = records if marked else records.filter(pl.col("id").is_in(few.implode()))
    again = tokenize(some, template, loss=recipe.loss, markers=markers, **policies)
    return again if marked else _merged(unlimited, again, beyond, records)


def _merged(unlimited: Tokens, again: Tokens, beyond: NDArray[np.bool_], records: pl.DataFrame) -> Tokens:
    """The rows within the limit, and in place of those beyond what is left of them."""
    starts, lengths = unlimited.offsets[:-1].copy(), unlimited.lengths.copy()
    lengths[beyond] = 0
    place = {id: at for at, id in enumerate(unlimited.ids)}
    at = np.array([place[id] for id in again.ids], np.int64)
    starts[at] = len(unlimited.input_ids) + again.offsets[:-1]
    lengths[at] = again.lengths
    stay = lengths > 0
    starts, lengths = starts[stay], lengths[stay]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    taken = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    input_ids, labels = (
        np.concatenate([getattr(unlimited, name), getattr(again, name)])[taken] for name in ("input_ids", "labels")
    )
    dropped = {*unlimited.table["dropped"], *again.table["dropped"]}
    table = {
        **unlimited.table,
        "rows": len(lengths),
        "tokens": len(input_ids),
        "learned": int((labels != UNLEARNED).sum()),
        **{name: again.table[name] for name in ("max_tokens", "too_long", "beyond", "shortened", "lost_end")},
        "dropped": [id for id in records["id"].to_list() if id in dropped],
        "markers": {**unlimited.table["markers"], "policy": again.table["markers"]["policy"]},
    }
    ids = [id for id, stays in zip(unlimited.ids, stay.tolist(), strict=True) if stays]
    return Tokens(ids, offsets, input_ids, labels, table)
