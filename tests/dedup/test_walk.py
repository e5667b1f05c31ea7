import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.dedup import Index
from curate.dedup import texts as module
from curate.dedup._groups import joined, linked
from curate.dedup.texts import Texts
from curate.dedup.walk import batches


class Labelled(Index):
    """Rows of one label match."""

    def __init__(self, labels):
        self.groups = np.array(labels, np.int64)
        self.told = []

    def prepare(self, batches):
        self.batches = batches

    def begin(self, batch):
        self.told.append(batch)


def test_what_may_match_in_any_pass_is_decided_together():
    one, other = Labelled([0, 0, -1, -1, 4, -1, 4]), Labelled([-1, 1, -1, 1, -1, -1, -1])
    found = list(batches([one, other], np.ones(7, np.int64)))
    assert found == [[0, 1, 3, 4, 6]]
    assert one.told == [0]
    assert one.batches.tolist() == [0, 0, -1, 0, 0, -1, 0]


def test_large_groups_are_batches_of_their_own_in_order_of_preference():
    labels = [0, 1, 2, 0, 1, 2]
    index = Labelled(labels)
    found = list(batches([index], np.full(6, 2**26)))
    assert found == [[0, 3], [1, 4], [2, 5]]
    assert index.told == [0, 1, 2]


def test_where_nothing_can_match_there_is_no_batch():
    assert list(batches([Labelled([-1, -1])], np.ones(2, np.int64))) == []
    assert list(batches([Labelled([])], np.ones(0, np.int64))) == []


@given(st.lists(st.lists(st.integers(-1, 6), min_size=12, max_size=12), max_size=4))
def test_components_are_those_that_a_search_finds(labels):
    def reachable(row):
        seen, waiting = {row}, [row]
        while waiting:
            at = waiting.pop()
            for each in labels:
                more = {other for other in range(12) if each[at] >= 0 and each[other] == each[at]} - seen
                seen |= more
                waiting += more
        return seen

    expected = [min(found) if len(found := reachable(row)) > 1 else -1 for row in range(12)]
    assert joined([np.array(each) for each in labels], 12).tolist() == expected


def test_pairs_join_rows_however_long_the_chain():
    left = np.arange(0, 9_998)
    assert set(linked(left, left + 1, 10_000)[:9_999].tolist()) == {0}
    assert linked(left, left + 1, 10_000)[9_999] == -1


def test_texts_come_in_blocks_without_the_blank_ones(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_BYTES", 4)
    texts = Texts.of(["abc", None, " \n", "é", "defgh", "", "i"])
    found = [(rows.tolist(), block.to_list()) for rows, block in texts.blocks()]
    assert [row for rows, _ in found for row in rows] == [0, 3, 4, 6]
    assert [text for _, block in found for text in block] == ["abc", "é", "defgh", "i"]
    assert len(found) > 1
    assert texts.sizes.tolist() == [3, 0, 0, 2, 5, 0, 1]


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_all_texts_are_by_row_in_whatever_order_they_are_read(order):
    every = pl.Series(["a", None, "c", "d"])
    texts = Texts(4, lambda: [(np.array([row]), every[[row]]) for row in order])
    assert texts.all().to_list() == ["a", None, "c", "d"]
    assert Texts.of([]).all().to_list() == []
