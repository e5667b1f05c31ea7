"""Licences and authors of real sources, from the dump to the page."""

from __future__ import annotations

import json
from collections import Counter

import pytest

import curate
from curate.licenses.card import card_license

pytestmark = pytest.mark.real

PIPELINE = """
name = "licences"

[[source]]
use = "stackexchange"
name = "se"
path = "{data}/stackexchange/*.stackexchange.com*"

[[source]]
use = "wikihow"
path = "{data}/wikihow/titles_and_steps.csv"

[[source]]
use = "reddit"
path = "{data}/reddit/top2013_shortstories.csv"
response = "body"

[[source]]
use = "self_instruct"
name = "alpaca"
path = "{data}/self_instruct/alpaca_data_cleaned_1000.json"
author = "text-davinci-003"

[filters]
removed = {{}}

{quotas}
"""
QUOTAS = "".join(
    f'[[select.quota]]\nfrom = "{name}"\ntake = 300\n' for name in ("se", "wikihow", "reddit", "alpaca")
)


@pytest.fixture
def run_of(real_data, tmp_path):
    def run(extra=""):
        file = tmp_path / "licences.toml"
        file.write_text(PIPELINE.format(data=real_data, quotas=QUOTAS) + extra)
        return curate.run(file, runs=tmp_path / "runs")

    return run


def test_every_kept_record_is_attributed_under_its_own_licences(run_of):
    run = run_of()
    rows = [json.loads(line) for line in (run.path / "ATTRIBUTION.jsonl").read_text("utf-8").split("\n")[:-1]]
    assert Counter(row["source"] for row in rows) == {"se": 300, "wikihow": 300, "reddit": 300, "alpaca": 300}
    assert len({row["id"] for row in rows}) == len(rows)
    of_se = [row for row in rows if row["source"] == "se"]
    assert all(len(row["works"]) == 2 for row in of_se)
    assert all(work["url"] and work["license_url"] and work["title"] for row in of_se for work in row["works"])
    assert {work["license"] for row in of_se for work in row["works"]} >= {"CC-BY-SA-3.0", "CC-BY-SA-4.0"}
    assert {work["author"] for row in rows if row["source"] == "wikihow" for work in row["works"]} == {"wikiHow"}
    page = (run.path / "ATTRIBUTION.html").read_bytes()
    assert 50_000 < len(page) < 1_000_000
    licensing = json.loads((run.path / "report.json").read_text("utf-8"))["licensing"]
    assert [row["license"] for row in licensing["strictest"]] == ["LicenseRef-Reddit"]
    assert len(licensing["conflicts"]) == 3  # BY-SA with BY-NC, BY-SA with BY-NC-SA, and Reddit
    costs = {(row["policy"], row["target"]): row["lost"] for row in licensing["policies"]}
    assert costs["commercial", None] == 900
    card = card_license({row["license"]: row["records"] for row in licensing["works"]})
    assert {"cc-by-nc-4.0", "cc-by-nc-sa-3.0", "cc-by-sa-4.0", "other"} <= set(card["license"])


def test_a_commercial_policy_keeps_what_the_report_said_it_would(run_of):
    run = run_of('\n[licence]\npolicy = "commercial"\n')
    kept = json.loads((run.path / "report.json").read_text("utf-8"))["licensing"]
    assert kept["policy"] == "commercial"
    assert {row["source"] for row in kept["by_source"] if row["kept"]} == {"se"}
    assert kept["policies"][1]["lost"] == 0
    reasons = run.ledger.collect().filter(state="rejected")["detail"]
    assert reasons.str.contains("license_forbids").sum() >= 2437 + 598 + 900
