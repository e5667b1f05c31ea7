"""Deduplication stops, with the evidence, before it eats a source."""

from __future__ import annotations

import json

import pytest

import curate
from curate.errors import PipelineError

TEMPLATE = (
    "You are a helpful assistant that writes short and friendly product texts for the shop of our town. Item: "
)


def pipeline(folder, rows, dedup, guard=""):
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = f"""
name = "g"
{guard}
[[source]]
use = "jsonl"
path = "rows.jsonl"
license = "CC0-1.0"

[[dedup]]
{dedup}
"""
    (folder / "g.toml").write_text(text)
    return folder / "g.toml"


def template_rows(count):
    return [{"prompt": f"{TEMPLATE}{name}", "response": f"answer {name}"} for name in range(count)]


def test_a_group_that_is_too_large_stops_the_run_and_is_shown(tmp_path):
    file = pipeline(tmp_path, template_rows(1200), 'use = "minhash"\non = "prompt"\nthreshold = 0.7')
    with pytest.raises(PipelineError) as error:
        curate.run(file, runs=tmp_path / "runs")
    assert "1,199 records would go as duplicates of one" in error.value.what
    assert "You are a helpful assistant" in error.value.what
    assert "by minhash on prompt" in error.value.what
    assert "strip_templates" in error.value.next


def test_a_source_that_loses_too_much_stops_the_run(tmp_path):
    rows = [{"prompt": f"question {n // 3}", "response": f"r {n}"} for n in range(1800)]
    file = pipeline(tmp_path, rows, 'use = "exact"\non = "prompt"')
    with pytest.raises(PipelineError, match="1,200 of 1,800 records of 'jsonl' would go as duplicates") as error:
        curate.run(file, runs=tmp_path / "runs")
    assert "source_share" in error.value.where


def test_who_says_that_they_are_copies_gets_his_way(tmp_path):
    guard = "[guard]\nsource_share = 1.0\ngroup_size = 2000"
    file = pipeline(tmp_path, template_rows(1200), 'use = "minhash"\non = "prompt"\nthreshold = 0.7', guard)
    run = curate.run(file, runs=tmp_path / "runs")
    assert run.table("duplicates").collect().height == 1199


def test_stripped_of_their_template_rows_are_no_duplicates_and_the_record_stays_whole(tmp_path):
    dedup = 'use = "minhash"\non = "prompt"\nthreshold = 0.7\nstrip_templates = 100'
    run = curate.run(pipeline(tmp_path, template_rows(1200), dedup), runs=tmp_path / "runs")
    assert run.table("duplicates").collect().height == 0
    assert all(prompt.startswith(TEMPLATE) for prompt in run.table("records").collect()["prompt"])
    assert "left out of 1,200 texts" in run.table("passes").collect()["note"].item()


def test_the_group_shown_is_one_of_the_source_that_loses(tmp_path):
    copies = [{"prompt": f"question {n // 3}", "response": f"r {n}"} for n in range(1800)]
    greetings = [{"prompt": "the same greeting", "response": f"g {n}"} for n in range(50)]
    (tmp_path / "more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in greetings))
    file = pipeline(tmp_path, copies, 'use = "exact"\non = "prompt"')
    second = '[[source]]\nuse = "jsonl"\nname = "more"\npath = "more.jsonl"\nlicense = "CC0-1.0"\n[[dedup]]'
    file.write_text(file.read_text().replace("[[dedup]]", second))
    with pytest.raises(PipelineError, match="1,200 of 1,800") as error:
        curate.run(file, runs=tmp_path / "runs")
    assert "question" in error.value.what
    assert "greeting" not in error.value.what


def test_with_another_guard_nothing_is_looked_for_again(tmp_path, monkeypatch):
    rows, dedup = template_rows(1200), 'use = "minhash"\non = "prompt"\nthreshold = 0.7'
    with pytest.raises(PipelineError):
        curate.run(pipeline(tmp_path, rows, dedup), runs=tmp_path / "runs")
    monkeypatch.setattr("curate.deduplicating.decide", None)
    guard = "[guard]\nsource_share = 1.0\ngroup_size = 2000"
    assert curate.run(pipeline(tmp_path, rows, dedup, guard), runs=tmp_path / "runs").name == "g"


@pytest.mark.parametrize("guard", ["[guard]\nsource_share = 0", "[guard]\ngroup_size = 0", "[guard]\nshare = 1.0"])
def test_a_guard_that_cannot_be_is_refused(tmp_path, guard):
    with pytest.raises(PipelineError, match=r"key guard\."):
        curate.run(pipeline(tmp_path, template_rows(2), 'use = "exact"', guard), runs=tmp_path / "runs")
