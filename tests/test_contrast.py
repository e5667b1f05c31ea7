"""What differs between two texts is marked, what does not is cut short, and no more is compared than is shown."""

import random
import time

import pytest

from curate.contrast import apart, contrast, sharing


def marked(pieces):
    shown = {"same": "{}", "differs": "<{}>", "shared": "={}=", "cut": "…"}
    return "".join(shown[piece.kind].format(piece.text) for piece in pieces)


def sides(a, b, **limits):
    both = contrast(a, b, **limits)
    return marked(both.a), marked(both.b)


def test_the_words_that_differ_are_marked_on_both_sides():
    assert sides("The quick brown fox jumps over it", "The quick red fox jumps over it today") == (
        "The quick< brown> fox jumps over it",
        "The quick< red> fox jumps over it< today>",
    )


def test_what_one_side_has_alone_leaves_nothing_marked_on_the_other():
    assert sides("a b c d", "a b x y c d") == ("a b c d", "a b< x y> c d")


def test_signs_are_words_and_so_is_each_character_of_a_script_without_spaces():
    assert sides("Negative.", "Negative") == ("Negative<.>", "Negative")
    assert sides("我喜欢吃红苹果和梨", "我喜欢吃青苹果和梨") == ("我喜欢吃<红>苹果和梨", "我喜欢吃<青>苹果和梨")


def test_a_single_word_in_common_does_not_part_what_differs():
    assert sides("one two the three four end of it", "five six the seven nine end of it") == (
        "<one two the three four> end of it",
        "<five six the seven nine> end of it",
    )


@pytest.mark.parametrize(
    ("b", "said"),
    [("one  two\nthree", "white space alone differs"), ("one two three", "the same text")],
)
def test_where_no_word_differs_it_is_said(b, said):
    both = contrast("one two three", b)
    assert (both.differs, both.said, marked(both.b)) == (False, said, "one two three")


@pytest.mark.parametrize(("a", "b"), [("", "some words"), ("some words", ""), ("", ""), (" \n", "\u3000")])
def test_an_empty_text_has_no_pieces(a, b):
    both = contrast(a, b)
    assert [marked(side) for side in (both.a, both.b)] == [f"<{side}>" if side.strip() else "" for side in (a, b)]


def test_long_passages_that_are_the_same_are_cut_at_the_same_places():
    words = " ".join(f"w{number}" for number in range(100))
    a, b = sides(f"{words} yes {words} end", f"{words} no {words} end")
    assert a.replace("yes", "no") == b
    assert a.startswith("… w92 ")
    assert a.endswith("w7…")
    assert "<" in a
    a, b = sides(f"The words {words} or", f"{words} and")
    assert a.replace("<The words> ", "").replace("or", "and") == b


def test_of_the_same_long_text_the_beginning_is_shown():
    text = "the same words again and again " * 100
    assert len(marked(contrast(text, text, chars=80).a)) < 120
    assert contrast(text, text, chars=80).a[0].text.startswith("the same words")


def test_two_long_texts_that_have_nothing_in_common_are_shown_up_to_the_limit():
    draw = random.Random(7)
    a, b = (" ".join(str(draw.random()) for _ in range(20_000)) for _ in range(2))
    both = contrast(a, b, chars=300)
    for side in (both.a, both.b):
        assert 300 <= len(marked(side)) <= 700
        assert side[-1].kind == "cut"


def test_what_is_not_shown_costs_nothing():
    text = "all of these words are in both of the texts " * 1_000_000
    began = time.process_time()
    both = contrast(text, f"{text}but these")
    assert (both.differs, both.said) == (False, "no word differs in the first 200,000 characters")
    assert time.process_time() - began < 5


def test_all_pieces_together_are_the_text_where_nothing_is_cut():
    draw = random.Random(3)
    for _ in range(50):
        a, b = (
            " ".join(draw.choice(["the", "cat", ",", "sat", "on", "mat", "."]) for _ in range(12))
            for _ in range(2)
        )
        both = contrast(a, b, chars=10_000)
        for text, pieces in ((a, both.a), (b, both.b)):
            whole = "".join(piece.text for piece in pieces)
            assert any(piece.kind == "cut" for piece in pieces) or whole == text


def test_what_is_shared_is_shown_where_it_stands_in_each():
    before, after = "left " * 30, " right" * 30
    both = sharing(
        f"{before}why is the sky blue{after}",
        "Why is  the sky blue",
        ("why is the sky blue", "Why is  the sky blue"),
    )
    assert marked(both.a) == f"…{'left ' * 8}".rstrip() + "= why is the sky blue=" + " right" * 8 + "…"
    assert marked(both.b) == "=Why is the sky blue="


def test_of_texts_that_share_words_here_and_there_nothing_is_marked():
    a = "Every wine has its own temperature and I want to know it before the guests come to us"
    b = "Is it weird that I want to drink red wine at another temperature, before the guests had any?"
    assert sides(a, b) == (a, b)


def test_texts_that_nobody_compared_are_shown_from_their_beginnings():
    both = apart("some  words", "others " * 100, chars=20)
    assert (marked(both.a), marked(both.b)) == ("some words", "others others others…")
