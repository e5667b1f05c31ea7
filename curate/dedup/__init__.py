"""Which records say the same thing, and which of them stays.

`exact` takes two texts for the same when they are equal but for case and white space. `minhash` finds texts
that share most of their runs of words, so a changed word or a moved sentence does not hide a twin. `rouge_l`
finds texts with most of their words in common, in the same order, as Self-Instruct asks of instructions. All know
words alone; texts that say the same in other words are a matter of meaning, and of none of them. `declared` takes
the word of the source, as Stack Exchange marks questions as duplicates.

A method makes an `Index` of the texts of one pass, in the order in which rows are decided. It is told which
rows are kept, and says which of those a row matches. It never drops anything: `stars` decides, over all
passes together, and no row joins another but by a similarity that was computed, not estimated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, overload

from curate.verdict import check_signature, summary


class Index(Protocol):
    """The kept rows of one pass, to be asked for matches. Rows are places in the texts it was made of."""

    def matches(self, row: int) -> Sequence[tuple[int, float]]:
        """The kept rows whose similarity to `row` is enough for the method, each with that similarity."""
        ...

    def keep(self, row: int) -> None:
        """From now on, `row` is one of the kept rows."""
        ...


@dataclass(frozen=True)
class Method:
    """A way to find texts that say the same: calling it with texts gives their `Index`."""

    name: str
    function: Callable[..., Index]
    summary: str
    on: str | None = None  # the text that it looks at, where there is no choice

    def __call__(self, texts: Sequence[str], **parameters: Any) -> Index:
        return self.function(texts, **parameters)

    @property
    def module(self) -> str:
        return self.function.__module__


@overload
def finds(function: Callable[..., Index], /) -> Method: ...
@overload
def finds(*, on: str) -> Callable[[Callable[..., Index]], Method]: ...
def finds(
    function: Callable[..., Index] | None = None, /, *, on: str | None = None
) -> Method | Callable[[Callable[..., Index]], Method]:
    """Make a function of a sequence of texts a method, named like the function.

    `on` is the text that the method looks at, where a pipeline has no choice.

    Raises `PluginError` unless its other parameters are keyword-only, typed and defaulted.
    """
    if function is None:
        return lambda decorated: _method(decorated, on)
    return _method(function, on)


def _method(function: Callable[..., Index], on: str | None) -> Method:
    check_signature(function, given=("texts",))
    return Method(function.__name__, function, summary(function), on)
