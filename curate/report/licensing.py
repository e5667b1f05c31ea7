"""Under which licences the set is: by source and split, its strictest terms, what a declared use would cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

import polars as pl

from curate.licenses import UNKNOWN, strictness
from curate.licenses.combining import conflicts, strictest_terms
from curate.licenses.policies import TARGET, LicensePolicy, Standing, allowed_licenses, standing
from curate.licenses.terms import ids, named
from curate.report.books import SPLITS, Json, Tables, collected

ANY: Final = "any"
COMMERCIAL: Final = "commercial"
SAFE: Final = "share_alike_safe"

# Share-alike licences that a set is commonly put under, besides the one that the pipeline names.
_TARGETS: Final = (TARGET, "CC-BY-NC-SA-4.0")
_SHOWN: Final = 50  # rows of a table; who gives each record a licence of its own is told in one row
_REST: Final = "others"
_BETWEEN: Final = "\n"

_KEPT: Final = "kept"
_SPARE: Final = "spare"  # eligible, and drawn by no quota


class _Group(NamedTuple):
    """Records of one source whose own licence and whose works' licences are the same, and where they ended."""

    source: str
    license: str | None
    every: str
    split: str | None
    state: str | None
    records: int

    @property
    def licenses(self) -> tuple[str, ...]:
        """The licences of the record and of its works, by name."""
        return tuple(self.every.split(_BETWEEN)) if self.every else (UNKNOWN,)


def licensing(tables: Tables, facts: Mapping[str, Any]) -> Json:
    """The licences of records and of their works, counted; `facts["licence"]` is the pipeline's table `[licence]`.

    `works` counts the kept records that hold a work under each licence, a record under two of them twice.
    `policies` says of each what it would take from the records that are kept now, by the licence that forbids,
    and how many more of those that no quota drew it allows (`spare`). A record counts with all of its works.
    """
    groups = _groups(tables)
    kept = [group for group in groups if group.state == _KEPT]
    declared = facts.get("licence") or {}
    return {
        "by_source": _by_source(groups),
        "works": _of_works(kept),
        "strictest": [each for split in SPLITS if (each := _strictest(split, kept))],
        "conflicts": conflicts(_sets(kept)),
        "policy": declared.get("policy", ANY),
        "policies": [_policy(groups, *each, declared.get("also", ())) for each in _policies(declared)],
    }


def _groups(tables: Tables) -> list[_Group]:
    """The records, counted by all that licences depend on; few rows, whatever their number."""
    of_works = pl.col("works").list.eval(pl.element().struct.field("license").fill_null(UNKNOWN))
    every = pl.concat_list(of_works, "license").list.drop_nulls().list.unique(maintain_order=True)
    scan = tables["records"].select("id", "source", "license", every=every.list.join(_BETWEEN))
    state = pl.when(pl.col("split").is_null()).then(pl.lit(_SPARE)).otherwise(pl.lit(_KEPT))
    picks = tables["picks"].select("id", "split", state=state)
    by = ["source", "license", "every", "split", "state"]
    counted = collected(scan.join(picks, on="id", how="left").group_by(by).agg(records=pl.len()))
    return [_Group(*row) for row in counted.sort(by, nulls_last=True).iter_rows()]


def _by_source(groups: Iterable[_Group]) -> list[Json]:
    counted: defaultdict[tuple[str, str | None], Counter[str]] = defaultdict(Counter)
    for group in groups:
        row = counted[group.source, group.license]
        row["records"] += group.records
        if group.state == _KEPT:
            row[_KEPT] += group.records
            row[str(group.split)] += group.records
    order = sorted(counted, key=lambda by: (-counted[by][_KEPT], -counted[by]["records"], by[0], by[1] or ""))
    rows = [_row(*by, counted[by]) for by in order[:_SHOWN]]
    if rest := order[_SHOWN:]:
        rows.append(_row(_REST, f"{len(rest):,} more", sum((counted[by] for by in rest), Counter())))
    return rows


def _row(source: str, license: str | None, numbers: Counter[str]) -> Json:
    return {"source": source, "license": license} | {name: numbers[name] for name in ("records", _KEPT, *SPLITS)}


def _of_works(kept: Iterable[_Group]) -> list[Json]:
    counted: Counter[str] = Counter()
    for group in kept:
        for id in frozenset(map(named, group.licenses)):
            counted[id] += group.records
    return _most(counted)


def _most(counted: Counter[str]) -> list[Json]:
    """Licences with their records, the most first; beyond the table's length, one row for all the others."""
    order = sorted(counted, key=lambda one: (-counted[one], strictness(one)))
    rows = [{"license": id, "records": counted[id]} for id in order[:_SHOWN]]
    if rest := order[_SHOWN:]:
        rows.append({"license": f"{len(rest):,} more", "records": sum(counted[id] for id in rest)})
    return rows


def _strictest(split: str, kept: Iterable[_Group]) -> Json | None:
    """The terms that the records of a split ask for together, and the licence that asks for most."""
    every = {name for group in kept if group.split == split for name in group.licenses}
    found = strictest_terms(every)
    if found is None:
        return None
    return {
        "split": split,
        "license": found.id,
        "use": found.use,
        "attribution": found.attribution,
        "share_alike": found.share_alike,
        "derivatives": found.derivatives,
        "title": found.title,
        "url": found.url,
        "note": found.note,
    }


def _sets(kept: Iterable[_Group]) -> Counter[frozenset[str]]:
    sets: Counter[frozenset[str]] = Counter()
    for group in kept:
        sets[frozenset[str]().union(*map(_ids, group.licenses))] += group.records
    return sets


def _policies(declared: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    own = [named(declared["target"])] if declared.get("policy") == SAFE and declared.get("target") else []
    targets = list(dict.fromkeys([*own, *_TARGETS]))
    return [(ANY, None), (COMMERCIAL, None), *((SAFE, target) for target in targets)]


def _policy(groups: Iterable[_Group], policy: str, target: str | None, also: Iterable[str]) -> Json:
    forbidding: Counter[str] = Counter()
    allowed: Counter[str | None] = Counter()
    permitted = None if policy == ANY else _permitted(policy, target, tuple(also))
    judged: dict[tuple[str, ...], Standing] = {}
    for group in groups:
        if permitted is not None and group.licenses not in judged:
            judged[group.licenses] = standing(group.licenses, permitted)
        found = judged.get(group.licenses)
        if found is None or found.allowed:
            allowed[group.state] += group.records
        elif group.state == _KEPT:
            forbidding[found.id] += group.records
    return {
        "policy": policy,
        "target": target,
        "kept": allowed[_KEPT],
        "lost": forbidding.total(),
        "spare": allowed[_SPARE],
        "by": _most(forbidding),
    }


def _permitted(policy: str, target: str | None, also: tuple[str, ...]) -> frozenset[str]:
    of: LicensePolicy = "commercial" if policy == COMMERCIAL else "share_alike_safe"
    return frozenset(allowed_licenses(of, target=target or TARGET, also=also))


_ids = cache(ids)
