import os
import subprocess
import sys

import numpy as np
import pytest

from curate.metrics import Prepared
from curate.metrics.products import CLUSTERS, clustered, coarse, eigenvalues, exact, nearest


def unit(vectors):
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths == 0, 1, lengths)


def located(vectors):
    return unit(vectors[vectors.any(axis=1)].astype(float))


@pytest.fixture(scope="module")
def pool(many):
    return Prepared(many, seed=13)


@pytest.fixture(scope="module")
def places():
    return np.arange(0, 400, 2)


def test_nearest_distance_is_that_of_brute_force(many, pool, places):
    vectors = located(many.vectors[places])
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    distances = 1 - cosines.max(axis=1)
    values = pool.values(places)
    assert values["nearest_distance"] == pytest.approx(distances.mean(), abs=1e-7)
    assert values["near_twins"] == pytest.approx((distances <= 0.1).mean())


def test_coverage_of_the_pool_is_that_of_brute_force(many, pool, places):
    every, chosen = located(many.vectors), located(many.vectors[places])
    assert pool.values(places)["pool_coverage"] == pytest.approx((every @ chosen.T).max(axis=1).mean(), abs=1e-7)


@pytest.mark.parametrize("count", [10, 200])
def test_vendi_scores_are_those_of_all_pairs(many, pool, count):
    places = np.arange(100, 100 + count)
    vectors = unit(many.vectors[places].astype(float))
    values = np.linalg.eigvalsh(vectors @ vectors.T / count)
    values = values[values > 1e-12]
    found = pool.values(places)
    first, second = np.exp(-(values * np.log(values)).sum()), 1 / (values**2).sum()
    assert found["vendi"] == pytest.approx(first, rel=1e-4)
    assert found["vendi_2"] == pytest.approx(second, rel=1e-4)
    assert found["vendi_share"] == pytest.approx(first / min(count, 24), rel=1e-4)
    assert found["vendi_2_share"] == pytest.approx(second / min(count, 24), rel=1e-4)


def test_equal_rows_are_one_in_effect(described):
    found = described(["x"] * 4, vectors=[[1, 2, 3]] * 4)
    assert (found["vendi"], found["vendi_2"]) == (1, 1)
    assert (found["nearest_distance"], found["near_twins"], found["pool_coverage"]) == (0, 1, 1)


def test_rows_at_right_angles_are_all_in_effect(described):
    found = described(["x"] * 5, vectors=np.eye(5))
    assert found["vendi"] == pytest.approx(5)
    assert found["vendi_2_share"] == pytest.approx(1)
    assert found["nearest_distance"] == 1


def test_lengths_of_vectors_do_not_count(many, places):
    longer = type(many)(many.rows, many.vectors * np.linspace(0.1, 9, 400, dtype=np.float32)[:, None])
    one, other = (Prepared(each, seed=13).values(places) for each in (many, longer))
    told = [name for name in one if one[name] is not None]
    assert [one[name] for name in told] == pytest.approx([other[name] for name in told], rel=1e-5)


def test_cluster_numbers_are_those_of_brute_force(pool, places):
    clusters, sorted_places = pool.clusters, pool.chosen(places).located
    assert len(sorted_places) == len(places) - 1  # one row lies nowhere
    counts = np.array([(clusters.of[sorted_places] == number).sum() for number in range(clusters.k)])
    p = counts[counts > 0] / counts.sum()
    values = pool.values(places)
    assert clusters.k == min(CLUSTERS, 39)  # ten rows each, of 399
    assert values["cluster_coverage"] == pytest.approx((counts > 0).mean())
    assert values["cluster_evenness"] == pytest.approx(-(p * np.log(p)).sum() / np.log(clusters.k), rel=1e-8)


def test_rows_are_in_the_cluster_whose_middle_is_nearest():
    chance = np.random.default_rng(3)
    middles = np.eye(6)[:4]
    rows = exact((middles[chance.integers(0, 4, 200)] + 0.05 * chance.normal(size=(200, 6))).astype(np.float32))
    found = clustered(rows, [rows[:70], rows[70:]])
    for number in np.unique(found.of):
        assert len(set(rows[found.of == number].argmax(axis=1))) == 1
    assert (found.cosine > 0.9).all()


def test_the_pool_itself_has_five_percent_of_outliers(pool):
    assert pool.values(range(400))["outliers"] == pytest.approx(0.05, abs=0.01)


def test_rows_of_zeros_are_as_if_they_were_not_there(sample):
    chance = np.random.default_rng(8)
    vectors = np.repeat(np.eye(6), 50, axis=0) + 0.3 * chance.normal(size=(300, 6))
    zeros = np.zeros((100, 6))
    texts = [f"text {number}" for number in range(400)]
    without, with_them = (
        Prepared(sample(texts[: len(each)], vectors=each), seed=13)
        for each in (vectors, np.concatenate([vectors, zeros]))
    )
    names = [info.name for info in without.infos() if info.needs != "text"]
    assert {"vendi", "vendi_share", "vendi_2", "outliers", "pool_coverage", "cluster_evenness"} <= set(names)
    for places in (range(300), range(0, 300, 3), range(0, 300, 60)):
        one, other = without.values(places), with_them.values([*places, *range(300, 400)])
        assert {name: one[name] for name in names} == {name: other[name] for name in names}
    assert with_them.values(range(400))["outliers"] == pytest.approx(0.05, abs=0.01)
    nothing = with_them.values(range(300, 400))
    assert {nothing[name] for name in names} == {None}


def test_clusters_and_coverage_refer_to_the_rows_that_stand_for_the_pool(many):
    half = np.arange(200)
    beside = Prepared(many, seed=13, reference=half)
    assert beside.values(half)["pool_coverage"] == 1
    other = beside.values(np.arange(200, 400))["pool_coverage"]
    assert other == pytest.approx(
        (located(many.vectors[:200]) @ unit(many.vectors[200:].astype(float)).T).max(axis=1).mean(), abs=1e-7
    )


def test_of_a_large_set_some_rows_are_asked_for_the_nearest_among_all(many, monkeypatch):
    monkeypatch.setattr("curate.metrics.semantic._ASKED", 50)
    monkeypatch.setattr("curate.metrics.prepared._CLUSTERED", 64)
    pool = Prepared(many, seed=13)
    chosen = pool.chosen(range(400))
    vectors = np.concatenate(list(chosen.vectors()))
    cosines = unit(vectors[:50]) @ unit(vectors).T
    cosines[np.arange(50), np.arange(50)] = -1
    assert pool.values(range(400))["nearest_distance"] == pytest.approx(1 - cosines.max(1).mean(), abs=1e-7)


def test_products_are_exact_in_any_order():
    chance = np.random.default_rng(1)
    one, other = exact(chance.normal(size=(2, 384)).astype(np.float32))
    order = chance.permutation(384)
    whole = sum(int(a * 2**25) * int(b * 2**25) for a, b in zip(one, other, strict=True))
    assert one @ other == one[order] @ other[order] == whole / 2**50


def test_nearest_in_blocks_is_nearest_in_all():
    chance = np.random.default_rng(2)
    left, right = (exact(chance.normal(size=(n, 8)).astype(np.float32)) for n in (30, 100))
    whole = nearest(left, [right])
    assert np.array_equal(whole, nearest(left, [right[:1], right[1:37], right[37:]]))
    assert np.array_equal(nearest(right, [right], alike=True), nearest(right, [right[:9], right[9:]], alike=True))


def test_values_are_those_of_any_number_of_threads():
    program = (
        "import numpy as np, polars as pl\n"
        "from curate.keys import draws\n"
        "from curate.metrics import Prepared, Sample\n"
        "ids = [str(i) for i in range(3000)]\n"
        "columns = dict(id=ids, prompt=ids, response=ids, category=ids, draw=draws(ids))\n"
        "vectors = np.random.default_rng(1).normal(size=(3000, 96)).astype(np.float32)\n"
        "print(Prepared(Sample(pl.DataFrame(columns), vectors), seed=1).values(range(0, 3000, 3)))"
    )
    said = set()
    for threads in ("1", "3"):
        limits = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS"), threads)
        ran = subprocess.run(
            [sys.executable, "-c", program], env=os.environ | limits, capture_output=True, text=True, check=True
        )
        said.add(ran.stdout)
    assert len(said) == 1


def test_a_vector_that_is_not_finite_is_refused(described):
    with pytest.raises(ValueError, match="not finite"):
        described(["x", "y"], vectors=[[1, np.nan], [0, 1]])


@pytest.mark.parametrize("rows", [10, 1_000, 60_000])
def test_sums_over_rows_are_exact_in_any_order(rows):
    chance = np.random.default_rng(rows)
    vectors = coarse(exact(chance.normal(size=(rows, 4)).astype(np.float32)), rows=rows)
    assert np.abs(vectors).max() > 0.5
    order = chance.permutation(rows)
    assert np.array_equal(vectors.T @ vectors, vectors[order].T @ vectors[order])


def test_eigenvalues_need_no_other_package(monkeypatch):
    matrix = np.array([[2.0, 1.0], [1.0, 2.0]])
    expected = pytest.approx([1, 3])
    assert eigenvalues(matrix) == expected
    monkeypatch.setattr("curate.metrics.products.find_spec", lambda _: None)
    assert eigenvalues(matrix) == expected
