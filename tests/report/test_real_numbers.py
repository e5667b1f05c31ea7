"""The numbers of Alpaca's 52,002 rows, whose contents others have described."""

import json
import time

import pytest

import curate
from curate.report.numbers import numbers
from curate.store import read_json, scan

pytestmark = pytest.mark.real

PIPELINE = """
name = "all"
[[source]]
use = "self_instruct"
name = "alpaca"
path = "{data}/self_instruct/alpaca_data.json"
[source.filters]
removed = {{}}
too_long = {{ max_chars = 4096 }}
[[select.quota]]
from = "alpaca"
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, real_data):
    folder = tmp_path_factory.mktemp("all")
    (folder / "all.toml").write_text(PIPELINE.format(data=real_data), encoding="utf-8")
    return curate.run(folder / "all.toml", runs=folder / "runs")


def told(run):
    return json.loads((run.path / "report.json").read_text("utf-8"))


def test_most_instructions_begin_with_a_verb_and_the_usual_ones_lead(run):
    verbs = told(run)["verbs"]
    assert verbs["share"] > 0.9
    assert {"generate", "create", "describe", "write"} <= {verb["verb"] for verb in verbs["verbs"][:6]}


def test_what_kept_rows_hold_is_found(run):
    hygiene = {row["name"]: row["records"] for row in told(run)["hygiene"]["rows"]}
    assert 5 <= hygiene["email_address"] <= 40
    assert 10 <= hygiene["refuses"] <= 80
    assert hygiene["card_number"] == 0


def test_lengths_in_tokens_are_those_of_short_answers(run):
    (train,) = told(run)["tokens"]["splits"]
    assert 60 <= train["median"] <= 80
    assert train["beyond"] == 0


def test_the_numbers_take_seconds_and_are_the_same_again(run):
    manifest = read_json(run.path / "manifest.json")
    stages = run.path / "stages"
    tables = {
        name: scan([stages / table["folder"] / part for part in table["parts"]], stages / table["folder"])
        for name, table in manifest["tables"].items()
    }
    begun = time.process_time()
    again = numbers(tables, manifest["facts"])
    assert time.process_time() - begun < 12
    assert json.loads(json.dumps(again))["verbs"] == told(run)["verbs"]
    assert json.loads(json.dumps(again))["examples"] == told(run)["examples"]
