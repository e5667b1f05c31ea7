"""The language measure: what it tells, what it does not, and that it says the same each time."""

import os
import subprocess
import sys
import unicodedata

import polars as pl
import pytest

from curate.measure.language import language

TEXTS = {
    "en": "The kettle boils over when nobody watches it, and the cat pretends not to notice.",
    "fr": "La bouilloire déborde quand personne ne la surveille, et le chat fait semblant de rien.",
    "de": "Der Kessel kocht über, wenn niemand hinsieht, und die Katze tut, als merke sie nichts.",
    "es": "La tetera se desborda cuando nadie la mira, y el gato finge que no se da cuenta.",
    "ko": "아무도 보지 않으면 주전자가 끓어 넘치고 고양이는 모른 척한다.",
    "ru": "Чайник выкипает, когда никто не смотрит, а кошка делает вид, что не замечает.",
}


def one(text):
    return language([text])["language"].item()


@pytest.mark.parametrize("code", TEXTS)
def test_a_sentence_is_told_by_its_language(code):
    assert one(TEXTS[code]) == code


def test_chinese_is_one_language_in_either_script():
    assert one("没有人看着的时候水壶会烧干而猫假装没有看见") == "zh"
    assert one("沒有人看著的時候水壺會燒乾而貓假裝沒有看見") == "zh"


@pytest.mark.parametrize(
    "text",
    ["", " \n", "42", "Yes.", "Noun.", "...!?", "🎉🎉🎉", "\x00", "\u200b" * 50, "예"],
)
def test_too_few_letters_say_nothing(text):
    assert language([text]).row(0) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        "```python\nfor kettle in kitchen:\n    boil(kettle, until='nobody watches it')\n```",
        "```\nan unclosed fence with a good many words in it",
        "`the_kettle_boils_over_when_nobody_watches_it`",
        "https://example.org/the/kettle/boils/over/when/nobody/watches/it",
        "$$\\text{the kettle boils over when nobody watches it}$$",
    ],
)
def test_code_mathematics_and_addresses_have_no_language(text):
    assert one(text) is None


def test_code_does_not_hide_the_language_around_it():
    assert one(f"```\n{TEXTS['en']} {TEXTS['en']}\n```\n\n{TEXTS['de']}") == "de"


def test_a_few_letters_of_another_alphabet_are_enough():
    assert one("안녕하세요 여러분") == "ko"


def test_a_text_says_the_same_alone_in_a_batch_and_in_another_order():
    texts = [*TEXTS.values(), "", "Sake, ramen, kimono, geisha, tsunami, karaoke."]
    together = language(texts).rows()
    assert [language([text]).row(0) for text in texts] == together
    assert language(texts[::-1]).rows() == together[::-1]
    assert language(texts).rows() == together


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_another_process_says_the_same(hash_seed):
    texts = [*TEXTS.values(), "Sake, ramen, kimono, geisha, tsunami, karaoke."]
    program = f"from curate.measure.language import language; print(language({texts!r}).rows())"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.strip() == str(language(texts).rows())


def test_only_the_beginning_is_read():
    assert one(TEXTS["en"] * 10 + TEXTS["fr"] * 10_000) == "en"


def test_the_frame_has_one_row_a_text_and_the_declared_columns():
    assert language(list(TEXTS.values())).schema == pl.Schema(language.schema)
    assert language(["", *TEXTS.values()]).height == len(TEXTS) + 1
    assert language([]).schema == pl.Schema(language.schema)


def test_importing_the_measure_does_not_import_langdetect():
    program = "import sys, curate.measure.language; print('langdetect' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_text_says_the_same_in_a_batch_of_many():
    many = [f"{text} {number}" for number in range(60) for text in TEXTS.values()]
    assert language(many).rows() == [language([text]).row(0) for text in many]


def test_korean_and_japanese_need_a_letter_of_their_own():
    assert one("外面正在下雨") == "zh"
    assert one("外で雨が降っている") == "ja"
    assert one("밖에 비가 오고 있다") == "ko"


@pytest.mark.parametrize(
    "text", ["Berlin, Hamburg, Tokyo, Paris", "arr = max(arr); return arr", "Do la mi re fa sol si la"]
)
def test_what_is_in_no_language_for_certain_is_doubtful(text):
    assert language([text])["confidence"].item() < 0.98


def test_a_sentence_leaves_no_doubt():
    assert language(list(TEXTS.values()))["confidence"].min() > 0.98


def test_the_less_there_is_to_tell_by_the_less_it_is_sure():
    whole, part = language([TEXTS["en"], TEXTS["en"][:14]])["confidence"]
    assert part < whole


def test_vietnamese_may_come_with_its_marks_apart():
    text = "Không ai để ý khi ấm nước sôi, còn con mèo thì giả vờ không biết gì."
    assert one(unicodedata.normalize("NFD", text)) == one(text) == "vi"


@pytest.mark.real
def test_confidence_is_the_share_of_answers_that_are_right(real_data):
    folder = real_data / "labels" / "language_sentences"
    labelled = [
        (file.stem, line[:25])
        for file in sorted(folder.glob("*.txt"))
        for line in file.read_text("utf-8").splitlines()
    ]
    found = language([line for _, line in labelled]).with_columns(label=pl.Series([code for code, _ in labelled]))
    for low, high in ((0.5, 0.7), (0.7, 0.9), (0.9, 0.98), (0.98, 1.01)):
        band = found.filter(pl.col("confidence").is_between(low, high, closed="left"))
        assert abs((band["language"] == band["label"]).mean() - band["confidence"].mean()) < 0.06


@pytest.mark.real
def test_nineteen_of_twenty_labelled_sentences_are_told_right(real_data):
    folder = real_data / "labels" / "language_sentences"
    labelled = [
        (file.stem, line)
        for file in sorted(folder.glob("*.txt"))
        for line in file.read_text("utf-8").splitlines()[:40]
    ]
    found = language([line for _, line in labelled])["language"].to_list()
    answered = [(code, label) for code, (label, _) in zip(found, labelled, strict=True) if code]
    assert len(answered) > 0.95 * len(labelled)
    assert sum(code == label for code, label in answered) > 0.97 * len(answered)
