"""Instances of a task are compared with one another, as Self-Instruct does before it trains."""

from __future__ import annotations

import itertools
import random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import curate
from curate.measure.instances import instances

PIPELINE = """
name = "p"
[[source]]
use = "self_instruct"
name = "s"
path = "{path}"
[source.filters]
conflicting_outputs = {{}}
too_many_instances = {{}}
[[select.quota]]
from = "s"
"""


def frame(rows):
    """Rows of (key, context, response) with draws in their order."""
    return pl.DataFrame(
        [(f"{number}", number, *row) for number, row in enumerate(rows)],
        schema={"id": pl.String, "draw": pl.UInt64, "key": pl.String, "context": pl.String, "response": pl.String},
        orient="row",
    )


def test_one_input_with_two_outputs_is_a_conflict_of_its_whole_task():
    rows = [("task", "1", "odd"), ("task", "1", "even"), ("task", "2", "even"), ("other", "1", "odd")]
    assert instances(frame(rows))["conflicts"].to_list() == [1, 1, 1, 0]


def test_no_input_is_no_conflict():
    rows = [("a poem", None, "Roses"), ("a poem", None, "Violets")]
    assert instances(frame(rows))["conflicts"].to_list() == [0, 0]


def test_no_output_conflicts_with_none():
    rows = [("task", "1", "odd"), ("task", "1", None), ("task", "1", None)]
    assert instances(frame(rows))["conflicts"].to_list() == [0, 0, 0]


def test_equal_instances_share_a_place_and_conflict_with_nobody():
    rows = [("task", "1", "odd"), ("task", "2", "even"), ("task", "1", "odd"), ("task", "3", "odd")]
    made = instances(frame(rows))
    assert made["place"].to_list() == [1, 2, 1, 3]
    assert set(made["conflicts"]) == {0}


texts = st.sampled_from(["a", "b", "c"])


@given(st.lists(st.tuples(texts, st.none() | texts, texts)))
def test_conflicts_and_places_are_what_plain_loops_find(rows):
    made = instances(frame(rows))
    for row, (key, _, _) in enumerate(rows):
        mine = [other for other in rows if other[0] == key]
        inputs = {context for _, context, _ in mine if context is not None}
        disputed = [i for i in inputs if len({response for _, context, response in mine if context == i}) > 1]
        assert made["conflicts"][row] == len(disputed)
        assert made["place"][row] == 1 + list(dict.fromkeys(mine)).index(rows[row])


@pytest.fixture
def run(tmp_path, write_jsonl):
    def run(rows, runs="runs"):
        write_jsonl("tasks.jsonl", rows)
        file = tmp_path / "p.toml"
        file.write_text(PIPELINE.format(path="tasks.jsonl"))
        return curate.run(file, runs=tmp_path / runs)

    return run


def task(instruction, given, output):
    return {"instruction": instruction, "input": given, "output": output}


ROWS = [
    *(task("Count the letters.", "x" * n, f"{n}") for n in range(1, 9)),
    task("Is it odd?", "1", "yes"),
    task("Is it odd?", "1", "no"),
    task("Is it odd?", "2", "no"),
    task("Write a poem.", "", "Roses."),
    task("Write a poem.", "", "Violets."),
]


def test_a_run_keeps_five_instances_and_no_conflicting_task(run):
    made = run(ROWS)
    kept = made.split()
    assert sorted(kept["prompt"].value_counts().iter_rows()) == [("Count the letters.", 5), ("Write a poem.", 2)]
    details = made.ledger.collect().filter(pl.col("state") == "rejected")["detail"].value_counts()
    assert dict(details.iter_rows()) == {"too_many_instances": 3, "conflicting_outputs": 3}


def test_the_order_of_rows_decides_nothing(run):
    rows = list(ROWS)
    random.Random(1).shuffle(rows)
    first, second = run(ROWS, "a"), run(rows, "b")
    assert first.split()["id"].sort().equals(second.split()["id"].sort())


def test_another_row_of_a_task_measures_the_source_again(run):
    run(ROWS)
    made = run([*ROWS, task("Count the letters.", "x", "two")])
    assert set(made.split()["prompt"]) == {"Write a poem."}
    unchanged = run([*ROWS, task("Count the letters.", "x", "two")])
    assert unchanged.manifest["parts"]["instances_prompt"] == {"made": 0, "found": 1}


def test_tasks_are_compared_over_all_parts_and_inputs_of_a_source(tmp_path, write_jsonl):
    for number, row in enumerate(itertools.chain(ROWS)):
        write_jsonl(f"tasks-{number}.jsonl", [row])
    file = tmp_path / "p.toml"
    file.write_text(PIPELINE.format(path="tasks-*.jsonl"))
    kept = curate.run(file, runs=tmp_path / "runs").split()
    assert sorted(kept["prompt"].value_counts().iter_rows()) == [("Count the letters.", 5), ("Write a poem.", 2)]
