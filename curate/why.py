"""Why a record is in or out: the chain from the bytes in the dump to its end in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import polars as pl

from curate.addresses import variants
from curate.chat import Turn, chat, rows_html, turns_of
from curate.errors import CurateError, nearest
from curate.record import message
from curate.twins import twins

_WIDTH: Final = 96  # characters of a text that are shown
_CHANGE: Final = 48  # the same of a change, on either side


@dataclass(frozen=True)
class Explanation:
    """The chain of one record: its id, its end, and a line for each step; and the conversation itself."""

    id: str
    state: str
    steps: tuple[tuple[str, str], ...]
    turns: tuple[Turn, ...] = ()

    def __str__(self) -> str:
        return "\n".join([self.id, *(f"  {step:<10}{line}" for step, line in self.steps)])

    def _repr_html_(self) -> str:
        return f"<p><strong><bdi>{escape(self.id)}</bdi></strong></p>{chat(self.turns)}{rows_html(self.steps)}"


def explain(table: Callable[[str], pl.LazyFrame], manifest: Mapping[str, Any], wanted: str) -> Explanation:
    """The chain of the record with this id, or from this address, by the tables and the manifest of its run.

    Raises `CurateError` when no record has it.
    """
    record = _find(table, wanted)
    id, facts = record["id"], manifest["facts"]
    row = {name: _row(table(name), id) for name in ("ledger", "verdicts", "verdicts_measured", "picks")}
    ledger = row["ledger"] or {"state": "unknown", "detail": None}
    steps = [*_read(record), *_amended(table, id)]
    for name, label in (("verdicts", "judged"), ("verdicts_measured", "measured")):
        steps += _judged(row[name], facts["rules"], record["source"], label)
    decided = _decided(table, manifest, id)
    steps += decided
    steps += twins(table, manifest, id)
    if row["picks"]:
        steps.append(("drawn", _picked(row["picks"])))
    detail = f": {ledger['detail']}" if ledger["detail"] else ""
    steps.append(("end", f"{ledger['state']}{detail}"))
    if not decided:
        steps += _way_back(row, facts["rules"])
    return Explanation(id, ledger["state"], tuple(steps), turns_of(record))


def _find(table: Callable[[str], pl.LazyFrame], wanted: str) -> dict[str, Any]:
    urls = pl.col("works").list.eval(pl.element().struct.field("url"))
    at_address = pl.any_horizontal(urls.list.contains(pl.lit(address)) for address in variants(wanted))
    hits = table("records").filter((pl.col("id") == wanted) | at_address)
    found = hits.with_columns(message().alias("message")).sort("id").head(1).collect().to_dicts()
    if not found:
        ids = table("records").select("id").filter(pl.col("id").str.contains(wanted, literal=True)).head(5)
        near = ids.collect()["id"].to_list()
        raise CurateError(
            f"no record has the id or address {wanted!r}",
            where="table records",
            next=nearest(wanted, near) if near else "ids look like `<connector>:<native id>`; see train.ids.jsonl",
        )
    return found[0]


def _row(frame: pl.LazyFrame, id: str) -> dict[str, Any] | None:
    found = frame.filter(pl.col("id") == id).collect().to_dicts()
    return found[0] if found else None


def _read(record: dict[str, Any]) -> list[tuple[str, str]]:
    origin = record["origin"] or {"file": "?", "position": 0}
    steps = [
        ("prompt", _short(record["message"])),
        ("response", "none: a prompt-only record" if record["response"] is None else _short(record["response"])),
        ("read", f"{origin['file']} at {origin['position']:,} (source {record['source']})"),
    ]
    for work in record["works"]:
        by = f" by {work['author']}" if work["author"] else ""
        url = f", {work['url']}" if work["url"] else ""
        steps.append(("work", f"{work['part']}{by}{url}, {work['license']} ({work['license_basis']})"))
    return steps


def _amended(table: Callable[[str], pl.LazyFrame], id: str) -> list[tuple[str, str]]:
    changes = table("amendments").filter(pl.col("id") == id).collect().to_dicts()
    return [("amended", f"{each['field']}, by {each['by']}: {each['why']}, {_change(each)}") for each in changes]


def _decided(table: Callable[[str], pl.LazyFrame], manifest: Mapping[str, Any], id: str) -> list[tuple[str, str]]:
    """What somebody decided about the record; edits stand among the amendments."""
    if "decisions" not in manifest["tables"]:  # runs of before have none
        return []
    said = table("decisions").filter(pl.col("id") == id, pl.col("decision") != "edit").collect().to_dicts()
    in_words = {"accept": "accepted, whatever the rules say,", "reject": "rejected"}
    return [("decided", f"{in_words[each['decision']]} by {each['by']}: {each['why']}") for each in said]


def _change(amendment: dict[str, Any]) -> str:
    """What an amendment took out of a text, and what it put in, from the first change to the last."""
    before, after = amendment["before"] or "", amendment["after"] or ""
    start = _shared(before, after)
    end = _shared(before[start:][::-1], after[start:][::-1])
    was, now = (_spelt(text[start : len(text) - end]) for text in (before, after))
    return f"“{_short(was, _CHANGE)}” → “{_short(now, _CHANGE)}”"


def _shared(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    return next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _spelt(text: str) -> str:
    """The text with characters that nobody sees as their escapes."""
    return "".join(each if each.isprintable() or each in "\n\t" else repr(each)[1:-1] for each in text)


def _judged(
    verdict: dict[str, Any] | None, rules: list[dict[str, Any]], source: str, label: str
) -> list[tuple[str, str]]:
    mine = [rule for rule in rules if source in rule["sources"] and rule["measured"] == (label == "measured")]
    steps = []
    for rule in mine:
        name = rule["name"]
        if verdict is None or name not in verdict:
            why = "the rule is lifted" if rule.get("lifted") else "being out already"
            steps.append((label, f"{name}: not judged, {why}"))
            continue
        evidence = verdict[name]
        rejected = name in verdict["reasons"]
        if f"{name}:unknown" in verdict["reasons"]:
            told = "its value is not known → rejects"
        elif evidence is None:
            told = "nothing found" if rule["sense"] == "present" else "does not apply"
        else:
            told = f"{said(evidence)} {against(rule, source)}" + (" → rejects" if rejected else "")
        lifted = "; the rule is lifted" if rule.get("lifted") else ""
        steps.append((label, f"{name}: {told}{lifted}"))
    return steps


def against(rule: Mapping[str, Any], source: str) -> str:
    """What the evidence of a rule is held against, for records of a source."""
    limit = rule["limit"].get(source)
    match rule["sense"]:
        case "below":
            return f"against at least {said(limit)}"
        case "above":
            return f"against at most {said(limit)}"
        case "outside":
            return f"against {', '.join(limit)}"
        case _:
            return "found"


def _way_back(row: dict[str, dict[str, Any] | None], rules: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What would have to change for another verdict."""
    by_name = {rule["name"]: rule for rule in rules}
    changes = []
    for verdict in (row["verdicts"], row["verdicts_measured"]):
        for reason in verdict["reasons"] if verdict else []:
            name, _, unknown = reason.partition(":")
            rule = by_name[name]
            evidence = verdict[name] if verdict else None
            if unknown:
                changes.append(f'{name} with unknown = "keep"')
            elif rule["sense"] == "present":
                changes.append(f"{name} without {said(evidence)}")
            elif rule["sense"] == "outside":
                changes.append(f"{name} allowing {said(evidence)}")
            else:
                changes.append(f"{name} with a limit of {said(evidence)}")
    return [("otherwise", "it would take " + ", and ".join(changes))] if changes else []


def _picked(pick: dict[str, Any]) -> str:
    place = f"rank {pick['rank']} of quota {pick['quota']}" if pick["rank"] is not None else "in no quota's line"
    return f"{place}: {pick['split'] or pick['why']}"


def said(value: Any) -> str:
    """Evidence as a person reads it."""
    if isinstance(value, str):
        return f"“{_short(value)}”"
    # As exact as it is stored: a rounded limit would not let the record pass.
    return f"{value:,}" if isinstance(value, int) or not value.is_integer() else f"{value:,.0f}"


def _short(text: str, width: int = _WIDTH) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
