"""What a rule would do at another limit is what a run with that limit does."""

from __future__ import annotations

import polars as pl
import pytest

import curate
from curate.errors import CurateError
from curate.tuning import at_limit, tuning
from tests.walk import PIPELINE, lay_out, rows

TWO = PIPELINE.replace(
    "[filters]",
    """
[[source]]
use = "jsonl"
name = "other"
path = "other/*.jsonl"
domain = "topic"
score = "score"
license = "CC0-1.0"

[source.filters]
low_score = { min = 5 }

[filters]""",
)


def with_limits(folder, pipeline):
    import json

    file = lay_out(folder, pipeline=pipeline)
    (folder / "other").mkdir(exist_ok=True)
    lines = [json.dumps(row | {"id": f"o{row['id']}"}) for row in rows(5_000, 60)]
    (folder / "other" / "o.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tuned")


@pytest.fixture(scope="module")
def run(folder):
    return curate.run(with_limits(folder, TWO), runs=folder / "runs")


def rejected(run, rule):
    return set(run.verdicts.filter(pl.col("reasons").list.contains(rule)).select("id").collect()["id"])


@pytest.mark.parametrize(
    ("rule", "limit", "before", "after"),
    [
        ("too_short", 5, "min_chars = 100", "min_chars = 5"),
        ("too_short", 380, "min_chars = 100", "min_chars = 380"),
        ("too_short", 100, "min_chars = 100", "min_chars = 100"),
        ("low_score", {"mine": 9}, "min = 2,", "min = 9,"),
        ("low_score", {"other": 0}, "min = 5", "min = 0"),
    ],
)
def test_counts_and_rows_are_those_of_a_run_with_that_limit(rule, limit, before, after, run, tmp_path):
    told = at_limit(run, rule, limit)
    again = curate.run(with_limits(tmp_path, TWO.replace(before, after)), runs=tmp_path / "runs")
    was, now = rejected(run, rule), rejected(again, rule)
    assert set(told.freed) == was - now
    assert set(told.lost) == now - was
    sources = dict(again.records.select("id", "source").collect().iter_rows())
    for row in told.sources.to_dicts():
        mine = {id for id, source in sources.items() if source == row["source"]}
        assert (row["before"], row["after"]) == (len(was & mine), len(now & mine))
    # A row that this rule alone decides has no reason of a rule on text left; and had none before it was lost.
    clean = set(again.verdicts.filter(pl.col("reasons").list.len() == 0).select("id").collect()["id"])
    freed = told.total["freed_alone"]
    assert freed == len((was - now) & clean)
    unmeasured = {row for row in (was - now) & clean if row in was}
    assert told.unmeasured == len(unmeasured)
    stood = set(
        run.ledger.filter(pl.col("state").is_in(["kept", "not drawn", "duplicate"])).select("id").collect()["id"]
    )
    assert told.total["lost_alone"] == len((now - was) & stood)


def test_the_run_s_own_limit_changes_nothing(run):
    for rule in ("too_short", "low_score"):
        told = tuning(run, rule).at(tuning(run, rule).limits)
        assert (told.total["freed"], told.total["lost"]) == (0, 0)
        assert told.total["before"] == told.total["after"] == len(rejected(run, rule))


def test_one_source_is_tuned_by_itself(run):
    alone = tuning(run, "low_score", "other")
    assert alone.limits == {"other": 5.0}
    assert alone.at(9).sources["source"].to_list() == ["other"]
    assert tuning(run, "low_score").limits == {"mine": 2.0, "other": 5.0}


def test_rows_beside_the_cut_are_the_nearest_on_either_side(run):
    told = at_limit(run, "too_short", 380)
    values = dict(run.verdicts.select("id", "too_short").collect().iter_rows())
    out, kept = told.beside(4)
    assert [values[each.id] for each in out] == sorted(v for v in values.values() if v is not None and v < 380)[
        :-5:-1
    ]
    assert [values[each.id] for each in kept] == sorted(v for v in values.values() if v is not None and v >= 380)[
        :4
    ]


def test_counts_that_have_no_sign_are_not_taken_for_far_away(run):
    # A length of 10 is 90 below a limit of 100; as unsigned numbers it would be four thousand million above.
    told = at_limit(run, "too_short", 100)
    assert told._rows["room"].max() < 1_000


def test_bins_are_cut_at_the_limit(run):
    bins = tuning(run, "too_short").bins(380)
    assert 380 in {each["from"] for each in bins["bins"]}
    below = sum(each["records"] for each in bins["bins"] if each["below"] is not None and each["below"] <= 380)
    assert below == at_limit(run, "too_short", 380).total["after"]


def test_many_limits_are_told_in_one_table(run):
    over = tuning(run, "too_short").over([50, 380, 50])
    assert over["limit"].to_list() == [50.0, 380.0]
    assert over["after"].to_list() == [at_limit(run, "too_short", each).total["after"] for each in (50, 380)]
    assert over["judged"].n_unique() == 1
    assert 100.0 in tuning(run, "too_short").over()["limit"]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("too_shrt", "did you mean 'too_short'"),
        ("first_person", "has no limit"),
        ("wrong_language", "compares with no number"),
    ],
)
def test_a_rule_without_a_number_for_a_limit_is_refused(rule, said, run):
    with pytest.raises(CurateError) as caught:
        run.rule(rule)
    assert said in str(caught.value)


@pytest.mark.parametrize("limit", [float("nan"), "100", True, None, {"mine": "x"}, {"nobody": 3}])
def test_a_limit_that_is_none_is_refused(limit, run):
    with pytest.raises(CurateError, match=r"a limit is a number|judges no source"):
        at_limit(run, "too_short", limit)


def test_a_source_without_the_rule_is_refused(run):
    with pytest.raises(CurateError, match="judges no source"):
        run.rule("too_short", source="nobody")


def test_a_lifted_rule_rejects_nothing_and_may_be_put_back(run, folder):
    lifted = curate.run(folder / "walk.toml", runs=run.path.parent, without=["too_short"])
    told = at_limit(lifted, "too_short", 100)
    assert told.total["before"] == told.total["freed"] == 0
    assert set(told.lost) == rejected(run, "too_short")


def test_what_is_shown_says_the_numbers(run):
    told = at_limit(run, "too_short", 380)
    html = told._repr_html_()
    assert told.said in html
    assert f">{told.total['after']:,}</td>" in html
    assert "(as it is)" in run.rule("too_short")._repr_html_()
    assert "100.0" in repr(run.rule("too_short"))
