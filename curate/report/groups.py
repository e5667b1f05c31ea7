"""Groups of duplicates side by side, those first that a reader would soonest doubt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from curate.report.books import Json, Tables, collected
from curate.report.excerpts import excerpt, number, parting

GROUPS: Final = 12
MEMBERS: Final = 3  # dropped records that are shown of a group
WIDTH: Final = 320  # characters of a text
_FIELDS: Final = ("prompt", "response")


def groups(tables: Tables) -> list[Json]:
    """A few groups of duplicates by their ids, the least similar first.

    Similarities of different methods, or of different texts, cannot be compared. So each method shows its least
    similar groups, in turns. Groups of equal texts are shown only where there are no others.
    """
    dropped = tables["duplicates"]
    # One row a group; where the least similar of several is equally so by two methods, the first by id tells.
    by_similarity = [pl.col(name).sort_by("similarity", "id").first() for name in ("method", "on")]
    found = dropped.group_by("kept_id").agg(*by_similarity, least=pl.col("similarity").min(), size=pl.len() + 1)
    # A few of each method are enough, however many groups there are.
    in_order = found.sort("least", "kept_id").group_by("method", "on", maintain_order=True)
    first = collected(in_order.head(GROUPS)).sort("least", "method", "on", "kept_id")
    first = first.filter(pl.col("least") < 1) if (first["least"] < 1).any() else first.head(1)
    turn = pl.int_range(pl.len()).over("method", "on")
    shown = first.with_columns(turn=turn).sort("turn", "least", "kept_id").head(GROUPS).sort("least", "kept_id")
    ids = pl.Series(shown["kept_id"], dtype=pl.String).implode()
    members = collected(dropped.filter(pl.col("kept_id").is_in(ids))).sort("similarity", "id")
    of = {str(kept): rows.head(MEMBERS) for (kept,), rows in members.group_by("kept_id", maintain_order=True)}
    return [
        {
            "kept": {"id": row["kept_id"]},
            "dropped": [
                {key: number(value) for key, value in member.items()}
                for member in of[row["kept_id"]].select("id", "similarity", "method", "on").to_dicts()
            ],
            "similarity": number(row["least"]),
            "size": row["size"],
        }
        for row in shown.to_dicts()
    ]


def named(groups: list[Json]) -> set[str]:
    """The ids of all records that are shown."""
    return {record["id"] for group in groups for record in (group["kept"], *group["dropped"])}


def with_members(groups: list[Json], texts: Mapping[str, Json]) -> None:
    """Put the texts where groups name records by id, each from shortly before the place where it parts."""
    for group in groups:
        kept = texts[group["kept"]["id"]]
        for dropped in group["dropped"]:
            _put(dropped, texts[dropped["id"]], kept)
        _put(group["kept"], kept, texts[group["dropped"][0]["id"]])


def _put(record: Json, text: Json, other: Json) -> None:
    record |= {"source": text["source"], "url": text["url"]}
    for field in _FIELDS:
        start = parting(text[field] or "", other[field] or "")
        record[field] = excerpt(text[field], start=start, width=WIDTH)
