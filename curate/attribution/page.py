"""The page of attribution: records by source and licence, as many as fit, and where all of them are."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final

from curate.attribution.entry import NAME, TITLE, Json, count, cut, entry, isolated, license_name, linked, text
from curate.licenses import UNKNOWN
from curate.licenses.terms import Terms, terms

MAX_BYTES: Final = 3_000_000

# What all entries together may take; the rest of the page, with as many groups as it shows, takes far less.
_ENTRIES: Final = 2_600_000
_GROUPS: Final = 200  # sources with their licences that have a section of their own
_FIRST: Final = 20_000  # records of a section that are shown at most
_OPEN: Final = 300  # records that are shown without being asked for

_HEAD: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style></head><body>"""
_CAPTION: Final = (
    "Sources and licences. Of a record made of several works it is the strictest; each work's own stands with it."
)
_CHANGED: Final = (
    "The texts were read out of their sources and put into the form of a conversation: markup was turned into "
    "Markdown, and what is not text was left out. Further changes are named where they were made."
)


@dataclass
class _Section:
    """Records of one source under one licence: how many, and entries with the records that share each."""

    source: str
    license: str
    records: int = 0
    repeats: bool = False
    entries: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def shown(self) -> int:
        return sum(records for records, _ in self.entries.values())


class Page:
    """A page that is told of one record after the other and holds no more of them than it will show.

    Records whose entries are equal but for the id, as those of a source without titles, are one entry with their
    number. When the entries grow too large, every section keeps fewer of them: the first.
    """

    def __init__(self, name: str, lines: str) -> None:
        self.name, self.lines = name, lines
        self.sections: dict[tuple[str, str], _Section] = {}
        self.others = 0
        self.records = self.works = self.workless = 0
        self._allowed, self._bytes = _FIRST, 0

    def add(self, row: Json) -> None:
        """Take note of a record, as it stands in the lines."""
        self.records += 1
        self.works += len(row["works"])
        self.workless += not row["works"]
        key = row["source"] or "", row["license"] or UNKNOWN
        if key not in self.sections and len(self.sections) >= _GROUPS:
            self.others += 1
            return
        section = self.sections.setdefault(key, _Section(*key))
        section.records += 1
        full = len(section.entries) >= self._allowed
        if full and not section.repeats:
            return  # what is shown was all different, and so much more is not looked at
        line = entry(row)
        if line in section.entries:
            section.repeats = True
            records, first = section.entries[line]
            section.entries[line] = records + 1, first
        elif not full:
            first = cut(row["id"], TITLE)
            section.entries[line] = 1, first
            self._bytes += len(line.encode()) + len(first.encode())
            self._shorten()

    def _shorten(self) -> None:
        while self._bytes > _ENTRIES:
            self._allowed = self._allowed * 3 // 4
            for section in self.sections.values():
                section.entries = dict(list(section.entries.items())[: self._allowed])
            lines = (each for section in self.sections.values() for each in section.entries.items())
            self._bytes = sum(len(line.encode()) + len(first.encode()) for line, (_, first) in lines)

    def html(self) -> str:
        """The page, at most three million bytes of it."""
        sections = sorted(self.sections.values(), key=lambda each: (-each.records, each.source, each.license))
        title = f"Attribution: {self.name}" if self.name else "Attribution"
        few = sum(len(section.entries) for section in sections) <= _OPEN
        style = files("curate.attribution").joinpath("style.css").read_text("utf-8")
        parts = [
            _HEAD.format(title=text(title), style=style),
            f"<header><h1>{text(title)}</h1>{self._lead(sections)}</header>\n<main>",
            _licences(sections),
            *(_section(section, self.lines, few=few) for section in sections),
            f"</main>\n<footer><p>Every record: <a href='{self.lines}'>{self.lines}</a>.</p></footer>",
            "</body></html>\n",
        ]
        return "\n".join(parts)

    def _lead(self, sections: list[_Section]) -> str:
        if not self.records:
            return "<p>The set is empty: there is nobody to name.</p>"
        said = [
            f"{count(self.records, 'record')}, made of {count(self.works, 'work')} by those named here.",
            _CHANGED,
        ]
        if self.workless:
            said.append(f"Of {count(self.workless, 'record')} the source names no work by others.")
        shown = sum(section.shown for section in sections)
        if shown < self.records:
            said.append(
                f"Here are {shown:,} of them, by source and licence; all {self.records:,} are in "
                f"<a href='{self.lines}'>{self.lines}</a>, which lies beside this page."
            )
        if self.others:
            said.append(f"{count(self.others, 'record')} under further licences are there alone.")
        return "".join(f"<p>{each}</p>" for each in said)


def _licences(sections: list[_Section]) -> str:
    """What each licence asks for, and the records of each section."""
    if not sections:
        return ""
    rows = []
    for section in sections:
        of = terms(section.license)
        rows.append(
            f"<tr><td>{isolated(section.source, NAME)}</td><td>{_named(of)}</td>"
            f"<td class=n>{section.records:,}</td><td>{_asked(of)}</td></tr>"
        )
    return (
        "<div class=scroll role=region aria-label='Sources and licences' tabindex=0>"
        f"<table><caption>{_CAPTION}</caption><thead><tr><th scope=col>Source"
        "<th scope=col>Licence<th scope=col class=n>Records<th scope=col>What it asks for</thead><tbody>\n"
        + "\n".join(rows)
        + "\n</tbody></table></div>"
    )


def _named(of: Terms) -> str:
    title = isolated(of.title, TITLE)
    return title if " AND " in of.id else linked(title, of.url)


def _asked(of: Terms) -> str:
    uses = {
        "all": "",
        "non-commercial": "no commercial use",
        "research": "research alone; no open licence",
        "unspecified": "its terms say no more" if of.known and of.id != UNKNOWN else "nothing is known",
    }
    asked = [
        uses[of.use],
        "name the author" if of.attribution and of.use in {"all", "non-commercial"} else "",
        "share under the same licence" if of.share_alike else "",
        "pass on no adapted work" if not of.derivatives and of.use in {"all", "non-commercial"} else "",
    ]
    said = "; ".join(each for each in asked if each) or "nothing"
    note = f" <span class=soft>{text(of.note)}</span>" if of.note else ""
    return f"{said}{note}"


def _section(section: _Section, lines: str, *, few: bool) -> str:
    shown = section.shown
    how = "" if shown == section.records else f", the first {shown:,} shown"
    head = (
        f"<h2>{isolated(section.source, NAME)} · {isolated(license_name(section.license), NAME)}</h2> "
        f"<span class=soft>{count(section.records, 'record')}{how}</span>"
    )
    entries = "\n".join(
        f"<li>{line} {_which(records, first)}</li>" for line, (records, first) in section.entries.items()
    )
    rest = section.records - shown
    more = f"<p class=soft>{rest:,} more in <a href='{lines}'>{lines}</a>.</p>" if rest else ""
    return f"<details{' open' if few else ''}><summary>{head}</summary><ol>\n{entries}\n</ol>{more}</details>"


def _which(records: int, first: str) -> str:
    id = f"<code>{text(first)}</code>"
    return id if records == 1 else f"<span class=soft>{records:,} records, the first of them</span> {id}"
