"""Duplicates by the source's own word."""

from __future__ import annotations

import json

import polars as pl
import pytest

import curate
from curate.dedup.declared import declared
from curate.dedup.stars import Pass, decide, ranked, with_text
from curate.errors import PipelineError
from curate.record import records

PASSES = [Pass(declared, "declared", "links", {})]


def kept_for(links, scores=None, rejected=()):
    """Which record each is dropped for, of records that declare others their originals."""
    made = records(
        {
            "id": id,
            "prompt": id,
            "response": "r",
            "score": (scores or {}).get(id, 0.0),
            "extra": {"duplicate_of": of, "title": "t"} if of else None,
        }
        for id, of in links.items()
        if id not in rejected
    )
    first = made.lazy().with_columns(pl.lit(0, pl.UInt32).alias("source_rank"))
    rows = ranked(first, [""]).collect()
    _, duplicates, _ = decide(rows, PASSES, ["best_score"], read=lambda on: [with_text(first, on).collect()])
    return dict(duplicates.select("id", "kept_id").iter_rows())


def test_a_declared_duplicate_goes_in_favour_of_the_better_whichever_points_at_which():
    links = {"se:a/1": [], "se:a/2": ["se:a/1"]}
    assert kept_for(links) == {"se:a/2": "se:a/1"}
    assert kept_for(links, {"se:a/2": 5.0}) == {"se:a/1": "se:a/2"}


def test_a_duplicate_stays_where_its_twin_was_rejected_or_is_not_in_the_dump():
    links = {"se:a/1": [], "se:a/2": ["se:a/1"], "se:a/3": ["se:a/99"]}
    assert kept_for(links, rejected=["se:a/1"]) == {}


def test_duplicates_of_a_duplicate_are_compared_with_what_is_kept():
    links = {"se:a/1": [], "se:a/2": ["se:a/1"], "se:a/3": ["se:a/2"]}
    # 3 is declared a duplicate of 2 alone, and 2 is gone.
    assert kept_for(links) == {"se:a/2": "se:a/1"}


def test_a_record_declared_its_own_duplicate_stays():
    assert kept_for({"se:a/1": ["se:a/1"]}) == {}


@pytest.mark.parametrize(
    ("declared_as", "kept"), [("se:a/1", {"se:a/2": "se:a/1"}), (7, {}), ([7, None], {}), ({"a": 1}, {})]
)
def test_one_id_will_do_and_what_is_no_id_names_nobody(declared_as, kept):
    assert kept_for({"se:a/1": [], "se:a/2": declared_as}) == kept


def test_the_method_has_no_choice_of_text(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"prompt": "p", "response": "r"}) + "\n")
    file = tmp_path / "p.toml"
    head = 'name = "p"\n[[source]]\nuse = "jsonl"\npath = "a.jsonl"\n[[dedup]]\nuse = "declared"\n'
    file.write_text(head + 'on = "prompt"\n')
    with pytest.raises(PipelineError, match="nothing but 'links'"):
        curate.run(file, runs=tmp_path / "runs")
    file.write_text(head)
    assert curate.run(file, runs=tmp_path / "runs").split("train").height == 1
