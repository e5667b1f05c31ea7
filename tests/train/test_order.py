"""The order of rows: every row once an epoch, on any number of processes, and each step of the same rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.train.steps.order import FILLER, Order


def order(rows=10, *, batch=4, at_once=1, processes=1, seed=13, padded=True, ids=None):
    ids = ids or [f"row:{row}" for row in range(rows)]
    lengths = np.arange(3, 3 + len(ids))
    return Order(ids, lengths, lengths - 2, seed, batch, at_once, processes, padded)


@given(st.integers(1, 70), st.sampled_from([(1, 1), (2, 1), (1, 2), (2, 2), (4, 2), (2, 4)]), st.integers(0, 3))
def test_every_row_comes_exactly_once_an_epoch(rows, shares, epoch):
    at_once, processes = shares
    made = order(rows, batch=16, at_once=at_once, processes=processes)
    places = made.epoch(epoch)
    assert sorted(places[places < rows]) == list(range(rows))
    assert len(places) == len(made) == rows + made.fillers
    assert len(places) % (at_once * processes) == 0
    assert made.fillers < at_once * processes


@given(st.integers(1, 70), st.integers(0, 12))
def test_a_step_learns_from_the_same_rows_on_any_number_of_processes(rows, step):
    alone = order(rows, batch=8)
    for at_once, processes in ((1, 2), (2, 1), (2, 2), (4, 2)):
        other = order(rows, batch=8, at_once=at_once, processes=processes)
        assert other.steps == alone.steps
        assert other.rows(step).tolist() == alone.rows(step).tolist()


def test_steps_of_an_epoch_share_out_its_rows():
    made = order(30, batch=8, at_once=2, processes=2)
    rows = np.concatenate([made.rows(step) for step in range(made.steps, 2 * made.steps)])
    assert sorted(rows) == list(range(30))


def test_fillers_come_last():
    made = order(5, at_once=2, processes=2)
    assert made.epoch(0)[-made.fillers :].tolist() == [5, 5, 5]


def test_epochs_and_seeds_have_orders_of_their_own():
    made = order(50)
    orders = [tuple(made.epoch(0)), tuple(made.epoch(1)), tuple(order(50, seed=14).epoch(0))]
    assert len(set(orders)) == 3
    assert tuple(order(50).epoch(1)) == orders[1]


def test_a_row_that_is_added_changes_the_order_of_no_others():
    ids = [f"row:{row}" for row in range(20)]
    before, after = order(ids=ids[1:], batch=1), order(ids=ids, batch=1)
    named = [ids[place] for place in after.epoch(3)]
    assert [ids[1:][place] for place in before.epoch(3)] == [id for id in named if id != ids[0]]


def test_the_rows_of_a_step_come_longest_first_and_chance_says_which_step_has_which():
    made = order(40, batch=8, at_once=2, processes=2)
    lengths = np.append(made.lengths, FILLER)[made.epoch(0)].reshape(-1, 8)
    assert (np.diff(lengths, axis=1) <= 0).all()
    assert sorted(lengths[:, 0]) != lengths[:, 0].tolist() != sorted(lengths[:, 0], reverse=True)
    drawn = order(40, batch=1).epoch(0).reshape(-1, 8)
    assert [set(rows) for rows in made.epoch(0).reshape(-1, 8).tolist()] == [set(rows) for rows in drawn.tolist()]


@pytest.mark.parametrize("padded", [True, False])
def test_counts_of_the_steps_add_up_to_those_of_the_rows(padded):
    made = order(10, batch=4, at_once=2, processes=2, padded=padded)
    counts = made.counts(2)
    assert [each["rows"] for each in counts] == [4, 4, 2]
    assert sum(each["tokens"] for each in counts) == made.lengths.sum()
    assert sum(each["learned"] for each in counts) == made.learned.sum()


def test_padding_is_what_is_computed_beside_the_tokens():
    made = order(3, batch=4, at_once=2)
    first, second = np.append(made.lengths, FILLER)[made.epoch(0)].reshape(2, 2)
    computed = 2 * first.max() + 2 * second.max()
    [count] = made.counts(0)
    assert count["padding"] == round(1 - made.lengths.sum() / computed, 4)
    end_to_end = order(3, batch=4, at_once=2, padded=False).counts(0)[0]
    assert end_to_end["padding"] == round(1 - made.lengths.sum() / (made.lengths.sum() + FILLER), 4)
