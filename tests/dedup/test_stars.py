import json
import random
import sys
import time

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from curate.dedup import Method
from curate.dedup.exact import exact
from curate.dedup.minhash import minhash
from curate.dedup.ngram import ngram
from curate.dedup.stars import POLICIES, Pass, check, decide, with_text
from curate.errors import PipelineError
from curate.record import records
from curate.tables import DUPLICATES, PAIRS

ORDER = ("source_order", "best_score", "longest")
EQUAL = Pass(exact, "exact", "response", {})


def drops(rows, passes, keep=ORDER):
    return dict(decide(rows, passes, keep)[1].select("id", "kept_id").iter_rows())


@pytest.fixture
def chain(planted):
    """A ~ B ~ C, but A is not like C: B changes the end of A, and C the beginning of B."""
    end, (beginning, _) = planted(1, 9), planted(2, 9)
    a, b = end
    return {"a": a, "b": b, "c": " ".join(beginning.split()[:9] + b.split()[9:])}


@pytest.mark.parametrize("texts", [{}, {"a": "only one"}, {"a": None}, {"a": "  "}, {"a": "this", "b": "that"}])
def test_where_nothing_repeats_both_tables_are_empty(rows, near, texts):
    pairs, duplicates, _ = decide(rows(texts), [EQUAL, near()], ORDER)
    assert (pairs.height, duplicates.height) == (0, 0)
    assert (pairs.schema, duplicates.schema) == (PAIRS, DUPLICATES)


def test_without_a_pass_nothing_is_dropped(rows):
    assert drops(rows({"a": "same", "b": "same"}), []) == {}


def test_of_equal_rows_one_stays(rows, near):
    texts = {f"r{number:02}": "all of these are the same text" for number in range(20)}
    for one in (EQUAL, near()):
        pairs, duplicates, _ = decide(rows(texts), [one], ORDER)
        assert set(duplicates["kept_id"]) == {"r00"}
        assert set(duplicates["similarity"]) == {1.0}
        assert duplicates.height == pairs.height == 19
        assert (pairs.schema, duplicates.schema) == (PAIRS, DUPLICATES)


def test_two_word_texts_are_duplicates_of_their_equals_alone(rows, near):
    texts = {
        "a": "Define osmosis",
        "b": "Define ozone",
        "c": "define osmosis.",
        "d": "Hi",
        "e": "cat",
        "f": "dog",
        "g": "cat",
    }
    assert drops(rows(texts), [near()]) == {"c": "a", "g": "e"}


def test_null_and_blank_texts_take_no_part(rows, near):
    texts = {"a": None, "b": None, "c": "", "d": " \n", "e": "\u3000", "f": "said", "g": "said"}
    assert drops(rows(texts), [EQUAL, near()]) == {"g": "f"}


def test_of_a_chain_both_ends_stay_when_an_end_is_best(rows, near, chain):
    assert drops(rows(chain), [near()]) == {"b": "a"}


def test_of_a_chain_the_middle_alone_stays_when_it_is_best(rows, near, chain):
    scored = rows(chain, score=[1.0, 3.0, 2.0])
    pairs, duplicates, _ = decide(scored, [near()], ["best_score"])
    assert dict(duplicates.select("id", "kept_id").iter_rows()) == {"a": "b", "c": "b"}
    assert pairs.select("id_a", "id_b").rows() == [("a", "b"), ("b", "c")]


def test_a_row_is_dropped_for_the_most_preferred_row_it_matches(rows, near, chain):
    # `d` is like both ends, and joins the better of them although the other is more similar.
    words = chain["b"].split()
    texts = {"a": chain["a"], "c": chain["c"], "d": " ".join(words)}
    assert drops(rows(texts), [near(threshold=0.7)]) == {"d": "a"}
    assert drops(rows(texts, score=[1.0, 2.0, 0.0]), [near(threshold=0.7)]) == {"d": "c"}


def test_a_kept_row_is_alive_after_all_passes(rows):
    # By its response `b` is `a`'s twin, by its prompt `c` is `b`'s: `b` is gone, so `c` has nobody to join.
    texts = rows({"a": "first text", "b": "first text", "c": "another"})
    texts = texts.with_columns(pl.Series("on:prompt", ["one", "the same prompt", "the same prompt"]))
    passes = [EQUAL, Pass(exact, "exact", "prompt", {})]
    _, duplicates, _ = decide(texts, passes, ORDER)
    assert duplicates.select("id", "kept_id", "on").rows() == [("b", "a", "response")]
    assert drops(texts, passes, ["longest"]) == {"b": "a"}


def test_of_two_passes_that_match_one_row_the_first_is_named(rows, near):
    texts = rows({"a": "one and the same text here", "b": "one and the same text here"})
    for passes in ([EQUAL, near()], [near(), EQUAL]):
        pairs, duplicates, _ = decide(texts, passes, ORDER)
        assert duplicates["method"].to_list() == [passes[0].name]
        assert pairs["method"].to_list() == ["exact", "minhash"]


def test_a_better_row_of_a_later_pass_goes_before_a_worse_one_of_the_first(rows):
    texts = rows({"a": "x", "b": "same", "c": "same"})
    texts = texts.with_columns(pl.Series("on:prompt", ["asked", "other", "asked"]))
    _, duplicates, _ = decide(texts, [EQUAL, Pass(exact, "exact", "prompt", {})], ORDER)
    assert duplicates.select("id", "kept_id", "on").rows() == [("c", "a", "prompt")]


def test_one_pair_met_by_two_like_passes_is_told_once(rows, near):
    texts = rows({"a": "one and the same text here", "b": "one and the same text here"})
    pairs, _, _ = decide(texts, [near(threshold=0.8), near(threshold=0.9)], ORDER)
    assert pairs.height == 1


@pytest.mark.parametrize(
    ("keep", "stays"),
    [
        ((), "a"),
        (("source_order",), "b"),
        (("best_score",), "d"),  # source first, since scores of two sources are not compared
        (("source_order", "best_score"), "d"),
        (("longest",), "c"),
        (("longest", "best_score"), "c"),
        (("freest_license",), "e"),
        (("freest_license", "longest"), "e"),
        (("native_order",), "d"),  # source first, since every input counts from its own beginning
        (("source_order", "native_order"), "d"),
        (("native_order", "source_order"), "d"),
        (("longest", "native_order"), "e"),
        (("source_order", "best_score", "native_order"), "d"),
        (("source_order", "longest", "native_order"), "d"),
    ],
)
def test_the_policy_says_who_stays(rows, keep, stays):
    texts = rows(
        dict.fromkeys("abcde", "the same"),
        source_rank=[2, 0, 1, 0, 1],
        score=[99.0, None, 50.0, 3.0, None],
        chars=[1, 5, 9, 5, 9],
        license=["CC-BY-4.0", "CC-BY-SA-3.0", None, "LicenseRef-home-made", "CC0-1.0"],
        position=[0, 7, 2, 6, 1],
    )
    assert set(drops(texts, [EQUAL], keep).values()) == {stays}


def test_rows_without_a_place_come_last_in_native_order(rows):
    assert drops(rows(dict.fromkeys("abc", "same"), position=[None, 10, 9]), [EQUAL], ["native_order"]) == {
        "a": "c",
        "b": "c",
    }


def test_native_order_counts_and_does_not_spell(rows):
    # As text, the ids go x:0, x:1, x:10, x:2.
    texts = rows({f"x:{place}": "same" for place in (10, 2)}, position=[10, 2])
    assert drops(texts, [EQUAL], ["source_order", "native_order"]) == {"x:10": "x:2"}
    assert drops(texts, [EQUAL], ["source_order"]) == {"x:2": "x:10"}


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_missing_score_is_the_worst(rows, missing):
    assert drops(rows(dict.fromkeys("ab", "same"), score=[missing, -5.0]), [EQUAL]) == {"a": "b"}


def test_a_score_that_is_no_number_is_a_missing_one(rows):
    assert drops(rows(dict.fromkeys("ab", "same"), score=[None, float("nan")]), [EQUAL]) == {"b": "a"}


def test_an_unknown_policy_is_refused_with_the_nearest_name(rows):
    with pytest.raises(PipelineError, match="did you mean 'longest'"):
        decide(rows({"a": "x"}), [EQUAL], ["longst"])
    with pytest.raises(PipelineError, match=", ".join(sorted(POLICIES))):
        decide(rows({"a": "x"}), [EQUAL], ["?"])


def test_the_order_of_rows_changes_nothing(rows, near):
    draw = random.Random(3)
    texts = {f"r{number:03}": " ".join(draw.choice("abc") for _ in range(6)) for number in range(300)}
    texts = rows(texts, score=[float(draw.randrange(4)) for _ in range(300)])
    passes = [EQUAL, near(threshold=0.5, shingle=2)]
    first = decide(texts, passes, ORDER)
    assert 0 < first[1].height < 300
    for seed in range(3):
        again = decide(texts.sample(fraction=1, shuffle=True, seed=seed), passes, ORDER)
        assert_frame_equal(first[0], again[0])
        assert_frame_equal(first[1], again[1])


def test_the_order_and_size_of_blocks_the_batches_and_the_cores_change_nothing(rows, planted, monkeypatch):
    draw = random.Random(5)
    texts = {f"r{n:04}": text for n in range(150) for text in [planted(n % 60, draw.randrange(12))[n % 2]]}
    frame = rows(texts).rename({"on:response": "text"})
    passes = [Pass(minhash, "minhash", "x", {"threshold": 0.7}), Pass(exact, "exact", "x", {})]

    def tables(size, seed):
        pieces = [frame.slice(at, size).select("id", "text") for at in range(0, frame.height, size)]
        random.Random(seed).shuffle(pieces)
        return decide(frame, passes, ["longest"], read=lambda _: pieces)[:2]

    first = tables(150, 0)
    assert 30 < first[1].height < 150
    for size, seed in ((1, 1), (7, 2), (50, 3)):
        for name, value in (
            ("curate.dedup.shingles.cores", lambda count=size % 3 + 1: count),
            ("curate.dedup.walk._BATCH_BYTES", size * 100),
            ("curate.dedup.texts.BLOCK_BYTES", size * 500),
            ("curate.dedup._near._IN_MEMORY", size),
        ):
            monkeypatch.setattr(name, value)
        for one, other in zip(first, tables(size, seed), strict=True):
            assert_frame_equal(one, other)


@given(st.lists(st.text("abc ", max_size=9), max_size=25))
def test_every_drop_is_verified_and_for_a_row_that_stays(texts):
    ids = [f"{number:02}" for number in range(len(texts))]
    frame = pl.DataFrame({"id": ids, "on:response": texts}, schema={"id": pl.String, "on:response": pl.String})
    # One character a shingle, and bands that miss one pair in a hundred million.
    near = Pass(minhash, "minhash", "response", {"threshold": 0.5, "shingle": 1, "recall": 0.99999998})
    pairs, duplicates, _ = decide(frame, [near], [])

    words = [set(text.split()) for text in texts]
    kept, expected = [], {}
    for number, own in enumerate(words):
        twin = next((other for other in kept if len(own & words[other]) >= 0.5 * len(own | words[other])), None)
        if own and twin is not None:
            expected[ids[number]] = ids[twin]
        elif own:
            kept.append(number)
    assert dict(duplicates.select("id", "kept_id").iter_rows()) == expected
    assert not set(duplicates["kept_id"]) & set(duplicates["id"])
    met = {
        (*sorted(pair), similarity)
        for *pair, similarity in duplicates.select("id", "kept_id", "similarity").iter_rows()
    }
    assert met <= set(pairs.select("id_a", "id_b", "similarity").iter_rows())


def test_of_a_row_that_matches_very_many_the_twin_and_the_likest_are_listed(rows, monkeypatch):
    monkeypatch.setattr("curate.dedup.stars._PAIRS", 3)
    draw = random.Random(6)
    words = [f"w{draw.randrange(10**9)}" for _ in range(40)]
    # Five texts that share nothing but a part of the last one each, which is contained in it.
    texts = {f"a{n}": " ".join(words[8 * n : 8 * n + 8] + [f"x{n}y{k}" for k in range(6 - n)]) for n in range(5)}
    passes = [Pass(ngram, "ngram", "response", {"n": 3, "min_share": 0.1})]
    pairs, duplicates, done = decide(rows({**texts, "b": " ".join(words)}), passes, [])
    assert duplicates.select("id", "kept_id").rows() == [("b", "a0")]
    assert pairs["id_a"].to_list() == ["a0", "a3", "a4"]
    assert "2 pairs of rows with more than 3 are not listed" in done["note"].item()


def test_rows_of_one_template_cost_one_comparison_each(rows, planted):
    template, _ = planted(1, 1)
    texts = {f"r{number:05}": f"{template} {number % 7919}" for number in range(20_000)}
    made = []

    def watched(texts):
        made.append(minhash(texts))
        return made[0]

    began = time.perf_counter()
    _, duplicates, _ = decide(rows(texts), [Pass(Method("near", watched, ""), "near", "response", {})], ORDER)
    assert duplicates.height == 19_999
    assert set(duplicates["kept_id"]) == {"r00000"}
    assert made[0].comparisons == 19_999
    assert time.perf_counter() - began < 30


@pytest.mark.parametrize("count", [0, 1, 3, 2500])
@pytest.mark.parametrize("passes", [0, 1, 2])
def test_progress_tells_of_every_row_once(rows, count, passes):
    told = []
    texts = {str(number): str(number) for number in range(count)}
    decide(rows(texts), [EQUAL] * passes, ORDER, progress=told.append)
    assert sum(told) == count
    assert all(units > 0 for units in told)


@pytest.fixture
def some_records():
    made = records(
        [
            {"id": "x:1", "prompt": "Translate.", "context": "Hund", "response": "dog", "score": 2.0},
            {"id": "x:2", "prompt": "Ask?", "history": [{"role": "user", "text": "Before?"}]},
        ]
    )
    return made.lazy().with_columns(pl.lit(0, pl.UInt32).alias("source_rank"))


def test_texts_are_fields_or_the_pair(some_records, with_texts):
    found = with_texts(some_records, ["pair", "response", "first_prompt"])
    assert found.columns == [
        "id",
        "source_rank",
        "score",
        "license",
        "position",
        "chars",
        "on:pair",
        "on:response",
        "on:first_prompt",
    ]
    assert found["on:pair"].to_list() == ["Translate.\n\nHund\n\ndog", "Ask?"]
    assert found["on:response"].to_list() == ["dog", None]
    assert found["on:first_prompt"].to_list() == ["Translate.", "Before?"]
    assert found["chars"].to_list() == [3, 0]


def test_what_texts_are_taken_is_what_is_decided_on(some_records, with_texts):
    assert drops(with_texts(some_records, ["response"]), [EQUAL]) == {}


def test_an_unknown_text_is_refused_with_the_nearest_name(some_records):
    with pytest.raises(PipelineError, match="did you mean 'response'"):
        with_text(some_records, "respnse")


@pytest.mark.parametrize(
    ("on", "keep", "threshold", "says"),
    [
        ("respnse", ORDER, 0.8, "did you mean 'response'"),
        ("pair", ("longst",), 0.8, "did you mean 'longest'"),
        ("pair", ORDER, 1.5, "cannot be a threshold"),
    ],
)
def test_what_cannot_be_decided_is_refused_without_data(near, on, keep, threshold, says):
    with pytest.raises(PipelineError, match=says):
        check([near(on, threshold=threshold)], keep)


def test_what_can_be_decided_is_not_refused(near):
    check([EQUAL, near("pair", threshold=1.0)], POLICIES)


@pytest.mark.real
def test_alpaca_has_few_twins_and_all_of_them_are_true(real_data, capsys, with_texts):
    raw = json.loads((real_data / "self_instruct" / "alpaca_data.json").read_bytes())
    made = records(
        {"id": f"{n:05}", "prompt": row["instruction"], "context": row["input"], "response": row["output"]}
        for n, row in enumerate(raw)
    )
    ranked = made.lazy().with_columns(pl.lit(0, pl.UInt32).alias("source_rank"))
    frame = with_texts(ranked, ["prompt", "response"])
    found = {}
    for on in ("prompt", "response"):
        began = time.perf_counter()
        passes = [Pass(exact, "exact", on, {}), Pass(minhash, "minhash", on, {})]
        pairs, duplicates, _ = decide(frame, passes, ORDER)
        counts = dict(duplicates["method"].value_counts().sort("method").iter_rows())
        with capsys.disabled():
            sys.stdout.write(
                f"\n{on}: {pairs.height} pairs, {counts} dropped, {time.perf_counter() - began:.1f} s\n"
            )
        assert not set(duplicates["kept_id"]) & set(duplicates["id"])
        assert duplicates["similarity"].min() is None or duplicates["similarity"].min() >= 0.8
        found[on] = counts
    assert found["prompt"] == {}  # its makers took no prompt that shared much with an earlier one
    # Equality of the normalised text, counted another way.
    said = [" ".join(row["output"].lower().split()) for row in raw if row["output"].strip()]
    assert len(drops(frame, [EQUAL])) == len(said) - len(set(said))
