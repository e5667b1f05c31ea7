"""The contract of a filter: a function of typed parameters that returns a verdict.

A verdict is evidence, a limit, and the sense in which evidence at odds with the limit rejects a record. The
judge compares: so a changed limit needs no text, and every row can be told what would have to change.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints, overload

import polars as pl

from curate.errors import PluginError

Sense = Literal["below", "above", "outside", "present"]
Mask = Callable[[str], str]

_T = TypeVar("_T")


class _LimitMark:
    """Marks a parameter as a limit, which shapes the verdict but not the evidence."""


Limit = Annotated[_T, _LimitMark()]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Evidence for every record to which a rule applies, and when that evidence rejects.

    `evidence` is an expression over the columns and views of a record; its null means that the value is not
    known, or under `present` that nothing was found. `applies` narrows the records that the rule is about
    beyond those that have the fields the evidence reads. `mask` takes out of one text all that the evidence
    finds, for pipelines that would rather have the record without it; it is asked for texts that hold some.
    """

    evidence: pl.Expr
    sense: Sense
    limit: float | tuple[str, ...] | None
    applies: pl.Expr | None = None
    mask: Mask | None = None

    @property
    def reads(self) -> list[pl.Expr]:
        """The expressions whose views must be there."""
        return [self.evidence] if self.applies is None else [self.evidence, self.applies]


def below(evidence: pl.Expr, limit: float, *, applies: pl.Expr | None = None) -> Verdict:
    """Reject where the evidence is less than the limit."""
    return Verdict(evidence, "below", limit, applies)


def above(evidence: pl.Expr, limit: float, *, applies: pl.Expr | None = None) -> Verdict:
    """Reject where the evidence is greater than the limit."""
    return Verdict(evidence, "above", limit, applies)


def outside(evidence: pl.Expr, allowed: list[str] | tuple[str, ...], *, applies: pl.Expr | None = None) -> Verdict:
    """Reject where the evidence is none of the allowed values."""
    return Verdict(evidence, "outside", tuple(allowed), applies)


def present(
    subject: pl.Expr, pattern: str, *, applies: pl.Expr | None = None, mask: Mask | None = None
) -> Verdict:
    """Reject where the pattern is found; the evidence is the first match.

    `pattern` is in the syntax of Rust's regex crate: no look-around and no back-references.
    """
    return Verdict(subject.str.extract(pattern, 0), "present", None, applies, mask)


def rejects_when(verdict: Verdict, evidence: pl.Expr) -> pl.Expr:
    """True where the evidence rejects, False where it does not, null where it is not known.

    `evidence` is where the verdict's evidence lies, such as the column that the judge has stored it in. Only
    under `present` is a missing value an answer: nothing was found.
    """
    limit: Any = verdict.limit
    rejected: pl.Expr
    match verdict.sense:
        case "present":
            rejected = evidence.is_not_null()
        case "outside":
            rejected = ~evidence.is_in(limit)
        case "below":
            rejected = evidence < limit
        case "above":
            rejected = evidence > limit
    return rejected


@dataclass(frozen=True)
class Filter:
    """A rule to be configured: calling it with parameters gives a `Verdict`."""

    name: str
    function: Callable[..., Verdict]
    languages: tuple[str, ...]
    summary: str
    rejects: tuple[str, ...] = field(default=(), repr=False)
    keeps: tuple[str, ...] = field(default=(), repr=False)

    def __call__(self, **parameters: Any) -> Verdict:
        return self.function(**parameters)

    @property
    def module(self) -> str:
        return self.function.__module__

    @property
    def limits(self) -> frozenset[str]:
        """The parameters that are limits: they do not shape the evidence."""
        hints = get_type_hints(self.function, include_extras=True)
        return frozenset(
            name
            for name, hint in hints.items()
            if get_origin(hint) is Annotated and any(isinstance(mark, _LimitMark) for mark in get_args(hint)[1:])
        )


@overload
def rejects(function: Callable[..., Verdict], /) -> Filter: ...
@overload
def rejects(*, languages: tuple[str, ...] = ()) -> Callable[[Callable[..., Verdict]], Filter]: ...
def rejects(
    function: Callable[..., Verdict] | None = None, /, *, languages: tuple[str, ...] = ()
) -> Filter | Callable[[Callable[..., Verdict]], Filter]:
    """Make a function of keyword-only, typed, defaulted parameters a filter, named like the function.

    `languages` are the ISO 639-1 codes that the rule knows; none means that it does not depend on language.
    To a source in another language the rule does not apply.

    Raises `PluginError` when the signature or the docstring is not that of a filter.
    """
    if function is None:
        return lambda decorated: _filter(decorated, languages)
    return _filter(function, languages)


def _filter(function: Callable[..., Verdict], languages: tuple[str, ...]) -> Filter:
    check_signature(function)
    doc = inspect.getdoc(function) or ""
    return Filter(
        name=function.__name__,
        function=function,
        languages=languages,
        summary=summary(function),
        rejects=tuple(re.findall(r"^Rejects:[ ]*(.*)$", doc, re.MULTILINE)),
        keeps=tuple(re.findall(r"^Keeps:[ ]*(.*)$", doc, re.MULTILINE)),
    )


def summary(function: Callable[..., Any]) -> str:
    """The first paragraph of a plug-in's docstring: what lists and reports print."""
    return " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())


def check_signature(function: Callable[..., Any], *, given: tuple[str, ...] = ()) -> None:
    """Raise `PluginError` unless the parameters after `given` are keyword-only, typed and defaulted."""
    where = f"{function.__module__}.{function.__qualname__}"
    if not summary(function):
        raise PluginError("a plug-in has no docstring", where=where, next="say in one sentence what it is for")
    parameters = list(inspect.signature(function).parameters.values())
    for parameter in parameters[len(given) :]:
        if (
            parameter.kind is not parameter.KEYWORD_ONLY
            or parameter.default is parameter.empty
            or parameter.annotation is parameter.empty
        ):
            raise PluginError(
                f"a plug-in's parameter {parameter.name!r} is not keyword-only, typed and defaulted",
                where=where,
                next=f"write `*, {parameter.name}: int = 0`: the signature is the configuration",
            )
