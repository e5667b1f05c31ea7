import numpy as np
import pytest

from curate.vectors import SCALE, Nearness, k_means, whole


@pytest.fixture
def vectors():
    return np.random.default_rng(3).standard_normal((300, 384)).astype(np.float32)


def test_products_of_whole_vectors_are_the_same_in_every_order(vectors):
    rounded = whole(vectors)
    exact = rounded.astype(np.int64) @ rounded.astype(np.int64).T
    shuffled = np.random.default_rng(1).permutation(384)
    assert (rounded @ rounded.T == exact).all()
    assert (rounded[:, shuffled] @ rounded[:, shuffled].T == exact).all()
    assert (np.stack([rounded @ row for row in rounded]) == exact).all()


def test_no_product_can_reach_where_float32_skips_numbers():
    rows = np.random.default_rng(5).standard_normal((50, 4096)).astype(np.float32)
    assert (np.abs(whole(rows)) @ np.abs(whole(rows)).T).max() < 2**24


def test_rounding_moves_a_cosine_by_little(vectors):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.abs(whole(vectors) @ whole(vectors).T / SCALE**2 - unit @ unit.T).max() < 5e-4


def test_a_vector_of_zeros_stays_one_and_length_does_not_matter(vectors):
    vectors[7] = 0
    assert (whole(vectors)[7] == 0).all()
    assert (whole(vectors * 8) == whole(vectors)).all()
    assert np.abs(np.linalg.norm(np.delete(whole(vectors), 7, axis=0), axis=1) - SCALE).max() < 10


def test_nearness_is_exact_where_it_is_asked_for_and_too_small_elsewhere(vectors):
    rounded = whole(vectors)
    near = Nearness(rounded)
    taken = []
    for step, row in enumerate([4, 250, 17, 3]):
        near.take(row)
        taken.append(row)
        asked = np.arange(step, 300, 3)
        near.refresh(asked)
        exact = (rounded @ rounded[taken].T).max(axis=1)
        assert (near.known[asked] == exact[asked]).all()
        assert (near.known <= exact).all()
        assert all(near.is_known(int(each)) for each in asked)


def test_k_means_finds_what_is_apart_and_every_row_is_with_its_nearest_centre():
    generator = np.random.default_rng(2)
    centres = np.eye(8)[[0, 3, 5]]
    rows = np.concatenate([centre + generator.normal(0, 0.05, (40, 8)) for centre in centres]).astype(np.float32)
    clusters, found = k_means(whole(rows), 3, first=np.array([0, 50, 100]))
    assert [len(set(clusters[start : start + 40])) for start in (0, 40, 80)] == [1, 1, 1]
    assert len(set(clusters)) == 3
    assert (clusters == (whole(rows) @ found.T).argmax(axis=1)).all()


def test_a_cluster_without_rows_keeps_its_centre():
    rows = whole(np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32))
    clusters, centres = k_means(rows, 3, first=np.array([0, 1, 2]))
    assert clusters.tolist() == [0, 0, 2]
    assert (centres[1] == rows[1]).all()
