"""A review by hand: who looks at records of a run says what is to become of them, in a notebook or a spreadsheet.

A spreadsheet gets CSV with a row a record and empty columns to fill. What begins like a formula gets an apostrophe
before it, which is taken off when the rows come back: spreadsheets run formulas that a file holds (CWE-1236).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl

from curate.amend import EDITABLE
from curate.decisions import (
    DECISIONS,
    Decision,
    Decisions,
    add_decisions,
    contents,
    now,
    read_decisions,
)
from curate.errors import CurateError, PipelineError, nearest
from curate.explore import Explorer, Query
from curate.shifts import Finished
from curate.shown import Shown, read_shown
from curate.store import write_bytes

COLUMNS: Final = (
    *("id", "source", "state", "reasons", "evidence", "system", "earlier", "prompt", "context", "response"),
    *("decision", "why", "by", "content"),
)
_NEEDED: Final = ("id", *EDITABLE, "decision", "why", "by", "content")
# Formulas begin so in one spreadsheet or another (OWASP, CSV Injection), also behind white space, which some take
# off; the last four are the wide forms, which are read like the others in some languages.
_FORMULA: Final = re.compile(r"'*\s*[=+\-@\t\r\n|%＝＋－＠]")
_CELL: Final = 32_767  # characters in a cell of Excel or LibreOffice, which cut off the rest
_AT_ONCE: Final = 500  # records whose texts are held
_NAMED: Final = 10  # bad rows that an error names
_MAX_CELL: Final = 2**31 - 1


@dataclass(frozen=True)
class Reviewer:
    """Somebody who decides about the records of a run, into a file of decisions."""

    run: Finished
    file: Path
    by: str

    def accept(self, id: str, why: str) -> None:
        """Keep a record in spite of the rules that reject it."""
        self._decide(id, "accept", why)

    def reject(self, id: str, why: str) -> None:
        """Leave a record out of the set."""
        self._decide(id, "reject", why)

    def edit(self, id: str, field: str, text: str | None, why: str) -> None:
        """Put another text in a field of a record; None takes the text away.

        Raises `CurateError` for a field that cannot be edited, and for a text that is there already.
        """
        (shown,) = read_shown(self.run, [id])
        if field not in EDITABLE:
            raise CurateError(f"no edit can be made to {field!r}", next=nearest(field, EDITABLE))
        before = shown.record[field]
        if before == text:
            raise CurateError(f"the {field} of {id} is that text already", next="change it, or leave it as it is")
        self._decide(id, "edit", why, field=field, before=before, after=text)

    def withdraw(self, id: str, why: str, *, field: str | None = None) -> None:
        """Take back what was decided about a record; or the edit of one of its fields."""
        self._decide(id, "withdraw", why, field=field)

    @property
    def decisions(self) -> Decisions:
        """What stands in the file so far."""
        return read_decisions(self.file) if self.file.exists() else Decisions()

    def _decide(self, id: str, kind: Any, why: str, **edit: str | None) -> None:
        known = contents(self.run.table("read"), [id])
        if id not in known:
            read_shown(self.run, [id])  # which says what it may have meant
        add_decisions(self.file, [Decision(id, kind, why, self.by, now(), **edit, content=known.get(id))])

    def __repr__(self) -> str:
        found = self.decisions
        counts = f"{len(found.accepted):,} accepted, {len(found.rejected):,} rejected, {len(found.edits):,} edits"
        return f"Reviewer {self.by!r} of {self.run.path.as_posix()!r}: {counts} in {self.file.as_posix()}"


def export_rows(run: Finished, file: Path, query: Query | None = None, *, count: int | None = None) -> int:
    """Write the records that fit a query into a CSV file to be filled in, at most `count` of them; say how many.

    The columns are `COLUMNS`. `evidence` is what rules that reject a record found, `earlier` are the turns before
    its prompt, and by `content`, a digest, it is told whether it has changed since.
    """
    ids = Explorer(run).ids(query or Query())
    ids = ids if count is None else ids.head(count)
    made = io.StringIO(newline="")
    rows = csv.writer(made, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    for start in range(0, len(ids), _AT_ONCE):
        some = ids.slice(start, _AT_ONCE).to_list()
        known = contents(run.table("read"), some)
        for shown in read_shown(run, some):
            row = _row(shown, known.get(shown.id, ""))
            rows.writerow(guarded(row[name]) for name in COLUMNS)
    # With the mark that lets Excel know that it is UTF-8.
    write_bytes(file, made.getvalue().encode("utf-8-sig"))
    return len(ids)


def import_rows(run: Finished, file: Path, *, by: str | None = None) -> list[Decision]:
    """The decisions in a CSV file that `export_rows` wrote and somebody filled in; rows without one make none.

    `decision` is accept, reject, edit or withdraw; an edit is of the texts that differ from the record's.
    `by` stands where the column is empty.

    Raises `PipelineError` that names each bad row and its line; then none of the others is returned either.
    """
    decided: list[Decision] = []
    faults = []
    at = now()
    for batch in _batches(_filled(file)):
        shown = {each.id: each for each in _there(run, [row.cells["id"] for row in batch])}
        for row in batch:
            try:
                decided += _decided(row, shown.get(row.cells["id"]), by, at)
            except ValueError as error:
                faults.append(f"row {row.number} (line {row.line}): {error}")
    if faults:
        more = f"; and {len(faults) - _NAMED:,} more" if len(faults) > _NAMED else ""
        raise PipelineError(
            f"{len(faults):,} rows cannot be read as decisions, and none was added",
            where=f"{file}, {'; '.join(faults[:_NAMED])}{more}",
            next="mend these rows and import the file again",
        )
    return decided


def guarded(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula; `unguarded` gives it back."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(cell: str) -> str:
    """The text of which `guarded` made a cell."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _row(shown: Shown, content: str) -> dict[str, str]:
    record = shown.record
    turns = "\n\n".join(f"{turn['role']}: {turn['text']}" for turn in record["history"] or ())
    # What rejects comes first; what does not is shown too, since rows near a limit lie on both sides of it.
    found = sorted(shown.findings, key=lambda each: not each.rejects)
    evidence = "; ".join(f"{each.rule}: {each}{' → rejects' if each.rejects else ''}" for each in found)
    return (
        {"id": shown.id, "source": shown.source, "state": shown.ended, "reasons": ", ".join(shown.reasons)}
        | {"evidence": evidence, "earlier": turns, "decision": "", "why": "", "by": "", "content": content}
        | {name: record[name] or "" for name in EDITABLE}
    )


class _Filled(NamedTuple):
    """A row that somebody filled in: its number as a spreadsheet counts, the line it ends at, and its cells."""

    number: int
    line: int
    cells: Mapping[str, str]


def _filled(file: Path) -> Iterator[_Filled]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PipelineError(
            "the file is not UTF-8", where=f"{file}, byte {error.start}", next="save it as CSV in UTF-8"
        ) from None
    head = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ",")
    before = csv.field_size_limit(_MAX_CELL)
    try:
        names = [name.strip() for name in next(rows, [])]
        for name in _NEEDED:
            if name not in names:
                raise PipelineError(
                    f"the file has no column {name!r}",
                    where=f"{file}, line 1",
                    next="export it with `curate review`",
                )
        for number, cells in enumerate(rows, start=2):
            if any(cells):
                filled = dict(zip(names, map(unguarded, cells), strict=False))
                yield _Filled(number, rows.line_num, {name: filled.get(name, "") for name in names})
    except csv.Error as error:
        raise PipelineError(f"the file is no CSV: {error}", where=f"{file}, line {rows.line_num}") from None
    finally:
        csv.field_size_limit(before)


def _batches(rows: Iterable[_Filled]) -> Iterator[list[_Filled]]:
    batch: list[_Filled] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _there(run: Finished, ids: Sequence[str]) -> list[Shown]:
    known = run.table("ledger").filter(pl.col("id").is_in(sorted(set(ids)))).select("id").collect()
    return read_shown(run, known["id"].to_list())


def _decided(row: _Filled, shown: Shown | None, by: str | None, at: str) -> Iterator[Decision]:
    """The decisions of one row. Raises `ValueError` that says what is wrong with it."""
    cells = row.cells
    if shown is None:
        raise ValueError(f"no record of the run is called {cells['id']!r}")
    changed = [field for field in EDITABLE if _differs(shown.record[field], cells[field])]
    kind: Any = cells["decision"].strip().lower()
    if not kind and not changed:
        return
    if kind and kind not in DECISIONS:
        raise ValueError(f"{kind!r} is no decision ({nearest(kind, DECISIONS)})")
    if changed and kind != "edit":
        raise ValueError(f"its {changed[0]} was changed, but the decision is {kind or 'empty'}: it would be edit")
    made = Decision(
        shown.id,
        kind,
        _said(cells["why"], "why"),
        _said(cells["by"].strip() or by or "", "by"),
        at,
        content=cells["content"].strip() or None,
    )
    yield from _edits(made, shown, cells, changed) if kind == "edit" else [made]


def _edits(made: Decision, shown: Shown, cells: Mapping[str, str], changed: Sequence[str]) -> Iterator[Decision]:
    if not changed:
        raise ValueError("the decision is edit, but no text was changed")
    for field in changed:
        before, after = shown.record[field], _plain_ends(cells[field])
        if before is not None and len(before) > _CELL:
            raise ValueError(f"its {field} is longer than a spreadsheet's cell holds: edit it in a notebook")
        if field == "prompt" and not after.strip():
            raise ValueError("its prompt was taken away, and no record is without one")
        yield replace(made, field=field, before=before, after=after or None)


def _said(cell: str, name: str) -> str:
    if not cell.strip():
        raise ValueError(f"{name!r} is empty")
    return cell.strip()


def _differs(before: str | None, cell: str) -> bool:
    """Whether a text was changed by somebody; spreadsheets rewrite line ends and cut long texts off."""
    was, now = _plain_ends(before or ""), _plain_ends(cell)
    cut = len(was) > _CELL and len(now) >= _CELL - 1 and was.startswith(now)
    return was != now and not cut


def _plain_ends(text: str) -> str:
    """The text with the line ends that texts of records have, whatever a spreadsheet made of them."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
