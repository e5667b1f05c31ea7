"""The preset `vicuna` is FastChat's pipeline: its order, its numbers, and what it does to a small world."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from importlib.resources import files

import pytest
from curate.filters.broken_numbering import broken_numbering
from curate.filters.repeated_digits import repeated_digits
from curate.filters.vendor_words import vendor_words

import curate
from curate.record import records
from curate.runs import prepare
from curate.testing import evaluate
from tests.walk import prose

TEXT = files("curate.presets").joinpath("vicuna.toml").read_text("utf-8")
PRESET = tomllib.loads(TEXT)
[SOURCE] = PRESET["source"]


def test_the_scripts_are_named_in_the_order_in_which_prepare_all_runs_them():
    body = TEXT.partition("# Read, cleaned and split.")[2]
    scripts = ("optional_clean", "filter_wrong_format", "split_train_test", "hardcoded_questions", "merge")
    places = [re.search(rf"(?m)^# .*{script}\.py", body).start() for script in scripts]
    assert places == sorted(places)
    # Cleaning and splitting are the source's, and stand above the rules.
    above = body.partition("[source.filters]")[0]
    assert 0 < above.index("clean_sharegpt.py") < above.index("split_long_conversation.py")


def test_every_rule_names_the_script_it_comes_from():
    lines = TEXT.splitlines()
    for rule in SOURCE["filters"]:
        at = next(number for number, line in enumerate(lines) if line.startswith(f"{rule} ="))
        while not lines[at].startswith("#"):
            at -= 1
        first = at
        while lines[first - 1].startswith("#"):
            first -= 1
        assert re.search(r"[a-z_]+\.py", "\n".join(lines[first : at + 1])), rule


def test_the_numbers_are_the_scripts():
    # fastchat/data/clean_sharegpt.py: fewer than 16 characters, one turn or none.
    assert SOURCE["min_chars"] == 16
    assert SOURCE["filters"]["too_few_turns"] == {"min_turns": 2}
    # fastchat/data/split_long_conversation.py: 2,048 tokens, four characters each.
    assert SOURCE["max_chars"] == pytest.approx(4 * 2048, rel=0.05)
    # fastchat/data/split_train_test.py: 99% of some 70,000 conversations.
    [test, train] = PRESET["select"]["quota"]
    assert (test["split"], test["take"]) == ("test", 700)
    assert train["split"] == "train"
    assert "take" not in train
    # fastchat/data/optional_clean.py: nine digits; prepare_all.py leaves that step out.
    assert repeated_digits.function.__kwdefaults__["times"] == 9
    assert SOURCE["filters"]["repeated_digits"] is False


def test_the_faults_are_a_switch_and_off():
    assert SOURCE["compat"] is False
    assert "never emits the last exchange" in TEXT


@pytest.mark.parametrize("value", ["OpenAI", "a chatgpt b", "myOPENAIkey", "ChatGPTs", "open ai", "GPT-4"])
def test_vendor_words_are_those_of_clean_sharegpt(value):
    published = any(word in value.lower() for word in ("openai", "chatgpt"))
    for field in ("prompt", "response", "system"):
        row = {"id": "x", "prompt": "?", "response": "!"} | {field: value}
        assert evaluate(vendor_words, records([row]))["rejected"].item() == ("yes" if published else "no")


@pytest.mark.parametrize(
    "value",
    [
        "A:\n1. a\n1. b",
        "A:\n1. a\n2. b",
        "1. a\n1. b",
        "A:\n1. a 12\n1. b",
        "A:\n1. a\nb\nc\n\n1. d",
        "A:\n1.a\n1.b",
        "A:\n 1. a\n 1. b",
        "A:\n1. \n1. ",
        "A:\n1. a\n1.",
    ],
)
def test_broken_numbering_is_that_of_filter_wrong_format(value):
    published = re.search(r"\n1\. [^2]*\n1\. ", value) is not None
    turn = {"role": "assistant", "text": value}
    for row in ({"prompt": value}, {"response": value}, {"history": [{"role": "user", "text": "?"}, turn]}):
        found = evaluate(broken_numbering, records([{"id": "x", "prompt": "?", "response": "!"} | row]))
        assert found["rejected"].item() == ("yes" if published else "no"), row


@pytest.mark.parametrize("value", ["1" * 9, "1" * 8, "0.3333333333", "12" * 9, "a" * 9, "99999999 9", "1" * 30])
def test_repeated_digits_are_those_of_optional_clean(value):
    published = re.search(r"(\d)\1{8}", value) is not None
    found = evaluate(repeated_digits, records([{"id": "x", "prompt": "?", "response": value}]))
    assert found["rejected"].item() == ("yes" if published else "no")


@pytest.mark.real
@pytest.mark.parametrize(
    "file",
    [
        "sharegpt/sharegpt_sample.json",
        "sharegpt/ShareGPT_V3_filtered_500.v1.json",
        "sharegpt/dummy_conversation.json",
        "self_instruct/alpaca_data.json",
    ],
)
def test_on_real_files_the_rules_decide_as_the_scripts_do(real_data, file):
    rows = json.loads((real_data / file).read_text("utf-8"))
    talks = [
        [row["instruction"], row["input"], row["output"]]
        if "instruction" in row
        else [turn["value"] for turn in row.get("conversations") or row.get("items") or []]
        for row in rows
    ]
    turns = [
        {"id": f"{at}/{place}", "prompt": turn} for at, talk in enumerate(talks) for place, turn in enumerate(talk)
    ]
    scripts = {
        vendor_words: lambda value: any(word in value.lower() for word in ("openai", "chatgpt")),
        broken_numbering: lambda value: re.search(r"\n1\. [^2]*\n1\. ", value) is not None,
        repeated_digits: lambda value: re.search(r"(\d)\1{8}", value) is not None,
    }
    for rule, published in scripts.items():
        found = evaluate(rule, records(turns))
        ours = set(found.filter(found["rejected"] == "yes")["id"])
        assert ours == {turn["id"] for turn in turns if published(turn["prompt"])}, rule.name


def shared(name, *turns, **native):
    said = [{"from": ("human", "gpt")[at % 2], "value": turn} for at, turn in enumerate(turns)]
    return {"id": name, "conversations": said, **native}


def talk(number, exchanges=1, words=40):
    return [prose(100 * number + at, 12 if at % 2 == 0 else words) for at in range(2 * exchanges)]


FRENCH = (
    "Pourquoi la mer est-elle salée, et depuis quand le sait-on ?",
    "Les rivières emportent les sels des roches jusqu'à la mer, où ils restent quand l'eau s'évapore.",
)
WORLD = [
    *(shared(f"good{number}", *talk(number)) for number in range(8)),
    shared("dialogue", *talk(20, exchanges=3)),
    shared("long", *talk(30, exchanges=5, words=500)),
    shared("one", prose(40, 12)),
    shared("short", "Hi", "Hello"),
    shared("vendor", "Who has made ChatGPT, and when was it?", prose(41, 30)),
    shared("notice", prose(42, 12), "Too many requests in 1 hour. Try again later."),
    shared("numbers", prose(43, 12), f"{prose(43, 20)}\n1. {prose(44, 9)}\n1. {prose(45, 9)}"),
    shared("digits", prose(46, 12), f"{prose(46, 40)} It was 3333333333 to be exact."),
    shared("french", *FRENCH),
    shared("plugins", *talk(47), plugins=["browser"]),
    shared("again", *talk(3)),
    shared("same beginning", *talk(4), *talk(48)),
    {"id": "roles", "conversations": [{"from": "human", "value": text} for text in talk(49)] * 2},
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    (folder / "sg_90k_part1.json").write_text(json.dumps(WORLD), "utf-8")
    (folder / "vicuna.toml").write_text(TEXT.replace("take = 700", "take = 2"), "utf-8")
    return curate.run(folder / "vicuna.toml", runs=folder / "runs", workers=1)


def names(ids):
    return {name.removeprefix("sharegpt:") for name in ids}


def test_conversations_are_passed_over_while_reading_by_cause(run):
    causes = run.table("intake").collect()["passed_over"].to_list()
    assert {cause for each in causes for cause in map(str, flattened(each)) if "(" not in cause} >= {
        "fewer than 16 characters",
        "made with plugins",
        "turns out of order",
        "a reply says that there were too many requests",
    }


def flattened(value):
    match value:
        case dict():
            return [part for pair in value.items() for each in pair for part in flattened(each)]
        case list():
            return [part for each in value for part in flattened(each)]
        case _:
            return [value]


def test_the_rules_label_what_is_left(run):
    reasons = Counter()
    for table in ("verdicts", "verdicts_measured"):
        for row in run.table(table).collect().iter_rows(named=True):
            for reason in row["reasons"]:
                reasons[reason, row["id"].removeprefix("sharegpt:")] += 1
    assert reasons == {
        ("too_few_turns", "one"): 1,
        ("vendor_words", "vendor"): 1,
        ("broken_numbering", "numbers"): 1,
        ("wrong_language", "french"): 1,
    }


def test_what_came_before_is_a_duplicate_and_what_only_begins_alike_is_not(run):
    duplicates = run.table("duplicates").collect()
    assert names(duplicates["id"]) == {"again"}
    assert names(duplicates["kept_id"]) == {"good3"}


def test_a_long_conversation_is_cut_and_nothing_is_lost(run):
    pieces = run.records.collect().filter(thread="sharegpt:long")
    assert pieces.height > 1
    exchanges = sum(len(turns) // 2 + 1 for turns in pieces["history"])
    assert exchanges == 5
    picks = run.table("picks").collect().filter(run.table("picks").collect()["id"].is_in(pieces["id"].implode()))
    assert picks["split"].n_unique() == 1, "its pieces are in one split"


def test_all_the_rest_is_trained_on(run):
    picks = run.table("picks").collect().drop_nulls("split")
    assert Counter(picks["split"])["test"] == 2
    rest = {f"good{number}" for number in range(8)} | {"dialogue", "digits", "same beginning"}
    assert {name for name in names(picks["id"]) if not name.startswith("long")} == rest
    assert run.verify() == []


def test_the_scripts_faults_can_be_had_too(tmp_path):
    (tmp_path / "sg_90k_part1.json").write_text(json.dumps(WORLD), "utf-8")
    text = TEXT.replace("compat = false", "compat = true").replace("take = 700", "take = 1")
    (tmp_path / "vicuna.toml").write_text(text, "utf-8")
    run = curate.run(tmp_path / "vicuna.toml", runs=tmp_path / "runs", workers=1)
    left = names(run.records.collect()["id"])
    assert not left & {"vendor", "numbers", "one", "roles"}
    assert "good1" in left
    pieces = run.records.collect().filter(thread="sharegpt:long")
    assert sum(len(turns) // 2 + 1 for turns in pieces["history"]) == 4, "the last exchange"


def test_the_preset_loads_with_each_doubtful_point_set_otherwise(tmp_path):
    (tmp_path / "sg_90k_part1.json").write_text("[]", "utf-8")
    for found, other in (
        ('published = "vicuna"', 'published = "koala"'),
        ('wrong_language = { of = "conversation", keep = ["en"] }', "wrong_language = false"),
        ("repeated_digits = false", "repeated_digits = { times = 9 }"),
        ('on = "conversation"', 'on = "first_prompt"'),
        ("max_chars = 8000", "max_chars = 16000"),
    ):
        assert found in TEXT
        (tmp_path / "vicuna.toml").write_text(TEXT.replace(found, other), "utf-8")
        assert prepare(tmp_path / "vicuna.toml").name == "vicuna"
