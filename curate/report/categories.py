"""How evenly kept records are spread over categories, beside all that were read."""

from __future__ import annotations

from math import exp, fsum, log
from typing import Any, Final

from curate.report.books import Json
from curate.report.excerpts import number

SHOWN: Final = 30
# The finest first: the first that tells kept or read records apart is taken.
_BY: Final = ("domain", "group", "source")


def categories(domains: list[Json]) -> Json | None:
    """Counts of kept records by domain, else by group, else by source, with their entropy and evenness.

    `domains` are counts by source, domain and group as `curate.report.kept` makes them. Entropy is -Σ p ln p over
    the categories of kept records, in nats; `effective` is its exponential, the number of equally frequent
    categories with that entropy (Hill, Ecology 54, 1973); evenness is the entropy as a share of the most that the
    categories read allow (Pielou, Journal of Theoretical Biology 13, 1966). Records without a category are counted
    as `unknown` and nowhere else. None when nothing is kept, or all that was read is of one category.
    """
    by = chosen(domains)
    read, kept = counts(domains, by, "records"), counts(domains, by, "kept")
    if len(read) < 2 or not kept:
        return None
    rows = sorted(kept.items(), key=lambda row: (-row[1], row[0]))
    n = sum(kept.values())
    spread = entropy(kept.values())
    return {
        "by": by,
        "n": n,
        "unknown": sum(row["kept"] for row in domains) - n,
        "distinct": len(kept),
        "read": len(read),
        "entropy": number(spread),
        "effective": None if spread is None else number(exp(spread)),
        "evenness": None if spread is None else number(spread / log(len(read))),
        "rows": [{"category": category, "records": records} for category, records in rows[:SHOWN]],
        "others": {"categories": len(rows[SHOWN:]), "records": sum(records for _, records in rows[SHOWN:])},
    }


def chosen(domains: list[Json]) -> str:
    """The finest kind of category of which there are two, if most records that were read have one."""
    read = sum(row["records"] for row in domains)
    found = {by: counts(domains, by, "records") for by in _BY}
    return next((by for by in _BY if len(found[by]) > 1 and 2 * sum(found[by].values()) > read), _BY[-1])


def counts(domains: list[Json], by: str, what: str) -> dict[str, int]:
    """How many records each category has; those with none are left out."""
    found: dict[str, int] = {}
    for row in domains:
        if row[by] is not None and row[what]:
            found[row[by]] = found.get(row[by], 0) + row[what]
    return found


def entropy(records: Any) -> float | None:
    """The entropy of such counts in nats, whatever their order; None where there are none."""
    some = [count for count in records if count]
    total = sum(some)
    return abs(fsum(-count / total * log(count / total) for count in some)) if total else None
