"""The orders that weigh each record against those before it, held to their definitions."""

import numpy as np
import polars as pl
import pytest

from curate import registry
from curate.errors import PluginError
from curate.keys import mix
from curate.rankings import Candidates, ranks
from curate.selection.quotas import draw_quotas
from curate.vectors import SCALE, k_means, whole

GREEDY = ["k_center", "quality_diversity", "score_first"]
ON_VECTORS = [*GREEDY, "clusters"]


@pytest.fixture
def world(eligible):
    """Records in three domains and by five authors, with vectors that lie in a few heaps."""
    generator = np.random.default_rng(11)
    records = eligible(
        [
            {
                "domain": "abc"[n % 7 % 3],
                "author": f"author {n % 5}",
                "score": None if n % 11 == 0 else float(generator.integers(0, 40)),
                "chars": int(generator.integers(1, 3000)),
            }
            for n in range(240)
        ]
    ).sort("id")
    heaps = generator.standard_normal((12, 32))
    vectors = heaps[generator.integers(0, 12, 240)] + generator.normal(0, 0.35, (240, 32))
    return records, vectors.astype(np.float32)


@pytest.fixture
def vectors_of(world):
    places = {id: place for place, id in enumerate(world[0]["id"])}
    return lambda measure, on, ids: world[1][[places[id] for id in ids]]  # noqa: ARG005


def line(name, world, count, **parameters):
    """The first rows of an order over all records, as one domain."""
    records, vectors = world
    ranking = registry.get("rankings", name)
    found = ranking(Candidates(records, 13, np.zeros(len(records), np.int64), vectors), **parameters)
    if isinstance(found, pl.Series):
        return found.arg_sort(nulls_last=True).to_list()[:count]
    rows = []
    while len(rows) < count and (row := found.best(0)) is not None:
        found.take(row)
        rows.append(row)
    return rows


def farthest_first(records, vectors, worth, count):
    """Greedy by definition: each step looks at every row and every row taken."""
    products = (whole(vectors).astype(np.int64) @ whole(vectors).astype(np.int64).T).astype(np.float64)
    ties = np.argsort(mix(records["draw"], 13).to_numpy(), kind="stable")
    taken = []
    for _ in range(count):
        distance = SCALE**2 - products[:, taken].max(axis=1) if taken else np.full(len(vectors), 2.0 * SCALE**2)
        values = worth * distance
        values[taken] = -np.inf
        taken.append(int(ties[values[ties].argmax()]))
    return taken


def test_k_center_takes_the_farthest_each_time(world):
    assert line("k_center", world, 240) == farthest_first(*world, np.ones(240), 240)


@pytest.mark.parametrize("by", ["score", "longest"])
def test_quality_diversity_takes_the_largest_product_each_time(world, by):
    values = world[0]["score" if by == "score" else "chars"].cast(pl.Float64)
    known = values.drop_nulls().to_list()
    worth = np.array([0 if v is None else sum(other <= v for other in known) / len(known) for v in values])
    assert line("quality_diversity", world, 200, by=by) == farthest_first(*world, worth, 200)


@pytest.mark.parametrize("max_cosine", [0.3, 0.7, 0.9, 1.0])
def test_score_first_is_deitas_filter(world, max_cosine):
    """By decreasing score, a row stays if its cosine to every row selected before it is at most the threshold."""
    records, vectors = world
    products = whole(vectors).astype(np.int64) @ whole(vectors).astype(np.int64).T
    order = sorted(range(240), key=lambda row: (records["score"][row] is None, -(records["score"][row] or 0), row))
    selected = []
    for row in order:
        if all(products[row, other] <= max_cosine * SCALE**2 for other in selected):
            selected.append(row)
    assert line("score_first", world, 240, max_cosine=max_cosine) == selected


def test_score_first_looks_at_what_is_selected_and_not_at_the_nearest_of_all(eligible):
    """A row between two others that are apart: only the first and the last stay, and no pair loses both."""
    records = eligible([{"score": 3.0}, {"score": 2.0}, {"score": 1.0}])
    angles = np.radians([0, 20, 40])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert line("score_first", (records, vectors), 3, max_cosine=0.9) == [0, 2]


def test_clusters_take_turns_and_their_middles_come_first(world):
    records, vectors = world
    order = line("clusters", world, 240, k=12)
    assert sorted(order) == list(range(240))
    draw = mix(records["draw"], 13).to_numpy()
    of, centres = k_means(whole(vectors), 12, first=np.argsort(draw, kind="stable"))
    closeness = (whole(vectors).astype(np.int64) * centres[of].astype(np.int64)).sum(axis=1)
    outside = []
    for row in order:
        of_cluster = sorted(np.flatnonzero(of == of[row]), key=lambda other: (-closeness[other], other))
        outside.append(not 0.25 <= of_cluster.index(row) / len(of_cluster) <= 0.75)
    assert outside == sorted(outside)
    turns = [sum(of[other] == of[row] for other in order[:at]) for at, row in enumerate(order)]
    middle = outside.index(True)
    assert turns[:middle] == sorted(turns[:middle])
    assert len(set(of[order[:12]])) == 12


@pytest.mark.parametrize("name", ON_VECTORS)
def test_what_takes_fewer_is_part_of_what_takes_more(name, world, vectors_of, quota):
    records, _ = world
    prefer = {"use": name, "max_cosine": 0.99} if name == "score_first" else name
    settings = {"prefer": prefer, "by": "domain", "temperature": 2.0, "at_most": {"author": 30}}
    taken = [
        draw_quotas(records, [quota(take=take, **settings)], seed=13, vectors_of=vectors_of)
        .filter(pl.col("split").is_not_null())
        .sort("rank")["id"]
        .to_list()
        for take in (5, 40, 90)
    ]
    assert [len(ids) for ids in taken] == [5, 40, 90]
    assert taken[1][:5] == taken[0]
    assert taken[2][:40] == taken[1]


@pytest.mark.parametrize("name", ON_VECTORS)
def test_domains_take_turns_as_under_any_other_order(name, world, vectors_of, quota):
    records, _ = world
    domains = dict(records.select("id", "domain").iter_rows())
    lines = [
        draw_quotas(
            records,
            [quota(take=60, prefer=prefer, by="domain", temperature=3.0)],
            seed=13,
            vectors_of=vectors_of,
        )
        .filter(pl.col("split").is_not_null())
        .sort("rank")["id"]
        .replace_strict(domains)
        .to_list()
        for prefer in ("random", {"use": name, "max_cosine": 1.0} if name == "score_first" else name)
    ]
    assert lines[0] == lines[1]


@pytest.mark.parametrize("name", GREEDY)
def test_caps_hold_and_every_record_says_why_it_is_not_drawn(name, world, vectors_of, quota):
    records, _ = world
    picks = draw_quotas(
        records,
        [quota(take=30, prefer={"use": name}, at_most={"author": 4})],
        seed=13,
        vectors_of=vectors_of,
    )
    drawn = picks.filter(pl.col("split").is_not_null()).join(records, on="id")
    assert drawn.group_by("author").len()["len"].max() <= 4
    whys = picks.filter(pl.col("split").is_null())["why"]
    assert whys.null_count() == 0
    if len(drawn) == 30:
        assert "quota q is full" in set(whys)
    else:
        assert "quota q is full" not in set(whys)
        assert "at most 4 of author" in set(whys)


def test_what_score_first_passes_by_says_so(world, vectors_of, quota):
    quota = quota(prefer={"use": "score_first", "max_cosine": 0.5})
    picks = draw_quotas(world[0], [quota], seed=13, vectors_of=vectors_of)
    drawn = picks["split"].is_not_null().sum()
    assert 0 < drawn < 240
    assert picks.filter(pl.col("split").is_null())["why"].unique().to_list() == [
        "cosine above 0.5 to one before it"
    ]


@pytest.mark.parametrize("name", ON_VECTORS)
def test_records_without_the_text_come_last(name, world):
    records, vectors = world
    vectors = vectors.copy()
    vectors[[3, 77]] = 0
    found = line(
        name, (records.with_columns(score=pl.lit(1.0)), vectors), 240, **({"k": 5} if name == "clusters" else {})
    )
    if name != "score_first":
        assert set(found[-2:]) == {3, 77}
    assert {3, 77} <= set(found)


@pytest.mark.parametrize("name", ON_VECTORS)
def test_the_order_of_rows_given_changes_nothing(name, world, vectors_of, quota):
    records, _ = world
    shuffled = records.sample(fraction=1, shuffle=True, seed=4)
    one, other = (
        draw_quotas(frame, [quota(take=50, prefer=name)], seed=13, vectors_of=vectors_of)
        for frame in (records, shuffled)
    )
    assert one.equals(other)


@pytest.mark.parametrize("name", ON_VECTORS)
def test_nothing_to_choose_from_is_no_error(name, eligible, quota):
    picks = draw_quotas(
        eligible([]),
        [quota(prefer=name, by="domain")],
        seed=13,
        vectors_of=lambda *_: np.empty((0, 4), np.float32),
    )
    assert picks.is_empty()


def test_an_order_on_vectors_must_say_which_text():
    with pytest.raises(PluginError, match="no parameter 'on'"):

        @ranks(measure="embedding")
        def deaf(candidates: Candidates) -> pl.Series:
            """Nothing."""
            return candidates.rows["id"]
