"""Texts are cut into words for speed alone: the ids are those of whole texts."""

import json
import random

import numpy as np
import pytest

pytest.importorskip("transformers")

from curate.train.rows import words
from curate.train.rows.encoder import NAME, Encoder

KINDS = ("bytes", "metaspace", "bytes without BOS", "llama-3", "llama-2")
FRAGMENTS = (
    *(
        "the",
        " the",
        "The ",
        "a",
        " a",
        "don't",
        "we'LL go",
        "x,y",
        "x, y",
        "end.\n\nNew",
        "e.g. this",
        "\n",
        " ",
        "  ",
        "\t",
    ),
    *(
        "(yes) no",
        "12 cats",
        "3.5 km",
        "1 000",
        "naïve café",
        "é e\u0301",
        "長江 is",
        "is 長江",
        "👩‍🚀 up",
        "\u00a0nbsp x",
    ),
    *(
        "USER: hi",
        "### Response:",
        f"{NAME}</s>{NAME}",
        "</s>",
        "<0x0A>",
        "▁",
        "Ġ",
        "a ▁b",
        "!?",
        "?!) x",
        "\r\n a",
        "",
    ),
)


def texts(count=1100):
    chance = random.Random(13)
    return ["".join(chance.choices(FRAGMENTS, k=chance.randrange(9))) for _ in range(count)]


def changed(tokenizer, change):
    """The tokenizer with something else in its JSON."""
    written = json.loads(tokenizer.backend_tokenizer.to_str())
    change(written)
    inner = type(tokenizer.backend_tokenizer).from_str(json.dumps(written))
    return type(tokenizer)(tokenizer_object=inner, **tokenizer.special_tokens_map)


def whole(encoder):
    """The encoder, made to cut nothing."""
    encoder._words.cuts = False
    return encoder


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_whole_texts(tokenizer_of, kind, monkeypatch):
    monkeypatch.setattr(words, "_PROBES", 1)  # so that a difference is not made good
    given, cutting, plain = texts(), Encoder(tokenizer_of(kind)), whole(Encoder(tokenizer_of(kind)))
    assert cutting._words.cuts == (kind != "llama-2")  # which puts a space after every special token
    for encode in ("prompts", "answers"):
        found, sought = getattr(cutting, encode)(given), getattr(plain, encode)(given)
        assert np.array_equal(found[0], sought[0])
        assert np.array_equal(found[1], sought[1])
        assert (found[0].dtype, found[1].dtype) == (np.int32, np.int64)


def test_a_word_is_encoded_once(tokenizer_of, monkeypatch):
    encoder = Encoder(tokenizer_of())
    seen = []
    once = encoder._go_on
    monkeypatch.setattr(encoder, "_go_on", lambda given: (seen.extend(given), once(given))[1])
    encoder.prompts(["One heron, one wren."] * 2000)
    assert sorted(seen) == [" heron", " one", " wren", ",", "."]


@pytest.mark.parametrize("place", ["of the", "of ", "end. A"])
def test_no_text_is_cut_where_a_token_of_the_vocabulary_reaches_across(tokenizer_of, place):
    def learn(written):
        written["model"]["vocab"][place.replace(" ", "▁")] = len(written["model"]["vocab"])

    def add(written):
        token = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
        written["added_tokens"].append({**token, "id": len(written["model"]["vocab"]), "content": place})

    for change in (learn, add):
        tokenizer = changed(tokenizer_of("metaspace"), change)
        assert not Encoder(tokenizer)._words.cuts


def test_signs_are_not_cut_off_where_a_token_holds_a_letter_with_one(tokenizer_of):
    def learn(written):
        written["model"]["vocab"]["Mr."] = len(written["model"]["vocab"])

    cut = Encoder(changed(tokenizer_of("metaspace"), learn))._words
    assert cut.cuts
    assert not cut.cuts_signs


@pytest.mark.parametrize(
    "change",
    [
        lambda written: written.update(normalizer={"type": "Lowercase"}),
        lambda written: written.update(pre_tokenizer={"type": "Whitespace"}),
        lambda written: written.update(
            pre_tokenizer={
                "type": "Split",
                "pattern": {"Regex": "(?<=x)."},
                "behavior": "Isolated",
                "invert": False,
            }
        ),
        lambda written: written["pre_tokenizer"].update(prepend_scheme="always"),
        lambda written: written["model"].update(dropout=0.1),
        lambda written: written["model"].update(ignore_merges=True),
    ],
)
def test_no_text_is_cut_for_a_tokenizer_that_is_not_known(tokenizer_of, change):
    assert not Encoder(changed(tokenizer_of("metaspace"), change))._words.cuts


def test_whole_texts_are_believed_where_they_give_anything_else(tokenizer_of):
    def learn(written):  # a token across a space, which is then kept a secret
        model = written["model"]
        model["vocab"]["s▁a"] = len(model["vocab"])
        model["merges"] = [["s", "▁a"], *model["merges"]]

    def spaced(written):
        learn(written)
        written["pre_tokenizer"]["split"] = False

    tokenizer = changed(tokenizer_of("metaspace"), spaced)
    cutting, plain = Encoder(tokenizer), whole(Encoder(tokenizer))
    cutting._words.cuts = True
    given = ["as a rule"] * 2000
    found, sought = cutting.answers(given), plain.answers(given)
    assert np.array_equal(found[0], sought[0])
    cut = cutting._words._encode(given[:3], cutting._go_on, cutting._go_on)
    assert not np.array_equal(cut[0], plain.answers(given[:3])[0])
