"""Every number of a report, from the tables of a run, or an error when they do not add up.

Tables are aggregated where they lie. Texts of kept records are read once, batch by batch; others are fetched only
for the few records that the report quotes. The same tables give the same numbers: counts are whole, floats are
rounded, and everything is in one fixed order.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from curate.report import books, groups, kept, rules
from curate.report.alerts import alerts
from curate.report.books import SPLITS, Json, Tables
from curate.report.categories import categories
from curate.report.changes import before_after
from curate.report.excerpts import quoted
from curate.report.hygiene import Hygiene
from curate.report.licensing import licensing
from curate.report.projection import Vectors, mapped
from curate.report.samples import samples
from curate.report.texts import read_kept
from curate.report.tokens import Tokens
from curate.report.verbs import Verbs
from curate.tables import (
    AMENDMENTS,
    CONTAMINATION,
    DECISIONS,
    DUPLICATES,
    EXCLUSIONS,
    LEDGER,
    PAIRS,
    PASSES,
    PICKS,
    UNREADABLE,
    VERDICTS,
)

_MAY_BE_MISSING: Final = {
    "unreadable": UNREADABLE,
    "amendments": AMENDMENTS,
    "verdicts_measured": VERDICTS,
    "decisions": DECISIONS,
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


def numbers(
    tables: Mapping[str, pl.LazyFrame], facts: Mapping[str, Any], vectors: Vectors | None = None
) -> dict[str, Any]:
    """The numbers of a run as JSON-able values.

    `tables` are those of `curate.tables` by name; `evidence` and `evidence_measured` may be among them, and
    then values that are unknown count also where the pipeline keeps such records. `facts` is what the run
    knows about itself (see `curate.facts`). With `vectors` of records there is a map of them.

    Raises `CurateError` when the books do not balance: then there is nothing to report.
    """
    tables = {name: pl.LazyFrame(schema=schema) for name, schema in _MAY_BE_MISSING.items()} | dict(tables)
    intake, unreadable, ledger = books.intake(tables), books.unreadable(tables), books.ledger(tables)
    balances = books.balances(tables, intake, unreadable, ledger)
    funnel = books.funnel(tables, ledger)
    judged = rules.rule_numbers(tables, facts["rules"])
    rows = kept.kept_rows(tables)
    duplicates, contamination = kept.duplicates(tables, facts), kept.contamination(tables, facts)
    duplicates["groups_shown"] = groups.groups(tables)
    _quote(tables, judged, duplicates, contamination)
    domains = kept.domains(tables, rows)
    made: Json = {
        "name": facts["name"],
        "summary": _summary(intake, ledger, funnel, [rule["name"] for rule in judged if rule["lifted"]]),
        "balances": balances,
        "intake": intake,
        "unreadable": unreadable,
        "amendments": books.amendments(tables),
        "exclusions": books.exclusions(tables),
        "decisions": facts.get("decisions"),
        "funnel": funnel,
        "before_after": before_after(tables, facts, domains),
        "rules": judged,
        "ledger": ledger,
        "contamination": contamination,
        "dedup": duplicates,
        "selection": kept.selection(tables, facts),
        "controls": facts.get("controls"),
        "export_findings": facts.get("export_findings"),
        "domains": domains[: kept.DOMAINS],
        "categories": categories(domains),
        "licenses": kept.licenses(rows),
        "licensing": licensing(tables, facts),
        "lengths": kept.lengths(rows),
        **_of_texts(tables, facts),
        "map": mapped(tables, vectors, facts["seed"]),
        "examples": samples(tables, facts["seed"]),
        "made_by": _made_by(facts),
    }
    made["alerts"] = [*alerts(made), *facts["alerts"]]
    return made


def _of_texts(tables: Tables, facts: Mapping[str, Any]) -> Json:
    """What is counted in one pass over the texts of kept records."""
    tokens, verbs, hygiene = Tokens(facts), Verbs(), Hygiene(facts["seed"])
    read_kept(tables, (tokens, verbs, hygiene))
    return {"tokens": tokens.made(), "verbs": verbs.made(), "hygiene": hygiene.made()}


def _made_by(facts: Mapping[str, Any]) -> Json:
    known = ("command", "seed", "format", "versions", "inputs", "exports")
    return {key: facts[key] for key in known if key in facts} | {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",  # never the machine's name
        "pipeline_digest": facts.get("pipeline_digest"),
    }


def _quote(tables: Tables, judged: list[Json], duplicates: Json, contamination: Json) -> None:
    pairs = {pair[key] for pair in duplicates["least_similar"] for key in ("id", "kept_id")}
    pairs |= {found["id"] for found in contamination["examples"]}
    pairs |= groups.named(duplicates["groups_shown"])
    texts = quoted(tables["records"], rules.shown(judged) | pairs)
    rules.with_texts(judged, texts, tables)
    kept.with_both_texts(duplicates, texts)
    groups.with_members(duplicates["groups_shown"], texts)
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
