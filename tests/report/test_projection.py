import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from curate.report import projection
from curate.report.numbers import numbers
from curate.report.projection import POINTS, SIDE, Vectors, projected, sampled

CLUSTERS = 4


def clustered(count, *, seed=0):
    """Vectors around a few centres, one centre after another."""
    chance = np.random.default_rng(seed)
    centres = chance.normal(size=(CLUSTERS, 32))
    of = np.arange(count) % CLUSTERS
    return (centres[of] + 0.3 * chance.normal(size=(count, 32))).astype(np.float32), of


def test_vectors_of_one_cluster_lie_together():
    vectors, of = clustered(300)
    points = projected(vectors, 7).astype(float)
    assert points.min() >= 0
    assert points.max() <= SIDE
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (of[apart.argmin(axis=1)] == of).mean() > 0.99


def test_neighbours_stay_neighbours_more_often_than_on_principal_components():
    chance = np.random.default_rng(5)
    # Many clusters in many directions, of which two axes show only a little.
    vectors = (chance.normal(size=(30, 64))[np.arange(600) % 30] + 0.4 * chance.normal(size=(600, 64))).astype(
        "f4"
    )

    def kept(points):
        apart = np.linalg.norm(points[:, None].astype(float) - points[None], axis=2)
        np.fill_diagonal(apart, np.inf)
        return (apart.argmin(axis=1) % 30 == np.arange(600) % 30).mean()

    rounded = projection.whole(vectors)
    flat = projection._in_square(projection._components(rounded))
    assert kept(projected(vectors, 7)) > kept(flat) + 0.3


@pytest.mark.parametrize("count", [1, 2, 3, 15, 16, 17])
def test_few_vectors_have_places_too(count):
    points = projected(clustered(count)[0], 7)
    assert points.shape == (count, 2)
    assert points.min() >= 0
    assert points.max() <= SIDE


def test_equal_vectors_and_vectors_of_zeros_have_places():
    for vectors in (np.ones((40, 8)), np.zeros((40, 8)), np.zeros((5, 8))):
        points = projected(vectors, 7)
        assert points.min() >= 0
        assert points.max() <= SIDE


def test_the_same_vectors_have_the_same_places_whatever_the_threads(tmp_path):
    vectors, _ = clustered(400)
    np.save(tmp_path / "vectors.npy", vectors)
    program = (
        "import sys, numpy as np; from curate.report.projection import projected;"
        "print(projected(np.load(sys.argv[1]), 7).tolist())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "vectors.npy")],
            env=os.environ
            | {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads, "POLARS_MAX_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert said == {f"{projected(vectors, 7).tolist()}\n"}


def ends(kept, others):
    states = ["kept"] * kept + ["rejected"] * others
    ids = [f"r{number:06}" for number in range(len(states))]
    draws = np.random.default_rng(1).permutation(len(states)).astype(np.uint64)
    return pl.DataFrame({"id": ids, "state": states, "draw": draws})


@pytest.mark.parametrize(
    ("kept", "others", "shown"),
    [
        (1000, 51_000, (1000, 4000)),
        (6000, 46_000, (2500, 2500)),
        (50_000, 2000, (4000, 1000)),
        (50_000, 100, (4900, 100)),
        (50_000, 0, (5000, 0)),
        (0, 9000, (0, 5000)),
        (30, 40, (30, 40)),
    ],
)
def test_neither_kept_nor_other_records_vanish_from_a_map(kept, others, shown):
    drawn = sampled(ends(kept, others))
    counted = dict(drawn.group_by("state").len().iter_rows())
    assert (counted.get("kept", 0), counted.get("rejected", 0)) == shown
    assert drawn.height <= POINTS
    first = ends(kept, others).filter(pl.col("state") == "kept").sort("draw")["id"].head(shown[0])
    assert set(drawn.filter(pl.col("state") == "kept")["id"]) == set(first)


def given(ids, asked=None):
    def of(some):
        if asked is not None:
            asked.extend(some)
        return clustered(len(some))[0]

    return Vectors(pl.Series(ids, dtype=pl.String), of, "a model")


def test_a_map_names_states_and_sources_by_their_places(job):
    tables, facts = job()
    asked = []
    known = [f"forum:{n}" for n in range(12)] + ["tasks:1", "tasks:2", "elsewhere:1"]
    made = numbers(tables, facts, given(known, asked))["map"]
    assert asked == [*sorted(known[:12]), "tasks:1", "tasks:2"]
    assert (made["of"], made["sample"], made["model"], made["seed"]) == (14, 14, "a model", 13)
    assert made["sources"] == ["forum", "tasks"]
    assert made["states"] == ["kept", "excluded", "rejected", "duplicate", "not drawn"]
    counted = dict.fromkeys(made["states"], 0)
    for x, y, state, source in made["points"]:
        counted[made["states"][state]] += 1
        assert 0 <= x <= SIDE
        assert 0 <= y <= SIDE
        assert source in (0, 1)
    assert counted == {"kept": 6, "excluded": 1, "rejected": 5, "duplicate": 1, "not drawn": 1}
    assert [(each["state"], each["records"], each["shown"]) for each in made["drawn"]] == [
        (state, number, number) for state, number in counted.items()
    ]


@pytest.mark.parametrize("known", [None, [], ["forum:0", "forum:1"], ["a", "b", "c"]])
def test_without_vectors_of_three_records_there_is_no_map(job, known):
    tables, facts = job()
    assert numbers(tables, facts, None if known is None else given(known))["map"] is None
