"""What a trainer would stumble over is found in all splits, with the records' ids."""

import pytest

from curate.export.checks import look_over
from curate.record import records
from tests.export.conftest import DIALOGUE, GIVEN, PLAIN, QUESTION, TOOLS

SPLITS = ("train", "dev", "test")


@pytest.fixture
def found(splits):
    """The findings of a set, by kind."""

    def made(forms=("messages",), **rows):
        looked = look_over(splits(**rows), SPLITS, {form: {} for form in forms})
        return {each["kind"]: each for each in looked.findings}

    return made


def test_a_sound_set_gives_no_finding_and_says_what_it_holds(splits):
    looked = look_over(splits(train=[PLAIN, DIALOGUE, TOOLS], test=[QUESTION]), SPLITS, {"messages": {}})
    assert looked.findings == []
    assert looked.rows == {"train": 3, "dev": 0, "test": 1}
    assert looked.parts == {
        "system": {"train": (1, ["a:3"])},
        "history": {"train": (2, ["a:3", "a:5"])},
        "tools": {"train": (1, ["a:5"])},
        "no_response": {"test": (1, ["a:4"])},
    }
    assert looked.longest == len("How warm is it?thermometer()21It is 21 degrees.And tomorrow?Nobody knows.") + 5


@pytest.mark.parametrize(
    "mark",
    [
        *(
            "<|im_start|>",
            "<|im_end|>",
            "<|endoftext|>",
            "[INST]",
            "[/INST]",
            "<<SYS>>",
            "</s>",
            "<s>",
            "<|eot_id|>",
        ),
        *("<start_of_turn>", "<end_of_turn>", "<|assistant|>", "<|end|>", "[TOOL_CALLS]", "<|channel|>"),
        "<｜User｜>",
    ],
)
def test_marks_of_templates_are_found_in_every_turn_in_code_too(found, mark):
    history = [{"role": "user", "text": f"What is `{mark}`?"}, {"role": "assistant", "text": "A mark."}]
    row = {**PLAIN, "id": "a:7", "history": history}
    for changed in (
        row,
        {**PLAIN, "id": "a:7", "response": f"It ends.{mark}"},
        {**PLAIN, "id": "a:7", "system": mark},
    ):
        one = found(train=[PLAIN, changed])["template_markers"]
        assert (one["rows"], one["examples"], one["severity"]) == (1, ["a:7"], "warning")
        assert mark in one["sentence"]


@pytest.mark.parametrize(
    "text", ["a <b> c", "[INSTALL]", "<system>", "x <| y |> z", "### Responses vary", "<span>"]
)
def test_what_only_looks_like_a_mark_is_none(found, text):
    assert found(forms=("messages", "alpaca"), train=[{**PLAIN, "response": text}]) == {}


def test_alpacas_headings_are_marks_only_where_the_set_is_exported_in_its_form(found):
    row = {**PLAIN, "response": "Four.\n\n### Instruction:\nName a river."}
    assert found(train=[row]) == {}
    assert found(forms=("alpaca",), train=[row])["template_markers"]["rows"] == 1


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("empty_turn", {"response": " \n"}),
        ("empty_turn", {"prompt": ""}),
        ("empty_turn", {"history": [{"role": "user", "text": "Hi"}, {"role": "assistant", "text": " "}]}),
        ("roles", {"history": [{"role": "user", "text": "Hi"}]}),
        ("roles", {"history": [{"role": "assistant", "text": "Hi"}]}),
        ("roles", {"history": [{"role": "robot", "text": "Hi"}, {"role": "assistant", "text": "Hello"}]}),
        ("system_inside", {"history": [{"role": "user", "text": "Hi"}, {"role": "system", "text": "Be brief."}]}),
        ("control_characters", {"response": "a\x08b"}),
        ("control_characters", {"context": "\x1b[31mred"}),
    ],
)
def test_a_fault_of_one_record_is_found_and_named(found, kind, changed):
    one = found(train=[PLAIN, {**GIVEN, "context": None, **changed}])[kind]
    assert (one["rows"], one["examples"], one["severity"]) == (1, ["a:2"], "warning")


def test_a_character_that_is_not_seen_is_named_by_its_code_point(found):
    one = found(train=[{**PLAIN, "response": "a\x08b"}])["control_characters"]
    assert one["sentence"].endswith("stand in the text of 1 record: U+0008 in 1 (such as `a:1`).")


def test_turns_of_tools_are_in_order(found):
    calls = [{"role": role, "text": "x"} for role in ("user", "assistant", "tool", "tool", "assistant")]
    assert found(train=[{**PLAIN, "history": calls}]) == {}


def test_only_the_gravest_leak_of_a_record_is_told(found):
    held = {**PLAIN, "thread": "t"}
    same = found(train=[held], test=[held])
    assert list(same) == ["leak_id"]
    thread = found(train=[{**GIVEN, "thread": "t"}], test=[held])
    assert list(thread) == ["leak_thread"]
    assert "1 record of train share one with test" in thread["leak_thread"]["sentence"]


def test_a_question_asked_in_two_splits_is_a_leak_however_it_is_spelt(found):
    spelt = {**PLAIN, "id": "a:8", "prompt": "NAME\u00a0a  ｐrime.\n"}
    one = found(train=[PLAIN, GIVEN], dev=[spelt])["leak_message"]
    assert (one["rows"], one["examples"]) == (1, ["a:1"])
    assert found(train=[PLAIN], dev=[{**spelt, "context": "Under ten."}]) == {}
    assert found(dev=[PLAIN], test=[spelt])["leak_message"]["rows"] == 1


def test_the_same_question_twice_in_one_split_is_no_leak(found):
    assert found(train=[PLAIN, {**PLAIN, "id": "a:8"}]) == {}


def test_rows_that_a_reader_would_cut_are_counted_in_a_note(found):
    long = {**PLAIN, "response": "x" * 5_000}
    one = found(train=[long, GIVEN])["long"]
    assert (one["rows"], one["severity"]) == (1, "note")
    assert "longer than 1,024 tokens" in one["sentence"]
    assert found(forms=("axolotl",), train=[long]) == {}  # whose configuration leaves room for it


def test_findings_do_not_depend_on_how_rows_lie_in_frames():
    rows = [{**PLAIN, "id": f"a:{n}", "response": "x</s>" if n % 3 else "y<|im_end|>"} for n in range(9)]
    cuts = ([records(rows)], [records(rows[:4]), records(rows[4:])])
    one, two = (
        look_over(lambda split, cut=cut: iter(cut if split == "train" else []), SPLITS, {"messages": {}})
        for cut in cuts
    )
    assert one == two
    assert one.findings[0]["examples"] == ["a:0", "a:1", "a:2", "a:3", "a:4"]
    assert "</s> in 6, <|im_end|> in 3" in one.findings[0]["sentence"]


def test_a_split_in_several_frames_is_not_held_against_itself():
    two = [records([PLAIN]), records([{**PLAIN, "id": "a:8"}])]
    looked = look_over(lambda split: iter(two if split == "dev" else []), SPLITS, {"messages": {}})
    assert looked.findings == []
