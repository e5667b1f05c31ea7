"""The published rules decide the same in plain Python, written from their description, and as filters.

The instructions are those of a whole run of Self-Instruct and of Alpaca's data. Since these have been through the
rules, outputs and inputs are taken for instructions too.
"""

from __future__ import annotations

import json
import re
import string

import polars as pl
import pytest

import curate
from curate import registry
from curate.record import records
from curate.testing import evaluate

pytestmark = pytest.mark.real

WORDS = [
    "image",
    "images",
    "graph",
    "graphs",
    "picture",
    "pictures",
    "file",
    "files",
    "map",
    "maps",
    "draw",
    "plot",
]
WORDS += ["go to"]
ALPACAS_WORDS = [*WORDS, "video", "audio", "music", "flowchart", "diagram"]


def hits(name, frame, **parameters):
    """The places of the records that a filter rejects."""
    found = evaluate(registry.get("filters", name), frame, **parameters)
    return set(found.filter(pl.col("rejected") == "yes")["id"])


def rows_of(file):
    raw = file.read_text("utf-8")
    return json.loads(raw) if raw.startswith("[") else [json.loads(line) for line in raw.splitlines()]


@pytest.fixture(scope="module")
def alpaca(real_data):
    return rows_of(real_data / "self_instruct/alpaca_data.json")


@pytest.fixture(scope="module")
def prompts(real_data, alpaca):
    """Texts that may be taken for instructions."""
    run = real_data / "self_instruct/run_leadawon/machine_generated_instructions.jsonl"
    texts = [row["instruction"] for row in [*rows_of(run), *alpaca]]
    assert len(texts) == 101 + 52_002
    # Outputs and inputs are no instructions, which is why the rules find something in them.
    texts += [row[key] for row in alpaca[::5] for key in ("output", "input")]
    return [text for text in texts if text]


def has_word(text, words):
    return any(re.search(rf"\b{word}\b", text, re.IGNORECASE) for word in words)


RULES = {
    "too_few_words": ({}, lambda text: len(text.split()) <= 3),
    "too_many_words": ({}, lambda text: len(text.split()) > 150),
    "beyond_text": ({}, lambda text: has_word(text, ALPACAS_WORDS)),
    "beyond_text of Self-Instruct": ({"published": "self_instruct"}, lambda text: has_word(text, WORDS)),
    "starts_with": ({}, lambda text: text.startswith("Write a program")),
    "odd_start, marks": ({"kinds": ("punctuation",)}, lambda text: text[0] in string.punctuation),
    "odd_start, ASCII": ({"kinds": ("non_ascii",)}, lambda text: not text[0].isascii()),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_on_instructions_decides_as_published(rule, prompts):
    parameters, drops = RULES[rule]
    frame = records({"id": str(place), "prompt": text} for place, text in enumerate(prompts))
    found = hits(re.match(r"\w+", rule)[0], frame, **parameters)
    assert found == {str(place) for place, text in enumerate(prompts) if drops(text)}
    assert found or rule == "starts_with"


def test_the_published_52k_pass_all_rules_by_which_they_were_made(alpaca):
    frame = records({"id": str(place), "prompt": row["instruction"]} for place, row in enumerate(alpaca))
    for rule in ("too_few_words", "too_many_words", "beyond_text", "starts_with", "odd_start"):
        assert hits(rule, frame) == set(), rule


def test_rules_on_instances_decide_as_published(real_data, alpaca):
    run = real_data / "self_instruct/run_leadawon/all_generated_instances.jsonl"
    rows = [*rows_of(run), *alpaca]
    frame = records(
        {"id": str(place), "prompt": row["instruction"], "context": row["input"], "response": row["output"]}
        for place, row in enumerate(rows)
    )
    drops = {
        "echoes_input": [row["input"].strip() == row["output"].strip() for row in rows],
        "ends_with_colon": [row["output"].strip().endswith(":") for row in rows],
        "input_ends_with_colon": [row["input"].strip().endswith(":") for row in rows],
    }
    said = {name: {str(place) for place, drop in enumerate(dropped) if drop} for name, dropped in drops.items()}
    assert hits("echoes_input", frame) == said["echoes_input"]
    assert hits("ends_with_colon", frame) == said["ends_with_colon"]
    assert hits("ends_with_colon", frame, of="context") == said["input_ends_with_colon"]
    assert [len(found) for found in said.values()] == [67, 12, 33]


def test_alpacas_defects_are_found_where_the_published_detectors_find_them(alpaca):
    frame = records(
        {"id": str(place), "prompt": row["instruction"], "context": row["input"], "response": row["output"]}
        for place, row in enumerate(alpaca)
    )
    merged = re.compile(r"\d{1,2}\.\sInstruction:", re.IGNORECASE)
    image = re.compile(r"!\[.*\]\(http|img[ ]?src=|image:")
    expected = {
        "merged_instructions": {str(place) for place, row in enumerate(alpaca) if merged.search(row["output"])},
        "unseen_image": {
            str(place) for place, row in enumerate(alpaca) if any(image.search(text) for text in row.values())
        },
    }
    for rule, found in expected.items():
        assert hits(rule, frame, kinds=("published",)) == found
        assert found
    # By default more is found, and nothing is missed that is a task.
    assert expected["merged_instructions"] <= hits("merged_instructions", frame)


def test_inputs_that_say_there_is_none_are_mended_and_counted(real_data, alpaca, tmp_path):
    published = re.compile(r"[\[\(\<]?no[ ]?input[\]\)\>\.]?", re.IGNORECASE)
    (tmp_path / "p.toml").write_text(
        f'name = "p"\n[[source]]\nuse = "self_instruct"\nname = "alpaca"\n'
        f'path = "{real_data}/self_instruct/alpaca_data.json"\n'
        '[[select.quota]]\nfrom = "alpaca"\ntake = 0\n'
    )
    run = curate.run(tmp_path / "p.toml", runs=tmp_path / "runs")
    (mended,) = run.manifest["facts"]["inputs"][0]["mended"].values()
    spelled = run.records.filter(pl.col("extra").str.contains('"no_input"')).select("id").collect().height
    assert mended == spelled >= sum(bool(published.fullmatch(row["input"])) for row in alpaca)
