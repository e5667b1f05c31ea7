"""What is trained on: a run's splits in exported order, or every answered row of a file."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import curate
from curate.cli import cli
from curate.errors import CurateError, PipelineError, ReproducibilityError, SourceError
from curate.train.sets import read_set

DEMO = next(
    folder / "examples/demo.toml" for folder in Path(__file__).parents if (folder / "examples/demo.toml").exists()
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return curate.run(DEMO, runs=tmp_path_factory.mktemp("runs"))


def test_a_run_gives_its_splits_in_the_order_of_the_exported_files(demo):
    read = read_set(demo.path)
    for split in ("train", "dev", "test"):
        beside = (demo.path / f"{split}.ids.jsonl").read_text("utf-8").splitlines()
        assert read.splits[split]["id"].to_list() == [json.loads(line)["id"] for line in beside]
    assert read.name == "demo"
    assert read.facts["licences"]["train"] == {"CC-BY-SA-3.0": 11, "CC-BY-SA-4.0": 5, "CC0-1.0": 24}


def test_a_file_gives_every_answered_row_and_a_dev_file_its_prompts_too(tmp_path, write_jsonl):
    asked = [{"prompt": f"What is {n}?", "response": f"A number, {n}."} for n in range(5)]
    train = write_jsonl("train.jsonl", asked)
    dev = write_jsonl(
        "dev.jsonl", [{"prompt": "What is 7?", "response": "A prime."}, {"prompt": "And 9?", "response": None}]
    )
    read = read_set(train, dev=dev, runs=tmp_path / "runs")
    assert sorted(read.splits["train"]["prompt"]) == [row["prompt"] for row in asked]
    assert read.splits["dev"]["prompt"].to_list() == ["What is 7?", "And 9?"]
    assert read.splits["dev"]["response"].to_list() == ["A prime.", None]
    assert read.facts["unread"] == {}


def test_rows_of_a_file_that_cannot_be_read_are_counted_by_reason(tmp_path, write_jsonl):
    good = {"prompt": "What is 7?", "response": "A prime."}
    file = write_jsonl("rows.jsonl", [good, {"prompt": "And 9?"}, 7])
    read = read_set(file, dev=file, runs=tmp_path / "runs")
    assert read.splits["train"].height == 1
    assert sum(read.facts["unread"].values()) == 2
    assert all(said.startswith("rows.jsonl: ") for said in read.facts["unread"])


def test_the_digest_tells_content_and_order_apart_and_nothing_else(tmp_path, write_jsonl):
    rows = [{"prompt": f"What is {n}?", "response": f"A number, {n}."} for n in range(3)]
    one = write_jsonl("one.jsonl", rows)
    same = write_jsonl("same/one.jsonl", rows)
    rows[1]["response"] += "!"
    other = write_jsonl("other/one.jsonl", rows)
    read = [read_set(file, runs=tmp_path / "runs") for file in (one, same, other)]
    assert read[0].digest == read[1].digest != read[2].digest
    turned = read[0].splits | {"train": read[0].splits["train"].reverse()}
    assert type(read[0])("one", one, turned).digest != read[0].digest


def test_a_set_of_prompts_alone_is_told_to_be_nothing_to_train_on(tmp_path, write_jsonl):
    prompts = write_jsonl("prompts.jsonl", [{"prompt": "Why?"}, {"prompt": "How?"}])
    with pytest.raises(CurateError, match="the train split is empty"):
        read_set(prompts, runs=tmp_path / "runs")


def test_a_run_that_is_not_what_its_manifest_says_is_refused(demo, tmp_path):
    copied = shutil.copytree(demo.path, tmp_path / "demo")
    part = next((copied / "stages").glob("records-*/part-*.parquet"))
    part.write_bytes(part.read_bytes() + b" ")
    with pytest.raises(ReproducibilityError, match="has changed"):
        read_set(copied)


def test_what_is_no_set_gets_an_error_that_says_so(tmp_path):
    with pytest.raises(ReproducibilityError, match="no such run folder"):
        read_set(tmp_path / "runs")
    (tmp_path / "text.jsonl").write_text("no JSON\n", "utf-8")
    with pytest.raises(SourceError):
        read_set(tmp_path / "text.jsonl", runs=tmp_path / "runs")


def test_a_run_needs_no_source(demo):
    with pytest.raises(PipelineError, match="needs no source"):
        read_set(demo.path, source="jsonl")


def test_a_runs_dev_split_may_come_from_a_file_of_another_form(demo, tmp_path):
    tasks = [{"instruction": "Name a tree.", "input": "", "output": "A rowan."}]
    dev = tmp_path / "dev.json"
    dev.write_text(json.dumps(tasks), "utf-8")
    read = read_set(demo.path, dev=dev, source="self_instruct", runs=tmp_path / "runs")
    assert read.splits["dev"]["response"].to_list() == ["A rowan."]
    assert read.splits["train"].height == 40


def test_the_pipelines_table_comes_with_the_run(tmp_path, write_jsonl):
    write_jsonl("rows.jsonl", [{"prompt": "What is 1?", "response": "One."}])
    pipeline = tmp_path / "small.toml"
    pipeline.write_text(
        'name = "small"\n[[source]]\nuse = "jsonl"\npath = "rows.jsonl"\nlicense = "CC0-1.0"\n'
        '[train]\nrecipe = "lima"\nepochs = 7\n',
        "utf-8",
    )
    assert "to be trained on by lima(epochs = 7)" in CliRunner().invoke(cli, ["plan", str(pipeline)]).output
    run = curate.run(pipeline, runs=tmp_path / "runs")
    assert read_set(run.path).facts["train"] == {"recipe": "lima", "epochs": 7}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("recipe = 'limo'", "no recipe is called 'limo'"),
        ("epoch = 3", "there is no key 'epoch' here"),
        ("epochs = 'many'", "'epochs' is 'many': input should be a valid integer"),
        ("recipe = 'lima'\nepochs = 2", "keep_epochs begins after epoch 2"),
    ],
)
def test_a_mistake_in_the_pipelines_table_stops_with_its_line(tmp_path, table, said):
    pipeline = tmp_path / "small.toml"
    pipeline.write_text(
        f'name = "small"\n[[source]]\nuse = "jsonl"\npath = "rows.jsonl"\n[train]\n{table}\n', "utf-8"
    )
    shown = CliRunner().invoke(cli, ["plan", str(pipeline)])
    assert isinstance(shown.exception, PipelineError)
    assert said in shown.exception.what
    assert "line " in shown.exception.where
