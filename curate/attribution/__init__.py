"""Who wrote what is in the set: `ATTRIBUTION.jsonl`, one row a kept record, and a page of the same for people.

Creative Commons asks that the title, the author, the source and the licence of a work be named, and that changes
be indicated (https://wiki.creativecommons.org/wiki/Recommended_practices_for_attribution). So each row names these
for every work in its record, and what became of the texts. Both files lie beside the set, and go with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.attribution.page import Page
from curate.export.lines import write_lines
from curate.licenses import UNKNOWN
from curate.licenses.terms import folded, terms
from curate.store import write_text

LINES: Final = "ATTRIBUTION.jsonl"
PAGE: Final = "ATTRIBUTION.html"

NO_WORKS: Final = "The source names no work by others."

Json = dict[str, Any]


def attribute(
    frames: Iterable[pl.DataFrame], folder: Path, *, name: str = "", amendments: pl.LazyFrame | None = None
) -> list[Path]:
    """Write both files into the folder, and return them.

    `frames` are the kept records, in the order of the set, with a column `split`; `name` is the set's. A row has
    `id`, `split`, `source`, `license`, `works` (each with part, title, author, author_url, url, license,
    license_url, basis and modified, the date of its author's last edit), `changes` (what `amendments` changed in
    which field) and `note`. Frames are read one after the other, and none is kept.

    Raises `CurateError` when a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = Page(name, LINES)
    lines = folder / LINES
    write_lines(lines, _noted(_rows(frames, amendments), page))
    written = folder / PAGE
    write_text(written, page.html())
    return [lines, written]


def _noted(rows: Iterable[Json], page: Page) -> Iterator[Json]:
    for row in rows:
        page.add(row)
        yield row


def _rows(frames: Iterable[pl.DataFrame], amendments: pl.LazyFrame | None) -> Iterator[Json]:
    for frame in frames:
        changes = _changes(frame["id"], amendments)
        for row in frame.select("id", "split", "source", "license", "works").iter_rows(named=True):
            works = [_work(work) for work in row["works"] or ()]
            note = None if works else NO_WORKS
            yield row | {"works": works, "changes": changes.get(row["id"], []), "note": note}


def _changes(ids: pl.Series, amendments: pl.LazyFrame | None) -> dict[str, list[str]]:
    """What was changed in which field of the records with these ids, by rule or by hand."""
    if amendments is None:
        return {}
    told = amendments.filter(pl.col("id").is_in(ids.implode())).select("id", "field", "by", "why")
    changes: defaultdict[str, list[str]] = defaultdict(list)
    for id, field, by, why in told.collect(engine="streaming").sort("id", "field", "by", "why").iter_rows():
        changes[id].append(f"{field}: {why} ({by})")
    return changes


def _work(work: Json) -> Json:
    license = work["license"] or UNKNOWN
    modified: datetime | None = work["modified"]
    return {
        **{name: work[name] for name in ("part", "title", "author", "author_url", "url")},
        "license": license,
        "license_url": license_url(license),
        "basis": work["license_basis"],
        "modified": modified and f"{modified:%Y-%m-%d}",
    }


@lru_cache(maxsize=1024)
def license_url(license: str) -> str | None:
    """Where a licence can be read; of an expression the addresses of all its licences, with spaces between."""
    every = folded(license, lambda one: [terms(one).url], _in_turn, _in_turn)
    return " ".join(dict.fromkeys(url for url in every if url)) or None


def _in_turn(lists: list[list[str | None]]) -> list[str | None]:
    return [each for part in lists for each in part]
