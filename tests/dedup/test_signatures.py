import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from datasketch import MinHash
from hypothesis import given
from hypothesis import strategies as st

from curate.dedup import _on_device
from curate.dedup import shingles as shingling
from curate.dedup._kernels import common
from curate.dedup.shingles import Shingles, shingled
from curate.dedup.signatures import as_datasketch, signatures, signed
from curate.errors import PipelineError, PluginError

torch = pytest.importorskip("torch")


def made(sizes, seed=4):
    """Sets of drawn hashes, of these sizes."""
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Shingles(np.random.default_rng(seed).integers(0, 2**64, starts[-1], dtype=np.uint64), starts)


def datasketch(shingles, num_perm):
    found = []
    for row in range(len(shingles.starts) - 1):
        one = MinHash(num_perm=num_perm, scheme="affine32", hashfunc=int)
        one.update_batch([hash & 0xFFFFFFFF for hash in shingles.of(row).tolist()])
        found.append(one.hashvalues)
    return np.array(found, np.uint32).reshape(-1, num_perm)


SIZES = [1, 2, 15, 16, 17, 0, 700, 1, 4096, 4097, 9000, 3]


@pytest.mark.parametrize("num_perm", [1, 31, 32, 33, 128, 200])
@pytest.mark.parametrize("device", ["cpu", "cpu:0"])  # compiled loops, and torch's
def test_signatures_equal_those_of_datasketch(num_perm, device):
    shingles = made(SIZES)
    found = signatures(shingles, num_perm, device=device)
    assert found.dtype == np.uint32
    assert np.array_equal(found, datasketch(shingles, num_perm))


@given(st.lists(st.text(max_size=60), max_size=8), st.integers(1, 5), st.sampled_from(["word", "character"]))
def test_one_pass_makes_the_signatures_of_the_shingles(texts, size, unit):
    texts = pl.Series(texts, dtype=pl.String)
    expected = signatures(shingled(texts, size=size, unit=unit), 64)
    assert np.array_equal(signed(texts, size=size, unit=unit, num_perm=64), expected)
    assert np.array_equal(signed(texts, size=size, unit=unit, num_perm=64, device="cpu:0"), expected)


@pytest.mark.parametrize("block", [1, 1000, 10**9])
@pytest.mark.parametrize("cores", [1, 3])
def test_neither_blocks_nor_cores_change_a_signature(monkeypatch, block, cores):
    texts = pl.Series([f"text {n} has é {n * n} words " * (n % 9) for n in range(80)])
    expected = signed(texts, size=3, num_perm=48)
    monkeypatch.setattr(shingling, "_BLOCK", block)
    monkeypatch.setattr(shingling, "cores", lambda: cores)
    assert np.array_equal(signed(texts, size=3, num_perm=48), expected)
    assert np.array_equal(signatures(shingled(texts, size=3), 48), expected)


@pytest.mark.parametrize(("shingles", "size"), [(1000, 1 << 25), (7, 1 << 20), (1 << 26, 1 << 12)])
def test_neither_parts_nor_rectangles_change_a_signature_on_a_device(monkeypatch, shingles, size):
    monkeypatch.setattr(_on_device, "_SHINGLES", shingles)
    monkeypatch.setattr(_on_device, "_BYTES", size)
    sets = made([5, 700, 1, 0, 90, 1300, 2])
    assert np.array_equal(signatures(sets, 40, device="cpu:0"), datasketch(sets, 40))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_signatures_are_the_same_on_cuda():
    shingles = made(np.random.default_rng(1).poisson(300, 5000))
    assert np.array_equal(signatures(shingles, 128, device="cuda"), signatures(shingles, 128))


def out_of_memory(monkeypatch, *, above):
    """Let the device have memory for this many bytes at a time."""
    lowest = _on_device._lowest

    def limited(torch, device, *rest):
        if rest[-1] > above:
            raise torch.OutOfMemoryError
        return lowest(torch, device, *rest)

    monkeypatch.setattr(_on_device, "_lowest", limited)


def test_a_device_short_of_memory_is_given_less_and_that_is_said(monkeypatch):
    out_of_memory(monkeypatch, above=1 << 23)
    notes, sets = [], made(SIZES)
    found = signatures(sets, 16, device="cpu:0", note=notes.append)
    assert np.array_equal(found, datasketch(sets, 16))
    assert notes == [f"cpu:0 ran out of memory: signatures are made {size} MB at a time" for size in (16, 8)]


def test_a_device_without_memory_leaves_signatures_to_the_processor_and_that_is_said(monkeypatch):
    out_of_memory(monkeypatch, above=0)
    notes, sets = [], made(SIZES)
    found = signatures(sets, 16, device="cpu:0", note=notes.append)
    assert np.array_equal(found, datasketch(sets, 16))
    assert notes[-1] == "cpu:0 has not enough memory for signatures: they are made on the processor"


@pytest.mark.parametrize("device", ["nowhere", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(PipelineError, match=f"there is no device '{device}'") as refused:
        signed(pl.Series(["a text"]), size=2, num_perm=8, device=device)
    assert refused.value.next == 'say device = "cpu"'


def test_a_device_without_torch_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(PluginError, match="torch") as refused:
        signatures(made([1]), 8, device="cuda")
    assert refused.value.next.startswith("pip install 'curate-sft[embed]'")


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_no_text_at_all_has_no_signature(device):
    assert signed(pl.Series([], dtype=pl.String), size=5, num_perm=8, device=device).shape == (0, 8)


def test_a_long_text_and_many_equal_words_are_signed():
    texts = pl.Series(["so " * 1_000_000, " ".join(map(str, range(300_000))), "so so so so so"])
    found = signed(texts, size=5, num_perm=128)
    assert np.array_equal(found[0], found[2])
    assert np.array_equal(found, signatures(shingled(texts, size=5), 128))


@given(st.sets(st.integers(0, 300)), st.sets(st.integers(0, 300)), st.integers(1, 40))
def test_common_counts_what_two_sets_share(one, other, times):
    # Times as many in one set: one that is much larger is searched by leaps.
    other |= {301 + number for number in range(times * len(one))}
    own, theirs = (np.array(sorted(numbers), np.uint64) for numbers in (one, other))
    assert common(own, theirs) == common(theirs, own) == len(one & other)


def test_compiled_loops_need_no_folder_that_can_be_written():
    # Compiled afresh it takes seconds, so this asks for one loop only.
    program = """
import numba.core.caching as caching
def nowhere(*_):
    raise RuntimeError("cannot cache function: no locator available")
caching.FunctionCache.__init__ = nowhere
import numpy as np
from curate.dedup._kernels import common
print(common(np.array([1, 2], np.uint64), np.array([2], np.uint64)))
"""
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout == "1\n"


def test_a_signature_is_looked_up_in_an_index_of_datasketch():
    from datasketch import MinHash, MinHashLSH

    texts = pl.Series(["one two three four five six", "seven eight nine ten eleven twelve"])
    shingles = shingled(texts, size=5)
    index = MinHashLSH(threshold=0.8, num_perm=64)
    for row in range(2):
        theirs = MinHash(num_perm=64, scheme="affine32", hashfunc=int)
        theirs.update_batch([hash & 0xFFFFFFFF for hash in shingles.of(row).tolist()])
        index.insert(str(row), theirs)
    ours = [as_datasketch(each) for each in signed(texts, size=5, num_perm=64)]
    assert [index.query(each) for each in ours] == [["0"], ["1"]]
    assert ours[0].jaccard(ours[1]) < 0.1
