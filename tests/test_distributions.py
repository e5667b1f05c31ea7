"""Distances between distributions are what their formulas say, computed in the slowest way there is."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import inf, isnan

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.distributions import (
    SHOWN_CATEGORIES,
    by_chance,
    kolmogorov_smirnov,
    of_categories,
    of_numbers,
    total_variation,
)
from curate.keys import draws
from curate.report.evidence import quantiles


def numbers(name, n, below=20):
    return [draw % below for draw in draws([f"{name}-{place}" for place in range(n)]).to_list()]


def counts(a, b, dtype=pl.Int64):
    one, other = Counter(a), Counter(b)
    values = list({*a, *b})
    rows = {"value": values, "a": [one[v] for v in values], "b": [other[v] for v in values]}
    return pl.DataFrame(rows, schema={"value": dtype, "a": pl.UInt32, "b": pl.UInt32})


@pytest.fixture(params=range(8))
def samples(request):
    seed = request.param
    return numbers(f"a{seed}", 30 + seed * 11, 3 + seed), numbers(f"b{seed}", 50 + seed, 4 + seed)


def test_total_variation_is_half_the_sum_of_differing_shares(samples):
    a, b = samples
    by_hand = sum(abs(a.count(v) / len(a) - b.count(v) / len(b)) for v in {*a, *b}) / 2
    assert total_variation(counts(a, b)) == pytest.approx(by_hand, abs=1e-12)


def test_total_variation_is_the_share_that_no_pairing_can_make_alike():
    # Of 4 and 4 rows, three at most can be paired with their like.
    assert total_variation(counts([1, 1, 2, 3], [1, 2, 2, 3])) == 0.25
    assert total_variation(counts([1], [2])) == 1
    assert total_variation(counts([1, 2], [1, 1, 2, 2])) == 0


def test_kolmogorov_smirnov_is_the_widest_gap_over_all_values(samples):
    a, b = samples
    gaps = {x: abs(sum(v <= x for v in a) / len(a) - sum(v <= x for v in b) / len(b)) for x in sorted({*a, *b})}
    found = kolmogorov_smirnov(counts(a, b))
    assert found.distance == pytest.approx(max(gaps.values()), abs=1e-12)
    assert gaps[found.at] == pytest.approx(found.distance, abs=1e-12)
    assert found.a == pytest.approx(sum(v <= found.at for v in a) / len(a))
    assert found.b == pytest.approx(sum(v <= found.at for v in b) / len(b))


def test_kolmogorov_smirnov_agrees_with_scipy(samples):
    stats = pytest.importorskip("scipy.stats")
    a, b = samples
    assert kolmogorov_smirnov(counts(a, b)).distance == pytest.approx(stats.ks_2samp(a, b).statistic)


def test_of_two_places_with_the_widest_gap_the_first_is_named():
    assert kolmogorov_smirnov(counts([1, 4], [2, 3])).at == 1


def test_equal_distributions_are_not_apart_anywhere():
    found = kolmogorov_smirnov(counts([1, 2, 2], [2, 1, 2, 2, 1, 2]))
    assert found == (0, None, None, None)


def test_nothing_is_apart_from_an_empty_side():
    empty = counts([1, 2], [])
    assert isnan(total_variation(empty))
    assert isnan(kolmogorov_smirnov(empty).distance)
    assert isnan(by_chance(empty, numeric=True))
    assert of_numbers(empty)["shift"] is None
    assert of_categories(empty)["shift"] is None


def test_chance_is_what_random_draws_from_one_pool_show_on_average():
    pairs = [(numbers(f"x{seed}", 150, 1000), numbers(f"y{seed}", 250, 1000)) for seed in range(200)]
    met = [kolmogorov_smirnov(counts(a, b)).distance for a, b in pairs]
    assert by_chance(counts(*pairs[0]), numeric=True) == pytest.approx(sum(met) / len(met), rel=0.1)
    pairs = [(numbers(f"u{seed}", 150, 6), numbers(f"v{seed}", 250, 6)) for seed in range(200)]
    met = [total_variation(counts(a, b)) for a, b in pairs]
    expected = [by_chance(counts(a, b), numeric=False) for a, b in pairs]
    assert sum(expected) / len(expected) == pytest.approx(sum(met) / len(met), rel=0.1)


def test_quantiles_are_those_of_the_rows_in_order(samples):
    a, b = samples
    found = of_numbers(counts(a, b))
    for side, rows in (("a", sorted(a)), ("b", sorted(b))):
        for key, q in (("p5", 5), ("p25", 25), ("median", 50), ("p75", 75), ("p95", 95)):
            assert found[side][key] == rows[(q * (len(rows) - 1) + 50) // 100]
        assert (found[side]["min"], found[side]["max"], found[side]["n"]) == (rows[0], rows[-1], len(rows))


@pytest.mark.parametrize("n", range(1, 130))
def test_quantiles_are_those_of_the_reports_for_every_number_of_rows(n):
    assert of_numbers(counts(range(n), []))["a"] == quantiles(pl.Series(range(n))) | {"missing": 0}


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=300))
def test_quantiles_of_counts_are_those_of_the_values(values):
    assert of_numbers(counts(values, [0]))["a"] == quantiles(pl.Series(values)) | {"missing": 0}


@pytest.mark.parametrize("below", [2, 7, 60, 5_000, 1_000_000])
def test_every_row_is_in_one_bin_and_there_are_few_bins(below):
    a, b = numbers("a", 300, below), numbers("b", 200, below)
    bins = of_numbers(counts(a, b))["bins"]
    assert 1 <= len(bins) <= 12
    for side, rows in (("a", a), ("b", b)):
        for each in bins:
            low = each["from"]
            high = float("inf") if each["below"] is None else each["below"]
            assert each[side] == sum(low <= v < high for v in rows)
        assert sum(each[side] for each in bins) == len(rows)
    assert all(one["below"] == other["from"] for one, other in pairwise(bins))


def test_floats_that_are_no_number_are_missing_and_in_no_bin():
    found = of_numbers(counts([0.5, float("nan"), None], [0.25, 0.5], pl.Float64))
    assert found["a"]["n"] == 1
    assert found["a"]["missing"] == 2
    assert found["shift"] == 0.5


def test_infinities_are_missing_and_in_no_bin():
    found = of_numbers(counts([-inf] * 3 + [0.5, 1.5] + [inf] * 3, [0.5, inf], pl.Float64))
    assert (found["a"]["n"], found["a"]["missing"]) == (2, 6)
    assert (found["a"]["min"], found["a"]["max"]) == (0.5, 1.5)
    assert (found["b"]["n"], found["b"]["missing"]) == (1, 1)
    assert sum(each["a"] for each in found["bins"]) == 2
    nothing = of_numbers(counts([inf], [-inf], pl.Float64))
    assert (nothing["shift"], nothing["bins"], nothing["a"]["missing"]) == (None, [], 1)


def test_many_categories_are_shown_by_share_and_the_others_together():
    a = [f"{place:03}" for place in range(40)] + ["b"] * 100
    found = of_categories(counts(a, ["b", *["rare in a"] * 2], pl.String))
    assert len(found["rows"]) == SHOWN_CATEGORIES + 1
    assert [row["category"] for row in found["rows"][:2]] == ["b", "rare in a"]
    assert found["rows"][-1] == {"category": None, "others": 12, "a": 12, "b": 0}
    assert found["distinct"] == {"a": 41, "b": 2}
    assert sum(row["a"] for row in found["rows"]) == len(a)


def test_a_side_is_stood_for_by_what_is_most_frequent_or_by_yes():
    found = of_categories(counts(["x", "x", "y", None], ["z"], pl.String))
    assert found["leading"] == {"a": {"category": "x", "share": 0.5}, "b": {"category": "z", "share": 1}}
    asked = of_categories(counts(["no", "no", "no", "yes"], ["no"], pl.String))
    assert asked["leading"] == {"a": {"category": "yes", "share": 0.25}, "b": {"category": "yes", "share": 0}}
    assert of_categories(counts(["x"], [], pl.String))["leading"]["b"] is None


def test_what_leads_a_side_is_what_it_has_most_of_though_it_is_not_shown():
    # Each of the 30 that are shown is a larger share of a than any is of b.
    a = [f"shown {place:02}" for place in range(SHOWN_CATEGORIES)] * 3
    b = [f"b {place:03}" for place in range(70)] + ["b 007"]
    found = of_categories(counts(a, b, pl.String))
    assert all(row["b"] == 0 for row in found["rows"][:SHOWN_CATEGORIES])
    assert found["leading"]["b"] == {"category": "b 007", "share": pytest.approx(2 / 71, rel=1e-5)}


def test_yes_and_no_among_other_answers_are_categories_like_them():
    found = of_categories(counts(["no", "no", "yes"], ["maybe"], pl.String))
    assert found["leading"]["a"] == {"category": "no", "share": pytest.approx(2 / 3, rel=1e-5)}


def test_the_order_of_rows_changes_nothing(samples):
    frame = counts(*samples)
    turned = frame.reverse()
    assert of_numbers(frame) == of_numbers(turned)
    assert of_categories(frame.cast({"value": pl.String})) == of_categories(turned.cast({"value": pl.String}))
