import json
import os
import time
from pathlib import Path

import polars as pl
import pytest

from curate.errors import CurateError, PluginError, ReproducibilityError
from curate.export import exports
from curate.export.conversation import CONVERSATION, fault
from curate.export.messages import messages
from curate.export.rows import count_back, ids_beside
from curate.record import records

PLAIN = {"id": "jsonl:1", "prompt": "Name a prime.", "response": "Seven."}
DIALOGUE = {
    "id": "jsonl:2",
    "system": "Answer in one word.",
    "history": [{"role": "user", "text": "Hello."}, {"role": "assistant", "text": "Hello!"}],
    "prompt": "Which of these swims?",
    "context": "A trout, a wren.",
    "response": "Trout.",
}
QUESTION = {"id": "jsonl:3", "prompt": "What is a fugue?"}


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_record_becomes_a_conversation_with_its_id_beside(tmp_path):
    written = messages(records([DIALOGUE, PLAIN]), "train", tmp_path)
    assert written == [tmp_path / "train.jsonl", tmp_path / "train.ids.jsonl"]
    assert lines(written[0]) == [
        {
            "messages": [
                {"role": "system", "content": "Answer in one word."},
                {"role": "user", "content": "Hello."},
                {"role": "assistant", "content": "Hello!"},
                {"role": "user", "content": "Which of these swims?\n\nA trout, a wren."},
                {"role": "assistant", "content": "Trout."},
            ]
        },
        {
            "messages": [
                {"role": "user", "content": "Name a prime."},
                {"role": "assistant", "content": "Seven."},
            ]
        },
    ]
    assert lines(written[1]) == [{"id": "jsonl:2"}, {"id": "jsonl:1"}]


def test_a_prompt_only_record_ends_with_the_user(tmp_path):
    file, _ = messages(records([QUESTION]), "test", tmp_path)
    assert lines(file) == [{"messages": [{"role": "user", "content": "What is a fugue?"}]}]


def test_frames_and_one_frame_give_the_same_bytes_twice(tmp_path):
    frame = records([PLAIN, DIALOGUE, QUESTION])
    for name, given in {"one": frame, "two": iter([frame[:1], frame[1:]]), "again": frame}.items():
        messages(given, "dev", tmp_path / name)
    assert len({(tmp_path / name / "dev.jsonl").read_bytes() for name in ("one", "two", "again")}) == 1
    assert len({(tmp_path / name / "dev.ids.jsonl").read_bytes() for name in ("one", "two", "again")}) == 1


def test_a_split_without_records_leaves_no_files_of_an_earlier_run(tmp_path):
    messages(records([PLAIN]), "dev", tmp_path)
    assert messages(records([]), "dev", tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_train_is_written_even_when_nothing_survives(tmp_path):
    assert messages(records([]), "train", tmp_path) == [tmp_path / "train.jsonl", tmp_path / "train.ids.jsonl"]
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"", b""]


def test_every_reader_sees_as_many_lines_as_there_are_records(tmp_path):
    text = "one\u2028two\u2029three\u0085four\x1cfive\r\nsix 🦉 سلام"
    file, _ = messages(records([{**PLAIN, "response": text}]), "train", tmp_path)
    assert len(file.read_text("utf-8").splitlines()) == 1
    assert "🦉 سلام" in file.read_text("utf-8")
    assert lines(file)[0]["messages"][1]["content"] == text


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"response": " \n"}, "assistant says nothing"),
        ({"prompt": None}, "user says nothing"),
        ({"history": [{"role": "user", "text": "Hello."}]}, "user after user"),
        ({"history": [{"role": "assistant", "text": "Hello."}]}, "assistant speaks first"),
        ({"history": [{"role": "robot", "text": "Hello."}]}, "the role 'robot'"),
    ],
)
def test_what_is_no_conversation_is_named_and_nothing_is_written(tmp_path, changed, cause):
    rows = records([PLAIN, {**PLAIN, "id": "jsonl:9", **changed}])
    with pytest.raises(CurateError, match=rf"(?s)1 of 2 records.*{cause} \(1, such as jsonl:9\).*next:") as caught:
        messages(rows, "train", tmp_path)
    assert not isinstance(caught.value, ReproducibilityError)
    assert list(tmp_path.iterdir()) == []


def test_tools_answer_the_assistant():
    turns = ["user", "assistant", "tool", "tool", "assistant", "user", "assistant"]
    assert fault([{"role": role, "content": "x"} for role in turns]) == ""
    assert fault([{"role": role, "content": "x"} for role in ["user", "tool"]]) == "tool after user"
    assert fault([{"role": "system", "content": "x"}]) == "it does not end with the user or the assistant"
    assert fault([]) == "it does not end with the user or the assistant"


def test_count_back_counts_what_was_written(tmp_path):
    file, _ = messages(records([PLAIN, DIALOGUE]), "train", tmp_path)
    assert count_back(CONVERSATION, file, ["jsonl:1", "jsonl:2"]) == 2


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("train.jsonl", b"\n", b"", "the last line is cut off"),
        ("train.jsonl", b"assistant", b"assistent", "the role 'assistent'"),
        ("train.jsonl", b"Seven.", b"", "assistant says nothing"),
        ("train.jsonl", b'{"messages"', b'{"message"', "no messages"),
        ("train.jsonl", b"Seven", b"\xff", "a line is not JSON"),
        ("train.ids.jsonl", b"jsonl:1", b"jsonl:7", "'jsonl:1' was to be written, and 'jsonl:7' is there"),
        ("train.ids.jsonl", b'{"id": "jsonl:1"}\n', b"", "1 ids were to be written, and 0 are there"),
    ],
)
def test_a_damaged_file_is_not_taken_for_what_was_written(tmp_path, name, old, new, message):
    file, _ = messages(records([PLAIN]), "train", tmp_path)
    damaged = tmp_path / name
    damaged.write_bytes(damaged.read_bytes().replace(old, new))
    with pytest.raises(ReproducibilityError, match=message) as caught:
        count_back(CONVERSATION, file, ["jsonl:1"])
    assert name in caught.value.where
    assert caught.value.next


def test_a_missing_line_is_noticed(tmp_path):
    file, _ = messages(records([PLAIN, DIALOGUE]), "train", tmp_path)
    file.write_bytes(file.read_bytes().partition(b"\n")[2])
    with pytest.raises(ReproducibilityError, match="2 conversations were to be written, and 1 are there"):
        count_back(CONVERSATION, file, ["jsonl:1", "jsonl:2"])


def test_an_exporter_is_named_like_its_function_and_says_what_it_is_for():
    assert messages.name == "messages"
    assert messages.module == "curate.export.messages"
    assert messages.summary.startswith("Conversations as JSON lines")
    with pytest.raises(PluginError, match="not keyword-only, typed and defaulted"):

        @exports
        def bare(records, split, folder, width):
            """Writes nothing."""


@pytest.mark.real
def test_the_52k_are_written_and_loaded_back_in_seconds(tmp_path):
    if "CURATE_REAL_DATA" not in os.environ:
        pytest.skip("CURATE_REAL_DATA is not set")
    rows = json.loads((Path(os.environ["CURATE_REAL_DATA"]) / "self_instruct/alpaca_data.json").read_text("utf-8"))
    frame = records(
        {"id": f"a:{n}", "prompt": row["instruction"], "context": row["input"], "response": row["output"]}
        for n, row in enumerate(rows)
    )
    frame = frame.filter(pl.col("response").str.strip_chars() != "")
    begun = time.perf_counter()
    file, beside = messages(frame, "train", tmp_path)
    assert time.perf_counter() - begun < 10
    assert beside == ids_beside(file)
    assert len(lines(file)) == len(frame)
