import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.report.bins import BINS, histogram


def placed(bins, value):
    """The bin that a value is in, by what the bins say of themselves."""
    return next(
        each
        for each in bins
        if (each["from"] is None or value >= each["from"]) and (each["below"] is None or value < each["below"])
    )


def test_counts_are_those_of_values_between_the_edges():
    made = histogram(pl.Series([0, 1, 1, 2, 5, 9]))
    assert made["scale"] == "linear"
    assert {each["from"]: each["records"] for each in made["bins"] if each["records"]} == {
        0: 1,
        1: 2,
        2: 1,
        5: 1,
        9: 1,
    }


@pytest.mark.parametrize("above", [False, True])
def test_no_bin_has_values_on_both_sides_of_the_cut(above):
    values = pl.Series([n**2 for n in range(100)])
    made = histogram(values, 1200, above=above)
    first = 1201 if above else 1200
    assert first in [each["from"] for each in made["bins"]]
    beyond = sum(each["records"] for each in made["bins"] if each["from"] is not None and each["from"] >= first)
    assert beyond == (values >= first).sum()


@pytest.mark.parametrize(("above", "limit", "first"), [(False, 30.5, 31), (True, 30.5, 31), (True, 31, 32)])
def test_between_whole_numbers_the_cut_is_the_next(above, limit, first):
    made = histogram(pl.Series(range(100)), limit, above=above)
    assert first in [each["from"] for each in made["bins"]]


def test_a_share_that_equals_the_limit_of_above_is_on_the_side_that_is_kept():
    made = histogram(pl.Series([0.1, 0.2, 0.3, 0.3, 0.31, 0.4]), 0.3, above=True)
    assert sum(each["records"] for each in made["bins"] if each["below"] and each["below"] <= 0.3) == 4


def test_values_that_spread_widely_are_counted_by_ratios():
    made = histogram(pl.Series([2**n for n in range(12)]))
    assert made["scale"] == "log"
    assert all(each["below"] is None or each["below"] > each["from"] for each in made["bins"])


def test_giants_are_counted_in_the_last_bin_and_flatten_nothing():
    made = histogram(pl.Series([*range(100, 1100), 10**9]))
    assert made["bins"][-1]["below"] is None
    assert made["bins"][-1]["records"] <= 11
    assert made["bins"][-1]["from"] < 2000


def test_counts_of_nothing_below_zero_have_no_edge_below_zero():
    for above in (False, True):
        made = histogram(pl.Series(range(5000)), 4096, above=above)
        assert made["bins"][0]["from"] == 0


def test_a_limit_beyond_all_values_takes_no_part():
    near, far = histogram(pl.Series(range(100))), histogram(pl.Series(range(100)), 10**6)
    assert far["bins"] == near["bins"]
    assert far["limit"] == 10**6


@pytest.mark.parametrize("values", [[], [None], [math.nan], [math.inf]])
def test_of_nothing_known_there_is_no_histogram(values):
    assert histogram(pl.Series(values, dtype=pl.Float64), 3) is None


def test_one_value_many_times_is_one_bin():
    (only,) = [each for each in histogram(pl.Series([7.5] * 9))["bins"] if each["records"]]
    assert only["records"] == 9
    assert only["from"] <= 7.5 < only["below"]


@given(
    st.lists(st.floats(-1e12, 1e12) | st.integers(0, 1000).map(float), min_size=1, max_size=60),
    st.none() | st.floats(-1e6, 1e6),
    st.booleans(),
)
def test_every_value_is_in_one_of_few_bins(values, limit, above):
    made = histogram(pl.Series(values, dtype=pl.Float64), limit, above=above)
    assert sum(each["records"] for each in made["bins"]) == len(values)
    assert len(made["bins"]) <= 2 * BINS + 4
    for low, high in zip(made["bins"], made["bins"][1:], strict=False):
        assert low["below"] == high["from"]


def test_each_value_is_in_the_bin_that_names_it():
    values = [3, 17, 40, 41, 42, 99, 120, 500, 501]
    made = histogram(pl.Series(values), 42)
    for value in values:
        assert placed(made["bins"], value)["records"]
