"""Tasks in Alpaca's form: three texts, and nothing that the form has no place for."""

import json

import pytest

from curate.errors import CurateError, ReproducibilityError
from curate.export.alpaca import TASK, alpaca, fault
from curate.export.rows import count_back
from curate.record import records

PLAIN = {"id": "a:1", "prompt": "Name a prime.", "response": "Seven."}
GIVEN = {"id": "a:2", "prompt": "Which of these swims?", "context": "A trout, a wren.", "response": "The trout."}
TURNS = [{"role": "user", "text": "Hello."}, {"role": "assistant", "text": "Hello!"}]


def test_a_record_becomes_a_task_with_its_id_beside(tmp_path):
    file, beside = alpaca(records([GIVEN, PLAIN]), "train", tmp_path)
    assert [json.loads(line) for line in file.read_text("utf-8").splitlines()] == [
        {"instruction": "Which of these swims?", "input": "A trout, a wren.", "output": "The trout."},
        {"instruction": "Name a prime.", "input": "", "output": "Seven."},
    ]
    assert [json.loads(line)["id"] for line in beside.read_text("utf-8").splitlines()] == ["a:2", "a:1"]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({**PLAIN, "history": TURNS}, "it has earlier turns"),
        ({**PLAIN, "system": "Be brief."}, "it has a system message"),
        ({"id": "a:1", "prompt": "What is a fugue?"}, "no output"),
        ({**PLAIN, "response": "  "}, "an empty output"),
    ],
)
def test_what_the_form_has_no_place_for_is_refused_and_named(tmp_path, record, said):
    with pytest.raises(CurateError, match=rf"1 of 2 records are no task: {said} \(1, such as a:1\)"):
        alpaca(records([GIVEN, record]), "train", tmp_path)
    assert not (tmp_path / "train.jsonl").exists()


def test_a_split_without_records_leaves_no_files_but_train_does(tmp_path):
    assert alpaca(records([]), "dev", tmp_path) == []
    assert [file.name for file in alpaca(records([]), "train", tmp_path)] == ["train.jsonl", "train.ids.jsonl"]


def test_a_damaged_file_is_noticed(tmp_path):
    file, _ = alpaca(records([PLAIN]), "train", tmp_path)
    file.write_text(file.read_text("utf-8").replace("Seven.", ""))
    with pytest.raises(ReproducibilityError, match="a line is no task: an empty output"):
        count_back(TASK, file, ["a:1"])


def test_faults_of_values_that_are_no_tasks():
    assert fault([]) == "other keys"
    assert fault({"instruction": "a", "output": "b"}) == "other keys"
    assert fault({"instruction": "a", "input": None, "output": "b"}) == "no input"
    assert fault({"instruction": "a", "input": "", "output": "b"}) == ""
