import random
from itertools import pairwise

import pytest

from curate.dedup.minhash import banding, expected_recall, minhash
from curate.dedup.texts import Texts
from curate.dedup.walk import batches
from curate.errors import PipelineError


def walk(texts, **parameters):
    """Every match of every text among all before it, and the index."""
    texts = Texts.of(texts)
    index = minhash(texts, **parameters)
    found = {}
    for batch in batches([index], texts.sizes):
        for row in batch:
            found |= {(kept, row): similarity for kept, similarity in index.matches(row)}
            index.keep(row)
    return found, index


def test_pairs_at_and_above_the_threshold_are_found(planted):
    # 90 shingles each, 10 of them their own: 80 of 100 in common, which is the threshold itself.
    for changed, similarity in ((10, 0.8), (7, 83 / 97), (2, 88 / 92)):
        texts = [text for seed in range(300) for text in planted(seed, changed)]
        found, _ = walk(texts)
        assert set(found) <= {(2 * seed, 2 * seed + 1) for seed in range(300)}
        assert len(found) >= 0.99 * 300
        assert set(found.values()) == {similarity}


def test_pairs_below_the_threshold_are_never_matched(planted):
    texts = [text for seed in range(300) for text in planted(seed, 11)]  # 79 of 101 in common
    found, index = walk(texts)
    assert found == {}
    # Their own shingles alone forbid it; now and then one is taken for shared that has the counter of another.
    assert index.comparisons < 150
    assert walk(texts, threshold=0.78)[0]


def test_similarity_is_the_true_one():
    draw = random.Random(7)
    texts = [" ".join(draw.choice("abcd") for _ in range(draw.randrange(3, 12))) for _ in range(80)]
    found, _ = walk(texts, threshold=0.4, shingle=2, recall=0.9999)

    def pairs(text):
        words = text.split()
        return set(pairwise(words))

    truth = {}
    for row in range(len(texts)):
        for kept in range(row):
            one, other = pairs(texts[kept]), pairs(texts[row])
            similarity = len(one & other) / len(one | other)
            if similarity >= 0.4:
                truth[kept, row] = similarity
    assert len(truth) > 100
    assert found == truth


def test_equal_texts_have_a_similarity_of_one():
    found, _ = walk(["Name three colours.", "name  three colours", "other", "A b c d e f g.", "a, b c d e f g"])
    assert found == {(0, 1): 1.0, (3, 4): 1.0}


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_bands_give_the_recall_at_the_threshold(threshold):
    bands, rows = banding(threshold=threshold, num_perm=128, recall=0.99)
    assert bands * rows <= 128
    assert expected_recall([threshold], bands=bands, rows=rows)[threshold] >= 0.99
    longer = expected_recall([threshold], bands=128 // (rows + 1) or 1, rows=rows + 1)[threshold]
    assert longer < 0.99 or rows == 128


def test_what_the_bands_find_is_told():
    assert minhash([]).note == (
        "21 bands of 6 rows look at 63.3% of pairs at 0.6, 92.8% of pairs at 0.7, 99.8% of pairs at 0.8, "
        "over 99.99% from 0.85 on; each is verified"
    )


def test_recall_grows_with_similarity():
    recalls = expected_recall([0.5, 0.7, 0.8, 0.9, 1.0], bands=21, rows=6)
    assert list(recalls.values()) == sorted(recalls.values())
    assert recalls[0.8] == pytest.approx(0.9983, abs=1e-4)
    assert recalls[1.0] == 1


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"threshold": 0.0}, "threshold"),
        ({"threshold": 1.2}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"recall": 0.0}, "recall"),
        ({"num_perm": 0}, "num_perm"),
        ({"shingle": 0}, "shingle"),
        ({"threshold": 0.01}, "128 permutations find 72.4%"),
        ({"threshold": 0.05, "recall": 1.0}, "raise num_perm or threshold"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters, says):
    with pytest.raises(PipelineError, match=says):
        minhash(["a text"], **parameters)


def test_texts_of_one_template_that_differ_too_much_stay_cheap():
    # Each has 76 shingles of the template and 12 of its own: 76 of 100 in common, every pair in a bucket or two.
    draw = random.Random(2)
    template = " ".join(f"t{draw.randrange(10**9)}" for _ in range(80))
    texts = [template + "".join(f" w{draw.randrange(10**9)}" for _ in range(12)) for _ in range(1500)]
    found, index = walk(texts)
    assert found == {}
    assert index.comparisons < 100


def test_a_long_text_is_signed_in_pieces(planted):
    one, other = (" ".join(planted(seed, 90)[0] for seed in range(40)) for _ in range(2))
    found, _ = walk([one, other + " more", "short"])
    assert list(found) == [(0, 1)]


def test_no_text_at_all_makes_an_index():
    assert minhash([]) is not None
