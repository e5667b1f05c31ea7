"""Samples of a few rows, and of many drawn ones."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from curate.keys import draws
from curate.metrics import Prepared, Sample
from curate.metrics.contract import COLUMNS

WORDS = [
    "the",
    "a",
    "sun",
    "moon",
    "river",
    "reads",
    "sings",
    "red",
    "of",
    "to",
    "5",
    "été",
    "水",
    "火",
    "I'm",
    "x-y",
]


def made(prompts, responses=None, categories=None, vectors=None):
    count = len(prompts)
    ids = [f"row/{number}" for number in range(count)]
    columns = {
        "id": ids,
        "prompt": prompts,
        "response": prompts if responses is None else responses,
        "category": [None] * count if categories is None else categories,
        "draw": draws(ids),
    }
    given = None if vectors is None else np.asarray(vectors, np.float32)
    return Sample(pl.DataFrame(columns, schema=COLUMNS), given)


@pytest.fixture
def sample():
    """Makes a sample of prompts, responses (the prompts again), categories and vectors."""
    return made


@pytest.fixture
def described():
    """Makes such a sample, and gives every metric of all its rows, or of those at some places."""

    def values(*columns, places=None, **more):
        given = made(*columns, **more)
        chosen = range(given.rows.height) if places is None else places
        return Prepared(given, seed=13).values(chosen)

    return values


@pytest.fixture(scope="session")
def many():
    """400 rows of drawn words, of which some are equal, null or empty, with vectors of 24 numbers."""
    chance = np.random.default_rng(5)

    def text(most):
        return " ".join(chance.choice(WORDS, chance.integers(0, most)))

    prompts = [f"Write {text(12)}" for _ in range(400)]
    responses = [text(60) for _ in range(400)]
    responses[7:10] = [None, "", "The same run of words as in another one"]
    responses[30] = responses[31] = "The same run of words as in another response"
    prompts[40] = prompts[41]
    categories = [str(number) if number < 9 else None for number in chance.integers(0, 10, 400)]
    middles = chance.normal(size=(12, 24))
    vectors = middles[chance.integers(0, 12, 400)] + 0.6 * chance.normal(size=(400, 24))
    vectors[50] = vectors[51]
    vectors[52] = 0
    return made(prompts, responses, categories, vectors)
