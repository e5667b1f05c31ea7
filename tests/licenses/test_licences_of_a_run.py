"""A declared use, from the pipeline to the ledger, the report and the attribution."""

from __future__ import annotations

import json
from functools import cache

import pytest

import curate
from curate.resolve import read_pipeline

ROWS = [
    {"id": "free", "prompt": "Why does dough rest?", "response": "It relaxes.", "license": "CC-BY-SA-4.0"},
    {"id": "early", "prompt": "How long?", "response": "An hour.", "license": "CC-BY-SA-2.5"},
    {"id": "bound", "prompt": "How warm?", "response": "As a hand.", "license": "CC-BY-NC-SA-3.0"},
    {"id": "silent", "prompt": "Which flour?", "response": "Rye.", "license": ""},
]
PIPELINE = """
name = "bread"
{licence}
[[source]]
use = "jsonl"
path = "bread.jsonl"
license = ""
[[select.quota]]
from = "jsonl"
"""


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """Run the pipeline under `[licence]` once: the run, and the end of each record by its id."""
    folder = tmp_path_factory.mktemp("bread")
    (folder / "bread.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS), "utf-8")

    @cache
    def run(licence):
        (folder / "bread.toml").write_text(PIPELINE.format(licence=licence))
        run = curate.run(folder / "bread.toml", runs=folder / "runs" / str(len(licence)))
        found = {row["id"].removeprefix("jsonl:"): row for row in run.ledger.collect().to_dicts()}
        return run, {id: row["detail"] for id, row in found.items()}

    return run


def test_without_a_policy_nothing_is_rejected_and_the_report_says_what_each_would_cost(ends):
    run, found = ends("")
    assert set(found.values()) == {"train"}
    licensing = json.loads((run.path / "report.json").read_text("utf-8"))["licensing"]
    assert licensing["policy"] == "any"
    assert [row["lost"] for row in licensing["policies"]] == [0, 2, 2, 3]


def test_a_policy_rejects_by_its_own_reason(ends):
    run, found = ends('[licence]\npolicy = "commercial"')
    assert (found["free"], found["early"]) == ("train", "train")
    assert (found["bound"], found["silent"]) == ("license_forbids", "license_forbids:unknown")
    lines = (run.path / "ATTRIBUTION.jsonl").read_text("utf-8").split("\n")[:-1]
    assert {json.loads(line)["id"] for line in lines} == {"jsonl:free", "jsonl:early"}


@pytest.mark.parametrize(
    ("licence", "rule"),
    [
        ("", None),
        ('[licence]\npolicy = "any"', None),
        ('[licence]\npolicy = "commercial"\nunknown = "keep"', ("commercial use", "keep")),
        (
            '[licence]\npolicy = "share_alike_safe"\ntarget = "CC-BY-NC-SA-4.0"',
            ("CC-BY-NC-SA-4.0", "reject"),
        ),
    ],
)
def test_a_policy_is_a_rule_of_every_source(tmp_path, licence, rule):
    (tmp_path / "bread.toml").write_text(PIPELINE.format(licence=licence))
    (source,) = read_pipeline(tmp_path / "bread.toml").sources
    found = [(each.verdict.limit[0], each.unknown) for each in source.rules if each.use == "license_forbids"]
    assert found == ([] if rule is None else [rule])


def test_both_files_of_attribution_are_in_the_manifest_and_a_change_to_them_is_found(ends):
    run, _ = ends("")
    assert run.verify() == []
    page = run.path / "ATTRIBUTION.html"
    before = page.read_text("utf-8")
    page.write_text(before.replace("CC BY-SA 4.0", "CC0"), "utf-8")
    assert any("ATTRIBUTION.html" in str(fault) for fault in run.verify())
    page.write_text(before, "utf-8")
