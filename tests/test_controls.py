"""What is selected stands beside chance and length: the sets, the band and the overlaps are what they say."""

import numpy as np
import polars as pl
import pytest

import curate
from curate import controls
from curate.keys import draws, mix, seed_for

PIPELINE = """
name = "p"
seed = 7
[[source]]
use = "jsonl"
name = "s"
path = "a.jsonl"
[filters]
too_short = {{ min_chars = 5 }}
[[select.quota]]
from = "s"
split = "test"
take = 10
[[select.quota]]
from = "s"
take = {take}
prefer = "{prefer}"
"""


@pytest.fixture
def rows():
    generator = np.random.default_rng(8)
    words = [
        "list",
        "name",
        "write",
        "explain",
        "why",
        "how",
        "the",
        "a",
        "cat",
        "house",
        "green",
        "of",
        "in",
        "and",
    ]
    return [
        {
            "id": f"{n:03}",
            "prompt": " ".join(generator.choice(words, 6)) + ".",
            "response": " ".join(generator.choice(words, int(generator.integers(2, 80)))),
            "score": int(generator.integers(0, 50)),
            "domain": f"d{n % 4}",
        }
        for n in range(160)
    ]


@pytest.fixture
def selected(tmp_path, write_jsonl, rows):
    def run(*, take=30, prefer="score"):
        write_jsonl("a.jsonl", rows)
        (tmp_path / "p.toml").write_text(PIPELINE.format(take=take, prefer=prefer))
        return curate.run(tmp_path / "p.toml", runs=tmp_path / "runs")

    return run


def metric(found, name):
    return next(each for each in found["metrics"] if each["name"] == name)


def pool_of(run):
    states = run.ledger.filter(pl.col("state").is_in(["kept", "not drawn"]), pl.col("detail") != "test").select(
        "id"
    )
    pool = run.records.join(states, on="id").sort("id").collect()
    return pool.with_columns(pl.col("response").str.len_chars().alias("chars"))


def median(lengths):
    return lengths.quantile(0.5, interpolation="nearest")


def test_the_pool_is_what_could_have_been_trained_on(selected):
    run = selected()
    found = run.numbers["controls"]
    assert found["pool"] == pool_of(run).height == 150
    assert found["n"] == 30
    assert [each["name"] for each in found["sets"]] == ["selection", "random", "longest", "score"]


def test_the_longest_and_the_random_set_are_what_they_are_called(selected):
    run = selected()
    pool = pool_of(run)
    found = run.numbers["controls"]
    longest = pool.sort("chars", "id", descending=[True, False]).head(30)
    assert found["length"]["median_chars"]["longest"] == int(
        longest["chars"].quantile(0.5, interpolation="nearest")
    )
    drawn = pool.with_columns(mix(draws(pool["id"]), seed_for(7, "controls.0")).alias("key")).sort("key").head(30)
    assert found["length"]["median_chars"]["random"] == int(drawn["chars"].quantile(0.5, interpolation="nearest"))
    mine = set(run.split()["id"])
    row = found["overlap"]["names"].index("selection")
    at = found["overlap"]["names"].index("longest")
    assert found["overlap"]["shared"][row][at] == len(mine & set(longest["id"]))
    assert found["overlap"]["expected"][row][at] == 30 * 30 / 150


def test_the_band_is_that_of_twenty_random_sets_of_its_size(selected):
    run = selected()
    pool = pool_of(run)
    found = metric(run.numbers["controls"], "response_chars_median")
    medians = []
    for number in range(20):
        keys = mix(draws(pool["id"]), seed_for(7, f"controls.{number}"))
        medians.append(median(pool.with_columns(keys.alias("key")).sort("key").head(30)["chars"]))
    quantiles = np.quantile(medians, (0.05, 0.5, 0.95))
    assert [found["band"][name] for name in ("low", "median", "high")] == pytest.approx(quantiles)
    own = median(run.split()["response"].str.len_chars())
    assert found["values"]["selection"] == own
    below = sum((each < own) + (each == own) / 2 for each in medians)
    assert found["percentile"] == 100 * below / 20


def test_the_longest_lie_above_every_random_set_and_length_is_named(selected):
    found = selected(prefer="longest").numbers["controls"]
    assert metric(found, "response_chars_median")["percentile"] == 100
    assert found["length"]["rank_correlation"] == 1.0
    assert "in 100% of pairs" in found["length"]["sentence"]
    assert "30 of 30 are among the longest (by chance 6)" in found["length"]["sentence"]


def test_a_random_selection_is_told_apart_by_nothing(selected):
    found = selected(prefer="random").numbers["controls"]
    assert abs(found["length"]["rank_correlation"]) < 0.3
    told = [each["percentile"] for each in found["metrics"] if each["percentile"] is not None]
    # By chance a tenth lies outside; metrics follow one another, so more or less of them do at once.
    assert np.mean([5 <= each <= 95 for each in told]) > 0.8


def test_metrics_of_unequal_sizes_are_not_compared(selected):
    found = selected().numbers["controls"]
    assert metric(found, "response_distinct_2")["values"]["pool"] is None
    assert metric(found, "response_chars_median")["values"]["pool"] is not None


def test_taking_all_there_is_leaves_nothing_to_compare_with(selected):
    found = selected(take=500).numbers["controls"]
    assert found["draws"] == 0
    assert found["overlap"] is None
    assert "no other choice" in found["note"]
    assert [each["name"] for each in found["sets"]] == ["selection"]
    assert all(each["band"] is None for each in found["metrics"])


def test_nothing_selected_has_no_controls(selected):
    assert selected(take=0).numbers["controls"] is None


def test_large_pools_and_sets_are_described_by_rows_drawn_by_id(selected, monkeypatch):
    monkeypatch.setattr(controls, "POOL", 60)
    monkeypatch.setattr(controls, "DESCRIBED", 20)
    found = selected().numbers["controls"]
    assert found["standing"] == 60
    assert found["described"] == 20
    assert "60 of 150 records" in found["note"]
    assert "20 rows are described" in found["note"]
    assert len({str(each["values"]) for each in found["metrics"]}) > 10


def test_the_code_of_every_order_and_metric_is_in_the_key(selected, monkeypatch):
    asked = []
    monkeypatch.setattr(controls, "code", lambda module: asked.append(module) or "")
    selected()
    assert {"curate.rankings.clusters", "curate.rankings.longest", "curate.metrics.semantic"} <= set(asked)


def test_the_random_set_of_a_large_pool_is_as_large_as_the_selection(selected, monkeypatch):
    monkeypatch.setattr(controls, "POOL", 20)
    found = selected().numbers["controls"]
    assert {each["n"] for each in found["sets"]} == {30}


def test_controls_are_found_again_when_nothing_changed(selected):
    first = selected()
    again = selected()
    assert again.numbers["controls"] == first.numbers["controls"]
    assert again.manifest["parts"]["controls"]["made"] == 0
