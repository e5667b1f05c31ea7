import json

import numpy as np
import pytest

from curate.metrics import Prepared, Sample, measure, panel


@pytest.fixture(scope="module")
def prepared(many):
    return Prepared(many, seed=13)


@pytest.fixture(scope="module")
def rows(prepared):
    chance = np.random.default_rng(8)
    draws = [chance.choice(400, 100, replace=False) for _ in range(20)]
    sets = {"selection": np.arange(100), "longest": np.arange(100, 200), "pool": np.arange(400)}
    return draws, {row["name"]: row for row in panel(prepared, sets, of="selection", draws=draws, model="m")}


def test_the_band_is_of_the_draws(prepared, rows):
    draws, told = rows
    values = sorted(prepared.values(places)["vendi"] for places in draws)
    band = told["vendi"]["band"]
    assert band["low"] == pytest.approx(np.quantile(values, 0.05), rel=1e-8)
    assert band["median"] == pytest.approx((values[9] + values[10]) / 2, rel=1e-8)
    assert band["high"] == pytest.approx(np.quantile(values, 0.95), rel=1e-8)


def test_the_percentile_is_the_share_of_draws_below(prepared, rows):
    draws, told = rows
    own = told["vendi"]["values"]["selection"]
    below = sum(prepared.values(places)["vendi"] < own for places in draws)
    assert told["vendi"]["percentile"] == 100 * below / 20


def test_draws_of_the_same_value_count_half(prepared):
    same = np.arange(50)
    row = panel(prepared, {"s": same}, of="s", draws=[same, same])[0]
    assert row["percentile"] == 50
    assert row["draws"] == {"below": 0, "equal": 2, "above": 0}


def test_sets_of_another_size_are_not_compared_where_size_counts(rows):
    _, told = rows
    assert told["vendi"]["values"]["pool"] is None
    assert told["vendi"]["note"]
    assert told["lists"]["values"]["pool"] is not None
    assert told["lists"]["note"] == ""


def test_a_model_is_named_where_vectors_are_needed(rows):
    _, told = rows
    assert (told["vendi"]["model"], told["lists"]["model"]) == ("m", None)
    assert (told["vendi"]["n"], told["vendi"]["seed"]) == (100, 13)


def test_without_draws_there_is_no_band(prepared):
    row = panel(prepared, {"s": np.arange(9)}, of="s")[0]
    assert (row["band"], row["percentile"]) == (None, None)


def test_metrics_that_no_set_has_are_left_out(many):
    names = {row["name"] for row in panel(Prepared(Sample(many.rows), seed=1), {"s": np.arange(9)}, of="s")}
    assert "vendi" not in names
    assert "response_distinct_2_of_20000" not in names
    assert "lists" in names


def test_a_panel_is_json(rows):
    _, told = rows
    assert json.loads(json.dumps(list(told.values()), allow_nan=False)) == list(told.values())


def part(many, places):
    return Sample(many.rows[places], many.vectors[places])


def test_samples_of_any_origin_are_measured_as_sets_of_their_pool(many, prepared):
    places = np.arange(0, 400, 4)
    rows = measure({"some": part(many, places)}, many, seed=13)
    values = prepared.values(places)
    assert {row["name"]: row["values"]["some"] for row in rows} == {
        name: value for name, value in values.items() if name in {row["name"] for row in rows}
    }


def test_samples_without_a_pool_refer_to_all_of_them(many):
    parts = {"one": part(many, np.arange(200)), "other": part(many, np.arange(150, 350))}
    told = {row["name"]: row["values"] for row in measure(parts, seed=1)}
    assert set(told["lists"]) == {"one", "other"}
    assert told["pool_coverage"]["one"] < 1


def test_samples_of_which_one_has_no_vectors_are_measured_by_text(many):
    parts = {"one": part(many, np.arange(200)), "other": Sample(many.rows[200:])}
    told = {row["name"] for row in measure(parts, seed=1)}
    assert "vendi" not in told
    assert "lists" in told
