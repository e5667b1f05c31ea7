"""Why one record was preferred to another is told by the criterion that decided, and no twin goes unnamed."""

from __future__ import annotations

import polars as pl
import pytest

from curate.record import records
from curate.tables import CONTAMINATION, DUPLICATES, PAIRS
from curate.twins import twins


def told(rows, pairs, *, keep=(), duplicates=(("b", "a"),), met=(), calls=(), id="b"):
    """The steps for a record of a run in which these rows are pairs, and of these the first of two was dropped."""
    by_pair = {(pair[0], pair[1]): pair for pair in pairs}
    went = [(gone, kept, *by_pair[min(gone, kept), max(gone, kept)][2:]) for gone, kept in duplicates]
    tables = {
        "records": records([{"source": "one", "prompt": "p"} | row for row in rows]),
        "pairs": pl.DataFrame(pairs, schema=PAIRS, orient="row"),
        "duplicates": pl.DataFrame(went, schema=DUPLICATES, orient="row"),
        "contamination": pl.DataFrame(met, schema=CONTAMINATION, orient="row"),
    }
    pipeline = {"sources": [{"name": "one"}, {"name": "two"}], "keep": list(keep), "dedup": list(calls)}
    return twins(lambda name: tables[name].lazy(), {"tables": tables, "pipeline": pipeline}, id)


PAIR = ("a", "b", 0.875, "minhash", "response")
A, B = {"id": "a"}, {"id": "b"}


@pytest.mark.parametrize(
    ("keep", "a", "b", "reason"),
    [
        (["best_score"], {"score": 12.0}, {"score": 3.0}, "for its score: 12 against 3 (best_score)"),
        (["best_score"], {"score": 2.5}, {"score": None}, "for its score: 2.5 against none (best_score)"),
        (["best_score"], {"score": -1.0}, {"score": float("nan")}, "for its score: -1 against none (best_score)"),
        # Scores of two sources are not compared.
        (
            ["best_score"],
            {"score": 1.0},
            {"score": 9.0, "source": "two"},
            "whose source comes first: one against two (source_order)",
        ),
        (
            ["longest", "best_score"],
            {"response": "x" * 1200, "score": 1.0},
            {"response": "x" * 9, "score": 9.0},
            "for the characters of its response: 1,200 against 9 (longest)",
        ),
        (
            ["freest_license"],
            {"license": "CC0-1.0"},
            {"license": None},
            "for its licence: CC0-1.0 against none (freest_license)",
        ),
        (
            ["native_order"],
            {"position": 3},
            {"position": 20},
            "for its place in the source: 3 against 20 (native_order)",
        ),
        (["longest", "best_score"], {}, {}, "for its id: in all that `keep` names they are equal"),
        ([], {"score": 1.0}, {"score": 9.0}, "for its id: in all that `keep` names they are equal"),
    ],
)
def test_the_criterion_that_decided_is_named_with_both_values(keep, a, b, reason):
    assert told([A | a, B | b], [PAIR], keep=keep) == [
        ("duplicate", "of a: 0.875 by minhash on response"),
        ("preferred", f"the other, {reason}"),
    ]


def test_other_kept_records_that_it_is_like_are_named_the_most_similar_first():
    others = [
        ("b", id, similarity, "minhash", "response")
        for id, similarity in zip("cdefg", (0.8, 0.99, 0.9, 0.81, 0.82), strict=True)
    ]
    steps = dict(told([{"id": id} for id in "abcdefg"], [PAIR, *others]))
    how = "by minhash on response"
    assert steps["also like"] == f"d: 0.990 {how}; e: 0.900 {how}; g: 0.820 {how}; and 2 more"


@pytest.mark.parametrize(
    ("similarity", "context", "said"),
    [
        (1.0, None, "another answer to the same prompt was preferred, a: 1.000 by exact on prompt"),
        (1.0, "", "another answer to the same prompt was preferred, a: 1.000 by exact on prompt"),
        (0.9, None, "another answer to much the same prompt was preferred, a: 0.900 by exact on prompt"),
        (1.0, "another", "of a: 1.000 by exact on prompt, though what follows the prompt differs"),
    ],
)
def test_answers_to_one_prompt_are_a_choice_unless_what_follows_it_differs(similarity, context, said):
    pair = ("a", "b", similarity, "exact", "prompt")
    assert told([A, B | {"context": context}], [pair])[0] == ("duplicate", said)


def test_a_kept_record_names_the_least_similar_that_went_for_it():
    rows = [{"id": id} for id in "abc"]
    pairs = [PAIR, ("a", "c", 0.8, "minhash", "response")]
    both = [("b", "a"), ("c", "a")]
    assert told(rows, pairs, duplicates=both, id="a") == [
        ("preferred", "to 2 records, the least similar c: 0.800 by minhash on response")
    ]
    assert told(rows, pairs, id="a") == [("preferred", "to b: 0.875 by minhash on response")]
    assert told(rows, pairs, id="c") == []


def test_a_reference_is_named_with_the_words_that_are_shared():
    met = [("b", "set.jsonl", 79, 0.5, "ngram", "prompt", "Tell me: why is the sky so blue today?")]
    row = B | {"prompt": "Please say: Why is the sky, so blue?"}
    calls = [{"use": "ngram", "on": "prompt", "n": 5, "against": ["set.jsonl"]}]
    assert told([A, row], [], duplicates=[], met=met, calls=calls) == [
        ("reference", "set.jsonl:79: 0.500 by ngram on prompt"),
        ("", "“Tell me: why is the sky so blue today?”"),
        ("", "they share “Why is the sky, so blue”"),
    ]
