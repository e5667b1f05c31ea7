"""What was read beside what is kept: how the set differs from its sources, and which differences look odd."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import polars as pl

from curate.record import message
from curate.report.books import Json, Tables, collected
from curate.report.categories import chosen, counts, entropy
from curate.report.evidence import hit_by, lies_in
from curate.report.excerpts import number

# A median that doubles or halves makes every comparison with another set one of lengths, too.
LENGTH_RATIO: Final = 2
# A set of which one category is most, when the data had more of the others, is about that category.
MOST: Final = 0.5
GROWN: Final = 1.5
_ENOUGH: Final = 20  # kept records, below which medians and shares say little

_PROMPT: Final = "median length of prompts"
_RESPONSE: Final = "median length of responses"


def before_after(tables: Tables, facts: Mapping[str, Any], domains: list[Json]) -> Json:
    """Counts, lengths, faults, languages and categories of all records read, and of the kept ones.

    `domains` are counts by source, domain and group as `curate.report.kept` makes them. `alert` is a sentence
    where a change is suspicious, else empty.
    """
    kept = tables["picks"].filter(pl.col("split").is_not_null()).select("id")
    records = tables["records"]
    before = _texts(records)
    # A filter by value, which a scan of Parquet applies before it decodes texts; a join would decode all.
    after = _texts(records.filter(pl.col("id").is_in(collected(kept)["id"].sort().implode())))
    rows = [
        _row("records", "records", before["records"], after["records"]),
        _length(_PROMPT, before["prompt"], after["prompt"], after["records"]),
        _length(_RESPONSE, before["response"], after["response"], after["records"]),
        _share("without a response", before, after, "silent"),
        _share("with earlier turns", before, after, "turns"),
        _share("with a context", before, after, "context"),
    ]
    shares = [row for row in rows if row["unit"] == "share"]
    rows = [row for row in rows if row not in shares or row["before"] or row["after"]]
    rows += _near_copies(tables, facts, kept, before["records"], after["records"])
    rows += _faults(tables, facts, kept, before["records"], after["records"])
    rows += _languages(tables, facts, kept)
    rows += _categories(domains, after["records"])
    return {"rows": rows}


def _row(what: str, unit: str, before: Any, after: Any, alert: str = "") -> Json:
    return {"what": what, "unit": unit, "before": number(before), "after": number(after), "alert": alert}


def _texts(records: pl.LazyFrame) -> dict[str, Any]:
    context = pl.col("context").fill_null("") != ""
    wanted = records.select(
        records=pl.len(),
        prompt=message().str.len_chars().quantile(0.5, interpolation="nearest"),
        response=pl.col("response").str.len_chars().quantile(0.5, interpolation="nearest"),
        silent=pl.col("response").is_null().sum(),
        turns=(pl.col("history").list.len() > 0).sum(),
        context=context.sum(),
    )
    return collected(wanted).to_dicts()[0]


def _share(what: str, before: Json, after: Json, key: str) -> Json:
    return _row(
        f"records {what}", "share", _part(before[key], before["records"]), _part(after[key], after["records"])
    )


def _part(some: int | None, whole: int) -> float | None:
    return (some or 0) / whole if whole else None


def _length(what: str, before: float | None, after: float | None, n: int) -> Json:
    alert = ""
    if before and after and n >= _ENOUGH and not 1 / LENGTH_RATIO < after / before < LENGTH_RATIO:
        grew = "grew" if after > before else "shrank"
        alert = (
            f"The {what} {grew} from {before:,.0f} to {after:,.0f} characters: what the set seems to gain or lose "
            "may come of that."
        )
    return _row(what, "characters", before, after, alert)


def _near_copies(
    tables: Tables, facts: Mapping[str, Any], kept: pl.LazyFrame, before: int, after: int
) -> Iterator[Json]:
    if not any(not each.get("against") for each in facts["dedup"]):
        return
    pairs = tables["pairs"].select("id_a", "id_b")
    left = pairs.join(kept, left_on="id_a", right_on="id", how="semi")
    left = left.join(kept, left_on="id_b", right_on="id", how="semi")
    some = [
        collected(pl.concat([each.select(id=side) for side in ("id_a", "id_b")]).select(pl.col("id").n_unique()))
        for each in (pairs, left)
    ]
    shares = _part(some[0].item(), before), _part(some[1].item(), after)
    yield _row("records with a near copy in the set", "share", *shares)


def _faults(
    tables: Tables, facts: Mapping[str, Any], kept: pl.LazyFrame, before: int, after: int
) -> Iterator[Json]:
    said = [tables[name].filter(pl.col("reasons").list.len() > 0).select("id") for name in _VERDICTS]
    faulty = pl.concat(said)
    left = faulty.join(kept, on="id", how="semi")
    some = [collected(each.select(pl.col("id").n_unique())).item() for each in (faulty, left)]
    if facts["rules"]:
        yield _row(
            "records with a fault that a rule finds", "share", _part(some[0], before), _part(some[1], after)
        )
    for rule in facts["rules"]:
        table = lies_in(tables, rule)
        hit = hit_by(table, rule) if rule.get("lifted") else None
        if hit is not None:
            found = table.filter(hit).select("id")
            hits = [
                collected(each.select(pl.len())).item() for each in (found, found.join(kept, on="id", how="semi"))
            ]
            what = f"records that the lifted rule {rule['name']} would reject"
            yield _row(what, "share", _part(hits[0], before), _part(hits[1], after))


_VERDICTS: Final = ("verdicts", "verdicts_measured")


def _languages(tables: Tables, facts: Mapping[str, Any], kept: pl.LazyFrame) -> Iterator[Json]:
    """The share of the most frequent language among the records whose language is known."""
    for rule in facts["rules"]:
        table, name = lies_in(tables, rule), rule["name"]
        if rule["use"] != "wrong_language" or name not in table.collect_schema():
            continue
        known = table.filter(pl.col(name).is_not_null()).select("id", name)
        spread = [
            dict(collected(each.group_by(name).agg(n=pl.len())).iter_rows())
            for each in (known, known.join(kept, on="id", how="semi"))
        ]
        if spread[0]:
            most = min(spread[0], key=lambda language: (-spread[0][language], language))
            before, after = (_part(each.get(most), sum(each.values())) for each in spread)
            yield _row(f"records in {most}, of those measured by {name}", "share", before, after)


def _categories(domains: list[Json], n: int) -> Iterator[Json]:
    by = chosen(domains)
    read, kept = counts(domains, by, "records"), counts(domains, by, "kept")
    if len(read) < 2:
        return
    yield _row(f"{by}s with a record", f"{by}s", len(read), len(kept))
    yield _row(f"entropy of {by}s", "nats", entropy(read.values()), entropy(kept.values()))
    if not kept:
        return
    most = min(kept, key=lambda category: (-kept[category], category))
    before, after = read[most] / sum(read.values()), kept[most] / sum(kept.values())
    alert = ""
    if n >= _ENOUGH and after > MOST and after > GROWN * before:
        alert = f"{most} is {after:.0%} of what is kept, and was {before:.0%} of what was read."
    yield _row(f"share of {most}, the {by} with most kept records", "share", before, after, alert)
