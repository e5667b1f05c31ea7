"""The contract of a source: a function that turns one input into frames of records, and counts what it saw.

A source is called as `source(path, intake, **parameters)` and yields parts. A part is a frame of records
(see `curate.record.records`), or a function of an `Intake` that makes one: the engine calls such a function
only if that part is not there already, perhaps in another process, so it must be picklable
(`functools.partial` of a module's function) and its records must bring ids. Parts come in one fixed order.

Every native row is counted twice: as `met` where it comes off the reader, and where its fate is known as
`used`, `passed_over` for a cause, or `unreadable`. The engine refuses a source whose two counts differ.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from curate.store import read_json, write_text
from curate.verdict import check_signature, summary

MAX_EXCERPT = 200  # characters of an unreadable row that are kept to recognise it by


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A native row that could not be read: where it is (file, byte offset), why, and how it begins."""

    file: str
    position: int
    reason: str
    excerpt: str


@dataclass
class Counts:
    """What became of native rows, in which layouts, and what was mended. Adding two counts joins them."""

    native: int = 0
    used: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    unreadable: list[Unreadable] = field(default_factory=list)
    layouts: tuple[str, ...] = ()
    mended: Counter[str] = field(default_factory=Counter)

    @property
    def accounted(self) -> int:
        """The native rows of which it is known what became: as many as were met, or the source lost count."""
        return self.used + self.passed_over.total() + len(self.unreadable)

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.native + other.native,
            self.used + other.used,
            self.passed_over + other.passed_over,
            self.unreadable + other.unreadable,
            tuple(dict.fromkeys(self.layouts + other.layouts)),
            self.mended + other.mended,
        )

    def to_json(self) -> dict[str, Any]:
        # Not `asdict(self)`: it rebuilds a Counter from pairs, which counts the pairs.
        return {
            "native": self.native,
            "used": self.used,
            "passed_over": dict(self.passed_over),
            "unreadable": [asdict(row) for row in self.unreadable],
            "layouts": list(self.layouts),
            "mended": dict(self.mended),
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Counts:
        return cls(
            raw["native"],
            raw["used"],
            Counter(raw["passed_over"]),
            [Unreadable(**row) for row in raw["unreadable"]],
            tuple(raw["layouts"]),
            Counter(raw["mended"]),
        )


class Intake:
    """What the engine lends a source for one input: a scratch folder and the books.

    The scratch folder outlives a killed run and is removed when its input has been read to the end.
    """

    def __init__(
        self, scratch: Path, watch: Callable[[float], None] | None = None, *, first: int | None = None
    ) -> None:
        self.scratch = scratch
        self.counts = Counts()
        self._watch = watch
        self._first = first
        self.cut = False  # whether a source was told that it is enough

    def enough(self) -> bool:
        """Whether as many native rows were met as are wanted: a first look wants some, a run wants all.

        A source that must go through all rows before it makes a record asks after each, and if it is enough goes
        on as if there were no more of them.
        """
        if self._first is not None and self.counts.native >= self._first:
            self.cut = True
        return self.cut

    def found(self, layout: str) -> None:
        """Say in which layout an input is, as a phrase, once that is known. There may be several in a folder."""
        if layout not in self.counts.layouts:
            self.counts.layouts += (layout,)

    def progress(self, share: float) -> None:
        """Say which share of the input's work is done, from 0 to 1. Only whoever watches cares."""
        if self._watch is not None:
            self._watch(share)

    def met(self, rows: int = 1) -> None:
        """Count native rows as they come off the reader, before anything is known of them."""
        self.counts.native += rows

    def used(self, rows: int = 1) -> None:
        """Count native rows that ended up in a record."""
        self.counts.used += rows

    def passed_over(self, cause: str, rows: int = 1) -> None:
        """Count native rows that are not wanted, by cause, such as `not the top answer`."""
        if rows:
            self.counts.passed_over[cause] += rows

    def mended(self, what: str, rows: int = 1) -> None:
        """Count records of which more than the form was changed, such as `an input that says there is none`."""
        if rows:
            self.counts.mended[what] += rows

    def unreadable(self, *, file: str, position: int, reason: str, excerpt: str | bytes) -> None:
        """Record a native row that cannot be read. `position` is its byte offset in `file`, decompressed."""
        if isinstance(excerpt, bytes):
            excerpt = excerpt[: 4 * MAX_EXCERPT].decode("utf-8", "backslashreplace")
        self.counts.unreadable.append(Unreadable(file, position, reason, excerpt[:MAX_EXCERPT]))

    def once(self, name: str, make: Callable[[Intake], Any]) -> Any:
        """The JSON value of `make(intake)`, made once for this input even if the run is killed later.

        Its counts are kept with the value, so that they are not lost when the work is not done again.
        """
        kept = self.scratch / f"{name}.json"
        if not kept.exists():
            inner = Intake(self.scratch, self._watch, first=self._first)
            value = make(inner)
            self.cut = self.cut or inner.cut
            write_text(kept, json.dumps({"value": value, "counts": inner.counts.to_json()}))
        raw = read_json(kept)
        self.counts += Counts.from_json(raw["counts"])
        return raw["value"]

    def take(self) -> Counts:
        """The counts since the last call."""
        counts, self.counts = self.counts, Counts()
        return counts


Part = pl.DataFrame | Callable[[Intake], pl.DataFrame]


@dataclass(frozen=True)
class Source:
    """A connector to one native format: calling it with an input gives parts."""

    name: str
    function: Callable[..., Iterator[Part]]
    license: str
    home: str
    layouts: tuple[str, ...]
    files: tuple[str, ...]
    beside: Callable[[Path], Sequence[Path]]
    example: str
    language: str | None
    summary: str

    def __call__(self, path: Path, intake: Intake, **parameters: Any) -> Iterator[Part]:
        return self.function(path, intake, **parameters)

    @property
    def module(self) -> str:
        return self.function.__module__


def _alone(_path: Path) -> Sequence[Path]:
    return ()


def reads(
    *,
    license: str,
    home: str,
    layouts: tuple[str, ...],
    files: tuple[str, ...] = (),
    beside: Callable[[Path], Sequence[Path]] = _alone,
    example: str = 'path = "…"',
    language: str | None = "en",
) -> Callable[[Callable[..., Iterator[Part]]], Source]:
    """Make a generator function a source, named like the function.

    `license` is that of what is usually read, `home` where it comes from, `layouts` a phrase for each form of
    input. `files` are the members that matter where an input is a folder (all of them by default); `beside` says
    which files that lie elsewhere are read with an input: what a source opens must be in one of the two, or in a
    parameter of type `Files`, because the digests of these alone are in the key. `example` is what follows `use`
    in a pipeline. `language` is what texts are usually written in, so that rules which know some languages only
    can stand aside.

    Raises `PluginError` when the signature or the docstring is not that of a source.
    """

    def decorate(function: Callable[..., Iterator[Part]]) -> Source:
        check_signature(function, given=("path", "intake"))
        return Source(
            function.__name__,
            function,
            license,
            home,
            layouts,
            files,
            beside,
            example,
            language,
            summary(function),
        )

    return decorate
