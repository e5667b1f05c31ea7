"""The training set in the forms that trainers read: the only place where records are left out.

An exporter is a function of the records of one split, in the order in which they are to be written; it writes
files into a folder, loads them back, counts them, and returns their paths. Files are written under a
temporary name and renamed when they are whole, so that what bears its final name is complete. What concerns all
splits together, such as a trainer's configuration, is written by a second function when they are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

import polars as pl

from curate.verdict import check_signature, summary

Records = pl.DataFrame | Iterator[pl.DataFrame]

# What a record may have that a form has no place for. A prompt without a response is left out of dev and test
# and counted; anything else is refused, since what is left of the record would say something else.
Part = Literal["system", "history", "tools", "no_response"]


@dataclass(frozen=True)
class Written:
    """What an exporter has written, for the files that concern all splits together.

    `rows` are those of each split that has a file; `longest` is the size of the longest record's texts in bytes.
    """

    name: str
    rows: Mapping[str, int]
    longest: int


Finish = Callable[[Path, Written], list[Path]]


@dataclass(frozen=True)
class Exporter:
    """A form in which a training set is written: calling it writes one split and returns the files."""

    name: str
    function: Callable[..., list[Path]]
    summary: str
    lacks: tuple[Part, ...] = ()
    fewest: int = 0
    finish: Finish | None = None

    def __call__(self, records: Records, split: str, folder: Path, **parameters: Any) -> list[Path]:
        return self.function(records, split, folder, **parameters)

    @property
    def module(self) -> str:
        return self.function.__module__


@overload
def exports(function: Callable[..., list[Path]], /) -> Exporter: ...
@overload
def exports(
    *, lacks: tuple[Part, ...] = (), fewest: int = 0, finish: Finish | None = None
) -> Callable[[Callable[..., list[Path]]], Exporter]: ...
def exports(
    function: Callable[..., list[Path]] | None = None,
    /,
    *,
    lacks: tuple[Part, ...] = (),
    fewest: int = 0,
    finish: Finish | None = None,
) -> Exporter | Callable[[Callable[..., list[Path]]], Exporter]:
    """Make a function of records, a split and a folder an exporter, named like the function.

    `records` are frames of `curate.record.COLUMNS`, one or an iterator of them. `lacks` names what the form has
    no place for, `fewest` how many rows its reader asks for at least. `finish` is called when all splits are
    written and returns the files it adds.

    Raises `PluginError` when the signature or the docstring is not that of an exporter.
    """

    def made(function: Callable[..., list[Path]]) -> Exporter:
        check_signature(function, given=("records", "split", "folder"))
        return Exporter(function.__name__, function, summary(function), lacks, fewest, finish)

    return made if function is None else made(function)
