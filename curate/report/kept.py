"""What is in the set, and what lies beside it: splits, quotas, domains, licences, lengths and duplicates."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

import polars as pl

from curate.record import message
from curate.report.books import SPLITS, Json, Tables, collected
from curate.report.evidence import quantiles
from curate.report.excerpts import excerpt, number, parting

LEAST_SIMILAR: Final = 2
DOMAINS: Final = 1000  # that are listed; a set may have one a record
REFERENCES_SHOWN: Final = 3

# Upper edges of the bins of lengths, in characters; each holds twice what the one before it holds.
_EDGES: Final = tuple(2**power for power in range(6, 15))


def kept_rows(tables: Tables) -> pl.DataFrame:
    """One row a kept record, without its texts: id, source, domain, group, license, lengths, split and quota."""
    drawn = tables["picks"].filter(pl.col("split").is_not_null()).select("id", "split", "quota")
    wanted = collected(drawn).sort("id")
    # A filter by value, which a scan of Parquet applies before it decodes texts; a join would decode all.
    rows = tables["records"].filter(pl.col("id").is_in(wanted["id"].implode()))
    columns = ("id", "source", "domain", "group", "license")
    response = pl.col("response").str.len_chars().alias("response")
    narrow = collected(rows.select(*columns, message().str.len_chars().alias("prompt"), response))
    return narrow.join(wanted, on="id").sort("id")


def selection(tables: Tables, facts: Mapping[str, Any]) -> Json:
    """What each quota asked for and drew, and why records were not drawn."""
    drawn = tables["picks"].filter(pl.col("split").is_not_null()).group_by("quota").agg(rows=pl.len())
    by_name = dict(collected(drawn).iter_rows())
    why = tables["picks"].filter(pl.col("split").is_null()).group_by("why").agg(records=pl.len())
    return {
        "quotas": [dict(quota) | {"drawn": by_name.get(quota["name"], 0)} for quota in facts["quotas"]],
        "not_drawn": collected(why).sort("records", "why", descending=[True, False]).to_dicts(),
        "shortages": [dict(each) for each in facts["shortages"]],
    }


def domains(tables: Tables, kept: pl.DataFrame) -> list[Json]:
    """How many records of each domain were read, and how many are kept in each split; the most kept first."""
    by = ["source", "domain", "group"]
    read = collected(tables["records"].group_by(by).agg(records=pl.len()))
    counted = read.join(_by_split(kept, by), on=by, how="left", nulls_equal=True).fill_null(0)
    return counted.sort("kept", "records", *by, descending=[True, True, False, False, False]).to_dicts()


def licenses(kept: pl.DataFrame) -> list[Json]:
    """How many kept records are under each licence, by split."""
    return _by_split(kept, ["license"]).sort("kept", "license", descending=[True, False]).to_dicts()


def lengths(kept: pl.DataFrame) -> Json:
    """How long kept prompts and responses are, in characters: quantiles by split, and counts by doubling bins."""
    return {
        field: {
            "splits": [
                {"split": split, **quantiles(kept.filter(pl.col("split") == split)[field])}
                for split in SPLITS
                if split in kept["split"]
            ],
            "bins": _bins(kept[field]),
        }
        for field in ("prompt", "response")
    }


def duplicates(tables: Tables, facts: Mapping[str, Any]) -> Json:
    """Pairs, groups by size, and the least similar of the pairs that cost a record its place, named by id."""
    how = ["method", "on"]
    similarity = pl.col("similarity")
    pairs = collected(tables["pairs"].group_by(how).agg(pairs=pl.len(), least=similarity.min()))
    dropped = collected(tables["duplicates"].group_by(how).agg(records=pl.len(), least=similarity.min()))
    sizes = tables["duplicates"].group_by("kept_id").agg(size=pl.len() + 1).group_by("size").agg(groups=pl.len())
    least = collected(tables["duplicates"].sort("similarity", "id").head(LEAST_SIMILAR))
    least = least.filter(similarity < 1) if (least["similarity"] < 1).any() else least.head(1)
    return {
        "passes": _passes(tables["passes"], [each for each in facts["dedup"] if not each.get("against")]),
        "pairs": [_rounded(row) for row in pairs.sort(how).to_dicts()],
        "dropped": [_rounded(row) for row in dropped.sort(how).to_dicts()],
        "groups": collected(sizes).sort("size").to_dicts(),
        "least_similar": [_rounded(row) for row in least.to_dicts()],
    }


def contamination(tables: Tables, facts: Mapping[str, Any]) -> Json:
    """Which references were met, by file and method, and records beside the reference most similar to them."""
    by = ["file", "method", "on"]
    similarity = pl.col("similarity")
    found = (
        tables["contamination"]
        .group_by(by)
        .agg(records=pl.len(), references=pl.col("position").n_unique(), least=similarity.min())
    )
    shown = collected(tables["contamination"].sort(similarity, "id").head(REFERENCES_SHOWN))
    return {
        "passes": _passes(tables["passes_against"], [each for each in facts["dedup"] if each.get("against")]),
        "found": [
            _rounded(row)
            for row in collected(found).sort("records", *by, descending=[True, *[False] * 3]).to_dicts()
        ],
        "examples": [_rounded(row) for row in shown.to_dicts()],
    }


def with_references(contamination: Json, texts: Mapping[str, Json]) -> None:
    """Put the record's text beside each reference."""
    for found in contamination["examples"]:
        record = texts[found["id"]]
        found |= {"prompt": excerpt(record["prompt"]), "response": excerpt(record["response"])}
        found["text"] = excerpt(found["text"])


def _passes(done: pl.LazyFrame, calls: list[Mapping[str, Any]]) -> list[Json]:
    """What the pipeline asks for, with what came of it."""
    said = collected(done).sort("pass").select("dropped", "comparisons", "note").to_dicts()
    said += [{"dropped": 0, "comparisons": 0, "note": ""}] * (len(calls) - len(said))
    return [dict(call) | came for call, came in zip(calls, said, strict=True)]


def with_both_texts(duplicates: Json, texts: Mapping[str, Json]) -> None:
    """Put both texts where a pair is named by its ids, from shortly before the place where they part."""
    for pair in duplicates["least_similar"]:
        dropped, kept = texts[pair["id"]], texts[pair["kept_id"]]
        for field in ("prompt", "response"):
            start = parting(dropped[field] or "", kept[field] or "")
            pair[field] = {
                "dropped": excerpt(dropped[field], start=start),
                "kept": excerpt(kept[field], start=start),
            }


def _by_split(kept: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    splits = {split: (pl.col("split") == split).sum() for split in SPLITS}
    return kept.group_by(by).agg(kept=pl.len(), **splits)


def _bins(lengths: pl.Series) -> list[Json]:
    known = lengths.drop_nulls()
    edges = [0, *_EDGES, None]
    return [
        {
            "from": low,
            "below": high,
            "records": int(((known >= low) & (known < high)).sum() if high else (known >= low).sum()),
        }
        for low, high in pairwise(edges)
        if low is not None
    ]


def _rounded(row: Json) -> Json:
    return {key: number(value) for key, value in row.items()}
