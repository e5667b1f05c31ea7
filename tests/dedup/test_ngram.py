import json
import random

import numpy as np
import polars as pl
import pytest

from curate.dedup.ngram import ngram, shared_run
from curate.dedup.references import read_references
from curate.dedup.texts import Texts
from curate.errors import PipelineError

# Thirteen words.
RUN = "the quick brown fox jumps over that lazy old dog again and again"


def walk(texts, *, keep=None, **parameters):
    """Every match of every text among those before it, and the index. Of some, only the first are kept."""
    index = ngram(texts, **{"n": 13, "min_share": 0.0} | parameters)
    found = {}
    for row in range(len(texts)):
        if index.groups[row] < 0:
            continue
        found |= {(kept, row): similarity for kept, similarity in index.matches(row)}
        if keep is None or row < keep:
            index.keep(row)
    return found, index


def words(draw, count):
    return " ".join(f"w{draw.randrange(10**9)}" for _ in range(count))


def around(draw, run, before=30, after=30):
    return f"{words(draw, before)} {run} {words(draw, after)}"


def runs(text, n):
    parts = text.split()
    return {tuple(parts[at : at + n]) for at in range(len(parts) - n + 1)} or {tuple(parts)}


@pytest.mark.parametrize(
    ("n", "min_share"), [(2, 0.0), (3, 0.0), (3, 0.5), (3, 2 / 3), (5, 0.2), (5, 0.8), (5, 1.0)]
)
def test_matches_are_those_of_the_definition(n, min_share):
    for seed in range(8):
        draw = random.Random(seed)
        texts = [" ".join(draw.choice("abcde") for _ in range(draw.randrange(1, 40))) for _ in range(50)]
        expected = {}
        for row in range(len(texts)):
            for kept in range(row):
                one, other = runs(texts[kept], n), runs(texts[row], n)
                share = len(one & other) / min(len(one), len(other))
                if one & other and share >= min_share:
                    expected[kept, row] = share
        assert walk(texts, n=n, min_share=min_share)[0] == expected


@pytest.mark.parametrize("n", [8, 13])
def test_one_shared_run_is_found_and_a_run_that_is_a_word_shorter_is_not(n):
    draw = random.Random(1)
    run, shorter = RUN.split()[:n], RUN.split()[: n - 1]
    found, _ = walk([around(draw, " ".join(run)) for _ in range(2)], n=n)
    assert list(found) == [(0, 1)]
    assert found[0, 1] == 1 / (60 + n - n + 1)
    assert walk([around(draw, " ".join(shorter)) for _ in range(2)], n=n)[0] == {}


def test_the_similarity_is_the_share_of_the_shorter_text():
    draw = random.Random(2)
    prompt = words(draw, 20)
    found, _ = walk([prompt, around(draw, prompt, 200, 200)], n=8)
    assert found == {(0, 1): 1.0}
    found, _ = walk([around(draw, prompt, 200, 200), prompt], n=8)
    assert found == {(0, 1): 1.0}


def test_a_share_is_asked_of_the_shorter_text():
    draw = random.Random(3)
    prompt, half = words(draw, 27), words(draw, 10)
    texts = [f"{prompt} {words(draw, 10)}", around(draw, prompt, 300, 300), around(draw, half), around(draw, half)]
    assert walk(texts, n=8, min_share=0.5)[0] == {(0, 1): 20 / 30}
    assert set(walk(texts, n=8)[0]) == {(0, 1), (2, 3)}


def test_case_marks_and_white_space_part_no_run():
    found, _ = walk(["Well: " + RUN, RUN.upper().replace(" ", ",\n") + "! What then?"])
    assert found == {(0, 1): 0.5}


def test_a_text_of_fewer_words_matches_when_all_its_words_are_equal():
    texts = [
        "What color is the sky?",
        "what  color is the sky",
        f"What color is the sky? {RUN}",
        "sky the is color what",
    ]
    assert walk(texts)[0] == {(0, 1): 1.0}


def test_texts_of_fewer_words_can_be_left_alone():
    texts = ["Yes.", "yes", RUN, RUN + " indeed", "no no no no", "no no no no", "no " * 13, "no " * 20]
    assert set(walk(texts)[0]) == {(0, 1), (2, 3), (4, 5), (6, 7)}
    found, index = walk(texts, short="never")
    assert set(found) == {(2, 3), (6, 7)}
    assert index.groups.tolist() == [-1, -1, 2, 2, -1, -1, 6, 6]


@pytest.mark.parametrize("text", ["Hi", "你好", "😀", "?!"])
def test_texts_of_hardly_a_word_match_their_equals_alone(text):
    assert walk([text, text, "Hello", "…"])[0] == {(0, 1): 1.0}


def test_texts_written_without_spaces_are_compared_by_character():
    one = "机器学习是人工智能的一个分支，它让计算机能够从数据中学习规律"
    assert walk([one, "请解释：" + one + "。谢谢！"])[0] == {(0, 1): 1.0}


def test_what_very_many_texts_have_makes_no_match():
    draw = random.Random(4)
    texts = [around(draw, RUN, 5, 5) for _ in range(50)]
    found, index = walk(texts, max_rows=49)
    assert found == {}
    assert index.note.endswith("1 runs that more than 49 rows share were left out")
    assert len(walk(texts, max_rows=50)[0]) == 50 * 49 // 2


def test_what_is_left_out_counts_for_no_share():
    draw = random.Random(5)
    own = words(draw, 13)
    texts = [f"{RUN} {own}", f"{own} {words(draw, 1)}"] + [around(draw, RUN) for _ in range(50)]
    assert walk(texts, min_share=0.5, max_rows=20)[0] == {(0, 1): 0.5}


def test_equal_texts_match_however_common_they_are():
    other = RUN.replace("dog", "cat")
    texts = [RUN] * 40 + [other] * 40 + ["Hello"] * 40 + [f"{RUN} {other}"]
    found, _ = walk(texts, keep=1, max_rows=10)
    assert found == {(0, row): 1.0 for row in range(1, 40)}
    found, _ = walk(texts, max_rows=10)
    assert len(found) == 3 * 40 * 39 // 2
    assert set(found.values()) == {1.0}


def against(references, records, **parameters):
    """The references that each record matches, by the record's number, and the index."""
    every = pl.Series([*references, *records], dtype=pl.String)
    # Records come first, and a block may hold some of both.
    blocks = [slice(len(references) - 1, len(every)), slice(0, len(references) - 1)]
    texts = Texts(
        len(every),
        lambda: ((np.arange(len(every))[rows], every[rows]) for rows in blocks),
        references=len(references),
    )
    index = ngram(texts, **{"n": 13, "min_share": 0.0} | parameters)
    for row in range(len(references)):
        assert index.matches(row) == []
        index.keep(row)
    found = {}
    for row in range(len(records)):
        for reference, similarity in index.matches(row + len(references)):
            found[reference, row] = similarity
            assert index.groups[reference] == index.groups[row + len(references)] >= 0
        index.keep(row + len(references))
    return found, index


def test_a_reference_is_found_in_however_many_records_it_was_copied_into():
    draw = random.Random(11)
    records = [around(draw, RUN, 5, 5) for _ in range(50)] + [RUN] * 50
    found, index = against([RUN, words(draw, 20)], records, max_rows=2)
    assert set(found) == {(0, row) for row in range(100)}
    assert index.groups[:2].tolist() == [0, -1]
    assert index.note == "runs of 13 words"


def test_what_many_references_have_makes_no_match_and_a_repeated_reference_is_one():
    draw = random.Random(12)
    templates = [f"{RUN} {words(draw, 20)}" for _ in range(5)]
    asked = words(draw, 20)
    records = [f"{RUN} {words(draw, 20)}", around(draw, asked), templates[2], asked]
    found, index = against(templates + [asked] * 5, records, max_rows=4)
    assert found == {
        (2, 2): 1.0,
        **{(reference, row): 1.0 for reference in range(5, 10) for row in (1, 3)},
    }
    assert index.note.endswith("1 runs that more than 4 references share were left out")
    found, _ = against(templates + [asked] * 5, records, max_rows=5)
    assert {(reference, 0) for reference in range(5)} < set(found)


def test_records_are_not_compared_with_each_other():
    draw = random.Random(13)
    records = [words(draw, 40)] * 100 + [around(draw, RUN)]
    found, index = against([RUN], records)
    assert set(found) == {(0, 100)}
    assert index.comparisons == 1
    assert index.groups.tolist() == [0, *[-1] * 100, 0]


@pytest.mark.parametrize(("n", "min_share"), [(2, 0.0), (3, 0.5), (5, 0.2)])
def test_matches_with_references_are_those_of_the_definition(n, min_share):
    for seed in range(8):
        draw = random.Random(seed)
        texts = [" ".join(draw.choice("abcdef") for _ in range(draw.randrange(1, 30))) for _ in range(60)]
        expected = {}
        for reference in range(20):
            for record in range(40):
                one, other = runs(texts[reference], n), runs(texts[record + 20], n)
                share = len(one & other) / min(len(one), len(other))
                if one & other and share >= min_share:
                    expected[reference, record] = share
        found, _ = against(texts[:20], texts[20:], n=n, min_share=min_share)
        assert found == expected


def test_a_hundred_thousand_texts_of_one_template_cost_as_many_comparisons():
    texts = Texts.of([f"{RUN} {number}" for number in range(100_000)])
    index = ngram(texts, n=13, min_share=0.0, max_rows=10**6)
    index.keep(0)
    assert all(index.matches(row) == [(0, 0.5)] for row in range(1, 100_000))
    assert index.comparisons == 99_999
    assert (ngram(texts).groups < 0).all()


def test_texts_of_a_template_that_share_too_little_are_not_compared():
    draw = random.Random(7)
    template = words(draw, 30)
    texts = [f"{template} {words(draw, 30)}" for _ in range(900)]  # 18 of 48 runs
    found, index = walk(texts, min_share=0.5)
    assert found == {}
    assert index.comparisons == 0


def test_only_kept_rows_match():
    found, _ = walk([RUN, RUN + " then", RUN + " now"], keep=1)
    assert found == {(0, 1): 1.0, (0, 2): 1.0}


def test_rows_that_can_match_are_of_one_group_and_others_of_none():
    draw = random.Random(8)
    texts = [words(draw, 20), RUN, None, around(draw, RUN), "", words(draw, 5), f"{words(draw, 9)} {RUN}"]
    assert ngram(texts).groups.tolist() == [-1, 1, -1, 1, -1, -1, 1]


@pytest.mark.parametrize("texts", [[], ["one text"], [None], ["", "  ", None], ["a b c", "d e f"]])
def test_sets_without_a_match(texts):
    found, index = walk(texts)
    assert found == {}
    assert index.groups.tolist() == [-1] * len(texts)


def test_all_texts_equal():
    found, index = walk([RUN] * 200, keep=1)
    assert found == {(0, row): 1.0 for row in range(1, 200)}
    assert index.comparisons == 199


def test_the_order_and_the_blocks_of_texts_change_nothing():
    draw = random.Random(9)
    shared = [words(draw, 10) for _ in range(20)]
    texts = [around(draw, draw.choice(shared), draw.randrange(9), draw.randrange(9)) for _ in range(120)]
    every = Texts.of(texts)

    def backwards():
        for rows, block in every.blocks():
            for at in reversed(range(0, len(rows), 7)):
                yield rows[at : at + 7], block[at : at + 7]

    found, _ = walk(texts, n=8, min_share=0.3)
    assert found
    assert walk(Texts(len(texts), backwards), n=8, min_share=0.3)[0] == found


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"n": 0}, "key n"),
        ({"min_share": -0.1}, "key min_share"),
        ({"min_share": 1.1}, "key min_share"),
        ({"min_share": float("nan")}, "key min_share"),
        ({"max_rows": 1}, "key max_rows"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters, says):
    with pytest.raises(PipelineError, match=says):
        ngram(["a text"], **parameters)


def test_the_evidence_is_the_longest_shared_run_as_each_text_has_it():
    one = f"Note: “{RUN.title()}”, and that is all. The quick brown fox jumps over that lazy thing."
    other = f"HE SAID {RUN.upper().replace(' ', '  ')} LOUDLY"
    assert shared_run(one, other, 8) == RUN.title()
    assert shared_run(other, one, 8) == RUN.upper().replace(" ", "  ")
    assert shared_run(one, other, 14) == ""


def test_the_evidence_of_words_within_words_and_of_composed_letters():
    assert shared_run("a cat, at a cafe\u0301 b c", "AT A CAFÉ B", 3) == "at a café b"
    assert shared_run("aa a aa a b", "x a aa a b y", 3) == "a aa a b"


def test_the_evidence_of_short_texts_is_all_of_them():
    assert shared_run(" Hi there! ", "hi there", 13) == "Hi there!"
    assert shared_run("Hi there", "hi, here", 13) == ""
    assert shared_run("?!", "?!", 13) == "?!"
    assert shared_run("?!", "…", 13) == ""
    assert shared_run("", RUN, 13) == ""


@pytest.mark.parametrize(("n", "min_share"), [(13, 0.0), (8, 0.5)])
def test_planted_contamination_is_found_with_its_evidence(n, min_share, write_jsonl):
    draw = random.Random(10)
    prompts = [words(draw, draw.randrange(4, 60)) for _ in range(100)]
    references = read_references([write_jsonl("prompts.jsonl", [{"prompt": prompt} for prompt in prompts])])
    clean = [words(draw, draw.randrange(4, 60)) for _ in range(100)]
    copied = [prompt.upper() if draw.random() < 0.5 else f"{words(draw, 9)}: {prompt}." for prompt in prompts]
    near = [around(draw, " ".join(prompt.split()[: n - 1])) for prompt in prompts]
    texts = [*references["prompt"], *clean, *copied, *near]
    found, _ = walk(texts, keep=100, n=n, min_share=min_share)
    assert all(kept + 200 == row for kept, row in found)
    for number, prompt in enumerate(prompts):
        within = ":" in copied[number]
        # Within another text, one of fewer than n words is not looked for.
        assert ((number, number + 200) in found) == (not within or len(prompt.split()) >= n)
    for kept, row in found:
        assert shared_run(texts[row], texts[kept], n).lower() == texts[kept]
        assert shared_run(texts[kept], texts[row], n) == texts[kept]


@pytest.mark.real
def test_evaluation_prompts_in_alpaca(real_data):
    """Read one by one: five prompts word for word, a joke and a saying that other tasks quote, and a loop."""
    folder = real_data / "eval_sets"
    references = read_references(folder.glob("*.jsonl"))
    tasks = json.loads((real_data / "self_instruct" / "alpaca_data.json").read_text("utf-8"))
    asked = ["\n\n".join(filter(None, (task["instruction"], task["input"]))) for task in tasks]
    assert (references.height, len(asked)) == (1190, 52_002)

    def contaminated(**parameters):
        found, _ = walk([*references["prompt"], *asked], keep=references.height, **parameters)
        shown = {}
        for kept, row in found:
            if row >= references.height:
                shown[asked[row - references.height]] = references["file"][kept]
        return shown

    letter = "Write a letter to the mayor, thanking him for his efforts during the coronavirus pandemic."
    strict, loose, strictest = contaminated(n=8, min_share=0.5), contaminated(n=8), contaminated()
    assert strict[letter] == strictest[letter] == "lima_test_300.jsonl"
    assert (len(strict), len(loose), len(strictest)) == (7, 88, 8)
    assert set(strict) < set(strictest) < set(loose)
    (loop,) = set(strictest) - set(strict)
    assert "for (int i=0; i < N; i++)" in loop
