"""Every number of a report, from the tables of a run, or an error when they do not add up.

Tables are aggregated where they lie; texts are fetched only for the few records that the report quotes. The
same tables give the same numbers: counts are whole, floats rounded, and everything is in one fixed order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import polars as pl

from curate.report import books, kept, rules
from curate.report.books import SPLITS, Json, Tables
from curate.report.excerpts import quoted
from curate.tables import (
    AMENDMENTS,
    CONTAMINATION,
    DUPLICATES,
    EXCLUSIONS,
    LEDGER,
    PAIRS,
    PASSES,
    PICKS,
    UNREADABLE,
    VERDICTS,
)

# Beyond these shares somebody should look: more than 1% unknown, more than 20% of a source said twice.
UNKNOWN_SHARE: Final = 0.01
DUPLICATE_SHARE: Final = 0.20
_SHOWN_CAUSES: Final = 3

_MAY_BE_MISSING: Final = {
    "unreadable": UNREADABLE,
    "amendments": AMENDMENTS,
    "verdicts_measured": VERDICTS,
    "exclusions": EXCLUSIONS,
    "contamination": CONTAMINATION,
    "passes_against": PASSES,
    "pairs": PAIRS,
    "duplicates": DUPLICATES,
    "passes": PASSES,
    "picks": PICKS,
    "ledger": LEDGER,
}
_PURPOSE: Final = {"train": "to train on", "dev": "for dev", "test": "for test"}


def numbers(tables: Mapping[str, pl.LazyFrame], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a run as JSON-able values.

    `tables` are those of `curate.tables` by name; `evidence` and `evidence_measured` may be among them, and
    then values that are unknown count also where the pipeline keeps such records. `facts` is what the run
    knows about itself (see `curate.facts`).

    Raises `CurateError` when the books do not balance: then there is nothing to report.
    """
    tables = {name: pl.LazyFrame(schema=schema) for name, schema in _MAY_BE_MISSING.items()} | dict(tables)
    intake, unreadable, ledger = books.intake(tables), books.unreadable(tables), books.ledger(tables)
    balances = books.balances(tables, intake, unreadable, ledger)
    funnel = books.funnel(tables, ledger)
    judged = rules.rule_numbers(tables, facts["rules"])
    rows = kept.kept_rows(tables)
    duplicates, contamination = kept.duplicates(tables, facts), kept.contamination(tables, facts)
    _quote(tables, judged, duplicates, contamination)
    made: Json = {
        "name": facts["name"],
        "summary": _summary(intake, ledger, funnel, [rule["name"] for rule in judged if rule["lifted"]]),
        "balances": balances,
        "intake": intake,
        "unreadable": unreadable,
        "amendments": books.amendments(tables),
        "exclusions": books.exclusions(tables),
        "funnel": funnel,
        "rules": judged,
        "ledger": ledger,
        "contamination": contamination,
        "dedup": duplicates,
        "selection": kept.selection(tables, facts),
        "domains": kept.domains(tables, rows),
        "licenses": kept.licenses(rows),
        "lengths": kept.lengths(rows),
        "made_by": {
            key: facts[key]
            for key in ("command", "seed", "format", "versions", "inputs", "exports")
            if key in facts
        },
    }
    made["alerts"] = [*_alerts(made), *facts["alerts"]]
    return made


def _quote(tables: Tables, judged: list[Json], duplicates: Json, contamination: Json) -> None:
    pairs = {pair[key] for pair in duplicates["least_similar"] for key in ("id", "kept_id")}
    pairs |= {found["id"] for found in contamination["examples"]}
    texts = quoted(tables["records"], rules.shown(judged) | pairs)
    rules.with_texts(judged, texts, tables)
    kept.with_both_texts(duplicates, texts)
    kept.with_references(contamination, texts)


def _summary(intake: Json, ledger: Json, funnel: Json, lifted: list[str]) -> Json:
    total = ledger["total"]
    return {
        "native": intake["total"]["native"],
        "inputs": intake["total"]["inputs"],
        "sources": len(ledger["sources"]),
        "records": total["records"],
        "kept": total["kept"],
        "splits": total["splits"],
        "outcome": _outcome(total["records"], total["kept"], total["splits"]),
        "rest": _rest(funnel["total"]),
        "lifted": lifted,
    }


def _outcome(records: int, kept: int, splits: Mapping[str, int]) -> str:
    if not records:
        return "No record was read."
    if not kept:
        return f"Of {records:,} records, none is kept."
    named = [f"{splits[split]:,} {_PURPOSE.get(split, split)}" for split in SPLITS if splits.get(split)]
    are = "is" if kept == 1 else "are"
    return f"Of {records:,} records, {kept:,} {are} kept: {_listed(named)}."


def _rest(total: Json) -> str:
    """What became of those that are not kept, in one sentence; empty when all are."""
    taken = {step["step"]: step["removed"] for step in total["steps"]}
    rejected = taken.pop("rejected by rules on text") + taken.pop("rejected by rules on measures")
    words = {
        "rejected by rules": rejected,
        "said before by a record that stays": taken["duplicates"],
        "not drawn by any quota": taken["not drawn"],
        "excluded": taken["excluded"],
        "contaminated": taken["contaminated"],
    }
    named = [f"{count:,} {word}" for word, count in words.items() if count]
    return f"The others: {_listed(named)}." if named else ""


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _alerts(made: Json) -> Iterator[str]:
    """What somebody should look at before they use the set, the gravest first."""
    total = made["ledger"]["total"]
    if not total["kept"]:
        yield "Nothing is kept: the set is empty."
    for split in sorted({quota["split"] for quota in made["selection"]["quotas"]}):
        if total["kept"] and not total["splits"].get(split):
            yield f"The split {split} is empty, though a quota asks for it."
    yield from (f"A quota is short. {each['sentence']}." for each in made["selection"]["shortages"])
    yield from _intake_alerts(made)
    for rule in made["rules"]:
        yield from _rule_alerts(rule)
    for row in made["ledger"]["sources"]:
        if row["records"] and row["duplicate"] / row["records"] > DUPLICATE_SHARE:
            yield f"{row['source']}: {_of(row['duplicate'], row['records'])} records are duplicates."
    unnamed = sum(row["kept"] for row in made["licenses"] if row["license"] is None)
    if unnamed:
        yield f"{unnamed:,} kept {'record has' if unnamed == 1 else 'records have'} no licence."


def _intake_alerts(made: Json) -> Iterator[str]:
    for row in made["intake"]["sources"]:
        if row["unreadable"]:
            yield f"{row['source']}: {_of(row['unreadable'], row['native'])} native rows could not be read."
        if row["superseded"]:
            were = "1 record was" if row["superseded"] == 1 else f"{row['superseded']:,} records were"
            yield f"{row['source']}: {were} superseded by newer ones of the same id; do two inputs share ids?"
        if not row["read"]:
            causes = sorted(row["passed_over"], key=lambda each: (-each["rows"], each["cause"]))[:_SHOWN_CAUSES]
            why = ", ".join(f"{each['rows']:,} {each['cause']}" for each in causes)
            yield f"No record came from the source {row['source']}: {row['native']:,} native rows" + (
                f", of them {why}." if why else "."
            )
    silent = {row["source"] for row in made["intake"]["sources"] if not row["read"]}
    for source, rows in groupby(made["intake"]["inputs"], key=itemgetter("source")):
        empty = [row["input"] for row in rows if not row["read"]]
        if empty and source not in silent:
            more = f" and {len(empty) - 1:,} more" if len(empty) > 1 else ""
            yield f"No record came from {empty[0]} ({source}){more}."


def _rule_alerts(rule: Json) -> Iterator[str]:
    if rule["lifted"]:
        return
    for row in rule["sources"]:
        if row["judged"] and row["unknown"] / row["judged"] > UNKNOWN_SHARE:
            missing = _of(row["unknown"], row["judged"])
            yield f"{rule['name']}: the value of {missing} records of {row['source']} is unknown."
        if row["judged"] and row["hit"] == row["judged"]:
            yield f"{rule['name']} rejects every record of {row['source']} that it judges ({row['hit']:,})."


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}"
