"""How long prompts and responses are: what other metrics, and judges, confound with quality."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.metrics.contract import metric
from curate.metrics.prepared import Chosen

_TAIL = 0.95


@metric("Characters of prompts, median", unit="characters", kind="length")
def prompt_chars_median(chosen: Chosen) -> float | None:
    """The length of the middle prompt, in characters.

    Formula: 50% quantile, the upper of two middle ones
    Source: ours
    """
    return _quantile(_chars(chosen, "prompt"), 0.5)


@metric("Characters of prompts, 95%", unit="characters", kind="length")
def prompt_chars_p95(chosen: Chosen) -> float | None:
    """The length that 95% of prompts do not exceed, in characters.

    Formula: 95% quantile, the value nearest to 0.95·(n - 1) in order, from 0
    Source: ours
    """
    return _quantile(_chars(chosen, "prompt"), _TAIL)


@metric("Words of prompts, median", unit="words", kind="length")
def prompt_words_median(chosen: Chosen) -> float | None:
    """The length of the middle prompt, in words; of scripts without spaces, in characters.

    Formula: 50% quantile, the upper of two middle ones
    Source: ours
    """
    return _quantile(_words(chosen, "prompt"), 0.5)


@metric("Words of prompts, 95%", unit="words", kind="length")
def prompt_words_p95(chosen: Chosen) -> float | None:
    """The length that 95% of prompts do not exceed, in words.

    Formula: 95% quantile, the value nearest to 0.95·(n - 1) in order, from 0
    Source: ours
    """
    return _quantile(_words(chosen, "prompt"), _TAIL)


@metric("Characters of responses, median", unit="characters", kind="length")
def response_chars_median(chosen: Chosen) -> float | None:
    """The length of the middle response, in characters.

    The longest responses of a pool train better than most selections of it (Zhao et al., arXiv 2402.04833), so
    a selection of long ones should be told from one of good ones.

    Formula: 50% quantile, the upper of two middle ones
    Source: as a confounder, Zhao et al., arXiv 2402.04833
    """
    return _quantile(_chars(chosen, "response"), 0.5)


@metric("Characters of responses, 95%", unit="characters", kind="length")
def response_chars_p95(chosen: Chosen) -> float | None:
    """The length that 95% of responses do not exceed, in characters.

    Formula: 95% quantile, the value nearest to 0.95·(n - 1) in order, from 0
    Source: as a confounder, Zhao et al., arXiv 2402.04833
    """
    return _quantile(_chars(chosen, "response"), _TAIL)


@metric("Words of responses, median", unit="words", kind="length")
def response_words_median(chosen: Chosen) -> float | None:
    """The length of the middle response, in words; of scripts without spaces, in characters.

    Formula: 50% quantile, the upper of two middle ones
    Source: as a confounder, Zhao et al., arXiv 2402.04833
    """
    return _quantile(_words(chosen, "response"), 0.5)


@metric("Words of responses, 95%", unit="words", kind="length")
def response_words_p95(chosen: Chosen) -> float | None:
    """The length that 95% of responses do not exceed, in words.

    Formula: 95% quantile, the value nearest to 0.95·(n - 1) in order, from 0
    Source: as a confounder, Zhao et al., arXiv 2402.04833
    """
    return _quantile(_words(chosen, "response"), _TAIL)


def _chars(chosen: Chosen, field: str) -> NDArray[np.int64]:
    return chosen.rows[field].drop_nulls().str.len_chars().to_numpy().astype(np.int64)


def _words(chosen: Chosen, field: str) -> NDArray[np.int64]:
    told = chosen.rows[field].is_not_null().to_numpy()
    return np.asarray(chosen.words(field).counts()[told])


def _quantile(lengths: NDArray[np.int64], share: float) -> float | None:
    """The value nearest to `share` of the way from the first to the last in order, as reports have it too."""
    return pl.Series(lengths).quantile(share, interpolation="nearest")
