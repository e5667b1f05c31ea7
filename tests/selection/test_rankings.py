import polars as pl
import pytest

from curate import registry
from curate.errors import PluginError

ROWWISE = [name for name in registry.names("rankings") if not registry.get("rankings", name).measure]


def test_the_highest_score_comes_first_and_none_comes_last(eligible, quota, drawn):
    records = eligible(
        [{"score": 2.0}, {"score": None}, {"score": 10.0}, {"score": float("nan")}, {"score": -1.0}]
    )
    assert drawn(records, quota(prefer="score"))["q"] == [
        "jsonl:0002", "jsonl:0000", "jsonl:0004", "jsonl:0001", "jsonl:0003",
    ]  # fmt: skip


def test_length_prefers_either_end_and_never_a_missing_response(eligible, quota, drawn):
    records = eligible([{"chars": 5}, {"chars": None}, {"chars": 7}, {"chars": 1}])
    assert drawn(records, quota(prefer="longest"))["q"] == ["jsonl:0002", "jsonl:0000", "jsonl:0003", "jsonl:0001"]
    assert drawn(records, quota(prefer="shortest"))["q"] == [
        "jsonl:0003",
        "jsonl:0000",
        "jsonl:0002",
        "jsonl:0001",
    ]


def test_native_order_is_the_sources_own(eligible, quota, drawn):
    records = eligible([{"position": 3}, {"position": 1}, {"position": 2}])
    assert drawn(records, quota(prefer="native"))["q"] == ["jsonl:0001", "jsonl:0002", "jsonl:0000"]


@pytest.mark.parametrize("name", ROWWISE)
def test_ties_go_by_id_whatever_the_order_of_rows(name, eligible, quota, drawn):
    records = eligible([{"id": f"jsonl:{id}", "score": 1.0, "position": 0} for id in "cabed"])
    records = records.with_columns(draw=pl.lit(7, pl.UInt64))
    in_order = [f"jsonl:{id}" for id in "abcde"]
    assert drawn(records, quota(prefer=name))["q"] == in_order
    assert drawn(records.reverse(), quota(prefer=name))["q"] == in_order


def test_chance_depends_on_the_seed_and_the_id_alone(eligible, quota, drawn):
    records = eligible([{} for _ in range(200)])
    first = drawn(records, quota(), seed=13)["q"]
    assert first == drawn(records.sample(fraction=1, shuffle=True, seed=1), quota(), seed=13)["q"]
    assert first != drawn(records, quota(), seed=14)["q"]
    assert first != sorted(first)
    fewer = records.filter(pl.col("id") != first[0])
    assert drawn(fewer, quota(), seed=13)["q"] == first[1:]


def test_an_unknown_order_is_answered_with_the_nearest():
    with pytest.raises(PluginError, match="did you mean 'score'"):
        registry.get("rankings", "scores")
