"""The signals of text quality are what plain Python counts, and say nothing of texts too short for them."""

from __future__ import annotations

import random
import re
from importlib import import_module

import pytest

from curate.record import records
from curate.testing import evaluate

WORD_RULES = ("symbol_heavy", "odd_word_lengths", "few_letters", "few_stop_words")
LINE_RULES = ("bullet_heavy", "ellipsis_lines", "unfinished_lines")
SIGNALS = (*WORD_RULES, *LINE_RULES, "repeated_lines", "placeholder_text")

# Pieces without code, mathematics and quotation marks: there the prose of a text is the text.
PIECES = (
    *("the", "The", "of", "and", "wheat", "Ähre", "小麦", "пшеница", "don’t", "co-op", "x1", "#tag", "# ", "##"),
    *("12", "3,5", "7.", "1. ", "2) ", "- ", "* ", "• ", "–", "...", "…", "..", ".", "!", "?", ",", "(", "|"),
    *(" ", " ", " ", " ", "  ", "\t", "\n", "\n", "\n\n", " \n", "\u00a0", "\u200b", "e\u0301", "🌾", "—"),
)
TEXTS = ["".join(random.Random(seed).choices(PIECES, k=random.Random(seed).randrange(120))) for seed in range(400)]


def the_filter(name):
    return getattr(import_module(f"curate.filters.{name}"), name)


def judged(name, texts, **parameters):
    frame = records({"id": str(at), "prompt": "?", "response": text} for at, text in enumerate(texts))
    return evaluate(the_filter(name), frame, **parameters)


def words_of(text):
    return [word for word in text.split() if any(map(str.isalnum, word))]


def lines_of(text):
    return [line.strip() for line in text.split("\n") if line.strip()]


def symbols_a_word(text):
    without_headings = "\n".join(re.sub(r"^\s*#+\s", "", line) for line in text.split("\n"))
    return max(without_headings.count("#"), text.count("...") + text.count("…")) / len(words_of(text))


def mean_length(text):
    # A combining mark is no letter to Python, and belongs to one.
    return sum(character.isalnum() or character == "\u0301" for character in text) / len(words_of(text))


def share_with_letter(text):
    words = words_of(text)
    listed = sum(re.match(r"\s*[0-9]+[.)]\s", line) is not None for line in text.split("\n"))
    return sum(any(map(str.isalpha, word)) for word in words) / (len(words) - listed)


def stop_words(text):
    asked = {"the", "be", "to", "of", "and", "that", "have", "with"}
    return len(asked & set(re.findall(r"[a-z0-9_]+", re.sub(r"[^\x00-\x7F]", " ", text).lower())))


def share_of_bullets(text):
    bullets = [re.match(r"\s*(?:[-*+–]\s|[•‣◦▪●·])", line) for line in text.split("\n") if line.strip()]
    return sum(found is not None for found in bullets) / len(bullets)


def share_trailing(text):
    lines = lines_of(text)
    return sum(line.endswith(("...", "…")) for line in lines) / len(lines)


def share_finished(text):
    lines = lines_of(text)
    marks = tuple("!?\"'”’»。！？؟।")
    return sum(line.endswith(marks) or (line.endswith(".") and not line.endswith("..")) for line in lines) / len(
        lines
    )


def told_lines(text):
    return [line for line in lines_of(text) if re.search(r"[^\W\d_]{2}", line)]


def share_repeated(text):
    lines = told_lines(text)
    return (len(lines) - len(set(lines))) / len(lines)


PLAIN = {
    "symbol_heavy": (symbols_a_word, {"min_words": 1}, words_of),
    "few_letters": (share_with_letter, {"min_words": 1}, words_of),
    "few_stop_words": (stop_words, {"min_words": 1}, words_of),
    "bullet_heavy": (share_of_bullets, {"min_lines": 1}, lines_of),
    "ellipsis_lines": (share_trailing, {"min_lines": 1}, lines_of),
    "unfinished_lines": (share_finished, {"min_lines": 1}, lines_of),
    "repeated_lines": (share_repeated, {"min_units": 1}, told_lines),
    # Bounds that nothing is within, so that every mean is shown.
    "odd_word_lengths": (mean_length, {"min_words": 1, "min_mean": 1e9, "max_mean": 1e9}, words_of),
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_signal_is_what_plain_python_counts(name):
    plain, parameters, units = PLAIN[name]
    found = judged(name, TEXTS, **parameters)
    compared = 0
    for text, evidence, applies in zip(TEXTS, found["evidence"], found["applies"], strict=True):
        if applies:
            assert evidence == pytest.approx(plain(text), abs=1e-12), repr(text)
            compared += 1
        elif name != "few_letters":  # which may have nothing but numbers of a list
            assert not units(text), repr(text)
    assert compared > len(TEXTS) / 2


@pytest.mark.parametrize("unit", ["paragraph", "sentence"])
@pytest.mark.parametrize("share_of", ["units", "characters"])
def test_repeated_units_are_what_plain_python_counts(unit, share_of):
    kinds = {"paragraph": ["One line.\nAnother.", "Three.", "One line."], "sentence": ["It rains.", "Why?", "No!"]}
    joint = {"paragraph": "\n \n", "sentence": " "}[unit]
    for seed in range(50):
        units = random.Random(seed).choices(kinds[unit], k=6)
        distinct = set(units)
        sizes = {"units": (6, len(distinct)), "characters": (len("".join(units)), len("".join(distinct)))}
        every, once = sizes[share_of]
        found = judged("repeated_lines", [joint.join(units)], unit=unit, share_of=share_of)
        assert found["evidence"].item() == pytest.approx((every - once) / every)


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("text", ["", " \n\t", "```\ncode = [1, 2, 3]\n```"])
def test_a_text_without_prose_is_judged_by_no_signal(name, text):
    least = {"min_words": 1} if name in WORD_RULES else {"min_lines": 1} if name in LINE_RULES else {}
    found = judged(name, [text], **least)
    assert found["rejected"].item() in ("does not apply", "no"), "an unknown value would reject the record"
    assert found["evidence"].item() is None or name == "few_stop_words"


@pytest.mark.parametrize("name", [*WORD_RULES, *LINE_RULES, "repeated_lines"])
def test_a_short_answer_is_no_document(name):
    assert judged(name, ["Positive", "- 7 ...", "#", "wheat\nwheat"])["rejected"].unique().to_list() == [
        "does not apply"
    ]


@pytest.mark.parametrize(
    ("name", "parameter", "published"),
    [
        # Rae et al., arXiv 2112.11446, §A.1.1 and Table A1.
        ("symbol_heavy", "max_ratio", 0.1),
        ("odd_word_lengths", "min_mean", 3.0),
        ("odd_word_lengths", "max_mean", 10.0),
        ("few_letters", "min_share", 0.8),
        ("few_stop_words", "min_distinct", 2),
        ("bullet_heavy", "max_share", 0.9),
        ("ellipsis_lines", "max_share", 0.3),
        ("repeated_lines", "max_share", 0.3),
        *((name, "min_words", 50) for name in WORD_RULES),
        ("unfinished_lines", "min_share", 0.12),  # Penedo et al., arXiv 2406.17557, §3.6
        ("placeholder_text", "kinds", ("lorem_ipsum",)),  # Raffel et al., arXiv 1910.10683, §2.2
    ],
)
def test_the_published_numbers_are_the_defaults(name, parameter, published):
    assert the_filter(name).function.__kwdefaults__[parameter] == published


def loop_at_the_end(text, times, min_chars):
    end = text.rstrip(" \t\n\r.,;:!?…\"'”’*_`")[-2000:]
    for length in range(1, len(end)):
        if len(end) - length >= min_chars and end.endswith(end[-min_chars - length : -length]):
            phrase = end[-length:]
            first = phrase.lstrip(" \t\n\r.,;:!?…\"'”’*_`")
            loops = end.endswith(first + phrase * (times - 1)) and any(map(str.isalpha, phrase))
            return phrase.strip() if loops else None
    return None


def test_a_loop_is_what_plain_python_finds():
    texts = []
    for seed in range(600):
        chance = random.Random(seed)
        words = chance.choices(
            ["on", "and", "off ", "go.", "the hill", "\n", ", ", "7", "né"], k=chance.randrange(1, 6)
        )
        phrase = chance.choice(["", " "]).join(words)
        before = " ".join(chance.choices(["on", "and", "then", "né"], k=chance.randrange(12)))
        text = before + phrase * chance.randrange(1, 12)
        texts.append(text[: len(text) - chance.randrange(4)])
    for times, min_chars in ((3, 30), (2, 10), (4, 1)):
        found = judged("repeats_itself", texts, times=times, min_chars=min_chars)["evidence"].to_list()
        assert found == [loop_at_the_end(text, times, min_chars) for text in texts]
        assert len(texts) / 20 < sum(phrase is not None for phrase in found) < len(texts) * 0.9


def test_control_characters_can_be_taken_out():
    kinds = ("control", "zero_width", "bidi")
    mask = the_filter("control_characters")(kinds=kinds).mask
    assert mask("a\x00b\u200bc\u202ed\te\r\n👩\u200d🚀") == "abcd\te\r\n👩\u200d🚀"
    left = [mask("".join(map(chr, range(start, start + 0x400)))) for start in range(0, 0xD800, 0x400)]
    assert judged("control_characters", left, kinds=kinds)["evidence"].null_count() == len(left)


@pytest.mark.real
def test_real_sentences_are_no_mojibake_but_in_files_that_hold_some(real_data):
    damaged = {"cs", "de", "fi", "fr", "hu", "pl", "ro", "sv", "tr"}  # read by a person: all 257 hits are right
    files = sorted((real_data / "labels" / "language_sentences").glob("*.txt"))
    hit = {}
    for file in files:
        found = judged("mojibake", file.read_text("utf-8").split("\n"))
        hit[file.stem] = (found["rejected"] == "yes").any()
    assert {language for language, any_hit in hit.items() if any_hit} == damaged
    assert {"pt", "vi", "ru", "zh", "el"} <= hit.keys() - damaged
