"""The errors a user can meet, and the exit code of each.

    CurateError                      1   anything below, caught as one
    ├── PipelineError                2   pipeline.toml, or what it asks for, cannot be met
    │   └── ShortageError            2   a quota stayed short under `strict = true`
    ├── SourceError                  3   an input cannot be read
    ├── PluginError                  4   a plug-in is unknown, broken or its package is missing
    └── ReproducibilityError         5   what is on disk is not what the manifest says
        └── BusyError                5   another run holds the folder

Each message says what is wrong, where, and what to do next. These errors are shown without a traceback;
any other exception is a fault of this program and shows its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class CurateError(Exception):
    """What is wrong, where it is, and what to do next."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", next: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.next = what, where, next

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.next:
            lines.append(f"  next:  {self.next}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        # Errors travel from worker processes; the default would lose `where` and `next`.
        return _rebuild, (type(self), self.what, self.where, self.next)


def _rebuild(kind: type[CurateError], what: str, where: str, next: str) -> CurateError:
    return kind(what, where=where, next=next)


class PipelineError(CurateError):
    """The pipeline file, or what it asks for, cannot be met."""

    exit_code = 2


class ShortageError(PipelineError):
    """A quota stayed short, and the pipeline says that this is an error."""


class SourceError(CurateError):
    """An input cannot be read."""

    exit_code = 3


class PluginError(CurateError):
    """A plug-in is unknown or broken, or a package it needs is not installed."""

    exit_code = 4


class ReproducibilityError(CurateError):
    """What is on disk is not what the manifest says it should be."""

    exit_code = 5


class BusyError(ReproducibilityError):
    """Another run holds the run folder."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Say what `name` may have meant: the nearest valid name, or the list of all of them."""
    names = sorted(valid)
    # A name that was cut short is nearer than its letters say: `lima` is `lima-1k` before it is `se-lima`.
    longer = [each for each in names if each.startswith(name)]
    close = longer if name and len(longer) == 1 else get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"valid names: {', '.join(names)}" if names else "there are none"
