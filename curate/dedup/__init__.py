"""Which records say the same thing, and which of them stays.

`exact` takes two texts for the same when they are equal but for case and white space. `minhash` finds texts
that share most of their runs of words, so a changed word or a moved sentence does not hide a twin. `rouge_l`
finds texts with most of their words in common, in the same order, as Self-Instruct asks of instructions; `ngram`
those with a run of words in common, as evaluation prompts are looked for. These know words alone. `semantic` finds
texts that mean the same in other words, by their embeddings. `declared` takes the word of the source, as Stack
Exchange marks questions as duplicates.

A method makes an `Index` of the texts of one pass, in the order in which rows are decided. It is told which
rows are kept, and says which of those a row matches. It never drops anything: `stars` decides, over all
passes together, and no row joins another but by a similarity that was computed, not estimated.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from curate.dedup.texts import Texts
from curate.errors import PluginError
from curate.verdict import check_signature, summary


class Index:
    """The kept rows of one pass, to be asked for matches. Rows are places in the texts it was made of.

    `groups`, shape (n,), says which rows can match at all: only those of one number, and -1 matches none. Rows of
    different groups are decided apart, batch by batch, so that no more than a batch need be in memory.
    `comparisons` counts the pairs whose similarity was computed; `note` says how pairs were looked for.
    """

    groups: NDArray[np.int64]
    comparisons: int = 0
    note: str = ""

    def prepare(self, batches: NDArray[np.int32]) -> None:
        """Once, before any row is asked for: the batch of each row, -1 where it is not asked for. Shape (n,)."""

    def begin(self, batch: int) -> None:
        """The rows of this batch come next. Those of another will not be asked for again."""

    def matches(self, row: int) -> Sequence[tuple[int, float]]:
        """The kept rows whose similarity to `row` is enough for the method, each with that similarity."""
        raise NotImplementedError

    def keep(self, row: int) -> None:
        """From now on, `row` is one of the kept rows."""
        raise NotImplementedError


@dataclass(frozen=True)
class Method:
    """A way to find texts that say the same: calling it with texts gives their `Index`.

    One that compares a measure of texts, such as `embedding`, is called with their vectors instead, and gives all
    pairs above its `floor`.
    """

    name: str
    function: Callable[..., Any]
    summary: str
    on: str | None = None  # the text that it looks at, where there is no choice
    measure: str | None = None  # what it is called with, where that is no text

    def __call__(self, texts: Any, **parameters: Any) -> Any:
        """The `Index` of `Texts`, or of any texts at hand; for a method on vectors, the pairs of these."""
        if self.measure or isinstance(texts, Texts):
            return self.function(texts, **parameters)
        return self.function(Texts.of(texts), **parameters)

    @property
    def module(self) -> str:
        return self.function.__module__


@overload
def finds(function: Callable[..., Index], /) -> Method: ...
@overload
def finds(*, on: str | None = None, measure: str | None = None) -> Callable[[Callable[..., Any]], Method]: ...
def finds(
    function: Callable[..., Index] | None = None, /, *, on: str | None = None, measure: str | None = None
) -> Method | Callable[[Callable[..., Any]], Method]:
    """Make a function of `Texts` a method, named like the function.

    `on` is the text that the method looks at, where a pipeline has no choice; `measure` names the measure of that
    text by which it compares.

    Raises `PluginError` unless its other parameters are keyword-only, typed and defaulted.
    """
    if function is None:
        return lambda decorated: _method(decorated, on, measure)
    return _method(function, on, measure)


def _method(function: Callable[..., Any], on: str | None, measure: str | None) -> Method:
    check_signature(function, given=("texts",))
    missing = {"threshold", "floor"} - set(inspect.signature(function).parameters)
    if measure and missing:
        raise PluginError(
            f"a method that compares a measure has no parameter {min(missing)!r}",
            where=f"{function.__module__}.{function.__qualname__}",
            next="its pairs are kept from `floor` on, so that another `threshold` needs no new ones",
        )
    return Method(function.__name__, function, summary(function), on, measure)
