import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate import registry
from curate.errors import PipelineError
from curate.pipeline import Quota
from curate.selection.quotas import ELIGIBLE, check_quotas, draw_quotas
from curate.tables import PICKS


def whys(picks):
    return dict(picks.select("id", "why").iter_rows())


def test_every_eligible_record_has_one_pick(eligible, quota):
    records = eligible([{"source": source} for source in ("se", "alpaca", "se", "alpaca")])
    picks = draw_quotas(records.reverse(), [quota(take=1)], seed=13)
    assert picks.schema == PICKS
    assert picks["id"].to_list() == sorted(records["id"])
    assert picks.filter(pl.col("split").is_null())["why"].null_count() == 0
    assert picks.filter(pl.col("split").is_not_null())["why"].null_count() == 1


def test_nothing_eligible_and_no_quotas_are_no_error(eligible, quota):
    assert draw_quotas(eligible([]), [quota(by="domain", at_most={"author": 1})], seed=13).schema == PICKS
    assert draw_quotas(eligible([{}]), [], seed=13).rows() == [
        ("jsonl:0000", None, None, None, "no quota takes it")
    ]


def test_ranks_go_on_past_the_last_that_is_drawn(eligible, quota):
    records = eligible([{"score": float(score)} for score in (1, 5, 3, 4, 2)])
    picks = draw_quotas(records, [quota(take=2, prefer="score")], seed=13)
    assert picks["rank"].to_list() == [4, 0, 2, 1, 3]
    assert picks["split"].to_list() == [None, "train", None, "train", None]
    assert picks["quota"].to_list() == ["q"] * 5
    assert picks["why"].to_list() == ["quota q is full", None, "quota q is full", None, "quota q is full"]


def test_taking_none_of_them_takes_none_and_no_number_takes_all(eligible, quota, drawn):
    records = eligible([{} for _ in range(5)])
    assert drawn(records, quota(take=0))["q"] == []
    assert len(drawn(records, quota())["q"]) == 5


def test_where_asks_for_a_value_or_one_of_several(eligible, quota, drawn):
    records = eligible(
        [{"group": "stem", "domain": "a"}, {"group": "stem", "domain": "b"}, {"group": "other"}, {}]
    )
    stem = quota("stem", where={"group": "stem", "domain": ("a", "c")}, prefer="native")
    rest = quota("rest", where={"group": ("stem", "other"), "prompt_only": "false"}, prefer="native")
    assert drawn(records, stem, rest) == {"stem": ["jsonl:0000"], "rest": ["jsonl:0001", "jsonl:0002"]}
    assert whys(draw_quotas(records, [stem, rest], seed=13))["jsonl:0003"] == "no quota takes it"


def test_a_record_belongs_to_the_first_quota_that_draws_it(eligible, quota, drawn):
    records = eligible([{"score": 3.0}, {"score": 2.0}, {"score": 1.0}])
    first, second = quota("first", take=1, prefer="score"), quota("second", take=1, prefer="score")
    assert drawn(records, first, second) == {"first": ["jsonl:0000"], "second": ["jsonl:0001"]}
    left = draw_quotas(records, [first, second], seed=13).row(2, named=True)
    assert left["quota"] == "first"
    assert left["rank"] == 2
    assert left["why"] == "quota first is full; quota second is full"


def test_test_draws_before_dev_and_dev_before_train_whatever_the_file_says(eligible, quota, drawn):
    records = eligible([{"score": float(score)} for score in (3, 2, 1)])
    quotas = [quota(split, split=split, take=1, prefer="score") for split in ("train", "dev", "test")]
    assert drawn(records, *quotas) == {"test": ["jsonl:0000"], "dev": ["jsonl:0001"], "train": ["jsonl:0002"]}


def test_a_thread_that_test_drew_from_is_closed_to_train(eligible, quota):
    records = eligible(
        [{"thread": "t", "score": 3.0}, {"thread": "t", "score": 2.0}, {"thread": "u", "score": 1.0}]
    )
    quotas = [quota("held-out", split="test", take=1, prefer="score"), quota("rest")]
    picks = draw_quotas(records, quotas, seed=13)
    assert picks["split"].to_list() == ["test", None, "train"]
    assert picks["why"].to_list() == [None, "quota held-out is full; thread is in test", None]


def test_a_thread_stays_open_within_its_split(eligible, quota, drawn):
    records = eligible([{"thread": "t"}, {"thread": "t"}])
    first, second = quota("first", take=1, split="dev"), quota("second", take=1, split="dev")
    assert sum(len(ids) for ids in drawn(records, first, second).values()) == 2


def test_threads_are_closed_across_sources(eligible, quota):
    records = eligible([{"thread": "t"}, {"thread": "t", "source": "other"}])
    picks = draw_quotas(records, [quota(split="test"), quota("o", **{"from": "other"})], seed=13)
    assert picks["why"].to_list() == [None, "thread is in test"]


def test_records_without_a_thread_are_each_their_own(eligible, quota, drawn):
    records = eligible([{"thread": None}, {"thread": None}])
    taken = drawn(records, quota("t", split="test", take=1), quota())
    assert [len(ids) for ids in taken.values()] == [1, 1]


def test_prompt_only_records_go_to_dev_and_test_and_never_to_train(eligible, quota):
    records = eligible([{"prompt_only": True, "chars": None} for _ in range(3)])
    quotas = [quota("t", split="test", take=1), quota("d", split="dev", take=1), quota("q")]
    picks = draw_quotas(records, quotas, seed=13)
    assert sorted(picks["split"].fill_null("").to_list()) == ["", "dev", "test"]
    assert picks["why"].drop_nulls().to_list() == [
        "quota t is full; quota d is full; prompt-only, and train needs a response"
    ]


def test_at_most_counts_within_the_quota_and_never_the_unknown(eligible, quota):
    authors = ["ann", "ann", None, "ann", None, "bo"]
    records = eligible([{"author": author} for author in authors])
    first = quota("first", prefer="native", take=2, at_most={"author": 1})
    second = quota("second", prefer="native", at_most={"author": 1})
    picks = draw_quotas(records, [first, second], seed=13)
    assert picks["quota"].to_list() == ["first", "second", "first", "first", "second", "second"]
    assert picks["rank"].to_list() == [0, 0, 1, None, 1, 2]
    assert picks["why"].to_list()[3] == "at most 1 of author"


def test_domains_interleave_in_their_shares_and_a_null_is_one_of_them(eligible, quota, drawn):
    records = eligible([{"domain": domain} for domain in ["a"] * 4 + [None] * 4 + ["b"]])
    line = drawn(records, quota(by="domain", prefer="native"))["q"]
    domains = dict(records.select("id", "domain").iter_rows())
    assert [domains[id] for id in line] == [None, "a", None, "a", "b", None, "a", None, "a"]


def test_a_quota_goes_by_columns_added_to_the_eligible(eligible, quota, drawn):
    records = eligible([{}, {}, {}]).with_columns(cluster=pl.Series(["x", "y", "x"]))
    assert len(drawn(records, quota(at_most={"cluster": 1}))["q"]) == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"where": {"domian": "a"}}, "(?s)'domian'.*did you mean 'domain'"),
        ({"by": "grup"}, "(?s)`by`.*did you mean 'group'"),
        ({"at_most": {"score": 1}}, "(?s)`at_most`.*'score'"),
        ({"at_most": {"author": 0}}, "at least 1 of author"),
    ],
)
def test_a_quota_that_means_nothing_stops_before_anything_is_drawn(eligible, quota, fields, message):
    with pytest.raises(PipelineError, match=message):
        draw_quotas(eligible([{}]), [quota(**fields)], seed=13)
    with pytest.raises(PipelineError, match=message):
        check_quotas([quota(**fields)])


def test_a_temperature_below_one_is_refused(quota):
    with pytest.raises(PipelineError, match=r"from 1 up, not 0\.5"):
        check_quotas([quota().model_copy(update={"temperature": 0.5})])


few = st.sampled_from(["a", "b", "c", None])
rows = st.lists(
    st.fixed_dictionaries(
        {
            "domain": few,
            "author": few,
            "thread": st.sampled_from("tuvwxyz"),
            "score": st.sampled_from([None, 1.0, 2.0]),
        }
    ),
    max_size=60,
)
quotas = st.fixed_dictionaries(
    {
        "by": st.sampled_from([None, "domain", "thread"]),
        "temperature": st.sampled_from([1.0, 1.5, 3.0, 100.0]),
        "prefer": st.sampled_from(
            [name for name in registry.names("rankings") if not registry.get("rankings", name).measure]
        ),
        "at_most": st.dictionaries(st.sampled_from(["author", "thread"]), st.integers(1, 4)),
    }
)


def frame_of(rows):
    frame = pl.DataFrame(
        [
            {
                "id": f"jsonl:{n:03}",
                "source": "se",
                "prompt_only": False,
                "chars": n % 7,
                "position": 60 - n,
                "draw": n * n,
            }
            | row
            for n, row in enumerate(rows)
        ],
        schema=ELIGIBLE,
        orient="row",
    )
    return frame.sample(fraction=1, shuffle=True, seed=len(rows))


@settings(deadline=None)
@given(rows, quotas, st.integers(0, 60), st.integers(0, 60))
def test_a_smaller_take_draws_the_front_of_a_larger_one(rows, fields, one, other):
    small, large = sorted([one, other])
    eligible = frame_of(rows)

    def line(take):
        quota = Quota.model_validate({"name": "q", "from": "se", "take": take, **fields})
        return draw_quotas(eligible, [quota], seed=13).filter(split="train").sort("rank")["id"].to_list()

    assert line(large)[:small] == line(small)


@settings(deadline=None)
@given(rows, quotas, st.integers(0, 10), st.integers(0, 10))
def test_no_thread_is_in_two_splits_and_every_rank_stands_once(rows, fields, test, dev):
    takes = {"test": test, "dev": dev, "train": None}
    asked = [
        Quota.model_validate({"name": s, "from": "se", "split": s, "take": t, **fields}) for s, t in takes.items()
    ]
    eligible = frame_of(rows)
    picks = draw_quotas(eligible, asked, seed=13)
    taken = picks.filter(pl.col("split").is_not_null())
    splits = taken.join(eligible, on="id").group_by("thread").agg(pl.col("split").n_unique())
    assert splits.filter(pl.col("split") > 1).is_empty()
    assert (taken["split"] == taken["quota"]).all()
    for name in takes:
        ranks = taken.filter(quota=name)["rank"].sort().to_list()
        assert ranks == list(range(len(ranks)))
