"""Facts about a text that cost much, or that take other records to know.

A measure is a function of a list of texts that returns a frame with one row a text. It is taken only of
records that no rule on text has rejected, in worker processes, and never twice of the same text.

A keyed measure compares records of one source: how many outputs one task has, say. It is a function of a frame
with a row for each such record, and is taken again whenever they are others.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from curate.verdict import check_signature, summary


@dataclass(frozen=True)
class Measure:
    """A costly fact about a text: calling it with texts gives one row each, with `schema`'s columns.

    `revision` names the model's version, by the parameters where they choose the model; a new revision measures
    everything again. It is called with at most `batch` texts at a time: in worker processes, or in this one where
    it uses all cores, or a GPU, by itself (`own_threads`). A keyed measure has fields `beside` the text: it is
    called with a frame instead.
    """

    name: str
    function: Callable[..., pl.DataFrame]
    schema: dict[str, pl.DataType]
    revision: str | Callable[..., str]
    summary: str
    beside: tuple[str, ...] = ()
    batch: int = 256
    own_threads: bool = False

    def resolved(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters, of which some are given."""
        signature = inspect.signature(self.function).parameters.values()
        return {each.name: each.default for each in signature if each.kind is each.KEYWORD_ONLY} | dict(parameters)

    def revised(self, parameters: Mapping[str, Any]) -> str:
        """The revision with these parameters."""
        return self.revision if isinstance(self.revision, str) else self.revision(**self.resolved(parameters))

    def __call__(self, subject: list[str] | pl.DataFrame, **parameters: Any) -> pl.DataFrame:
        return self.function(subject, **parameters)

    @property
    def module(self) -> str:
        return self.function.__module__


def measures(
    *,
    schema: dict[str, pl.DataType],
    revision: str | Callable[..., str],
    beside: tuple[str, ...] = (),
    batch: int = 256,
    own_threads: bool = False,
) -> Callable[[Callable[..., pl.DataFrame]], Measure]:
    """Make a function of a list of texts a measure, named like the function. Its parameters are keyword-only.

    With fields `beside` the text it is a keyed measure: a function of a frame of a source's records in the order
    of their ids. Columns: `id`, `draw`, `key` and the fields. `key` and the fields are digests of texts: equal
    where the texts are equal, null where a record has none.
    """

    def decorate(function: Callable[..., pl.DataFrame]) -> Measure:
        check_signature(function, given=("texts",))
        return Measure(
            function.__name__, function, schema, revision, summary(function), beside, batch, own_threads
        )

    return decorate
