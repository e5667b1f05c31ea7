import json
import string
import sys
import unicodedata

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curate.dedup import _kernels, characters
from curate.dedup import shingles as module
from curate.dedup.characters import ALONE, IN_WORD, RANK, UNSETTLED, classes
from curate.dedup.shingles import buffers, normalised, shingled

MASK = (1 << 64) - 1
ONE, TWO, THREE = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xFF51AFD7ED558CCD
GOLDEN = 0x9E3779B97F4A7C15

# Characters that change with their neighbours, their case's length, or with both; and plain ones.
TRICKY = (
    "aA zZ_09.,!?\"'()*+~\t\n\x0b\x0c\x1c\x00\x85\xa0éÉ\u0301\u0323\u0307ΣσςİiıẞßȺⱥK\u212b\u0344\u0958가"
    "\u1100\u1161\u11a8\u0e01\u0e34你、。”😀\U0001f1e6\u200d\u200bαΑ٠²½Ǆǅǆ꟒ꟓ\U00016d63\U00016d67\U0001d15e\U00010400\U0002f800"
)
texts = st.text(st.one_of(st.sampled_from(TRICKY), st.characters(exclude_categories=["Cs"])), max_size=200)


def sets(given, **parameters):
    found = shingled(pl.Series(given, dtype=pl.String), **parameters)
    return [set(found.of(row).tolist()) for row in range(len(given))]


def jaccard(one, other, size=5, unit="word"):
    first, second = sets([one, other], size=size, unit=unit)
    return len(first & second) / len(first | second)


def finalised(z):
    z = (z ^ z >> 30) * ONE & MASK
    z = (z ^ z >> 27) * TWO & MASK
    return z ^ z >> 31


def word_hash(word):
    raw, hash = word.encode(), 0
    while len(raw) > 8:
        hash = (hash ^ int.from_bytes(raw[:8], "little")) * ONE & MASK
        hash, raw = hash ^ hash >> 32, raw[8:]
    hash = (hash ^ int.from_bytes(raw, "little")) * TWO & MASK
    hash = (hash ^ hash >> 32) * THREE & MASK
    return hash ^ hash >> 29


def run_hash(words):
    run = 0
    for word in words:
        run = (run * THREE + word_hash(word)) & MASK
    return run


def slowly(text, size, unit):
    """What `shingled` is to find, from regular expressions and Python's own numbers."""
    text = normalised(pl.Series([text]))
    words = text.str.extract_all(f"{ALONE}|{IN_WORD}+").item().to_list() if unit == "word" else list(text.item())
    if not words:
        words, size = list(text.item()), sys.maxsize
    if len(words) < size:
        return {finalised(run_hash(words) ^ (len(words) + 1) * GOLDEN & MASK)}
    return {finalised(run_hash(words[first : first + size])) for first in range(len(words) - size + 1)}


@given(st.lists(texts, max_size=5), st.integers(1, 6), st.sampled_from(["word", "character"]))
@example(["ΑΣ", "ΑΣΑ", "Σ", "İstanbul", "e\u0301", "\u1100\u1161", "x" * 63 + "é" + "y" * 70], 1, "word")
@example([" \t a  b\n", "  ", "...", ". .", "", "a" * 64, "a" * 63 + ".", "(" * 65, "a " * 64], 2, "character")
def test_shingles_are_those_of_the_definition(given, size, unit):
    found = shingled(pl.Series(given, dtype=pl.String), size=size, unit=unit)
    assert [found.of(row).tolist() for row in range(len(given))] == [
        sorted(slowly(text, size, unit)) for text in given
    ]


@given(st.text(st.sampled_from("ab zQ_7.,(é你😀"), min_size=50, max_size=400), st.integers(0, 70))
def test_where_a_block_of_bytes_ends_changes_nothing(text, before):
    assert sets([" " * before + text], size=3) == sets([text], size=3) == [slowly(text, 3, "word")]


def test_every_character_is_what_the_expressions_say():
    points = [point for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]
    given = pl.Series([f"a{chr(point)}b" for point in points])
    words = normalised(given).str.extract_all(f"{ALONE}|{IN_WORD}+").list.len().to_numpy()
    assert np.array_equal(shingled(given, size=1).sizes(), words)


def test_marks_are_ranked_as_unicode_orders_them():
    table = classes(1)
    points = [point for point in range(0x10000) if unicodedata.category(chr(point)) in {"Mn", "Mc", "Me"}]
    ranked = {point: table[point] >> RANK for point in points if not table[point] & UNSETTLED}
    orders = {point: unicodedata.combining(chr(point)) for point in ranked}
    assert len(ranked) > 1000
    of_order = {orders[point]: rank for point, rank in ranked.items()}
    assert of_order[0] == 0
    assert all(of_order[orders[point]] == rank for point, rank in ranked.items())
    assert [of_order[order] for order in sorted(of_order)] == sorted(of_order.values())


MARKS = [chr(point) for point in range(0x10000) if unicodedata.category(chr(point)).startswith("M")]


@given(
    st.lists(st.one_of(st.sampled_from(TRICKY), st.sampled_from(MARKS), st.characters(exclude_categories=["Cs"])))
)
@settings(max_examples=500)
def test_texts_taken_as_they_are_are_in_composed_form(characters):
    text = "".join(characters)
    data = np.frombuffer(text.encode(), np.uint8)
    found = np.empty(1, np.bool_)
    assert _kernels.unsettled(data, np.array([[0, len(data)]]), classes(-1), found) == 0
    composed = pl.Series([text]).str.normalize("NFC")
    if not found[0]:
        each = pl.Series(list(text), dtype=pl.String).str.to_lowercase()
        assert composed.item() == text
        assert composed.str.to_lowercase().item() == each.str.join().item()


def test_characters_are_learned_when_a_text_has_them(monkeypatch):
    given = ["plain (ASCII) text", "café", "e\u0301 क्षि 😀 \U00010400 \U0002f800 A\u030a", "😀", "\u1e9b\u0323"]
    expected = sets(given, size=1)
    monkeypatch.setattr(characters, "_TABLE", np.zeros_like(characters._TABLE))
    known = []
    for text, own in zip(given, expected, strict=True):
        assert sets([text], size=1) == [own]
        known.append(int(np.count_nonzero(characters._TABLE)) // characters.PLANE)
    assert known == [0, 1, 3, 3, 3]


def windows(text, size):
    words = text.split()
    return {tuple(words[place : place + size]) for place in range(max(1, len(words) - size + 1))}


def test_shingles_are_the_runs_of_words():
    given = ["a b c d e f g", "b c d e f", "a b", "a a a a a a a", "c d e f g h", "b a", "ab c", "a bc"]
    found = sets(given, size=3)
    for one in range(len(given)):
        for other in range(len(given)):
            expected = len(windows(given[one], 3) & windows(given[other], 3))
            assert len(found[one] & found[other]) == expected


@pytest.mark.parametrize("text", ["", " ", "?!", "Hi", "Define osmosis.", "😀", "你好", "a b c d", "a b c d e"])
@pytest.mark.parametrize("unit", ["word", "character"])
def test_short_texts_are_one_shingle_and_never_lost(text, unit):
    assert len(sets([text], size=20, unit=unit)[0]) == 1
    assert jaccard(text, text, size=20, unit=unit) == 1.0


def test_short_texts_match_only_when_all_their_words_do():
    assert jaccard("Define osmosis.", "define  osmosis") == 1.0
    assert jaccard("Define osmosis", "Define ozone") == 0.0
    assert jaccard("Define", "Define osmosis") == 0.0
    assert jaccard("a b c d", "a b c d e") == 0.0
    assert jaccard("a a", "a a a") == 0.0
    assert jaccard("?!", "...") == 0.0
    assert jaccard("?!", " ?!\n") == 1.0


def test_marks_of_sentences_are_no_words_but_signs_are():
    assert jaccard("Well, he said: “run!”", "well he said run") == 1.0
    assert jaccard("2 * (3 + 4)", "(2 * 3) + 4") == 0.0
    assert jaccard("10²", "102") == 0.0


def test_accents_match_however_they_are_encoded():
    assert jaccard("un café noir à Paris", "un cafe\u0301 noir a\u0300 PARIS") == 1.0
    assert jaccard("İZMİR ΟΔΟΣ", "i\u0307zmi\u0307r οδος") == 1.0


def test_texts_without_spaces_are_compared_by_character():
    one = "机器学习是人工智能的一个分支，它让计算机能够从数据中学习规律并作出预测。"
    assert jaccard(one, one.replace("预测", "判断")) > 0.8
    assert 0 < jaccard("การเรียนรู้ของเครื่องเป็นสาขาหนึ่ง", "การเรียนรู้ของเครื่องเป็นแขนงหนึ่ง") < 1


def test_right_to_left_texts_are_compared_by_word():
    one = "التعلم الآلي فرع من فروع الذكاء الاصطناعي يمكن الحاسوب من التعلم من البيانات"
    assert jaccard(one, one + "؟") == 1.0
    assert 0.5 < jaccard(one, one + " اليوم") < 1


def test_shingles_of_characters_know_word_from_word():
    assert jaccard("ab c", "a bc", size=2, unit="character") == 0.0
    assert jaccard("AB \n c", " ab c ", size=2, unit="character") == 1.0
    assert len(sets(["abcab ab"], size=2, unit="character")[0]) == len(["ab", "bc", "ca", "b ", " a"])


@pytest.mark.parametrize("block", [1, 100, 10**9])
@pytest.mark.parametrize("cores", [1, 3])
def test_neither_blocks_nor_cores_change_anything(monkeypatch, block, cores):
    given = pl.Series([f"text {n} has some ẅords {n * n} " + "e\u0301 " * (n % 3) for n in range(50)])
    given = pl.concat([given, pl.Series(["", "?"]), given], rechunk=False)
    whole = shingled(given, size=4)
    monkeypatch.setattr(module, "_BLOCK", block)
    monkeypatch.setattr(module, "cores", lambda: cores)
    parts = shingled(given, size=4)
    assert np.array_equal(whole.hashes, parts.hashes)
    assert np.array_equal(whole.starts, parts.starts)


def test_hashes_of_a_million_different_shingles_never_collide():
    found = shingled(pl.Series([" ".join(map(str, range(1_000_000)))]), size=2)
    assert found.sizes().tolist() == [999_999]
    # In the low 32 bits about 116 pairs fall together by chance (a birthday problem: n² / 2 / 2³²).
    distinct = len(np.unique(found.hashes.astype(np.uint32)))
    assert 60 < 999_999 - distinct < 180


def test_one_changed_letter_flips_half_of_the_low_bits():
    words = pl.Series([f"{a}{b}" for a in "abcdefghijklmnopqrst" for b in string.ascii_lowercase])
    for before, after in (("so ", " said he"), ("", " said so he"), ("said so he ", ""), ("incomprehensib", "")):
        found = shingled(before + words + after, size=4).hashes.astype(np.uint32)
        flipped = found[1:] ^ found[:-1]
        shares = [np.mean(flipped >> np.uint32(bit) & np.uint32(1)) for bit in range(32)]
        assert 0.4 < min(shares) < max(shares) < 0.6


def test_many_equal_words_and_one_long_word_are_shingled():
    found = shingled(pl.Series(["so " * 1_000_000, "x" * 1_000_000, "(" * 100_000]), size=5)
    assert found.sizes().tolist() == [1, 1, 1]


def test_texts_stay_as_they_are():
    given = pl.Series(["plain", "e\u0301 CAFE\u0301"])
    shingled(given, size=2)
    buffers(given)
    assert given.to_list() == ["plain", "e\u0301 CAFE\u0301"]


def test_no_text_at_all_has_no_shingles():
    found = shingled(pl.Series([], dtype=pl.String), size=5)
    assert found.starts.tolist() == [0]
    assert not len(found.hashes)


def test_hashes_are_those_of_the_first_release():
    # A changed number makes every cached table of pairs anew: let it be meant.
    assert shingled(pl.Series(["One two three."]), size=2).hashes.tolist() == [
        3431573717683522118,
        11643463763333995952,
    ]


@pytest.mark.real
@pytest.mark.parametrize("unit", ["word", "character"])
def test_real_texts_are_shingled_by_the_definition(real_data, unit):
    conversations = json.loads((real_data / "sharegpt" / "ShareGPT_V3_filtered_500.v1.json").read_bytes())
    texts = [turn["value"] for row in conversations[:60] for turn in row["conversations"]]
    texts += (real_data / "reddit" / "top2013_france.csv").read_text("utf-8").splitlines()[:300]
    assert not all(map(str.isascii, texts))
    found = shingled(pl.Series(texts), size=5, unit=unit)
    for row, text in enumerate(texts):
        assert found.of(row).tolist() == sorted(slowly(text, 5, unit))
