"""What each rule did: how many records it judged and rejected, on which evidence, with examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import polars as pl

from curate.report.books import Json, Tables, collected
from curate.report.evidence import limits, spread
from curate.report.excerpts import WIDTH, excerpt, number
from curate.views import FIELDS, present_in_record, text

EXAMPLES: Final = 3
NEAR_MISSES: Final = 2
ALONE: Final = 8
ALONE_WIDTH: Final = 160  # characters of a text: a line or two in a table
FREQUENT: Final = 10

VERDICTS: Final = ("verdicts", "verdicts_measured")
_EVIDENCE: Final = {"verdicts": "evidence", "verdicts_measured": "evidence_measured"}
_UNKNOWN: Final = ":unknown"
_REASONS: Final = pl.col("reasons")
_RULE: Final = _REASONS.str.strip_suffix(_UNKNOWN)

Counts = Counter[tuple[str, str]]  # by rule and source


def rule_numbers(tables: Tables, rules: Iterable[Mapping[str, Any]]) -> list[Json]:
    """The numbers of every rule, in the pipeline's order; examples are named by id.

    `alone_examples` are records that the rule alone removes. Later stages have not seen them: of a rule on text,
    the rules on measures neither.
    """
    hits, unknown_hits = _hits(tables)
    alone, unknown = _alone(tables), _unknown(tables) | unknown_hits
    examples, alone_examples = _examples(tables), _alone_examples(tables)
    masked = dict(collected(tables["amendments"].group_by("by").agg(pl.col("id").n_unique())).iter_rows())
    sizes = {name: _sizes(tables[name]) for name in ("records", *VERDICTS)}
    rules = list(rules)
    fields = {rule["of"] for rule in rules if rule["sense"] == "present" and rule["of"] in FIELDS}
    having = {of: _sizes(tables["records"].filter(present_in_record(text(of)))) for of in sorted(fields)}
    made = []
    for rule in rules:
        name, table = rule["name"], VERDICTS[bool(rule["measured"])]
        lifted = rule.get("lifted", False)
        spreads, overall, histograms = spread(tables[table], rule)
        judged = _judged(rule, spreads, unknown, sizes, having)
        cuts = limits(rule)
        sources = [
            {
                "source": source,
                "limit": cuts.get(source),
                "records": sizes["records"][source],
                "judged": judged[source],
                "hit": hits[name, source],
                "alone": alone[name, source],
                "unknown": unknown[name, source],
                "evidence": spreads.get(source),
                "histogram": histograms.get(source),
            }
            for source in sorted(rule["sources"])
        ]
        totals = {
            key: sum(row[key] for row in sources) for key in ("records", "judged", "hit", "alone", "unknown")
        }
        made.append(
            {key: rule[key] for key in ("name", "use", "of", "sense", "measured", "summary")}
            | {"lifted": lifted, "masked": masked.get(name, 0)}
            | totals
            | {
                "not_judged": _not_judged(rule, sizes) if rule["measured"] else 0,
                "hit_share": _share(totals["hit"], totals["judged"]),
                "unknown_share": _share(totals["unknown"], totals["judged"]),
                "evidence": overall,
                "frequent": _frequent(tables[table], rule),
                "sources": sources,
                "examples": examples.get(name, []),
                "alone_examples": alone_examples.get(name, []),
                "near_misses": [] if lifted else _near_misses(tables[table], rule),
            }
        )
    return made


def with_texts(rules: list[Json], texts: Mapping[str, Json], tables: Tables) -> None:
    """Put the records themselves where rules name their examples by id."""
    ids = pl.Series(sorted(shown(rules)), dtype=pl.String).implode()
    rows: dict[str, Json] = {id: {"reasons": []} for id in texts}
    for name in VERDICTS:
        for row in collected(tables[name].filter(pl.col("id").is_in(ids))).to_dicts():
            known = rows[row["id"]]
            known.update(row | {"reasons": known["reasons"] + row["reasons"]})
    ends = collected(tables["ledger"].filter(pl.col("id").is_in(ids)).select("id", "state"))
    states = dict(ends.iter_rows())
    for rule in rules:
        for kind in ("examples", "near_misses"):
            rule[kind] = [_example(rule, texts[id], rows[id], states[id]) for id in rule[kind]]
        rule["alone_examples"] = [_brief(rule, texts[id], rows[id]) for id in rule["alone_examples"]]


def shown(rules: Iterable[Json]) -> set[str]:
    """The ids of all examples."""
    kinds = ("examples", "alone_examples", "near_misses")
    return {id for rule in rules for kind in kinds for id in rule[kind]}


def _brief(rule: Json, text: Json, row: Json) -> Json:
    evidence = row.get(rule["name"])
    around = evidence if isinstance(evidence, str) and rule["sense"] == "present" else None
    return {
        "id": text["id"],
        "evidence": evidence[:ALONE_WIDTH] if isinstance(evidence, str) else number(evidence),
        "prompt": excerpt(text["prompt"], around=around, width=ALONE_WIDTH),
        "response": excerpt(text["response"], around=around, width=ALONE_WIDTH),
    }


def _example(rule: Json, text: Json, row: Json, state: str) -> Json:
    evidence = row.get(rule["name"])
    around = evidence if isinstance(evidence, str) and rule["sense"] == "present" else None
    limit = {each["source"]: each["limit"] for each in rule["sources"]}.get(text["source"])
    return {
        "id": text["id"],
        "source": text["source"],
        "url": text["url"],
        "state": state,
        "evidence": evidence[:WIDTH] if isinstance(evidence, str) else number(evidence),
        "limit": limit,
        "reasons": row["reasons"],
        "prompt": excerpt(text["prompt"], around=around),
        "response": excerpt(text["response"], around=around),
    }


def _said(tables: Tables, name: str) -> pl.LazyFrame:
    return tables[name].filter(_REASONS.list.len() > 0).select("id", "source", "reasons")


def _counts(frame: pl.LazyFrame) -> Counts:
    """Rows of a frame of `source` and `rule`, by rule and source."""
    counted = collected(frame.group_by("rule", "source").agg(rows=pl.len()))
    return Counter({(rule, source): rows for rule, source, rows in counted.iter_rows()})


def _hits(tables: Tables) -> tuple[Counts, Counts]:
    """Rejections by each rule, and those of them that were for want of a value."""
    said = [_said(tables, name).select("source", "reasons").explode("reasons") for name in VERDICTS]
    found = _counts(pl.concat(said).rename({"reasons": "rule"}))
    hits: Counts = Counter()
    unknown: Counts = Counter()
    for (rule, source), rows in found.items():
        hits[rule.removesuffix(_UNKNOWN), source] += rows
        if rule.endswith(_UNKNOWN):
            unknown[rule.removesuffix(_UNKNOWN), source] += rows
    return hits, unknown


def _alone(tables: Tables) -> Counts:
    """Records that only one rule rejects, by that rule."""
    return sum((_counts(only) for only in _only(tables)), Counts())


def _only(tables: Tables) -> list[pl.LazyFrame]:
    """`id`, `source` and `rule` of the records that only one rule rejects: by rules on text, and on measures."""
    found = []
    for name, other in (VERDICTS, VERDICTS[::-1]):
        only = _said(tables, name).filter(_REASONS.list.len() == 1)
        only = only.join(_said(tables, other).select("id"), on="id", how="anti")
        found.append(only.select("id", "source", rule=_REASONS.list.first().str.strip_suffix(_UNKNOWN)))
    return found


def _alone_examples(tables: Tables) -> dict[str, list[str]]:
    """For each rule the ids of a few records that it alone rejects, drawn by id."""
    drawn = pl.concat(_only(tables)).join(tables["records"].select("id", "draw"), on="id")
    first = drawn.group_by("rule").agg(pl.col("id").sort_by("draw", "id").head(ALONE))
    return dict(collected(first.sort("rule")).iter_rows())


def _unknown(tables: Tables) -> Counts:
    """Values that should be there and are not, also where the pipeline says to keep such records."""
    unknown: Counts = Counter()
    for name, evidence in _EVIDENCE.items():
        if evidence in tables:
            missing = tables[evidence].filter(pl.col("unknown").list.len() > 0).select("id", rule="unknown")
            named = missing.explode("rule").join(tables[name].select("id", "source"), on="id")
            unknown += _counts(named.select("source", "rule"))
    return unknown


def _sizes(table: pl.LazyFrame) -> Counter[str]:
    return Counter(dict(collected(table.group_by("source").agg(rows=pl.len())).iter_rows()))


def _not_judged(rule: Mapping[str, Any], sizes: Mapping[str, Counter[str]]) -> int:
    return sum(sizes["records"][source] - sizes["verdicts_measured"][source] for source in rule["sources"])


def _judged(
    rule: Mapping[str, Any],
    spreads: Mapping[str, Json],
    unknown: Counts,
    sizes: Mapping[str, Counter[str]],
    having: Mapping[str, Counter[str]],
) -> Counter[str]:
    """Records to which the rule applies, by source.

    Under `present` a missing value says that nothing was found, so all that have the field are counted, also
    where the rule narrows itself further, as to texts of so many words.
    """
    if rule["sense"] != "present":
        sources = rule["sources"]
        return Counter({s: spreads.get(s, {}).get("n", 0) + unknown[rule["name"], s] for s in sources})
    if rule["measured"]:
        return sizes["verdicts_measured"]
    return having.get(rule["of"], sizes["records"])


def _frequent(table: pl.LazyFrame, rule: Mapping[str, Any]) -> list[Json]:
    """The most frequent evidence of rejected records, where evidence is text."""
    dtype = table.collect_schema().get(rule["name"])
    if dtype is None or dtype.is_numeric():
        return []
    rejected = table.filter(_REASONS.list.contains(pl.lit(rule["name"])))
    # Case and white space hide what is the same phrase.
    value = pl.col(rule["name"]).cast(pl.String).str.replace_all(r"\s+", " ").str.slice(0, 60)
    value = value.str.to_lowercase() if rule["sense"] == "present" else value
    counted = collected(rejected.group_by(value.alias("value")).agg(records=pl.len()))
    return counted.sort("records", "value", descending=[True, False]).head(FREQUENT).to_dicts()


def _examples(tables: Tables) -> dict[str, list[str]]:
    """For each rule the ids of a few records that it rejects, those first that no other rule rejects.

    They are drawn by id, so that they lie all over the data.
    """
    said = pl.concat(
        [_said(tables, name).select("id", "reasons", others=_REASONS.list.len()) for name in VERDICTS]
    )
    drawn = said.join(tables["records"].select("id", "draw"), on="id").explode("reasons").with_columns(rule=_RULE)
    first = drawn.group_by("rule").agg(pl.col("id").sort_by(pl.col("others") > 1, "draw", "id").head(EXAMPLES))
    return dict(collected(first.sort("rule")).iter_rows())


def _near_misses(table: pl.LazyFrame, rule: Mapping[str, Any]) -> list[str]:
    """The ids of records that a rule on numbers only just lets pass: first those that no rule rejects."""
    name, sense = rule["name"], rule["sense"]
    if sense not in ("below", "above") or name not in table.collect_schema():
        return []
    by_source = {source: limit for source, limit in limits(rule).items() if limit is not None}
    if not by_source:
        return []
    limit = pl.coalesce(
        pl.when(pl.col("source") == each).then(float(by_source[each])) for each in sorted(by_source)
    )
    room = pl.col(name) - limit if sense == "below" else limit - pl.col(name)
    room = room / limit.abs().clip(lower_bound=1)  # so that sources with other limits can be compared
    passed = table.select("id", room=room, rejected=_REASONS.list.len() > 0).filter(pl.col("room") >= 0)
    nearest = collected(passed.sort("rejected", "room", "id").head(NEAR_MISSES))
    return nearest["id"].to_list()


def _share(part: int, whole: int) -> float | None:
    return number(part / whole) if whole else None
