import gzip
import json

import polars as pl
import pytest

from curate.dedup.references import SCHEMA, read_references, text_of
from curate.errors import PipelineError, SourceError


@pytest.fixture
def read(write_jsonl):
    """Reads rows as one file of JSON lines, none a misfit: position, id, prompt, response of each reference."""

    def read(*rows, **parameters):
        found = read_references([write_jsonl("set.jsonl", rows)], **parameters)
        assert found.schema == SCHEMA
        assert found["misfit"].is_null().all()
        return found.drop("file", "misfit").rows()

    return read


@pytest.mark.parametrize(
    ("row", "prompt", "response"),
    [
        ({"prompt": "P"}, "P", None),
        ({"prompt": "P", "response": "R"}, "P", "R"),
        ({"prompt": "P", "completion": "R"}, "P", "R"),
        ({"question": "P", "answer": "R"}, "P", "R"),
        ({"problem": "P", "solution": "R"}, "P", "R"),
        ({"Skill": "Math", "Instruction": "P"}, "P", None),
        ({"instruction": "P", "input": "", "output": "R"}, "P", "R"),
        ({"instruction": "P", "input": "I", "output": "R"}, "P\n\nI", "R"),
        ({"prompt": "P", "context": "C"}, "P\n\nC", None),
        ({"input": "P", "target": "T"}, "P", None),
        ({"conversations": "P"}, "P", None),
        ({"conversations": ["P"], "source": "s"}, "P", None),
        ({"conversations": ["P", "R"]}, "P", "R"),
        ({"conversations": [{"from": "human", "value": "P"}, {"from": "gpt", "value": "R"}]}, "P", "R"),
        ({"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "P"}]}, "P", None),
        ({"turns": ["P"]}, "P", None),
        ({"turns": ["P"], "reference": ["R"]}, "P", "R"),
        ({"instruction": "P", "instances": [{"input": "I", "output": "R"}]}, "P\n\nI", "R"),
        ({"instruction": "P", "instances": []}, "P", None),
        ({"question_id": "", "text": "R"}, None, "R"),
        ({"prompt": "P\r\nQ"}, "P\nQ", None),
    ],
)
def test_each_known_shape_gives_prompt_and_response(read, row, prompt, response):
    assert read(row) == [(0, None, prompt, response)]


def test_every_turn_is_a_prompt_of_its_own(read):
    turns = {"question_id": 81, "turns": ["One", "Two"], "reference": ["A", ""]}
    chat = [("user", "Hi"), ("assistant", "Hello"), ("user", "Bye"), ("user", "Well?")]
    messages = {"id": "m", "messages": [{"role": role, "content": text} for role, text in chat]}
    assert read(turns, messages) == [
        (0, "81/1", "One", "A"),
        (0, "81/2", "Two", None),
        (1, "m/1", "Hi", "Hello"),
        (1, "m/2", "Bye", None),
        (1, "m/3", "Well?", None),
    ]


def test_several_instances_and_several_outputs_are_references_of_their_own(read):
    task = {
        "id": "t",
        "instruction": "P",
        "instances": [{"input": "", "output": "A"}, {"input": "I", "output": "B"}],
    }
    judged = {"instruction": "P", "output_1": "A", "output_2": "B"}
    assert read(task, judged) == [
        (0, "t/1", "P", "A"),
        (0, "t/2", "P\n\nI", "B"),
        (1, None, "P", "A"),
        (1, None, "P", "B"),
    ]


def test_ids_are_the_rows_own(read):
    found = read({"id": "a", "prompt": "P"}, {"question_id": 0, "prompt": "P"}, {"idx": 7, "prompt": "P"})
    assert [row[1] for row in found] == ["a", "0", "7"]


def test_a_row_without_a_text_is_there_without_any(read):
    found = read({"prompt": "P"}, {"id": "b", "note": "?"}, {"prompt": "  "}, {"messages": []})
    assert found == [(0, None, "P", None), (1, "b", None, None), *((at, None, None, None) for at in (2, 3))]


def test_a_row_that_is_no_reference_says_why(write_jsonl):
    called = {"role": "user", "content": "Q", "tool_calls": [{"name": "search"}]}
    rows = [{"prompt": "P"}, {"messages": [called]}, {"note": "?"}, {"turns": [3]}]
    found = read_references([write_jsonl("set.jsonl", [*rows, {"instruction": "I", "instances": [1]}])])
    assert found["prompt"].to_list() == ["P", None, None, None, None]
    assert found["misfit"].to_list() == [
        None,
        "turn 0 calls a tool beside its text, which a turn of a record cannot hold",
        None,
        "turn 0 is a number, not an object",
        "instance 0 is no object",
    ]


def test_a_file_in_which_no_text_is_known_is_refused_with_its_keys(read):
    with pytest.raises(SourceError) as refused:
        read({"ctx": "P", "label": 1}, {"ctx": "Q", "more": 2})
    assert refused.value.what == "no text is known in any of the 2 rows: their keys are 'ctx', 'label', 'more'"
    assert 'fields = ["question"]' in refused.value.next
    with pytest.raises(SourceError, match=r"row 0: turn 0 is by 'judge'"):
        read({"messages": [{"role": "judge", "content": "P"}]})


def test_fields_say_what_the_prompt_is_in(read):
    row = {"ctx": "P", "choices": ["A", "B", 3], "label": 1, "answer": "R", "empty": None}
    assert read(row, fields=["ctx"]) == [(0, None, "P", "R")]
    assert read(row, fields=["ctx", "choices", "empty", "label"]) == [(0, None, "P\n\nA\nB\n3\n\n1", "R")]


def test_what_is_named_as_the_prompt_is_not_the_response_too(read):
    assert read({"Text": "P"}, {"Text": "Q", "answer": "R"}, fields=["Text"]) == [
        (0, None, "P", None),
        (1, None, "Q", "R"),
    ]


def test_fields_of_one_file_leave_the_others_as_they_are(write_jsonl):
    files = [write_jsonl("a.jsonl", [{"ctx": "P"}]), write_jsonl("b.jsonl", [{"prompt": "Q"}])]
    assert read_references(files, fields=["ctx"])["prompt"].to_list() == ["P", "Q"]
    with pytest.raises(SourceError, match="no text is known in any of the 1 rows") as refused:
        read_references(files, fields=["cxt"])
    assert refused.value.next == "did you mean 'ctx'?"
    with pytest.raises(SourceError, match="no reference has a field 'promt'") as refused:
        read_references(files, fields=["ctx", "promt"])
    assert refused.value.next == "did you mean 'prompt'?"


def test_a_json_array_csv_tsv_parquet_plain_text_and_what_is_compressed(tmp_path):
    rows = [{"id": "a", "prompt": "P, then"}, {"id": "b", "prompt": "Q\nR"}]
    (tmp_path / "array.json").write_text(json.dumps(rows))
    (tmp_path / "cells.csv").write_text('id,prompt\na,"P, then"\nb,"Q\nR"\n')
    (tmp_path / "cells.tsv").write_text('id\tprompt\na\tP, then\nb\t"Q\nR"\n')
    (tmp_path / "lines.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    pl.DataFrame(rows).write_parquet(tmp_path / "table.parquet")
    found = read_references(tmp_path.iterdir())
    assert found["file"].unique(maintain_order=True).to_list() == sorted(path.name for path in tmp_path.iterdir())
    for (_, *_), frame in found.group_by("file"):
        assert frame.drop("file", "misfit").rows() == [(0, "a", "P, then", None), (1, "b", "Q\nR", None)]
    (tmp_path / "plain.txt").write_text("\ufeffOne prompt\r\n\n  \nAnother\n")
    found = read_references([tmp_path / "plain.txt"])
    assert found.drop("file", "misfit").rows() == [(0, None, "One prompt", None), (1, None, "Another", None)]


def test_files_are_named_by_as_much_of_their_path_as_tells_them_apart(write_jsonl):
    names = ["one/test.jsonl", "two/test.jsonl", "two/dev.jsonl"]
    files = [write_jsonl(name, [{"prompt": name}]) for name in names]
    found = read_references(files)
    assert found.select("file", "prompt").rows() == [
        ("dev.jsonl", "two/dev.jsonl"),
        ("one/test.jsonl", "one/test.jsonl"),
        ("two/test.jsonl", "two/test.jsonl"),
    ]
    assert read_references([*reversed(files), files[0]]).equals(found)


def test_a_row_that_cannot_be_read_is_no_row_to_pass_over(tmp_path):
    file = tmp_path / "set.jsonl"
    file.write_text('{"prompt": "P"}\n{"prompt": "Q"\n')
    with pytest.raises(SourceError, match="1 of 2 rows of a reference cannot be read") as refused:
        read_references([file])
    assert refused.value.where == f"{file}, the first at byte 16"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("set.jsonl", b"", "empty"),
        ("set.json", b"[]", "no elements"),
        ("set.json", b'[{"prompt": "P"}', "cut off"),
        ("set.txt", b"One\nTw\xff\n", "invalid UTF-8 at byte 6"),
        ("set.parquet", b"PAR1 and no more", "no whole table"),
        ("set.csv", b"prompt\n", "no rows"),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=says) as refused:
        read_references([tmp_path / name])
    assert str(tmp_path / name) in refused.value.where


def test_no_file_gives_no_reference():
    assert read_references([]).equals(pl.DataFrame(schema=SCHEMA))


def test_prompts_are_compared_with_prompts_and_responses_with_responses(write_jsonl):
    rows = [{"prompt": "P", "response": "R"}, {"prompt": "Q"}, {"text": "S"}, {"note": "?"}]
    found = read_references([write_jsonl("set.jsonl", rows)])
    for on in ("prompt", "first_prompt", "every_prompt"):
        assert text_of(found, on).to_list() == ["P", "Q", None, None]
    for on in ("response", "every_response"):
        assert text_of(found, on).to_list() == ["R", None, "S", None]
    for on in ("pair", "conversation"):
        assert text_of(found, on).to_list() == ["P\n\nR", "Q", "S", None]
    assert text_of(found, "pair").name == "text"
    with pytest.raises(PipelineError, match="references have nothing to compare with 'title'"):
        text_of(found, "title")


@pytest.mark.real
def test_every_file_of_the_evaluation_sets_is_read(real_data):
    folder = real_data / "eval_sets"
    found = read_references(folder.rglob("*.json*"))
    counts = {
        name: (rows, prompts, responses)
        for name, rows, prompts, responses in found.group_by("file")
        .agg(
            pl.col("position").n_unique(),
            prompts=pl.col("prompt").count(),
            responses=pl.col("response").count(),
        )
        .iter_rows()
    }
    assert len(counts) == len(list(folder.rglob("*.json*"))) == 29
    sets = {name: counts.pop(name) for name in sorted(counts) if not name.startswith(("answer_", "review_"))}
    assert sets == {
        "alpaca_eval_gpt4_outputs.json": (805, 805, 805),
        "alpaca_eval_vicuna13b_gpt4_annotations.json": (805, 1610, 1610),
        "alpaca_eval_vicuna13b_outputs.json": (805, 805, 805),
        "koala_180.jsonl": (180, 180, 0),
        "lima_test_300.jsonl": (300, 300, 0),
        "mt_bench_80.jsonl": (80, 160, 70),
        "self_instruct_252.jsonl": (252, 252, 252),
        "vicuna_80.jsonl": (80, 80, 0),
        "wizardlm_218.jsonl": (218, 218, 0),
    }
    # One answer of LLaMA is empty.
    blank = {"answer_llama-13b.jsonl"}
    assert counts == {name: (80, 0, 79 if name in blank else 80) for name in counts}
