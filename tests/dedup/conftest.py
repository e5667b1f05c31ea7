import random

import polars as pl
import pytest

from curate.dedup.minhash import minhash
from curate.dedup.stars import Pass, ranked, with_text


@pytest.fixture
def with_texts():
    """Makes rows to decide of records."""

    def make(records, on):
        frame = ranked(records, [""]).collect()
        for name in on:
            texts = with_text(records, name).rename({"text": f"on:{name}"})
            frame = frame.join(texts.collect(), on="id", how="left")
        return frame

    return make


@pytest.fixture
def rows():
    """Makes rows to decide: texts by id, or for several texts a mapping of what they are on."""

    def make(texts, on="response", **columns):
        ids, count = list(texts), len(texts)
        plain = {
            "source_rank": [0] * count,
            "score": [None] * count,
            "license": [None] * count,
            "chars": [0] * count,
        }
        return pl.DataFrame(
            {"id": ids, **plain, **columns, f"on:{on}": list(texts.values())},
            schema_overrides={
                "id": pl.String,
                "source_rank": pl.UInt32,
                "score": pl.Float64,
                "license": pl.String,
                "chars": pl.UInt32,
                f"on:{on}": pl.String,
            },
        )

    return make


@pytest.fixture
def near():
    """Makes a MinHash pass."""

    def make(on="response", **parameters):
        return Pass(minhash, "minhash", on, parameters)

    return make


@pytest.fixture
def planted():
    """Makes two texts of which each has 90 shingles of five words, `changed` of them its own."""

    def make(seed, changed):
        draw = random.Random(seed)
        words = [f"w{draw.randrange(10**9)}" for _ in range(94 + changed)]
        return " ".join(words[:94]), " ".join(words[: 94 - changed] + words[94:])

    return make
