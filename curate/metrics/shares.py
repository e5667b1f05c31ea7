"""Metrics that are shares of rows: what is asked of each row is said once, as an expression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import polars as pl

from curate.metrics.contract import Kind, Metric, metric
from curate.metrics.prepared import Chosen

PROMPT: Final = pl.col("prompt")
RESPONSE: Final = pl.col("response")

# What is asked of each row, by the metric's name.
QUESTIONS: Final[dict[str, pl.Expr]] = {}


def share(title: str, *, kind: Kind, higher: str = "") -> Callable[[Callable[[], pl.Expr]], Metric]:
    """Make a metric of a function that returns an expression, true or false of a row.

    The metric is the share of rows of which it is true, among those with a response to which it applies (where it
    is not null); None where there are none.
    """

    def made(function: Callable[[], pl.Expr]) -> Metric:
        name = function.__name__

        def value(chosen: Chosen) -> float | None:
            return chosen.mean(chosen.asked(name))

        value.__name__, value.__doc__ = name, function.__doc__
        QUESTIONS[name] = pl.when(RESPONSE.is_not_null()).then(function())
        return metric(title, unit="share", kind=kind, higher=higher)(value)

    return made
