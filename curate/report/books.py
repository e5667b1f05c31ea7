"""The books: what was read, where each record ended, and the sums that must agree before a report is made."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import polars as pl

from curate.errors import CurateError
from curate.tables import STATES

Tables = Mapping[str, pl.LazyFrame]
Json = dict[str, Any]

SPLITS: Final = ("train", "dev", "test")
FIRST_UNREADABLE: Final = 20  # rows that are shown; all are counted

_INTAKE_COUNTS: Final = ("native", "used", "unreadable", "read", "repeated", "superseded", "records")


def collected(frame: pl.LazyFrame) -> pl.DataFrame:
    """The rows of a frame that is small once aggregated, however many rows went into it."""
    return frame.collect(engine="streaming")


def intake(tables: Tables) -> Json:
    """What became of native rows: by input, by source and in total."""
    rows = tables["intake"].collect().sort("source", "input").to_dicts()
    inputs = [_intake_row(row["input"], [row]) | {"source": row["source"]} for row in rows]
    by_source = _grouped(rows, "source")
    sources = [
        _intake_row(source, by_source[source]) | {"inputs": len(by_source[source])} for source in sorted(by_source)
    ]
    return {"inputs": inputs, "sources": sources, "total": _intake_row("all", rows) | {"inputs": len(rows)}}


def unreadable(tables: Tables) -> Json:
    """Native rows that could not be read: counted by reason, and the first of them."""
    table = tables["unreadable"]
    counted = collected(table.group_by("source", "reason").agg(rows=pl.len())).sort(
        "rows", "source", "reason", descending=[True, False, False]
    )
    first = collected(table.sort("source", "file", "position", "reason", "excerpt").head(FIRST_UNREADABLE))
    return {"rows": int(counted["rows"].sum()), "reasons": counted.to_dicts(), "first": first.to_dicts()}


def amendments(tables: Tables) -> Json:
    """Changed fields of records, by who changed them."""
    table = tables["amendments"]
    counted = collected(table.group_by("by", "field").agg(changes=pl.len())).sort("by", "field")
    changed = collected(table.select(pl.col("id").n_unique())).item()
    return {"changes": int(counted["changes"].sum()), "records": changed, "by": counted.to_dicts()}


def ledger(tables: Tables) -> Json:
    """How many records ended in each state, by source and in total; kept records also by split."""
    kept = pl.when(pl.col("state") == "kept").then("detail")
    counted = collected(tables["ledger"].group_by("source", "state", kept.alias("split")).agg(rows=pl.len()))
    rows = counted.sort("source", "state", "split").to_dicts()
    totals = collected(tables["records"].group_by("source").agg(rows=pl.len())).sort("source")
    records: Counter[str] = Counter(dict(totals.iter_rows()))
    by_source = _grouped(rows, "source")
    sources = sorted({*by_source, *records})
    return {
        "states": list(STATES),
        "sources": [_ledger_row(source, by_source[source], records[source]) for source in sources],
        "total": _ledger_row("all", rows, records.total()),
    }


def exclusions(tables: Tables) -> list[Json]:
    """How many records each entry of the takedown list excludes."""
    counted = collected(tables["exclusions"].group_by("entry").agg(records=pl.len()))
    return counted.sort("records", "entry", descending=[True, False]).to_dicts()


def funnel(tables: Tables, ledger: Json) -> Json:
    """How many records each stage took away, in the order of the stages, by source and in total."""
    by_text = tables["verdicts"].filter(pl.col("reasons").list.len() > 0).select("id")
    rejected = tables["ledger"].filter(pl.col("state") == "rejected").select("id", "source")
    counted = collected(rejected.join(by_text, on="id", how="semi").group_by("source").agg(rows=pl.len()))
    on_text: Counter[str] = Counter(dict(counted.sort("source").iter_rows()))
    return {
        "sources": [_funnel_row(row, on_text[row["source"]]) for row in ledger["sources"]],
        "total": _funnel_row(ledger["total"], on_text.total()),
    }


def balances(tables: Tables, intake: Json, unreadable: Json, ledger: Json) -> list[Json]:
    """The sums that must agree, in total, each as terms on a left and a right side.

    Raises `CurateError` when one does not, for all records or for one source or input.
    """
    found = [_intake_balances(row) for row in (intake["total"], *intake["sources"])]
    found += [_intake_balances(row, within=row["source"]) for row in intake["inputs"]]
    states = [_ledger_balance(row) for row in (ledger["total"], *ledger["sources"])]
    read = {row["source"]: row["records"] for row in intake["sources"]}
    judged = {row["source"]: row["records"] for row in ledger["sources"]}
    passed_on = [
        _balance(
            "From intake to ledger",
            {"records by intake": read.get(source, 0)},
            {"records in the table": judged.get(source, 0)},
            source,
        )
        for source in sorted({*read, *judged})
    ]
    once = _each_id_once(tables, ledger["total"]["records"])
    later = _later_stages(tables, ledger["total"])
    bad = _balance("Unreadable", {"by intake": intake["total"]["unreadable"]}, {"rows": unreadable["rows"]})
    every = [*(balance for pair in found for balance in pair), bad, *states, *passed_on, *once, *later]
    wrong = [balance for balance in every if not balance["balanced"]]
    if wrong:
        raise CurateError(
            "the books do not balance",
            where="; ".join(_equation(balance) for balance in wrong[:5]),
            next="no report was made; this is a fault of the program or of a plug-in's counting: please report it",
        )
    return [*found[0], bad, states[0], *once, *later]


def _intake_row(name: str, rows: Sequence[Mapping[str, Any]]) -> Json:
    causes: Counter[str] = Counter()
    for row in rows:
        for each in row["passed_over"] or ():
            causes[each["cause"]] += each["rows"]
    counts = {count: sum(row[count] for row in rows) for count in _INTAKE_COUNTS}
    return {
        "source": name,
        "input": name,
        **counts,
        "passed_over": [{"cause": cause, "rows": causes[cause]} for cause in sorted(causes)],
        "balanced": counts["native"] == counts["used"] + causes.total() + counts["unreadable"]
        and counts["read"] == counts["records"] + counts["repeated"] + counts["superseded"],
    }


def _ledger_row(source: str, rows: Iterable[Mapping[str, Any]], records: int) -> Json:
    states: Counter[str] = Counter()
    splits: Counter[str] = Counter()
    for row in rows:
        states[row["state"]] += row["rows"]
        if row["state"] == "kept":
            splits[row["split"]] += row["rows"]
    return {
        "source": source,
        "records": records,
        **{state: states[state] for state in sorted({*STATES, *states})},
        "splits": {split: splits[split] for split in sorted({*SPLITS, *splits})},
        "balanced": states.total() == records and set(states) <= set(STATES),
    }


def _funnel_row(row: Mapping[str, Any], on_text: int) -> Json:
    taken = (
        ("excluded", row["excluded"]),
        ("rejected by rules on text", on_text),
        ("rejected by rules on measures", row["rejected"] - on_text),
        ("contaminated", row["contaminated"]),
        ("duplicates", row["duplicate"]),
        ("not drawn", row["not drawn"]),
    )
    left = row["records"]
    steps = []
    for step, removed in taken:
        left -= removed
        steps.append({"step": step, "removed": removed, "left": left})
    return {"source": row["source"], "records": row["records"], "steps": steps, "kept": row["kept"]}


def _balance(name: str, left: dict[str, int], right: dict[str, int], of: str = "all") -> Json:
    return {
        "name": name,
        "of": of,
        "left": [{"what": what, "count": count} for what, count in left.items()],
        "right": [{"what": what, "count": count} for what, count in right.items()],
        "balanced": sum(left.values()) == sum(right.values()),
    }


def _equation(balance: Json) -> str:
    sides = [" + ".join(f"{t['count']:,} {t['what']}" for t in balance[side]) for side in ("left", "right")]
    return f"{balance['name']} of {balance['of']}: {sides[0]} ≠ {sides[1]}"


def _intake_balances(row: Json, within: str = "") -> tuple[Json, Json]:
    passed = sum(each["rows"] for each in row["passed_over"])
    of = f"{within}, {row['input']}" if within else row["source"]
    native = {"used": row["used"], "passed over": passed, "unreadable": row["unreadable"]}
    read = {name: row[name] for name in ("records", "repeated", "superseded")}
    return (
        _balance("Intake", {"native rows": row["native"]}, native, of),
        _balance("Reading", {"read": row["read"]}, read, of),
    )


def _ledger_balance(row: Json) -> Json:
    states = {state: row[state] for state in STATES}
    return _balance("Ledger", {"records": row["records"]}, states, row["source"])


def _each_id_once(tables: Tables, records: int) -> list[Json]:
    own = tables["records"].select("id", "source")
    ids = collected(own.select(pl.col("id").n_unique())).item()
    # The ledger has as many rows as there are records, so if each record is met there, it is met once.
    found = own.join(tables["ledger"].select("id", "source"), on=["id", "source"], how="semi")
    met = collected(found.select(pl.len())).item()
    return [
        _balance("Every id once", {"ids": ids}, {"records": records}),
        _balance("Every record in the ledger", {"records found in the ledger": met}, {"records": records}),
    ]


def _later_stages(tables: Tables, total: Json) -> list[Json]:
    against = pl.col("reasons").list.len() > 0
    said = [tables[name].filter(against).select("id") for name in ("verdicts", "verdicts_measured")]
    # A record is measured only if no rule on text rejects it, so none is counted twice.
    accepted = tables["decisions"].filter(pl.col("decision") == "accept")
    spared = pl.concat([tables["exclusions"].select("id"), accepted.select("id")])
    rejected = pl.concat(said).join(spared, on="id", how="anti")
    drawn = tables["picks"].filter(pl.col("split").is_not_null())
    found = (rejected, tables["contamination"], tables["duplicates"], drawn)
    rows = [collected(table.select(pl.len())).item() for table in found]
    balances = [
        _balance("Rejections", {"rejected": total["rejected"]}, {"records with a reason": rows[0]}),
        _balance("Contamination", {"contaminated": total["contaminated"]}, {"records with a reference": rows[1]}),
        _balance("Duplicates", {"duplicates": total["duplicate"]}, {"records with a kept twin": rows[2]}),
        _balance("Selection", {"kept": total["kept"]}, {"records drawn": rows[3]}),
    ]
    # Most runs compare with no reference set; where nothing is on either side there is nothing to show.
    return [each for each in balances if each["name"] != "Contamination" or total["contaminated"] or rows[1]]


def _grouped(rows: Iterable[Json], key: str) -> defaultdict[str, list[Json]]:
    groups: defaultdict[str, list[Json]] = defaultdict(list)
    for row in rows:
        groups[row[key]].append(row)
    return groups
