"""The orders in which a quota may prefer records. Any prefix of an order is itself a selection.

Most orders look at each record alone and give it a key: the least comes first, and a record that is added or taken
away moves no two others past each other. An order that weighs each record against those already taken is greedy:
it is asked for one record after another, and goes on where it was. Either way the first 1,000 of an order are part
of its first 6,000.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.errors import PluginError
from curate.verdict import check_signature, summary

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Candidates:
    """The records that a quota asks for.

    `rows` have the columns of `curate.selection.quotas.ELIGIBLE`, sorted by id, and `domains`, shape (n,), the
    code of the domain that each is drawn from. `vectors`, shape (n, d), are those of an order that declares a
    measure: of unit length, or zeros for a record without that text.
    """

    rows: pl.DataFrame
    seed: int
    domains: Integers
    vectors: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))


class Greedy:
    """An order that weighs each row against those already taken. Rows are places among the candidates."""

    def best(self, domain: int) -> int | None:
        """The row of the domain that comes next, which is not offered again; None when there is none left."""
        raise NotImplementedError

    def take(self, row: int) -> None:
        """From now on, `row` is one of those taken. A row that was offered and is not taken counts for nothing."""
        raise NotImplementedError

    @property
    def refused(self) -> Mapping[str, list[int]]:
        """The rows that were passed by for good so far, by why."""
        return {}


@dataclass(frozen=True)
class Ranking:
    """An order of records: calling it with candidates gives one key a row, or a `Greedy`."""

    name: str
    function: Callable[..., pl.Series | Greedy]
    summary: str
    measure: str | None = None  # the measure whose vectors it looks at

    def __call__(self, candidates: Candidates, **parameters: Any) -> pl.Series | Greedy:
        return self.function(candidates, **parameters)

    @property
    def text(self) -> str:
        """The text whose vectors it looks at, where a pipeline does not say."""
        return str((self.function.__kwdefaults__ or {}).get("on", ""))

    @property
    def module(self) -> str:
        return self.function.__module__


@overload
def ranks(function: Callable[..., pl.Series | Greedy], /) -> Ranking: ...
@overload
def ranks(*, measure: str) -> Callable[[Callable[..., pl.Series | Greedy]], Ranking]: ...
def ranks(
    function: Callable[..., pl.Series | Greedy] | None = None, /, *, measure: str | None = None
) -> Ranking | Callable[[Callable[..., pl.Series | Greedy]], Ranking]:
    """Make a function of `Candidates` an order, named like the function.

    It returns one key a row (least first, nulls last, equal ones by id), or a `Greedy`. With a `measure`, its
    candidates have vectors, and it has a parameter `on` that names the text they are made of.

    Raises `PluginError` unless its other parameters are keyword-only, typed and defaulted.
    """
    if function is None:
        return lambda decorated: _ranking(decorated, measure)
    return _ranking(function, measure)


def _ranking(function: Callable[..., pl.Series | Greedy], measure: str | None) -> Ranking:
    check_signature(function, given=("candidates",))
    if measure and "on" not in function.__annotations__:
        raise PluginError(
            "an order that looks at vectors has no parameter 'on'",
            where=f"{function.__module__}.{function.__qualname__}",
            next='write `on: Field = "message"`: it names the text whose vectors are compared',
        )
    return Ranking(function.__name__, function, summary(function), measure)
