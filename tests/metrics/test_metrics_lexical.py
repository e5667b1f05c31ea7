import math
import zlib
from collections import Counter
from unicodedata import category, name

import pytest

from curate.keys import mix, seed_for
from curate.metrics import Prepared
from curate.metrics.lexical import REPEATED_WORDS, SAME_WORDS

UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")


def words(text):
    """The words of a text, character by character."""
    found, word = [], ""
    for character in f"{text or ''} ".lower():
        alone = name(character, "").startswith(UNSPACED)
        if category(character)[0] in "LMN" and not alone:
            word += character
            continue
        found += [each for each in (word, character if alone else "") if each]
        word = ""
    return found


def runs(text, n):
    found = words(text)
    return [tuple(found[at : at + n]) for at in range(len(found) - n + 1)]


def in_order(pool, places, seed=13):
    """The responses at these places, in the order that ids fix."""
    keys = mix(pool.rows["draw"], seed_for(seed, "metrics")).to_list()
    ids = pool.rows["id"].to_list()
    return [pool.rows["response"][place] for place in sorted(places, key=lambda place: (keys[place], ids[place]))]


def distinct(texts, n):
    found = [run for text in texts for run in runs(text, n)]
    return len(set(found)) / len(found)


def self_repetition(texts):
    sets = [set(runs(text, REPEATED_WORDS)) for text in texts]
    others = Counter(run for each in sets for run in each)
    return [sum(others[run] - 1 for run in each) for each in sets]


@pytest.fixture(scope="module")
def chosen(many):
    places = [*range(0, 400, 3), 31]
    return places, in_order(many, places), Prepared(many, seed=13).values(places)


@pytest.mark.parametrize("n", [1, 2])
def test_distinct_runs_are_those_of_brute_force(chosen, n):
    _, texts, values = chosen
    assert values[f"response_distinct_{n}"] == pytest.approx(distinct(texts, n), rel=1e-8)


def test_self_repetition_is_that_of_brute_force(chosen):
    _, texts, values = chosen
    shared = self_repetition([text for text in texts if text is not None])
    expected = sum(math.log(1 + count) for count in shared) / len(shared)
    assert expected > 0
    assert values["response_self_repetition"] == pytest.approx(expected, rel=1e-8)
    assert values["response_shared_runs"] == pytest.approx(sum(map(bool, shared)) / len(shared), rel=1e-8)


def test_compression_is_of_the_texts_in_the_order_that_ids_fix(chosen):
    _, texts, values = chosen
    joined = "\n".join(text for text in texts if text is not None).encode()
    assert values["response_compression"] == pytest.approx(len(joined) / len(zlib.compress(joined, 6)), rel=1e-8)


def test_beginnings_of_responses_are_compressed_alone(chosen):
    _, texts, values = chosen
    joined = "\n".join(text[:200] for text in texts if text is not None).encode()
    assert values["beginning_compression"] == pytest.approx(len(joined) / len(zlib.compress(joined, 6)), rel=1e-8)


def test_compression_of_many_bytes_is_of_the_first_that_fit(described, monkeypatch):
    monkeypatch.setattr("curate.metrics.lexical.COMPRESSED", 40)
    texts = ["a b c d " * 4, "e f g h " * 4]
    ones = [len(text) / len(zlib.compress(text.encode(), 6)) for text in texts]
    assert described(texts)["response_compression"] in [pytest.approx(one) for one in ones]


def test_one_text_of_more_bytes_than_are_compressed_is_compressed(described, monkeypatch):
    monkeypatch.setattr("curate.metrics.lexical.COMPRESSED", 4)
    assert described(["the same, the same, the same, the same"])["response_compression"] > 1


def test_distinct_pairs_of_equal_words_do_not_fall_with_the_number_of_rows(described):
    text = " ".join(f"w{number}" for number in range(SAME_WORDS // 10))
    once, twice = described([text] * 10), described([text] * 20)
    assert once["response_distinct_2_of_20000"] == twice["response_distinct_2_of_20000"]
    assert once["response_distinct_2"] > twice["response_distinct_2"]


def test_distinct_pairs_of_equal_words_are_untold_of_fewer_words(described):
    assert described(["w " * (SAME_WORDS - 1)])["response_distinct_2_of_20000"] is None


def test_a_run_repeated_within_one_response_is_no_self_repetition(described):
    found = described(["one two three four five six " * 5, "something else is said here by others"])
    assert found["response_self_repetition"] == 0


def test_equal_responses_repeat_all_their_runs(described):
    found = described(["one two three four five six seven"] * 3)
    assert found["response_self_repetition"] == pytest.approx(math.log(1 + 2 * 2))
    assert (found["response_shared_runs"], found["response_repeated"]) == (1, 1)


def test_case_and_white_space_do_not_make_another_response(described):
    assert described(["Yes,  it is.", "yes, it\nis. ", "No."])["response_repeated"] == pytest.approx(2 / 3)


def test_characters_of_scripts_without_spaces_are_words(described):
    found = described(["水と火と水", "水と火と土"])
    assert found["response_distinct_1"] == pytest.approx(4 / 10)
    assert found["response_words_median"] == 5


def test_marks_and_case_are_no_words(described):
    assert described(["Sun, SUN; sun! — 5"])["response_distinct_1"] == pytest.approx(2 / 4)


def test_texts_in_several_blocks_have_the_words_of_one(many, monkeypatch):
    whole = Prepared(many, seed=13).values(range(400))
    monkeypatch.setattr("curate.metrics.words._BLOCK", 700)
    assert Prepared(many, seed=13).values(range(400)) == whole


def test_runs_of_too_many_words_are_untold_and_not_made(described, monkeypatch):
    monkeypatch.setattr("curate.metrics.lexical.MOST_WORDS", 5)
    found = described(["one two three", "four five six"])
    assert found["response_distinct_1"] is None
    assert found["response_self_repetition"] is None
