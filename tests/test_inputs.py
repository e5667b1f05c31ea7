"""Inputs: what they are called before people."""

from __future__ import annotations

import json

import pytest

import curate
from curate.plan import plan

ROW = {"prompt": "one?", "response": "first"}
PIPELINE = """name = "p"
[[source]]
use = "jsonl"
path = "{path}"
[[select.quota]]
from = "jsonl"
take = 1
"""


@pytest.fixture
def planned(tmp_path, write_jsonl):
    def of(pattern, *files):
        for number, file in enumerate(files):
            write_jsonl(file, [ROW | {"id": str(number)}])
        (tmp_path / "p.toml").write_text(PIPELINE.format(path=pattern), "utf-8")
        return [each.input for each in plan(tmp_path / "p.toml", runs=tmp_path / "runs").inputs]

    return of


@pytest.mark.parametrize(
    ("pattern", "files", "shown"),
    [
        ("a/*.jsonl", ["a/x.jsonl", "a/y.jsonl"], ["x.jsonl", "y.jsonl"]),
        ("*/x.jsonl", ["a/x.jsonl", "b/x.jsonl"], ["a/x.jsonl", "b/x.jsonl"]),
        ("*/*/x.jsonl", ["a/c/x.jsonl", "b/c/x.jsonl"], ["a/c/x.jsonl", "b/c/x.jsonl"]),
        ("*/*.jsonl", ["a/x.jsonl", "b/x.jsonl", "b/y.jsonl"], ["a/x.jsonl", "b/x.jsonl", "y.jsonl"]),
    ],
)
def test_inputs_of_one_name_are_shown_with_as_much_of_the_path_as_tells_them_apart(planned, pattern, files, shown):
    assert [input.shown for input in planned(pattern, *files)] == shown


def test_the_name_that_is_in_the_key_knows_nothing_of_the_others(planned):
    assert [input.name for input in planned("*/x.jsonl", "a/x.jsonl", "b/x.jsonl")] == ["x.jsonl", "x.jsonl"]


def test_a_report_tells_inputs_of_one_name_apart(planned, tmp_path):
    planned("*/x.jsonl", "a/x.jsonl", "b/x.jsonl")
    run = curate.run(tmp_path / "p.toml", runs=tmp_path / "runs")
    report = json.loads((run.path / "report.json").read_text("utf-8"))
    assert [each["input"] for each in report["intake"]["inputs"]] == ["a/x.jsonl", "b/x.jsonl"]
    assert [each["input"] for each in report["made_by"]["inputs"]] == ["a/x.jsonl", "b/x.jsonl"]
