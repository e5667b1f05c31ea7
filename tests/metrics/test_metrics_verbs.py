from importlib.resources import files

import polars as pl
import pytest

from curate.metrics import verb_nouns
from curate.metrics.verbs import _english

REQUESTS = {
    # where a request begins
    "Write a story.": ("write", "story"),
    "WRITE A STORY": ("write", "story"),
    "Please kindly suggest three names for a boat": ("suggest", "name"),
    "Hi! Could you please draft a short letter to my landlord?": ("draft", "letter"),
    "Can you recommend a film?": ("recommend", "film"),
    "Given the table, find the largest number.": ("find", "number"),
    "Using the words below, compose a poem": ("compose", "poem"),
    "How do I boil an egg?": ("boil", "egg"),
    "how to repair a bicycle": ("repair", "bicycle"),
    "In this task, your job is to classify the review.": ("classify", "review"),
    "I want you to translate this letter into Danish.": ("translate", "letter"),
    "Help me write an essay about rain": ("write", "essay"),
    "You are a sailor. Describe your boat.": ("describe", "boat"),
    "- Sort the list\n- Print it": ("sort", "list"),
    "Briefly summarize the article": ("summarize", "article"),
    "Clumsily classify the animals": ("classify", "animal"),
    # where its noun is
    "Rewrite the given sentence using an adverb": ("rewrite", "sentence"),
    "Give me five examples of metals": ("give", "example"),
    "Tell a moving, vivid story about snow": ("tell", "story"),
    "Write a clear and concise summary of it": ("write", "summary"),
    "Compare and contrast the two poems": ("compare", "poem"),
    "Come up with a name": ("come", "name"),
    "Respond to the letter below": ("respond", "letter"),
    "Describe the author's main argument": ("describe", "argument"),
    "Build a machine learning model": ("build", "model"),
    "Name two countries": ("name", "country"),
    "List the criteria": ("list", "criterion"),
    "Explain the basics": ("explain", "basics"),
    "Act as a cook looking to sell cakes": ("act", "cook"),
    "Draw a family tree": ("draw", "tree"),
    # a verb alone
    "Explain how it works": ("explain", None),
    "Translate “Guten Morgen”": ("translate", None),
    "Summarize: the sun rose late.": ("summarize", None),
    "Identify whether this is true": ("identify", None),
    "Punctuate it.": ("punctuate", None),
}
NONE = [
    "What is the capital of Peru?",
    "Answer: 42",
    "List of rivers in Chile",
    "Exercise is good for you.",
    "Do you like tea?",
    "Do you write poems?",
    "The loop is here: ```\nimport this\n```",
    "What can you tell me?",
    "This is a gift you want to buy online.",
    "The boss may ask you to leave.",
    "The cat sat on the mat; it was warm.",
    "请写一个关于月亮的故事。",
    "Écris une histoire.",
    "",
    "   \n\n ",
    "12345",
    "???",
    "What is written here?\n\nWrite a story.",  # the material that a question is about
]


@pytest.mark.parametrize(("prompt", "found"), REQUESTS.items())
def test_a_request_has_its_verb_and_noun(prompt, found):
    assert verb_nouns(pl.Series([prompt])).row(0) == found


@pytest.mark.parametrize("prompt", NONE)
def test_what_is_no_request_has_neither(prompt):
    assert verb_nouns(pl.Series([prompt])).row(0) == (None, None)


def test_prompts_do_not_touch_one_another():
    prompts = [*REQUESTS, *NONE]
    together = verb_nouns(pl.Series(prompts)).rows()
    assert together == [verb_nouns(pl.Series([prompt])).row(0) for prompt in prompts]


def test_blocks_of_prompts_are_parsed_like_all(monkeypatch):
    prompts = pl.Series([*REQUESTS, None, *NONE, None])
    whole = verb_nouns(prompts)
    monkeypatch.setattr("curate.metrics.words._BLOCK", 60)
    assert verb_nouns(prompts).equals(whole)


def test_null_and_no_prompts_have_neither():
    assert verb_nouns(pl.Series([None], dtype=pl.String)).rows() == [(None, None)]
    assert verb_nouns(pl.Series([], dtype=pl.String)).schema == {"verb": pl.String, "noun": pl.String}


def test_a_prompt_of_many_words_is_looked_at_in_front():
    assert verb_nouns(pl.Series(["Write a story. " + "very " * 100_000])).row(0) == ("write", "story")


def test_words_of_lists_stand_there_once():
    english = _english()
    verbs = english["verbs"].split()
    assert verbs == sorted(set(verbs))
    assert len(verbs) > 1000
    assert set(english["nounish"].split()) <= set(verbs)
    assert {pair.split()[0] for pair in english["phrasal"]} <= {*verbs, "up"}


def test_word_lists_are_shipped():
    for name in ("verbs.txt", "verbs.toml"):
        assert files("curate.metrics").joinpath(name).is_file()


@pytest.mark.real
def test_nine_tenths_of_alpacas_requests_are_parsed(real_data):
    import json

    rows = json.loads((real_data / "self_instruct" / "alpaca_data.json").read_text("utf-8"))
    found = verb_nouns(pl.Series([row["instruction"] for row in rows]))
    assert found["verb"].count() / len(rows) > 0.92
    assert found["noun"].count() / len(rows) > 0.85
    both = found.group_by("verb", "noun").len().drop_nulls().sort("len", descending=True)
    assert both.row(0)[:2] == ("rewrite", "sentence")
