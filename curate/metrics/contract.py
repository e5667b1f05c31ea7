"""What a metric is: a decorated function of chosen rows, which says its formula and its source."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

if TYPE_CHECKING:
    from curate.metrics.prepared import Chosen

Kind = Literal["diversity", "quality", "style", "length"]
Needs = Literal["text", "vectors", "pool"]

# What `rows` of a sample must have.
COLUMNS: Final = {
    "id": pl.String,
    "prompt": pl.String,
    "response": pl.String,
    "category": pl.String,
    "draw": pl.UInt64,
}


@dataclass(frozen=True)
class Sample:
    """Rows to be described, and their vectors.

    `rows` has the columns `id`, `prompt` (the whole user message), `response`, `category` (null where it is not
    known) and `draw` (see `curate.keys.draws`). `vectors`, shape (n, d), are of the same rows in the same order;
    None where there are none. Their lengths do not count, and a row of zeros is at a cosine of 0 to any other.
    """

    rows: pl.DataFrame
    vectors: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class MetricInfo:
    """What a metric is, without its value.

    `higher` is what a higher value says, and empty where it says nothing that is good or bad. `needs` is what it
    is made of: `text` alone, `vectors`, or `pool`: vectors and a pool that the rows were chosen from. One of
    `equal_size` changes with the number of rows, and may be compared between sets of one size only.
    """

    name: str
    title: str
    unit: str
    kind: Kind
    higher: str
    needs: Needs
    equal_size: bool
    summary: str
    formula: str
    source: str


@dataclass(frozen=True)
class Metric:
    """A metric and the function that makes it; called like the function."""

    info: MetricInfo
    function: Callable[[Chosen], float | None]

    def __call__(self, chosen: Chosen) -> float | None:
        """The metric of these rows; None where it cannot be told."""
        return self.function(chosen)


def metric(
    title: str,
    *,
    kind: Kind,
    unit: str = "",
    higher: str = "",
    needs: Needs = "text",
    equal_size: bool = False,
) -> Callable[[Callable[[Chosen], float | None]], Metric]:
    """Make a metric of a function, whose docstring has the lines `Formula:` and `Source:`.

    A metric may be asked of any rows, none at all included, and answers None where they do not tell. It depends
    on which rows are chosen, and not on their order.
    """

    def made(function: Callable[[Chosen], float | None]) -> Metric:
        doc = inspect.getdoc(function) or ""
        info = MetricInfo(
            name=function.__name__,
            title=title,
            unit=unit,
            kind=kind,
            higher=higher,
            needs=needs,
            equal_size=equal_size,
            summary=doc.partition("\n")[0],
            formula=_line(doc, "Formula"),
            source=_line(doc, "Source"),
        )
        return Metric(info, function)

    return made


def _line(doc: str, head: str) -> str:
    """What a docstring says behind `head:`, up to the next head or empty line, as one line."""
    found = re.search(rf"(?ms)^{head}: (.*?)(?=^[A-Z]\w+: |^$|\Z)", doc)
    return " ".join(found[1].split()) if found else ""
