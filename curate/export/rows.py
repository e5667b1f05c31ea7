"""A split as JSON lines with its ids beside them: each row is looked at when written, and when read back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from curate.errors import CurateError
from curate.export import Records
from curate.export.lines import damaged, read_lines, write_lines


@dataclass(frozen=True)
class Form:
    """What a row must be: its name in errors, and what keeps a JSON value from being one (empty: nothing)."""

    noun: str
    fault: Callable[[Any], str]
    next: str


def frames_of(records: Records) -> Iterable[pl.DataFrame]:
    """The frames of a split, one or several."""
    return [records] if isinstance(records, pl.DataFrame) else records


def write_split(form: Form, rows: Iterable[tuple[str, Any]], split: str, folder: Path) -> list[Path]:
    """Write `<split>.jsonl` and `<split>.ids.jsonl` of rows with their ids, load them back, and return both.

    A split without rows leaves no files, but train leaves empty ones.

    Raises `CurateError` when a row is not in the form or there is no room, and `ReproducibilityError` when what
    is loaded back is not what was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{split}.jsonl"
    ids: list[str] = []
    sound = _sound(form, rows, ids, file)
    first = next(sound, None)
    if first is None and split != "train":
        # What an earlier run left here is not of this one.
        file.unlink(missing_ok=True)
        ids_beside(file).unlink(missing_ok=True)
        return []
    write_lines(file, sound if first is None else chain([first], sound))
    write_lines(ids_beside(file), ({"id": id} for id in ids))
    count_back(form, file, ids)
    return [file, ids_beside(file)]


def ids_beside(file: Path) -> Path:
    """Where the ids of an exported file's rows are."""
    return file.with_name(f"{file.stem}.ids.jsonl")


def count_back(form: Form, file: Path, ids: list[str]) -> int:
    """Load an exported file and the ids beside it, and return the number of rows.

    Raises `ReproducibilityError` when they are not as many, or not the ids, that were to be written, or a line
    is not in the form.
    """
    count = 0
    for count, row in enumerate(read_lines(file), 1):
        if found := form.fault(row):
            raise damaged(f"a line is no {form.noun}: {found}", file, count)
    if count != len(ids):
        raise damaged(f"{len(ids):,} {form.noun}s were to be written, and {count:,} are there", file)
    beside = ids_beside(file)
    written = [row.get("id") if isinstance(row, dict) else None for row in read_lines(beside)]
    for number, (id, expected) in enumerate(zip(written, ids, strict=False), 1):
        if id != expected:
            raise damaged(f"the id {expected!r} was to be written, and {id!r} is there", beside, number)
    if len(written) != len(ids):
        raise damaged(f"{len(ids):,} ids were to be written, and {len(written):,} are there", beside)
    return count


def _sound(form: Form, rows: Iterable[tuple[str, Any]], ids: list[str], file: Path) -> Iterator[Any]:
    """The rows to write, noting their ids. Raises `CurateError` at the end if some are not in the form."""
    faults: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for id, row in rows:
        ids.append(id)
        if found := form.fault(row):
            faults[found] += 1
            examples.setdefault(found, id)
        yield row
    if faults:
        causes = "; ".join(
            f"{found} ({count:,}, such as {examples[found]})" for found, count in sorted(faults.items())
        )
        raise CurateError(
            f"{faults.total():,} of {len(ids):,} records are no {form.noun}: {causes}",
            where=str(file),
            next=form.next,
        )
