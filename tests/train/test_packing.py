"""Packs hold every row once, none too many, and little room is left."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import CurateError
from curate.train.rows.packing import packs

LENGTHS = st.lists(st.integers(1, 64), max_size=200).map(lambda given: np.array(given, np.int64))


def by_hand(lengths, max_tokens):
    """Best fit decreasing, looking at every pack for every row."""
    rooms, packed = [], []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        fitting = [at for at, room in enumerate(rooms) if room >= lengths[row]]
        if not fitting:
            rooms.append(max_tokens)
            packed.append([])
            fitting = [len(rooms) - 1]
        at = min(fitting, key=lambda at: rooms[at])
        rooms[at] -= lengths[row]
        packed[at].append(row)
    return packed


@given(LENGTHS)
def test_packs_hold_every_row_once_and_no_more_than_fits(lengths):
    packed = packs(lengths, 64)
    assert sorted(np.concatenate([*packed, np.array([], np.int64)]).tolist()) == list(range(len(lengths)))
    assert all(lengths[rows].sum() <= 64 for rows in packed)


@given(LENGTHS)
def test_packs_are_as_many_and_as_full_as_by_the_textbook(lengths):
    ours = sorted(int(lengths[rows].sum()) for rows in packs(lengths, 64))
    assert ours == sorted(int(lengths[rows].sum()) for rows in by_hand(lengths, 64))


@given(LENGTHS)
def test_packs_need_not_much_more_than_the_fewest_possible(lengths):
    assert len(packs(lengths, 64)) <= 11 / 9 * np.ceil(lengths.sum() / 64) * 2 + 4
    if len(lengths) and lengths.min() > 32:
        assert len(packs(lengths, 64)) == len(lengths)


@given(LENGTHS)
def test_packs_are_the_same_each_time(lengths):
    first, second = packs(lengths, 64), packs(lengths.copy(), 64)
    assert [rows.tolist() for rows in first] == [rows.tolist() for rows in second]


def test_packs_of_no_rows_are_none():
    assert packs(np.array([], np.int64), 64) == []


def test_packs_take_no_row_that_is_too_long():
    with pytest.raises(CurateError, match="a row of 65 tokens does not fit a pack of 64"):
        packs(np.array([3, 65]), 64)


def test_packs_are_full_where_rows_allow_it():
    lengths = np.array([48, 16, 32, 32, 1, 63])
    assert sorted(sorted(rows.tolist()) for rows in packs(lengths, 64)) == [[0, 1], [2, 3], [4, 5]]
