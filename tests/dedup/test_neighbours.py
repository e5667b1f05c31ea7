"""All pairs of vectors above a cosine: right to the last bit, however they are sought."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.dedup.neighbours import CAP, flips, levels, neighbours, neighbours_of, unsure
from curate.errors import PipelineError, PluginError

torch = pytest.importorskip("torch")
pytest.importorskip("faiss")

from curate.dedup import _products, _sought  # noqa: E402 - these import torch
from curate.dedup._blocks import Blocks  # noqa: E402
from curate.dedup._products import Plan, Vectors  # noqa: E402


def clustered(count, width=48, seed=0, spread=0.5, clusters=20):
    """Vectors of any length around a few centres, as float32."""
    draw = np.random.default_rng(seed)
    centres = draw.standard_normal((clusters, width))
    made = centres[draw.integers(clusters, size=count)] + spread * draw.standard_normal((count, width))
    return (made * draw.uniform(0.1, 10, (count, 1))).astype(np.float32)


def every(vectors, floor, reference=None):
    """The pairs by brute force, lower row first, with their cosines."""
    exact = vectors.astype(np.longdouble)
    exact /= np.sqrt((exact**2).sum(1, keepdims=True))
    if reference is None:
        cosine = np.tril(exact @ exact.T, -1)
        right, left = np.nonzero(cosine >= floor)
        return {(i, j): float(cosine[j, i]) for i, j in zip(left.tolist(), right.tolist(), strict=True)}
    others = reference.astype(np.longdouble)
    others /= np.sqrt((others**2).sum(1, keepdims=True))
    cosine = others @ exact.T
    left, right = np.nonzero(cosine >= floor)
    return {(i, j): float(cosine[i, j]) for i, j in zip(left.tolist(), right.tolist(), strict=True)}


def pairs(found):
    return dict(zip(zip(found.left.tolist(), found.right.tolist(), strict=True), found.similarity, strict=True))


def bytes_of(found):
    return [found.left.tobytes(), found.right.tobytes(), found.similarity.tobytes(), found.overflow]


def by(plan, vectors, floor, cap=CAP):
    """Pairs by a plan of one's own, as bytes in the order of `neighbours`."""
    made, rows = Vectors(vectors), np.arange(len(vectors))
    found = Blocks(made, made, levels=levels(floor), cap=cap, plan=plan).among(rows, rows, rows)
    order = np.lexsort((found.rows, found.columns))
    return [each[order].tobytes() for each in (found.columns, found.rows, found.cosine)] + [found.beyond]


@pytest.mark.parametrize("floor", [0.001, 0.3, 0.8, 0.9, 0.999])
@pytest.mark.parametrize("width", [1, 3, 16, 48, 61])
def test_the_pairs_are_those_of_brute_force_with_their_cosines(width, floor):
    vectors = clustered(300, width)
    found, true = neighbours(vectors, floor=floor, cap=1000), every(vectors, floor)
    assert pairs(found).keys() == true.keys()
    assert list(pairs(found)) == sorted(true)
    assert all(abs(similarity - true[pair]) < 1e-14 for pair, similarity in pairs(found).items())
    assert found.overflow == 0


@settings(max_examples=60)
@given(
    st.sampled_from([0.5, 0.8, 0.9, 0.99]),
    st.lists(st.floats(-1, 1), min_size=1, max_size=40),
    st.sampled_from([1e-4, 1e-7]),
    st.integers(0, 2**32 - 1),
)
def test_cosines_a_hair_from_the_floor_are_decided_as_in_80_bits(floor, offsets, scale, seed):
    draw = np.random.default_rng(seed)
    axes = np.linalg.qr(draw.standard_normal((64, len(offsets) + 1)))[0].T
    cosines = np.clip(floor + scale * np.array(offsets), -1, 1)
    rows = cosines[:, None] * axes[0] + np.sqrt(1 - cosines**2)[:, None] * axes[1:]
    vectors = np.concatenate([axes[:1], rows]).astype(np.float32)
    found = pairs(neighbours(vectors, floor=floor))
    above, below = every(vectors, floor + 1e-14), every(vectors, floor - 1e-14)
    assert above.keys() <= found.keys() <= below.keys()


PLANS = [
    Plan("cpu", torch.bfloat16, 512, 4096, 2, shorten=False),
    Plan("cpu", torch.bfloat16, 64, 300, 1),
    Plan("cpu", torch.bfloat16, 7, 1000, 3),
    Plan("cpu", torch.float32, 100, 256, 2),
    Plan("cpu", torch.float32, 512, 4096, 1, shorten=False),
    Plan("cpu:0", torch.float16, 128, 512, shorten=False, compiled=False),  # as on CUDA
    Plan("cpu:0", torch.bfloat16, 33, 700, compiled=False),
]


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize(
    ("floor", "cap", "spread"), [(0.8, CAP, 0.4), (0.3, CAP, 1.0), (0.5, 5, 0.3), (0.9, 3, 0.05)]
)
def test_precision_blocks_threads_and_device_change_no_bit(plan, floor, cap, spread, monkeypatch):
    monkeypatch.setattr(_products, "_SAMPLE", 256)
    monkeypatch.setattr(_products, "_PROBES", 32)
    vectors = clustered(1500, 128, spread=spread, clusters=40)
    found = neighbours(vectors, floor=floor, cap=cap)
    assert by(plan, vectors, floor, cap) == bytes_of(found)
    assert len(found.left) > 1000


@pytest.mark.parametrize("plan", PLANS)
def test_rounding_that_goes_one_way_in_every_dimension_loses_no_pair(plan):
    for width in range(2, 400, 7):
        # Of 1 / sqrt(width) in 16 bits up to 1 in 256 is cut off, and nothing makes up for it.
        assert len(by(plan, np.ones((3, width), np.float32), 0.9999)[0]) == 3 * 8


def test_short_products_miss_no_pair(monkeypatch):
    monkeypatch.setattr(_products, "_SAMPLE", 256)
    monkeypatch.setattr(_products, "_PROBES", 64)
    draw = np.random.default_rng(3)
    # Most of the length lies in few directions, as of real embeddings; pairs differ in the others as well.
    vectors = (draw.standard_normal((1200, 256)) * np.geomspace(1, 0.02, 256)).astype(np.float32)
    vectors[600:] = vectors[:600] + 0.1 * draw.standard_normal((600, 256)).astype(np.float32)
    found = neighbours(vectors, floor=0.8)
    assert re.search(r"\d+ numbers a vector", found.searched)
    assert pairs(found).keys() == every(vectors, 0.8).keys()
    assert len(found.left) > 300


def test_a_vector_of_any_length_has_the_same_pairs():
    vectors = clustered(200)
    scaled = vectors * np.float32(2) ** np.random.default_rng(1).integers(-60, 60, (200, 1)).astype(np.float32)
    assert bytes_of(neighbours(vectors, floor=0.7)) == bytes_of(neighbours(scaled, floor=0.7))


def test_equal_vectors_have_a_cosine_of_exactly_one():
    vectors = np.repeat(clustered(30, 61, spread=1.0), 3, axis=0)
    found = neighbours(vectors, floor=1.0)
    assert len(found.left) == 90
    assert set(found.similarity.tolist()) == {1.0}


def test_rows_in_another_order_have_the_same_pairs():
    vectors = clustered(400)
    order = np.random.default_rng(2).permutation(400)
    turned = {
        tuple(sorted(order[list(pair)].tolist())): s
        for pair, s in pairs(neighbours(vectors[order], floor=0.8)).items()
    }
    assert turned == pairs(neighbours(vectors, floor=0.8))


def first_at_each_level(vectors, floor, cap):
    """What a row keeps, said another way: at each level its first neighbours that reach it."""
    cosines = pairs(neighbours(vectors, floor=floor, cap=len(vectors)))
    kept = set()
    for level in levels(floor):
        for row in range(len(vectors)):
            reached = [left for left in range(row) if cosines.get((left, row), -1) >= level]
            kept.update((left, row) for left in reached[:cap])
    return kept, len(cosines) - len(kept)


@pytest.mark.parametrize(("cap", "spread"), [(1, 0.3), (4, 0.3), (10, 0.02), (50, 0.5)])
def test_a_row_keeps_its_first_neighbours_at_every_hundredth_and_the_rest_are_counted(cap, spread):
    vectors = clustered(300, spread=spread, clusters=5)
    found = neighbours(vectors, floor=0.755, cap=cap)
    kept, overflow = first_at_each_level(vectors, 0.755, cap)
    assert pairs(found).keys() == kept
    assert found.overflow == overflow > 0
    assert f"{overflow:,} pairs of rows with over {cap} neighbours were counted" in found.searched


@pytest.mark.parametrize("plan", PLANS)
def test_pairs_beyond_the_cap_are_counted_right_where_most_cosines_are_about_the_floor(plan):
    draw = np.random.default_rng(5)
    noise = draw.standard_normal((700, 300))
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    centre = np.full(300, 300**-0.5)
    vectors = (np.sqrt(0.8) * centre + np.sqrt(0.2) * noise).astype(np.float32)
    found = by(plan, vectors, 0.8, 3)
    assert found[3] + len(found[0]) // 8 == len(every(vectors, 0.8))
    assert found[3] > 50_000


def dropped(found, count, threshold):
    """Which row each joins: the first kept one that it matches."""
    joins = {}
    for (left, right), similarity in sorted(pairs(found).items(), key=lambda pair: pair[0][::-1]):
        if similarity >= threshold and left not in joins and right not in joins:
            joins[right] = left
    return {row: joins[row] for row in range(count) if row in joins}


@pytest.mark.parametrize("threshold", [0.8, 0.9, 0.95, 0.98])
def test_under_the_cap_each_row_joins_the_kept_row_that_it_would_join_without(threshold):
    vectors = clustered(800, spread=0.25, clusters=4)
    few, all_of_them = (neighbours(vectors, floor=0.8, cap=cap) for cap in (40, 800))
    assert few.overflow > 20_000
    assert dropped(few, 800, threshold) == dropped(all_of_them, 800, threshold)


@pytest.mark.parametrize("threshold", [0.8, 0.85, 0.905, 0.97, 0.985])
def test_a_row_that_lost_a_neighbour_at_a_threshold_is_unsure(threshold):
    vectors = clustered(600, spread=0.25, clusters=12)
    few, every_one = (neighbours(vectors, floor=0.8, cap=cap) for cap in (12, 600))
    marked = unsure(few.right, few.similarity, count=600, floor=0.8, threshold=threshold, cap=12)
    reached = {pair for pair, similarity in pairs(every_one).items() if similarity >= threshold}
    losing = {right for _, right in reached - pairs(few).keys()}
    assert losing <= set(np.flatnonzero(marked).tolist())
    assert not marked[:12].any()


def test_of_equal_vectors_each_row_keeps_as_many_as_the_cap():
    vectors = np.repeat(clustered(1, 64), 6000, axis=0)
    found = neighbours(vectors, floor=0.9, cap=20)
    assert len(found.left) == sum(min(row, 20) for row in range(6000))
    assert found.overflow == 6000 * 5999 // 2 - len(found.left)
    assert found.left.max() == 19


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("search", ["exact", "flat", "ivf", "kmeans"])
def test_one_vector_or_none_has_no_pairs(count, search):
    found = neighbours(clustered(count), floor=0.8, search=search)
    assert (len(found.left), found.overflow) == (0, 0)
    assert len(neighbours_of(clustered(count), clustered(0), floor=0.8).left) == 0


def test_two_sets_are_compared_with_each_other_alone():
    vectors, reference = clustered(500), clustered(90, seed=1)
    reference[:50] = vectors[450:] * 3
    found = neighbours_of(vectors, reference, floor=0.6)
    assert list(pairs(found)) == sorted(every(vectors, 0.6, reference))
    assert {(row, row + 450) for row in range(50)} <= pairs(found).keys()


def test_faiss_flat_finds_what_the_exact_search_finds():
    vectors = clustered(900)
    found = neighbours(vectors, floor=0.8, search="flat", cap=9)
    assert bytes_of(found) == bytes_of(neighbours(vectors, floor=0.8, cap=9))
    assert "recall 1.0000" in found.searched
    assert "IndexFlatIP" in found.searched


@pytest.mark.parametrize(("search", "module"), [("ivf", "_PROBES"), ("kmeans", "_NEAREST")])
def test_what_a_partial_search_misses_is_measured(search, module, monkeypatch):
    monkeypatch.setattr(_sought, module, 1)
    monkeypatch.setattr(_sought, "_PARTITION", 64)
    vectors = clustered(2000, spread=0.9, clusters=40)
    exact, found = (pairs(neighbours(vectors, floor=0.45, search=each)) for each in ("exact", search))
    assert found.items() < exact.items()
    again = neighbours(vectors, floor=0.45, search=search)
    assert pairs(again) == found
    (recall,) = re.findall(r"recall (\d\.\d+)", again.searched)
    assert float(recall) == pytest.approx(len(found) / len(exact), abs=1e-4)  # all rows are drawn


def test_the_interval_of_what_is_missed_is_wilsons(monkeypatch):
    assert _sought._interval(0, 0) == (0, 1)
    assert _sought._interval(5, 50) == pytest.approx((0.0435, 0.2136), abs=1e-4)
    monkeypatch.setattr(_sought, "_DRAWN", 100)
    said = neighbours(clustered(500), floor=0.8, search="kmeans").searched
    assert "of 100 rows drawn" in said
    assert "with 95% confidence" in said


def test_partitions_together_keep_what_the_exact_search_keeps_under_the_cap(monkeypatch):
    monkeypatch.setattr(_sought, "_PARTITION", 500)
    vectors = clustered(1500, spread=0.3, clusters=3)
    found = neighbours(vectors, floor=0.7, search="kmeans", cap=7)  # of three partitions, all are looked into
    assert bytes_of(found) == bytes_of(neighbours(vectors, floor=0.7, cap=7))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0])
def test_vectors_without_a_direction_are_named(bad):
    vectors = clustered(50)
    vectors[[17, 30], 3 if bad else slice(None)] = bad
    with pytest.raises(PipelineError, match=r"(?s)^2 of the 50 vectors have no direction.*row 17 is the first"):
        neighbours(vectors, floor=0.8)
    with pytest.raises(PipelineError, match="2 of the 50 reference vectors"):
        neighbours_of(clustered(3), vectors, floor=0.8)


@pytest.mark.parametrize(
    "vectors", [np.ones((3, 4)), np.ones(4, np.float32), np.ones((2, 0), np.float32), np.ones((2, 2), np.float16)]
)
def test_what_is_no_table_of_vectors_is_refused(vectors):
    with pytest.raises(PipelineError, match="not float32 of shape"):
        neighbours(vectors, floor=0.8)


@pytest.mark.parametrize("floor", [0, -0.5, 1.01, float("nan")])
def test_a_floor_that_is_no_cosine_is_refused(floor):
    for search in (
        lambda: neighbours(clustered(3), floor=floor),
        lambda: neighbours_of(*[clustered(3)] * 2, floor=floor),
    ):
        with pytest.raises(PipelineError, match="cannot be a floor"):
            search()


def test_other_parameters_are_refused_by_name():
    with pytest.raises(PipelineError, match="no search 'hnsw'"):
        neighbours(clustered(3), floor=0.8, search="hnsw")
    with pytest.raises(PipelineError, match="no device 'tpu'"):
        neighbours(clustered(3), floor=0.8, device="tpu")
    with pytest.raises(PipelineError, match="cap of at least 1"):
        neighbours(clustered(3), floor=0.8, cap=0)
    with pytest.raises(PipelineError, match="of 48 dimensions cannot be compared with references of 12"):
        neighbours_of(clustered(3), clustered(3, 12), floor=0.8)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(PipelineError, match="no device 'cuda' here"):
        neighbours(clustered(3), floor=0.8, device="cuda")


@pytest.mark.parametrize(
    ("search", "package"), [("exact", "torch"), ("kmeans", "torch"), ("flat", "faiss"), ("ivf", "faiss")]
)
def test_a_missing_package_is_named_with_what_installs_it(search, package, monkeypatch):
    monkeypatch.setattr("curate.dedup.neighbours.find_spec", lambda name: None if name == package else name)
    with pytest.raises(PluginError, match=rf"(?s)'{search}'.*'{package}'.*pip install 'curate-sft\[embed\]'"):
        neighbours(clustered(0), floor=0.8, search=search)


def test_a_device_without_memory_gets_smaller_blocks_and_then_gives_way_to_the_processor(monkeypatch):
    vectors = clustered(3000)
    expected = bytes_of(neighbours(vectors, floor=0.8))
    made, rows, real = Vectors(vectors), np.arange(3000), torch.mm
    memory = [0]

    def mm(one, other):
        if one.dtype == torch.float16 and len(one) * other.shape[1] > memory[0]:
            raise torch.OutOfMemoryError
        return real(one, other)

    monkeypatch.setattr(torch, "mm", mm)
    for memory[0], said in [
        (512 * 2048, "blocks of 512 x 2,048 since cpu:0 had no memory for larger ones"),
        (0, "cpu:0 has too little memory even for the smallest blocks"),
    ]:
        plan = Plan("cpu:0", torch.float16, 1024, 4096, shorten=False, compiled=False)
        blocks = Blocks(made, made, levels=levels(0.8), cap=CAP, plan=plan)
        found = blocks.among(rows, rows, rows)
        order = np.lexsort((found.rows, found.columns))
        assert [each[order].tobytes() for each in (found.columns, found.rows, found.cosine)] == expected[:3]
        assert said in blocks.note


def test_settings_of_torch_are_as_before():
    torch.set_float32_matmul_precision("medium")
    try:
        threads = torch.get_num_threads()
        neighbours(clustered(600), floor=0.8)
        assert torch.get_num_threads() == threads
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_flips_are_pairs_above_the_threshold_in_one_set_alone():
    first = np.array([[1, 0, 0], [0.95, 0.3122499, 0], [0, 0, 1], [0, 0.4, 0.9165151]], np.float32)
    second = first.copy()
    second[1] = [0.85, 0.5267827, 0]
    assert flips(first, first, threshold=0.9).flipped == 0
    found = flips(first, second, threshold=0.9)
    assert (found.pairs, found.flipped, found.rows) == (2, 1, 1)
    assert found.change == pytest.approx(0.1, abs=1e-6)
    with pytest.raises(PipelineError, match="4 vectors cannot be held against 3"):
        flips(first, first[:3], threshold=0.9)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize(("spread", "cap"), [(0.5, CAP), (0.2, 10)])
def test_cuda_finds_the_same_pairs_to_the_last_bit(spread, cap):
    vectors = clustered(20_000, 384, spread=spread, clusters=500)
    there, here = (neighbours(vectors, floor=0.8, cap=cap, device=device) for device in ("cuda", "cpu"))
    assert bytes_of(there) == bytes_of(here)
    assert "cuda" in there.searched
