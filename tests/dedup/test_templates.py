import random

import polars as pl
import pytest

from curate.dedup.templates import stripped
from curate.errors import PipelineError

HEAD = "Below is an instruction that describes a task. Write a response that completes it.\n\n### Instruction:\n"
TAIL = "\n\n### Response: let us think step by step, and answer then"
HEAD_WORDS, TAIL_WORDS = 18, 13


def sayings(count, seed=3):
    draw = random.Random(seed)
    return [" ".join(f"w{draw.randrange(10**9)}" for _ in range(draw.randrange(1, 30))) for _ in range(count)]


def strip(texts, min_rows=20, **parameters):
    left, table = stripped(pl.Series(texts, dtype=pl.String), min_rows=min_rows, **parameters)
    assert left.dtype == pl.String
    return left.to_list(), table


def test_shared_beginnings_and_ends_are_left_out_of_what_is_compared():
    own = sayings(50)
    left, table = strip([HEAD + each + TAIL for each in own])
    assert left == own
    assert table.rows() == [
        (HEAD.strip().removesuffix(":"), "beginning", HEAD_WORDS, 50),
        (TAIL.strip(), "end", TAIL_WORDS, 50),
    ]


def test_texts_without_a_template_are_as_they_were():
    own = sayings(40)
    left, table = strip([HEAD + each for each in own[:30]] + own[30:])
    assert left == own
    assert table["rows"].to_list() == [30]


def test_the_series_that_it_is_given_is_not_changed():
    texts = pl.Series([HEAD + each + " ΣΊΣΥΦΟΣ" for each in sayings(30)])
    before = texts.to_list()
    left, _ = stripped(texts, min_rows=10)
    assert texts.to_list() == before
    assert all(each.endswith(" ΣΊΣΥΦΟΣ") for each in left)


@pytest.mark.parametrize(("rows", "taken"), [(20, True), (19, False)])
def test_a_template_must_be_in_so_many_texts(rows, taken):
    left, table = strip([HEAD + each for each in sayings(rows)])
    assert (table.height == 1) == taken
    assert left[0].startswith("Below") != taken


@pytest.mark.parametrize(("words", "taken"), [(8, True), (7, False)])
def test_a_template_must_have_so_many_words(words, taken):
    head = " ".join("in this task you are given two sentences"[:100].split()[:words])
    _, table = strip([f"{head} {each}" for each in sayings(30)])
    assert table["words"].to_list() == ([words] if taken else [])


def test_what_the_most_common_texts_go_on_with_is_their_own():
    # Forty of the hundred begin alike after the template: enough texts, but too few words.
    own = sayings(60) + [f"Write a story about {each}" for each in sayings(40, seed=4)]
    left, table = strip([HEAD + each for each in own])
    assert left == own
    assert table["words"].to_list() == [HEAD_WORDS]


def test_a_template_within_another_is_left_out_with_it():
    longer = "You are given a passage and a question about it, and answer in one word: "
    own = sayings(80)
    texts = [HEAD + each for each in own[:50]] + [HEAD + longer + each for each in own[50:]]
    left, table = strip(texts)
    assert left == own
    assert table.select("words", "rows").rows() == [(HEAD_WORDS, 50), (HEAD_WORDS + 15, 30)]


def test_of_two_templates_with_one_beginning_each_text_loses_its_own():
    own = sayings(100)
    one, other = (HEAD + f"Translate the sentence below into {language}, and nothing else:\n" for language in "AB")
    left, table = strip([one + each for each in own[:60]] + [other + each for each in own[60:]])
    assert left[:60] == own[:60]
    assert table.height == 2
    # The rarer one parts from the other where its name of the language is, and has too few words after it.
    assert left[60] == "B, and nothing else:\n" + own[60]


def test_a_text_that_is_nothing_but_template_stays_whole():
    texts = [HEAD + each + TAIL for each in sayings(50)] + [HEAD + TAIL, HEAD.strip(), TAIL.strip()]
    left, _ = strip(texts)
    assert left[50:] == texts[50:]


def test_copies_of_one_text_stay_whole():
    left, table = strip([HEAD] * 100)
    assert left == [HEAD] * 100
    assert table.is_empty()


def test_case_white_space_and_marks_do_not_part_templates():
    own = sayings(40)
    heads = [HEAD, HEAD.upper(), HEAD.replace(" ", "\n "), HEAD.replace(".", "!")]
    left, table = strip([heads[at % 4] + each for at, each in enumerate(own)])
    assert left == own
    assert table["rows"].to_list() == [40]


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("下面是一条描述任务的指令。请写一个回答：", 18),
        ("Ниже приведена инструкция, в которой описано одно особенно важное задание. ", 10),
        ("فيما يلي تعليمات تصف مهمة واحدة اكتب الرد المناسب لها، ", 10),
        ("🙂🙃🙂🙃🙂🙃🙂🙃 ", 8),
        ("Ecrivez une re\u0301ponse approprie\u0301e a\u0300 la question qui suit ici. ", 10),
    ],
)
def test_templates_of_any_script_are_found(head, words):
    own = sayings(30)
    left, table = strip([head + each for each in own])
    assert left == own
    assert table["words"].to_list() == [words]


def test_the_order_of_texts_and_copies_elsewhere_change_nothing():
    texts = [HEAD + each + TAIL for each in sayings(60)] + sayings(60, seed=5)
    order = list(range(120))
    random.Random(1).shuffle(order)
    left, table = strip(texts)
    again, same = strip([texts[at] for at in order])
    assert again == [left[at] for at in order]
    assert table.equals(same)


def test_a_longer_template_than_is_looked_for_is_left_out_as_far_as_it_is():
    head = " ".join(f"t{at}" for at in range(300))
    left, table = strip([f"{head} {each}" for each in sayings(30)])
    assert table["words"].to_list() == [256]
    assert left[0].startswith("t256 t257 ")


def test_null_and_blank_texts_stay():
    left, table = strip([None, "", "  ", "?!"] + [HEAD + each for each in sayings(30)])
    assert left[:4] == [None, "", "  ", "?!"]
    assert table.height == 1


@pytest.mark.parametrize("texts", [[], [None], [""], ["one text"]])
def test_sets_without_texts_have_no_template(texts):
    left, table = strip(texts)
    assert left == texts
    assert table.is_empty()


def test_a_hundred_thousand_texts_of_one_template():
    own = [f"{at} and {at}" for at in range(100_000)]
    left, table = strip([HEAD + each + TAIL for each in own], min_rows=1000)
    assert left == own
    assert table["rows"].to_list() == [100_000, 100_000]


@pytest.mark.parametrize("parameters", [{"min_rows": 1}, {"min_rows": 0}, {"min_rows": 2, "min_words": 0}])
def test_parameters_out_of_range_are_refused(parameters):
    with pytest.raises(PipelineError):
        stripped(pl.Series(["a text"]), **parameters)
