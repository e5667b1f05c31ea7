"""Vectors whose cosine says how much two texts are alike in meaning."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl

from curate.errors import CurateError
from curate.measure import measures
from curate.measure.encoder import DEFAULT, encoder, revision

Precision = Literal["auto", "float32", "bfloat16"]


@measures(
    schema={"vector": pl.List(pl.Float32()), "tokens": pl.UInt32(), "cut": pl.Boolean()},
    revision=revision,
    batch=4096,
    own_threads=True,
)
def embedding(
    texts: list[str],
    *,
    model: str = DEFAULT,
    max_tokens: int = 256,
    precision: Precision = "auto",
    device: str = "auto",
) -> pl.DataFrame:
    """The embedding of a text by a sentence-transformers model, how many tokens it has, and whether it was cut.

    `model` is a folder, or the name of a model that is at hand: nothing is downloaded here. A text of more than
    `max_tokens` tokens, or than the model's window, is embedded by its beginning. The precision "auto" is bfloat16
    where the processor or the GPU computes in it, float32 elsewhere; the device "auto" is a GPU, if there is one.
    A processor's vector is the text's own, whatever texts are computed beside it: bit for bit in bfloat16, and to
    1e-7 in float32.

    Raises `PluginError` when a package or the model is missing; `CurateError` when a vector is not finite.
    """
    made = encoder(model, precision, device).encode(texts, max_tokens)
    broken = np.flatnonzero(~np.isfinite(made.vectors).all(axis=1))
    if len(broken):
        raise CurateError(
            f"{len(broken):,} of {len(texts):,} vectors are not finite, the first of {texts[broken[0]][:60]!r}",
            where=f"the measure embedding, model {model!r}",
            next='set precision = "float32" in [measures.embedding], or take another model',
        )
    return pl.DataFrame(
        {
            "vector": pl.Series(made.vectors, dtype=pl.Array(pl.Float32, made.vectors.shape[1])).arr.to_list(),
            "tokens": pl.Series(made.tokens, dtype=pl.UInt32),
            "cut": made.cut,
        }
    )
