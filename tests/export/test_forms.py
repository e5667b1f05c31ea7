"""Each form by itself: its keys, what it has no place for, and that nothing half written is left."""

import json

import polars as pl
import pytest

from curate import registry
from curate.errors import CurateError, ReproducibilityError
from curate.export import Written, exports
from curate.export.conversation import EXAMPLE
from curate.export.hugging_face import configurations, hugging_face
from curate.export.llama_factory import llama_factory
from curate.export.loading import room
from curate.export.openai import openai
from curate.export.prompt_completion import PAIR, prompt_completion
from curate.export.rows import count_back
from curate.export.sharegpt import SHARED, sharegpt
from curate.export.yaml_lines import yaml_text
from curate.record import records
from tests.export.conftest import DIALOGUE, GIVEN, PLAIN, QUESTION, TOOLS


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_completion_is_the_last_answer_and_all_before_it_the_prompt(tmp_path):
    file, beside = prompt_completion(records([DIALOGUE, GIVEN]), "train", tmp_path)
    dialogue, given = lines(file)
    assert [turn["role"] for turn in dialogue["prompt"]] == ["system", "user", "assistant", "user"]
    assert dialogue["completion"] == [{"role": "assistant", "content": "Tea."}]
    assert given["prompt"] == [{"role": "user", "content": "Which of these swims?\n\nA trout, a wren."}]
    assert lines(beside) == [{"id": "a:3"}, {"id": "a:2"}]


def test_in_sharegpt_human_and_gpt_take_turns_after_the_system(tmp_path):
    file, _ = sharegpt(records([DIALOGUE]), "train", tmp_path)
    (row,) = lines(file)
    assert list(row) == ["conversations"]
    assert [turn["from"] for turn in row["conversations"]] == ["system", "human", "gpt", "human", "gpt"]
    assert row["conversations"][-1] == {"from": "gpt", "value": "Tea."}


def test_every_row_has_the_same_keys_so_that_a_reader_sees_one_schema(tmp_path):
    for form in (prompt_completion, sharegpt, openai):
        file, _ = form(records([PLAIN, DIALOGUE, GIVEN]), "train", tmp_path / form.name)
        assert len({tuple(row) for row in lines(file)}) == 1


@pytest.mark.parametrize("form", ["prompt_completion", "sharegpt", "llama_factory", "axolotl", "openai", "alpaca"])
def test_a_prompt_without_a_response_is_left_out_of_dev_but_refused_in_train(tmp_path, form):
    exporter = registry.get("exports", form)
    assert "no_response" in exporter.lacks
    file, beside = exporter(records([PLAIN, QUESTION]), "dev", tmp_path)
    assert len(lines(file)) == 1
    assert lines(beside) == [{"id": "a:1"}]
    with pytest.raises(CurateError, match="1 of 2 records"):
        exporter(records([PLAIN, QUESTION]), "train", tmp_path)
    assert not (tmp_path / "train.jsonl").exists()
    assert exporter(records([QUESTION]), "test", tmp_path) == []


@pytest.mark.parametrize("form", [sharegpt, openai])
def test_what_tools_said_is_refused_where_it_has_no_name(tmp_path, form):
    assert "tools" in form.lacks
    if form is sharegpt:
        with pytest.raises(CurateError, match="a turn from 'tool'"):
            form(records([TOOLS]), "train", tmp_path)


def test_two_tools_in_a_row_are_what_llama_factory_would_skip(tmp_path):
    asked, tool, told = TOOLS["history"][:2], TOOLS["history"][2:3], TOOLS["history"][3:]
    for times in (2, 3):
        with pytest.raises(CurateError, match="two tools speak in a row"):
            llama_factory(records([{**TOOLS, "history": [*asked, *tool * times, *told]}]), "train", tmp_path)
    assert len(llama_factory(records([TOOLS]), "train", tmp_path)) == 2


@pytest.mark.parametrize(
    ("form", "check", "row", "said"),
    [
        (openai, EXAMPLE, {"messages": [], "id": 1}, "it has id"),
        (openai, EXAMPLE, {"messages": [{"role": "user", "content": "Hi"}]}, "nobody answers the user"),
        (openai, EXAMPLE, [], "no messages"),
        (sharegpt, SHARED, {"items": []}, "other keys than conversations"),
        (sharegpt, SHARED, {"conversations": {}}, "no list of turns"),
        (sharegpt, SHARED, {"conversations": [{"from": "human"}]}, "a turn without from and value"),
        (sharegpt, SHARED, {"conversations": [{"from": "gpt", "value": "Hi"}]}, "assistant speaks first"),
        (prompt_completion, PAIR, {"prompt": []}, "other keys than prompt and completion"),
        (prompt_completion, PAIR, {"prompt": "Hi", "completion": []}, "no lists of messages"),
        (
            prompt_completion,
            PAIR,
            {"prompt": [], "completion": [{"role": "assistant", "content": "Hi"}]},
            "assistant speaks first",
        ),
    ],
)
def test_a_damaged_line_is_named_when_it_is_loaded_back(tmp_path, form, check, row, said):
    file, _ = form(records([PLAIN]), "train", tmp_path)
    file.write_text(json.dumps(row) + "\n", "utf-8")
    with pytest.raises(ReproducibilityError, match=said):
        count_back(check, file, ["a:1"])


def test_the_folder_for_the_hub_has_a_configuration_for_each_form(tmp_path):
    forms = ("chat", "prompt_completion", "alpaca")
    for split, rows in {"train": [PLAIN, GIVEN], "dev": [PLAIN], "test": [QUESTION]}.items():
        hugging_face(records(rows), split, tmp_path, forms=forms)
    assert configurations(tmp_path) == {
        "chat": {split: [f"data/{split}-*.parquet"] for split in ("train", "validation", "test")},
        "prompt_completion": {s: [f"prompt_completion/{s}-*.parquet"] for s in ("train", "validation")},
        "alpaca": {s: [f"alpaca/{s}-*.parquet"] for s in ("train", "validation")},
        "metadata": {split: [f"metadata/{split}-*.parquet"] for split in ("train", "validation", "test")},
    }
    tasks = pl.read_parquet(tmp_path / "alpaca" / "train-00000-of-00001.parquet")
    assert tasks.rows() == [("Name a prime.", "", "Seven."), (GIVEN["prompt"], GIVEN["context"], "A trout.")]


def test_parquet_says_who_wrote_what_beside_the_text_and_not_in_it(tmp_path):
    work = {"part": "response", "author": "Ada", "url": "https://example.org/1", "license": "CC-BY-4.0"}
    hugging_face(records([{**PLAIN, "works": [work, {**work, "part": "prompt"}]}]), "train", tmp_path)
    assert pl.read_parquet(tmp_path / "data" / "*.parquet").columns == ["messages"]
    (row,) = pl.read_parquet(tmp_path / "metadata" / "*.parquet").to_dicts()
    assert (row["id"], row["license"]) == ("a:1", "CC0-1.0")
    assert [each["part"] for each in row["works"]] == ["response", "prompt"]
    assert row["works"][0] == {**work, "title": None, "author_url": None}


def test_shards_are_counted_in_their_names_and_those_of_before_are_gone(tmp_path):
    many = iter([records([PLAIN]), records([GIVEN])])
    first = hugging_face(many, "train", tmp_path)
    assert [path.name for path in first[:2]] == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
    second = hugging_face(records([PLAIN]), "train", tmp_path)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(second)
    assert hugging_face(records([PLAIN]), "train", tmp_path / "again")[0].read_bytes() == second[0].read_bytes()


def test_a_dialogue_has_no_place_in_the_configuration_alpaca_and_nothing_is_left(tmp_path):
    with pytest.raises(CurateError, match=r"(?s)it has a system message, earlier turns|it has.*a:3"):
        hugging_face(records([PLAIN, DIALOGUE]), "train", tmp_path, forms=("chat", "alpaca"))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_empty_train_split_leaves_one_file_with_its_columns(tmp_path):
    files = hugging_face(records([]), "train", tmp_path)
    assert [path.parent.name for path in files] == ["data", "prompt_completion", "metadata"]
    assert pl.read_parquet(files[0]).schema["messages"] == pl.List(
        pl.Struct({"role": pl.String, "content": pl.String})
    )
    assert hugging_face(records([]), "dev", tmp_path) == []


def test_the_room_for_a_row_is_a_power_of_two_with_something_to_spare():
    assert [room(Written("a", {}, size)) for size in (0, 2_048, 4_000, 100_000)] == [512, 1024, 2048, 32768]


def test_an_exporter_may_say_what_it_lacks_and_finish():
    @exports(lacks=("system",), fewest=3, finish=lambda folder, written: [folder / written.name])
    def third(records, split, folder):  # noqa: ARG001
        """Writes nothing."""
        return []

    assert (third.name, third.lacks, third.fewest) == ("third", ("system",), 3)


def test_yaml_is_read_back_as_it_was_meant():
    yaml = pytest.importorskip("yaml")
    value = {
        "plain": "text-generation",
        "words": ["no", "On", "null", "~", "1e3", "12:30", "- a", "a: b", "a #b", "", " a", "é", "%x", "1K<n<10K"],
        "nested": [{"a": {"b": [1, 2.5, True, None]}}, [["x"]], [], {}],
        "yes": 0,
        "two\nlines": "a\tb\u2028c",
    }
    assert yaml.safe_load(yaml_text(value)) == value


@pytest.mark.parametrize(
    "mark", [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA1)), *"\u2028\u2029\ufeff\ufffe\uffff"]
)
def test_yaml_holds_any_character(mark):
    yaml = pytest.importorskip("yaml")
    value = {f"key {mark} key": [f"a {mark} b", mark, f"{mark}{mark}end"]}
    assert yaml.safe_load(yaml_text(value)) == value


def test_the_metadata_tell_of_the_rows_of_the_first_form_in_their_order(tmp_path):
    for forms in (("chat", "alpaca"), ("alpaca", "prompt_completion")):
        own = tmp_path / forms[0]
        hugging_face(records([QUESTION, PLAIN, GIVEN]), "dev", own, forms=forms)
        rows = pl.read_parquet(own / "metadata" / "*.parquet")["id"].to_list()
        assert rows == (["a:4", "a:1", "a:2"] if "chat" in forms else ["a:1", "a:2"])


def test_the_first_configuration_is_chat_whatever_was_named_first(tmp_path):
    files = hugging_face(records([PLAIN]), "train", tmp_path, forms=("alpaca", "chat"))
    assert [path.parent.name for path in files] == ["data", "alpaca", "metadata"]
