"""What somebody should look at before they use a set, in sentences, the gravest first."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Final

from curate.report.books import Json
from curate.report.hygiene import PERSONAL, REFUSALS, SECRETS, SELF, of_kinds

# Beyond these shares somebody should look: more than 1% unknown, more than 20% of a source said twice, more than
# 5% cut off by the trainer, more than 1% refused, and a policy on licences that takes more than 20%.
UNKNOWN_SHARE: Final = 0.01
DUPLICATE_SHARE: Final = 0.20
BEYOND_SHARE: Final = 0.05
REFUSAL_SHARE: Final = 0.01
POLICY_SHARE: Final = 0.20
# The filter by which a policy on licences rejects.
POLICY: Final = "license_forbids"
_FEW: Final = 2  # records, of which a share says nothing
_SHOWN_CAUSES: Final = 3


def alerts(made: Json) -> Iterator[str]:
    """Sentences about the numbers of a run."""
    total = made["ledger"]["total"]
    if not total["kept"]:
        yield "Nothing is kept: the set is empty."
    for split in sorted({quota["split"] for quota in made["selection"]["quotas"]}):
        if total["kept"] and not total["splits"].get(split):
            yield f"The split {split} is empty, though a quota asks for it."
    yield from (f"A quota is short. {each['sentence']}." for each in made["selection"]["shortages"])
    yield from _on_licences(made)
    yield from _on_content(made)
    yield from _on_intake(made)
    for rule in made["rules"]:
        yield from _on_rule(rule)
    for row in made["ledger"]["sources"]:
        if row["records"] and row["duplicate"] / row["records"] > DUPLICATE_SHARE:
            yield f"{row['source']}: {_of(row['duplicate'], row['records'])} records are duplicates."
    yield from (row["alert"] for row in made["before_after"]["rows"] if row["alert"])


def _on_licences(made: Json) -> Iterator[str]:
    unnamed = sum(row["kept"] for row in made["licenses"] if row["license"] is None)
    if unnamed:
        yield f"{unnamed:,} kept {'record has' if unnamed == 1 else 'records have'} no licence."
    yield from (made["licensing"] or {}).get("conflicts", ())
    for rule in made["rules"]:
        if rule["use"] == POLICY and rule["hit"] > POLICY_SHARE * rule["judged"]:
            yield f"The policy on licences takes {_of(rule['hit'], rule['judged'])} records ({rule['name']})."


def _on_content(made: Json) -> Iterator[str]:
    """What kept texts hold, and how long they are."""
    hygiene, tokens = made["hygiene"], made["tokens"]
    if hygiene:
        found = of_kinds(hygiene, PERSONAL, SECRETS)
        if found:
            yield f"Kept records hold personal data or secrets: {_counted(found)}."
        said = of_kinds(hygiene, REFUSALS, SELF)
        if sum(count for _, count in said) > max(_FEW, REFUSAL_SHARE * hygiene["n"]):
            yield f"Kept records refuse their task, or tell of the model that wrote them: {_counted(said)}."
    for row in tokens["splits"] if tokens else ():
        if row["split"] != "all" and row["beyond"] > _FEW and row["beyond_share"] > BEYOND_SHARE:
            by = "" if tokens["exact"] else ", by an estimate"
            rows = _of(row["beyond"], row["n"])
            yield f"{row['split']}: {rows} records are longer than {tokens['limit']:,} tokens{by}."


def _counted(found: list[tuple[str, int]]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in found)


def _on_intake(made: Json) -> Iterator[str]:
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


def _on_rule(rule: Json) -> Iterator[str]:
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
