r"""Decisions of people who looked at records: accept, reject, edit, or withdraw what was decided before.

They stand in a file that only grows, so that it says who decided what, when and why. The first line names its
version, and each other line is one decision:

    {"curate": "decisions", "version": 1}
    {"id": "…", "decision": "reject", "why": "an advertisement", "by": "Ada", "at": "2026-11-21T14:00:00Z", …}

The newest decision about a record counts, of edits the newest of each field. Beside its words a decision holds a
digest of what the record said when it was *read*, before anything amended it. If the source says something else by
now, the decision is stale: it is reported, and not carried out on a text that nobody has seen.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple

import polars as pl
from filelock import FileLock

from curate.amend import EDITABLE, Edit
from curate.errors import PipelineError, nearest
from curate.keys import canonical, digest
from curate.record import CONTENT
from curate.store import write_bytes

VERSION: Final = 1
DECISIONS: Final = ("accept", "reject", "edit", "withdraw")

_HEADER: Final = {"curate": "decisions", "version": VERSION}
_SHAPE: Final = (
    'a decision is {"id": …, "decision": …, "why": …, "by": …, "at": …}, and of an edit "field" and "after"'
)
_TORN: Final = "if its writing was interrupted, take this line out of the file and decide again"
_NEEDED: Final = ("id", "decision", "why", "by", "at")
_TEXTS: Final = ("id", "why", "by")  # which may not be blank
_TAIL: Final = 65_536  # bytes that are read from the end at once


@dataclass(frozen=True)
class Decision:
    """One decision about one record; of an edit also the field, and its text before and after.

    `content` is the digest of what the record said when it was read (None: it is not compared).
    """

    id: str
    decision: Literal["accept", "reject", "edit", "withdraw"]
    why: str
    by: str
    at: str
    field: str | None = None
    before: str | None = None
    after: str | None = None
    content: str | None = None


_KEYS: Final = tuple(Decision.__dataclass_fields__)


@dataclass(frozen=True)
class Decisions:
    """What counts of a file of decisions: for each record at most one verdict, and one edit of each field."""

    standing: tuple[Decision, ...] = ()

    @cached_property
    def accepted(self) -> dict[str, str]:
        """Why each record is to stay in spite of all rules, by its id."""
        return {each.id: each.why for each in self.standing if each.decision == "accept"}

    @cached_property
    def rejected(self) -> dict[str, str]:
        """Why each record is to go, by its id."""
        return {each.id: each.why for each in self.standing if each.decision == "reject"}

    @cached_property
    def edits(self) -> list[Edit]:
        """The changes of texts, as `curate.amend` makes them, by id and field."""
        mine = (each for each in self.standing if each.decision == "edit")
        return [Edit(each.id, str(each.field), each.after, each.why) for each in mine]

    def of(self, id: str) -> list[Decision]:
        """What stands about one record."""
        return [each for each in self.standing if each.id == id]

    def checked(self, read: pl.LazyFrame) -> Checked:
        """These decisions beside the records as they were read: what holds, what is stale and what is unmet."""
        known = contents(read, {each.id for each in self.standing})
        holding: list[Decision] = []
        stale: list[Decision] = []
        unmet: list[Decision] = []
        for each in self.standing:
            changed = each.content is not None and each.content != known.get(each.id)
            (unmet if each.id not in known else stale if changed else holding).append(each)
        return Checked(Decisions(tuple(holding)), tuple(stale), tuple(unmet))


class Checked(NamedTuple):
    """Decisions that hold, those on texts that have changed since, and those about records that are not there."""

    standing: Decisions
    stale: tuple[Decision, ...]
    unmet: tuple[Decision, ...]


def contents(read: pl.LazyFrame, ids: Iterable[str]) -> dict[str, str]:
    """A digest of what each of these records said when it was read; without those that are not there.

    `read` is the table of that name. Of several rows with one id, it is the one that `curate.amend` lets stay.
    """
    found = read.filter(pl.col("id").is_in(sorted(set(ids)))).select("id", "created", *CONTENT).collect()
    said = pl.Series("content", [digest(row) for row in found.select(CONTENT).iter_rows()], dtype=pl.String)
    ordered = found.select("id", "created", said).sort(
        "id", "created", "content", descending=[False, True, False], nulls_last=True
    )
    return dict(ordered.unique("id", keep="first", maintain_order=True).select("id", "content").iter_rows())


def read_decisions(file: Path | None) -> Decisions:
    """What counts of a file of decisions; nothing without one.

    The newest counts, by `at`; of two at one time, the later line. Two files put together are a file.

    Raises `PipelineError` that names the line for a line that is no decision, and for a file that is none.
    """
    return Decisions() if file is None else standing(_decided(file, file.read_bytes()))


def standing(decided: Iterable[Decision]) -> Decisions:
    """What counts of decisions in the order in which they were written."""
    newest: dict[tuple[str, str | None], Decision] = {}
    for each in sorted(decided, key=lambda each: datetime.fromisoformat(each.at)):
        newest[each.id, each.field] = each
    kept = [each for each in newest.values() if each.decision != "withdraw"]
    return Decisions(tuple(sorted(kept, key=lambda each: (each.id, each.field or ""))))


def add_decisions(file: Path, decisions: Iterable[Decision]) -> int:
    """Add decisions to a file, which is made if need be; say how many.

    What is in the file stays as it is, byte for byte. Only its first and its last line are looked at, so that one
    more decision costs as much however many there are. When writing fails, nothing is added. When the machine
    stops amid it, the last line may be torn: that is an error, here and in `read_decisions`, which names it.

    Raises `PipelineError` for a decision that is none, and for a file of anything else.
    """
    lines = [_line(_said(each)) for each in decisions]
    for number, line in enumerate(lines, start=1):
        _decision(line, f"decision {number} to be added to {file}")
    if not lines:
        return 0
    file = file.resolve()  # behind a link, the file is meant
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_name(f".{file.name}.lock")):
        if not file.exists() or not file.stat().st_size:
            write_bytes(file, b"".join([_line(_HEADER), *lines]))
        else:
            _append(file, b"".join(lines))
    return len(lines)


def now() -> str:
    """The time in UTC, to the microsecond, as decisions say it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _said(decision: Decision) -> dict[str, Any]:
    """A decision as it is written: what it has, of an edit also that there is to be no text."""
    of_edit = {"after"} if decision.decision == "edit" else set()
    return {name: value for name, value in vars(decision).items() if value is not None or name in of_edit}


def _append(file: Path, lines: bytes) -> None:
    """Put lines at the end of a file of decisions, behind whole ones; the file is as it was when that fails."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        first = next((line.strip() for line in iter(lambda: opened.readline(_TAIL), b"") if line.strip()), b"")
        last = _last_line(opened, size)
        opened.seek(size - 1)
        gap = b"" if opened.read() == b"\n" else b"\n"  # an editor may have left the last line's end out
    try:
        _decided(file, b"\n".join(dict.fromkeys([first, last])))
    except PipelineError:
        _decided(file, file.read_bytes())  # which names the line
        raise
    left = memoryview(gap + (lines if first else _line(_HEADER) + lines))
    with file.open("ab", buffering=0) as end:  # so that closing it has nothing left to write, and to fail at
        try:
            while left:
                left = left[end.write(left) :]
            os.fsync(end.fileno())
        except OSError:
            end.truncate(size)
            raise


def _last_line(opened: BinaryIO, size: int) -> bytes:
    """The last line that is not blank, without its end."""
    tail = b""
    while size and b"\n" not in tail.strip():
        step = min(_TAIL, size)
        size -= step
        opened.seek(size)
        tail = opened.read(step) + tail
    return tail.strip().rpartition(b"\n")[2].strip()


def _line(value: dict[str, Any]) -> bytes:
    # What is no text fails the check that follows, as a line of a file would.
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def _decided(file: Path, content: bytes) -> list[Decision]:
    decided: list[Decision] = []
    begun = False
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        if not begun:
            _check_header(line, where)
            begun = True
        elif not _is_header(line):
            decided.append(_decision(line, where, unread=_TORN if number == len(lines) else _SHAPE))
        else:
            _check_header(line, where)
    return decided


def _is_header(line: bytes) -> bool:
    return line.lstrip().startswith(b'{"curate"')


def _check_header(line: bytes, where: str) -> None:
    try:
        head = _object(line)
    except ValueError:
        head = {}
    if head.get("curate") != "decisions":
        raise PipelineError(
            "this is no file of decisions", where=where, next=f"its first line would be {json.dumps(_HEADER)}"
        )
    if canonical(head) != canonical(_HEADER):
        raise PipelineError(
            f"the file says that it is of version {head.get('version')!r}; this curate reads {VERSION}",
            where=where,
            next="read it with the curate that wrote it, or a newer one",
        )


def _object(line: bytes) -> dict[str, Any]:
    """A line's JSON object. Raises `ValueError` for anything else."""

    def pairs(found: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        twice = {name for place, (name, _) in enumerate(found) if name in {each for each, _ in found[:place]}}
        if twice:
            raise ValueError(f"{min(twice)!r} stands twice in it")
        return dict(found)

    try:
        value = json.loads(line.decode("utf-8-sig"), object_pairs_hook=pairs)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except UnicodeDecodeError:
        raise ValueError("its bytes are no UTF-8 text") from None
    if not isinstance(value, dict):
        raise ValueError(f"it is {type(value).__name__}, not an object")  # noqa: TRY004 (it is caught as one)
    return value


def _decision(line: bytes, where: str, *, unread: str = _SHAPE) -> Decision:
    try:
        raw = _object(line)
        fault = next(chain(_shape_faults(raw), _faults(raw)), None)
    except ValueError as error:
        fault = str(error), unread
    if fault:
        raise PipelineError(f"a line is no decision: {fault[0]}", where=where, next=fault[1])
    return Decision(**raw)


def _shape_faults(raw: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with the keys of a decision and with what kind of value each has, and what to do."""
    for name in sorted(raw.keys() - set(_KEYS)):
        yield f"there is no key {name!r}", nearest(name, _KEYS)
    for name in _NEEDED:
        if name not in raw:
            yield f"the key {name!r} is missing", _SHAPE
    for name, value in raw.items():
        if isinstance(value, str):
            if not _is_text(value):
                yield f"{name!r} holds NUL or half of a surrogate pair, which no text does", _SHAPE
        elif value is not None or name in _NEEDED:
            yield f"{name!r} is {value!r}, which is no text", _SHAPE


def _faults(raw: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with the values of a decision whose keys are right, and what to do."""
    for name in _TEXTS:
        if not raw[name].strip():
            yield f"{name!r} is empty", _SHAPE
    if raw["decision"] not in DECISIONS:
        yield f"{raw['decision']!r} is none", nearest(raw["decision"], DECISIONS)
    fault = _time_fault(raw["at"]) or _edit_fault(raw)
    if fault:
        yield fault, _SHAPE


def _edit_fault(raw: dict[str, Any]) -> str:
    kind, field = raw["decision"], raw.get("field")
    if kind in ("accept", "reject"):
        named = [name for name in ("field", "before", "after") if raw.get(name) is not None]
        return f"of {kind!r}, {named[0]!r} says nothing" if named else ""
    if field is None:
        return "an edit names its field" if kind == "edit" else ""
    if field not in EDITABLE:
        return f"no edit can be made to {field!r} ({nearest(field, EDITABLE)})"
    if kind == "edit" and "after" not in raw:
        return "an edit says the text that shall stand there as 'after', or null for none"
    if kind == "edit" and field == "prompt" and not (raw["after"] or "").strip():
        return "no record is without a prompt"
    return ""


def _time_fault(at: str) -> str:
    try:
        offset = datetime.fromisoformat(at).utcoffset()
    except ValueError:
        return f"'at' is {at!r}, which is no time such as 2026-11-21T14:00:00Z"
    return "" if offset == timedelta(0) else f"'at' is {at!r}, which is not in UTC"


def _is_text(value: str) -> bool:
    try:
        return b"\x00" not in value.encode()
    except UnicodeEncodeError:
        return False
