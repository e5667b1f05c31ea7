"""How the evidence of a rule spreads: quantiles by source and for all, and histograms with the cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from curate.report.bins import histogram
from curate.report.books import Json, Tables, collected
from curate.report.excerpts import number
from curate.verdict import Verdict, rejects_when

QUANTILES: Final = {"min": 0.0, "p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}
# A page cannot show hundreds of histograms a rule; those of the sources with most records are made.
HISTOGRAMS: Final = 12


def limits(rule: Mapping[str, Any]) -> Json:
    """The rule's limit for each of its sources."""
    limit = rule["limit"]
    return dict(limit) if isinstance(limit, Mapping) else dict.fromkeys(rule["sources"], limit)


def spread(table: pl.LazyFrame, rule: Mapping[str, Any]) -> tuple[dict[str, Json], Json | None, dict[str, Json]]:
    """Quantiles of a rule's evidence by source, and for all, and histograms by source.

    Only the count of values where they are text.
    """
    name = rule["name"]
    dtype = table.collect_schema().get(name)
    if dtype is None:
        return {}, None, {}
    known = table.filter(pl.col(name).is_not_null(), pl.col("source").is_in(sorted(rule["sources"])))
    if not dtype.is_numeric():
        counted = collected(known.group_by("source").agg(n=pl.len()))
        return {source: {"n": n} for source, n in counted.iter_rows()}, {"n": int(counted["n"].sum())}, {}
    # One rule's numbers at a time are held, eight bytes a record.
    values = collected(known.select(pl.col("source").cast(pl.Categorical), name))
    by_source = {str(source): rows[name] for (source,), rows in values.group_by("source")}
    most = sorted(by_source, key=lambda source: (-len(by_source[source]), source))[:HISTOGRAMS]
    above = rule["sense"] == "above"
    cuts = {source: cut for source, cut in limits(rule).items() if isinstance(cut, int | float)}
    return (
        {source: quantiles(own) for source, own in by_source.items()},
        quantiles(values[name]),
        {source: made for source in most if (made := histogram(by_source[source], cuts.get(source), above=above))},
    )


def quantiles(values: pl.Series) -> Json:
    """The number of known values and where the least, the middle and the greatest lie."""
    known = values.drop_nulls().sort()
    return {"n": len(known)} | {
        key: number(known.quantile(share, interpolation="nearest")) for key, share in QUANTILES.items()
    }


def hit_by(table: pl.LazyFrame, rule: Mapping[str, Any]) -> pl.Expr | None:
    """True where stored evidence of a rule is at odds with its limit, lifted or not; None if none is stored."""
    if rule["name"] not in table.collect_schema():
        return None
    value, sense = pl.col(rule["name"]), rule["sense"]
    if sense == "present":
        return value.is_not_null()
    hits = [
        (pl.col("source") == source) & rejects_when(Verdict(value, sense, limit), value)
        for source, limit in sorted(limits(rule).items())
        if limit is not None
    ]
    return pl.any_horizontal(hits).fill_null(value=False) if hits else None


def lies_in(tables: Tables, rule: Mapping[str, Any]) -> pl.LazyFrame:
    """The verdicts in which a rule's evidence lies."""
    return tables["verdicts_measured" if rule["measured"] else "verdicts"]
