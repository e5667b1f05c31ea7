"""Records as a person reads them: the conversation, how each ended, what speaks against it, and whose words it is.

Read for the few records that are looked at. What a record says, and all that rules found in it, comes from the
tables of a finished run; nothing is judged again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import polars as pl

from curate.chat import CHARS, LEFT, Turn, chat, link, turns_of, visible
from curate.errors import CurateError, nearest
from curate.shifts import Finished
from curate.why import against, said

VERDICTS: Final = ("verdicts", "verdicts_measured")
_UNKNOWN: Final = ":unknown"
_WIDTH: Final = 200  # characters of a text in a terminal


@dataclass(frozen=True)
class Finding:
    """What one rule found in a record: its evidence, what that was held against, and whether it rejects."""

    rule: str
    evidence: Any
    against: str
    rejects: bool

    def __str__(self) -> str:
        if self.evidence is None:
            return "its value is not known"
        return f"{said(self.evidence)} {self.against}"


@dataclass(frozen=True)
class Shown:
    """One record of a run. `detail` is the ledger's: the split, the reasons, the twin or the quota.

    `findings` are those of the rules that found something, in the pipeline's order. `record` is its row of the
    table of records.
    """

    id: str
    state: str
    detail: str | None
    findings: tuple[Finding, ...]
    record: Mapping[str, Any]

    @property
    def source(self) -> str:
        return str(self.record["source"])

    @property
    def turns(self) -> tuple[Turn, ...]:
        """All that it says, in order."""
        return turns_of(self.record)

    @property
    def reasons(self) -> list[str]:
        """The rules that reject it."""
        return [each.rule for each in self.findings if each.rejects]

    @property
    def ended(self) -> str:
        """The state it ended in, with what is to be told of it."""
        return f"{self.state}: {self.detail}" if self.detail else self.state

    def __str__(self) -> str:
        return self.text()

    def text(self, *, rule: str | None = None) -> str:
        """The record in a few lines, with what rejects it, and what a rule that is asked for found."""
        lines = [f"{self.id}  ({self.ended})"]
        lines += [f"  {each.rule}: {each}" for each in self.findings if each.rejects or each.rule == rule]
        lines += [f"  {turn.role}: {' '.join(turn.text.split())[:_WIDTH]}" for turn in self.turns]
        return "\n".join(map(visible, lines))

    def _repr_html_(self) -> str:
        return self.html()

    def html(self, *, chars: int = CHARS, rule: str | None = None) -> str:
        """The record as HTML: so many characters of each text before a fold, and what a rule asked for found."""
        head = f"<p style='{LEFT}'><strong><bdi>{escape(self.id)}</bdi></strong> {escape(self.ended)}</p>"
        first = [each for each in self.findings if each.rejects or each.rule == rule]
        others = [each for each in self.findings if each not in first]
        folded = f"<details><summary>{len(others)} other rules looked at it</summary>{_found(others)}</details>"
        found = (_found(first) if first else "") + (folded if others else "")
        return f"<div style='{LEFT}'>{head}{chat(self.turns, chars=chars)}{found}{self._about_it()}</div>"

    def _about_it(self) -> str:
        works = self.record["works"] or ()
        lines = [
            f"{escape(work['part'] or 'text')}: {link(work['url'], work['title'] or work['url'] or 'untitled')}"
            f" by {link(work['author_url'], work['author'] or 'an unknown author')},"
            f" {escape(work['license'] or 'under unknown terms')}"
            for work in works
        ]
        score = self.record["score"]
        facts = {"source": self.source, "domain": self.record["domain"]}
        facts |= {"score": None if score is None else f"{score:,g}"}
        named = ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
        terms = escape(f"{named}; licence {self.record['license'] or 'not known'}")
        items = "".join(f"<li>{line}</li>" for line in lines)
        return f"<details><summary>{terms}</summary><ul>{items}</ul></details>" if lines else f"<p>{terms}</p>"


def _found(findings: Sequence[Finding]) -> str:
    rows = "".join(
        f"<tr><th style='{LEFT}'>{escape(each.rule)}</th>"
        f"<td style='{LEFT}'><bdi>{escape(visible(str(each)))}</bdi>{' → rejects' * each.rejects}</td></tr>"
        for each in findings
    )
    return f"<table>{rows}</table>"


def read_shown(run: Finished, ids: Sequence[str]) -> list[Shown]:
    """The records with these ids, in their order. Raises `CurateError` for an id that the run has not."""
    wanted = pl.col("id").is_in(sorted(set(ids)))  # reaches the scan, which then decodes no text of the others
    records = {row["id"]: row for row in run.table("records").filter(wanted).collect().to_dicts()}
    for id in ids:
        if id not in records:
            raise _missing(run, id)
    ends = {row["id"]: row for row in run.table("ledger").filter(wanted).collect().to_dicts()}
    verdicts = [
        {row["id"]: row for row in run.table(name).filter(wanted).collect().to_dicts()} for name in VERDICTS
    ]
    rules = run.manifest["facts"]["rules"]
    return [
        Shown(
            id,
            ends[id]["state"] if id in ends else "unknown",
            ends[id]["detail"] if id in ends else None,
            tuple(_findings([each[id] for each in verdicts if id in each], rules, records[id]["source"])),
            records[id],
        )
        for id in ids
    ]


def _findings(
    verdicts: Sequence[Mapping[str, Any]], rules: Sequence[Mapping[str, Any]], source: str
) -> list[Finding]:
    found: Mapping[str, Any] = {
        name: value for each in verdicts for name, value in each.items() if name != "reasons"
    }
    reasons = {reason for each in verdicts for reason in each["reasons"]}
    return [
        Finding(rule["name"], evidence, against(rule, source), rejects=bool(mine & reasons))
        for rule in rules
        if source in rule["sources"]
        for mine in [{rule["name"], rule["name"] + _UNKNOWN}]
        for evidence in [found.get(rule["name"])]
        if evidence is not None or mine & reasons
    ]


def _missing(run: Finished, id: str) -> CurateError:
    ids = run.table("records").select("id")
    near = ids.filter(pl.col("id").str.contains(id, literal=True)).head(5).collect()["id"].to_list()
    return CurateError(
        f"no record of the run is called {id!r}",
        where=str(run.path),
        next=nearest(id, near) if near else "ids look like `<connector>:<native id>`; see train.ids.jsonl",
    )
