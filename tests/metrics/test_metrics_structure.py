import math
from collections import Counter

import polars as pl
import pytest

from curate.metrics import Prepared, verb_nouns


def entropy(counts):
    total = sum(counts)
    return -sum(count / total * math.log(count / total) for count in counts if count)


def test_category_numbers_are_those_of_brute_force(many):
    places = list(range(0, 400, 5))
    named = [many.rows["category"][place] for place in places]
    counts = Counter(name for name in named if name is not None)
    values = Prepared(many, seed=13).values(places)
    of_pool = many.rows["category"].drop_nulls().n_unique()
    assert values["category_entropy"] == pytest.approx(entropy(counts.values()), rel=1e-8)
    assert values["category_perplexity"] == pytest.approx(math.exp(entropy(counts.values())), rel=1e-8)
    assert values["category_evenness"] == pytest.approx(entropy(counts.values()) / math.log(of_pool), rel=1e-8)
    assert values["category_coverage"] == pytest.approx(len(counts) / of_pool)


def test_verb_numbers_are_those_of_brute_force(described):
    prompts = ["Write a story.", "Write a poem.", "List three cities.", "What is time?", "Write a story about it."]
    prompts += ["Explain how it works."]
    pairs = verb_nouns(pl.Series(prompts)).rows()
    verbs = Counter(verb for verb, _ in pairs if verb)
    both = Counter(pair for pair in pairs if None not in pair)
    values = described(prompts)
    assert values["verb_parsed"] == pytest.approx(5 / 6)
    assert values["verb_noun_parsed"] == pytest.approx(4 / 6)
    assert values["verb_entropy"] == pytest.approx(entropy(verbs.values()), rel=1e-8)
    assert values["verb_noun_entropy"] == pytest.approx(entropy(both.values()), rel=1e-8)
    assert (values["verb_distinct"], values["verb_noun_distinct"]) == (3, 3)


def test_evenness_goes_by_the_pools_categories(described):
    found = described(["x"] * 4, None, ["a", "b", "c", "d"], places=[0, 1])
    assert found["category_evenness"] == pytest.approx(0.5)
    assert found["category_coverage"] == 0.5


def test_rows_without_a_category_are_left_out(described):
    found = described(["x"] * 4, None, ["a", "b", None, None])
    assert found["category_perplexity"] == pytest.approx(2)


def test_one_category_has_no_evenness(described):
    found = described(["x"] * 2, None, ["a", "a"])
    assert (found["category_entropy"], found["category_evenness"]) == (0, None)
