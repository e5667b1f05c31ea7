"""Another threshold is answered from stored pairs: exactly where these are all there are, else within bounds."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from curate.dedup.exact import exact
from curate.dedup.semantic import Joined
from curate.dedup.stars import Pass, decide, ranked
from curate.errors import PipelineError
from curate.record import records
from curate.rethreshold import RETHRESHOLDED, preferred_first, rethreshold, rethresholded

KEEP = ["source_order", "best_score", "longest"]


@dataclass(frozen=True)
class Given(Pass):
    """A pass that knows the similarity of each pair, and takes those that reach its threshold."""

    known: pl.DataFrame = field(default_factory=pl.DataFrame)
    threshold: float = 0.5

    def index(self, texts, ids):  # noqa: ARG002
        place = {id: row for row, id in enumerate(ids)}
        a, b = (np.array([place[id] for id in self.known[name]], np.int64) for name in ("id_a", "id_b"))
        return Joined(
            a, b, self.known["similarity"].to_numpy(), count=len(ids), threshold=self.threshold, floor=0.1, note=""
        )


def drawn(seed, count=40, share=0.15):
    """Records of two sources with ties in all that prefers one, and similarities of some pairs of them."""
    draw = random.Random(seed)
    rows = [
        {
            "id": f"r{number:02}",
            "source": draw.choice(["one", "two"]),
            "prompt": f"prompt {number}",
            "response": "x" * draw.randrange(3, 6),
            "score": draw.choice([None, 1.0, 2.0]),
            "position": number,
        }
        for number in range(count)
    ]
    pairs = [
        (f"r{a:02}", f"r{b:02}", round(draw.uniform(0.5, 1), 2))
        for a in range(count)
        for b in range(a + 1, count)
        if draw.random() < share
    ]
    schema = {"id_a": pl.String, "id_b": pl.String, "similarity": pl.Float64}
    return records(rows), pl.DataFrame(pairs, schema=schema, orient="row")


class Stored:
    """What is left of a run by these passes: its manifest, and the tables that are asked for."""

    path = Path("runs/drawn")

    def __init__(self, rows, passes, calls, neighbours=None):
        self.rows = rows
        self.ordered = ranked(rows.lazy(), ["one", "two"])
        self.manifest = {
            "pipeline": {"sources": [{"name": "one"}, {"name": "two"}], "keep": KEEP, "dedup": calls},
            "tables": {} if neighbours is None else {"neighbours_prompt": {}},
        }
        self.pairs, self.duplicates = self.decided(passes)[:2]
        state = pl.when(pl.col("id").is_in(self.duplicates["id"].implode())).then(pl.lit("duplicate"))
        ledger = rows.select("id", "source", state=state.otherwise(pl.lit("kept")))
        self.tables = {"records": rows, "pairs": self.pairs, "duplicates": self.duplicates, "ledger": ledger}
        self.tables["neighbours_prompt"] = neighbours

    def decided(self, passes):
        texts = {"prompt": "prompt", "response": "response"}
        frame = self.ordered.collect().join(self.rows.select("id", *texts), on="id").sort("id")
        return decide(frame.rename({name: f"on:{name}" for name in texts}), passes, KEEP)

    def table(self, name):
        return self.tables[name].lazy()


def call(use, on, **parameters):
    return {"use": use, "on": on, "against": [], **parameters}


def given(known, threshold, name="minhash"):
    return Given(exact, name, "prompt", {}, known, threshold)


def went(duplicates):
    return set(duplicates["id"])


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.93, 1.0])
def test_the_walk_over_given_pairs_is_the_walk_of_a_run(seed, threshold):
    rows, known = drawn(seed)
    run = Stored(rows, [given(known, threshold)], [])
    walked = rethresholded(preferred_first(run), known.sample(fraction=1, shuffle=True, seed=seed), threshold)
    assert_frame_equal(walked.sort("id"), run.duplicates.select("id", "kept_id", "similarity"))


def test_the_order_is_that_of_the_policy_whatever_the_order_of_the_tables():
    rows = records(
        [
            {"id": "a", "source": "two", "prompt": "p", "score": 9.0},
            {"id": "b", "source": "one", "prompt": "p", "score": None},
            {"id": "c", "source": "one", "prompt": "p", "score": 1.0},
            {"id": "d", "source": "one", "prompt": "p", "score": 1.0},
        ]
    )
    for each in (rows, rows.reverse()):
        assert preferred_first(Stored(each, [], [])).to_list() == ["c", "d", "b", "a"]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("threshold", [0.55, 0.7, 0.8, 0.9, 1.0])
def test_of_all_pairs_above_a_floor_every_threshold_is_answered_exactly(seed, threshold):
    rows, known = drawn(seed)
    calls = [call("semantic", "prompt", threshold=0.8, floor=0.55)]
    run = Stored(rows, [given(known, 0.8, "semantic")], calls, known.filter(pl.col("similarity") >= 0.55))
    (answer,) = rethreshold(run, [threshold]).to_dicts()
    then = went(run.decided([given(known, threshold)])[1])
    assert answer["exact"]
    assert answer["dropped_least"] == answer["dropped_most"] == len(then)
    assert answer["kept_least"] == rows.height - len(then)
    assert answer["gained_least"] == answer["gained_most"] == len(went(run.duplicates) - then)
    assert answer["lost_least"] == answer["lost_most"] == len(then - went(run.duplicates))


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("threshold", [0.6, 0.62, 0.8, 0.95])
def test_of_pairs_with_kept_records_alone_no_run_leaves_the_bounds(seed, threshold):
    rows, known = drawn(seed, share=0.08)
    run = Stored(rows, [given(known, 0.6)], [call("minhash", "prompt", threshold=0.6)])
    (answer,) = rethreshold(run, [threshold]).to_dicts()
    then, now = went(run.decided([given(known, threshold)])[1]), went(run.duplicates)
    numbers = {"dropped": len(then), "kept": rows.height - len(then)}
    numbers |= {"gained": len(now - then), "lost": len(then - now)}
    for name, number in numbers.items():
        assert answer[f"{name}_least"] <= number <= answer[f"{name}_most"], (name, number, answer)
        assert not answer["exact"] or answer[f"{name}_least"] == answer[f"{name}_most"]
    assert answer["exact"] == (answer["unmatched"] == 0)


def test_the_same_threshold_changes_nothing():
    rows, known = drawn(5)
    run = Stored(rows, [given(known, 0.6)], [call("minhash", "prompt", threshold=0.6)])
    (answer,) = rethreshold(run, [0.6]).to_dicts()
    assert answer["exact"]
    assert (answer["gained_most"], answer["lost_most"]) == (0, 0)
    assert answer["dropped_least"] == run.duplicates.height


@pytest.mark.parametrize("seed", range(20))
def test_beside_another_pass_an_answer_is_exact_only_where_nothing_comes_back(seed):
    # Equal responses: the second pass compared what came back with nobody.
    rows, known = drawn(seed, share=0.03)
    rows = rows.with_columns(response=pl.col("response") + pl.col("id").str.tail(1))
    second = Pass(exact, "exact", "response", {})
    calls = [call("semantic", "prompt", threshold=0.7, floor=0.5), call("exact", "response")]
    run = Stored(rows, [given(known, 0.7, "semantic"), second], calls, known)
    for answer in rethreshold(run, [0.5, 0.6, 0.7, 0.9]).to_dicts():
        then = went(run.decided([given(known, answer["threshold"]), second])[1])
        if answer["exact"]:
            assert answer["dropped_least"] == len(then)
        else:
            assert answer["gained_least"] > 0
            assert "other passes never compared" in answer["said"]


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        ([call("minhash", "prompt", threshold=0.8)], "pairs below 0.8 are not stored: run with that threshold"),
        (
            [call("semantic", "prompt", threshold=0.9, floor=0.8)],
            "pairs below 0.8 are not stored: run with a lower floor",
        ),
        ([call("rouge_l", "prompt", threshold=0.7)] * 2, "the pairs of two like passes cannot be told apart"),
    ],
)
def test_what_was_not_stored_has_no_numbers(calls, said):
    rows, known = drawn(1)
    run = Stored(rows, [given(known, 0.9)], calls, known)
    answers = rethreshold(run, [0.5]).to_dicts()
    assert [(answer["said"], answer["exact"], answer["kept_least"]) for answer in answers] == [(said, False, None)]


def test_passes_without_a_threshold_and_against_references_are_not_asked():
    rows, _ = drawn(1)
    calls = [call("exact", "prompt"), call("ngram", "prompt", threshold=0.5) | {"against": ["set.jsonl"]}]
    assert_frame_equal(rethreshold(Stored(rows, [], calls), [0.9]), pl.DataFrame(schema=RETHRESHOLDED))


@pytest.mark.parametrize("threshold", [0, -1, 1.01, float("nan")])
def test_a_threshold_that_is_none_is_an_error(threshold):
    rows, _ = drawn(1)
    with pytest.raises(PipelineError, match="cannot be a threshold"):
        rethreshold(Stored(rows, [], []), [threshold])
