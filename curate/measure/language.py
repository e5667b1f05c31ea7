"""The language of a text, by the profiles of langdetect, for many texts at once."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from curate.measure import measures
from curate.measure.profiles import profiles
from curate.measure.prose import BEGINNING, prose

# The profiles of Korean and Japanese hold Chinese characters too, and win by them: without a letter of their own,
# a text is in neither.
_OWN_LETTERS: Final = {"ko": "[\uac00-\ud7a3]", "ja": "[\u3041-\u30ff]"}
# Below, nothing but a guess; from here on `confidence` says how much of one it is.
_MIN_LETTERS: Final = 6
# How far the best language is before the next, in natural logarithms, as the share of guesses that are right:
# 1 / (1 + exp(-(lead - _EVEN) / _WIDTH)). So it is with sentences of 28 languages, whole or cut to 15 characters.
_EVEN: Final = 2.0
_WIDTH: Final = 3.2
_UNITS: Final = 100


@measures(
    schema={"language": pl.String(), "confidence": pl.Float64()},
    revision=f"profiles of langdetect-1.0.9, all n-grams of the first {BEGINNING} characters",
)
def language(texts: list[str]) -> pl.DataFrame:
    """The language of a text's beginning, as an ISO 639-1 code, and how often such an answer is right, 0 to 1.

    Null where there is nothing to go by: fewer than 6 letters of the Latin alphabet, or 2 of another, once code,
    mathematics and addresses are taken out. Chinese is `zh` in either script. A text's language does not depend
    on the texts beside it.
    """
    told = prose(texts)
    weights, letters = profiles().score(told)
    codes = sorted({name.partition("-")[0] for name in profiles().languages})
    of = np.array([codes.index(name.partition("-")[0]) for name in profiles().languages])
    best = np.stack([weights[:, of == number].max(axis=1) for number in range(len(codes))], axis=1)
    for code, own in _OWN_LETTERS.items():
        best[~told.str.contains(own).to_numpy(), codes.index(code)] = np.iinfo(best.dtype).min // 2
    first = best.argmax(axis=1)
    two = np.partition(best, -2, axis=1)[:, -2:]
    lead = (two[:, 1] - two[:, 0]) / _UNITS
    confidence = (1 / (1 + np.exp(-(lead - _EVEN) / _WIDTH))).round(4)
    known = pl.Series(letters >= _MIN_LETTERS)
    return pl.DataFrame(
        {"language": pl.Series(np.array(codes)[first], dtype=pl.String), "confidence": pl.Series(confidence)}
    ).select(pl.when(known).then(pl.all()))
