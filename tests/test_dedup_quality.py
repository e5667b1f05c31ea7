"""The corpus and the curves that benchmarks measure deduplication by, and what they measure, in small."""

from __future__ import annotations

import itertools
import random
import re

import numpy as np
import polars as pl
import pytest

from benchmarks.dedup_quality.curves import told
from benchmarks.near_copies import NEAR, Documents, made_sentences, originals
from curate.dedup.minhash import minhash
from curate.dedup.stars import Pass, decide


@pytest.fixture(scope="module")
def documents():
    return Documents(made_sentences(2_000))


def runs(text):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[place : place + 5]) for place in range(len(words) - 4)}


def similarity(one, other):
    return len(runs(one) & runs(other)) / len(runs(one) | runs(other))


def test_a_corpus_is_the_beginning_of_a_longer_one():
    longer = originals(3 * NEAR)
    assert (originals(NEAR + NEAR // 2) == longer[: NEAR + NEAR // 2]).all()


def test_a_fifth_of_the_documents_have_a_near_copy_and_no_copy_has_a_copy():
    found = originals(3 * NEAR)
    copies = np.flatnonzero(found >= 0)
    assert (found[found[copies]] == -1).all()
    assert (found[copies] < copies).all()
    assert len(np.union1d(copies, found[copies])) / len(found) == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("wanted", [0.5, 0.7, 0.8, 0.9])
def test_a_copy_is_about_as_similar_as_was_wanted(documents, wanted):
    draw = random.Random(1)
    texts = [documents.original(number) for number in range(20)]
    found = [similarity(text, documents.edited(text, wanted, draw)) for text in texts]
    assert sum(found) / len(found) == pytest.approx(wanted, abs=0.05)


def test_planted_near_copies_are_found_and_nothing_else(documents):
    draw = random.Random(2)
    firsts = [documents.original(number) for number in range(250)]
    texts = [text for first in firsts for text in (first, documents.edited(first, draw.uniform(0.6, 1), draw))]
    truth = {
        (one, other): similarity(texts[one], texts[other])
        for one, other in zip(range(0, len(texts), 2), range(1, len(texts), 2), strict=True)
    }
    strangers = itertools.combinations(range(0, len(texts), 25), 2)
    assert all(similarity(texts[one], texts[other]) < 0.3 for one, other in strangers)

    rows = pl.DataFrame({"id": [f"{row:03d}" for row in range(len(texts))], "on:response": texts})
    rows = rows.with_row_index("position").with_columns(
        source_rank=pl.lit(0, pl.UInt32),
        score=pl.lit(None, pl.Float64),
        license=pl.lit(None, pl.String),
        chars=pl.lit(0, pl.UInt32),
    )
    pairs, *_ = decide(rows, [Pass(minhash, "minhash", "response", {})], ["native_order"])
    found = {(int(a), int(b)): each for a, b, each in pairs.select("id_a", "id_b", "similarity").rows()}

    near = {pair: each for pair, each in truth.items() if each >= 0.8}
    assert len(near) > 80
    assert found == {pair: pytest.approx(each) for pair, each in near.items() if pair in found}
    assert len(found) >= 0.99 * len(near)


def test_pairs_of_one_score_stand_or_fall_together():
    assert told([0.9, 0.5, 0.5], [True, True, False])["curve"] == [[0.9, 1.0, 0.5], [0.5, 0.6667, 1.0]]


def test_a_recall_that_no_threshold_reaches_has_no_precision():
    found = told([0.9, 0.8], [True, False], missed=2)
    assert found["precision_at_0.5"] is None
    assert found["recall"] == pytest.approx(0.3333)
