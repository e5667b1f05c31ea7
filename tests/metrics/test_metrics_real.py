"""The numbers on the real Alpaca, where published facts and our eyes can judge them."""

import json

import numpy as np
import polars as pl
import pytest

from curate.keys import draws
from curate.metrics import Prepared, Sample, panel

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def alpaca(real_data):
    rows = json.loads((real_data / "self_instruct" / "alpaca_data.json").read_text("utf-8"))
    ids = [str(number) for number in range(len(rows))]
    columns = {
        "id": ids,
        "prompt": ["\n\n".join(filter(None, (row["instruction"], row["input"]))) for row in rows],
        "response": [row["output"] for row in rows],
        "category": [None] * len(rows),
        "draw": draws(ids),
    }
    return Sample(pl.DataFrame(columns, schema_overrides={"category": pl.String}))


@pytest.fixture(scope="module")
def told(alpaca):
    lengths = alpaca.rows["response"].str.len_chars().to_numpy().astype(int)
    chance = np.random.default_rng(1)
    drawn = [chance.choice(len(lengths), 1000, replace=False) for _ in range(5)]
    sets = {"longest": np.argsort(-lengths, kind="stable")[:1000], "pool": np.arange(len(lengths))}
    return {row["name"]: row for row in panel(Prepared(alpaca, seed=13), sets, of="longest", draws=drawn)}


@pytest.mark.parametrize(
    "name", ["response_compression", "response_self_repetition", "lists", "hedges", "summaries"]
)
def test_the_longest_have_more_of_it_than_any_draw(told, name):
    assert told[name]["percentile"] == 100


@pytest.mark.parametrize(
    "name", ["verb_entropy", "response_distinct_2", "response_distinct_2_of_20000", "very_short"]
)
def test_the_longest_have_less_of_it_than_any_draw(told, name):
    assert told[name]["percentile"] == 0


def test_blank_responses_are_those_that_are_known(told):
    assert told["unanswered"]["values"]["pool"] == pytest.approx(28 / 52_002)


def test_some_responses_break_off_as_we_have_read(told):
    assert 40 / 52_002 < told["truncated"]["values"]["pool"] < 120 / 52_002
