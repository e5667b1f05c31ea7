"""Products of vectors in low precision, and how far from the cosine they can be.

Products only propose. Let h and g be rows of length 1 that stand for two vectors, and h' and g' what is stored of
them in low precision, where |h - h'| <= E for all rows of one side and |g - g'| <= F for those of the other. Then

    |h'·g' - h·g| <= E + F + E F                         (Cauchy and Schwarz)

and a sum of w products of stored numbers, each of them exact in 32 bits, is off by at most w 2^-21 (1 + E)(1 + F)
in whatever order it is made: by about w 2^-24 where sums are rounded, and by less than w 2^-22 on tensor cores,
which cut off (Fasi, Higham, Mikaitis and Pranesh, "Numerical behavior of NVIDIA tensor cores", 2021). E and F are
measured, not assumed: of bfloat16 0.002. Rounding the sum to low precision keeps the order, so what it is held
against is rounded down instead. What reaches that has its cosine computed in 64 bits and one fixed order, and
that decides. So the pairs are the same to the last bit whatever the device, precision, blocks and threads.

On a processor, vectors are first turned to their principal axes, and all but a few of these are put into one
number: the length of what is left out. The product of such short rows is never less than the cosine (Cauchy and
Schwarz again; Li, Chan, Yiu and Mamoulis, "FEXIPRO", SIGMOD 2017, find inner products so).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from curate.dedup._cosines import STEP, squares

# Vectors that are prepared at a time, in 64 bits.
_ROWS: Final = 4096

# Rows among which principal axes are found, and how many of these are compared with the others to choose.
_SAMPLE: Final = 2048
_PROBES: Final = 256

# To verify a pair takes as long as so many products in bfloat16: 200 ns, most of it for memory, and 0.0043 ns.
_VERIFIED: Final = 50_000

# What preparing in 64 bits may be off by, with much to spare: the root of a rest of 1e-15.
_PREPARED: Final = 1e-6

# What products are off by, about, where it only matters for the choice of axes.
_ABOUT: Final = 0.01


@dataclass(frozen=True)
class Plan:
    """Where products are made, how precise, in blocks of how many rows and columns, by how many threads."""

    device: str
    dtype: torch.dtype
    rows: int
    columns: int
    threads: int = 1
    shorten: bool = True
    compiled: bool = True

    def smaller(self) -> Plan:
        """A plan that takes a quarter of the memory; after the smallest, the processor."""
        if self.columns <= 4 * STEP:
            return planned("cpu")
        return replace(self, rows=self.rows // 2, columns=self.columns // 2)


def planned(device: str) -> Plan:
    """What suits a device: bfloat16 on processors that multiply it, 16 bits on CUDA, else 32 bits."""
    if device != "cpu":
        # Of the two formats of 16 bits, equally fast there, this has three bits more. Blocks of 128 MB.
        return Plan(device, torch.float16, 4096, 16_384, shorten=False, compiled=False)
    features = torch.cpu.get_capabilities()
    fast = features.get("avx512_bf16") or features.get("amx_bf16")
    # Blocks of 4 MB or 8, which are still in the caches when they are looked at.
    return Plan("cpu", torch.bfloat16 if fast else torch.float32, 512, 4096, torch.get_num_threads())


class Vectors:
    """Vectors with their squared lengths. Shapes (n, d) and (n,)."""

    def __init__(self, raw: NDArray[np.float32]) -> None:
        self.raw = np.ascontiguousarray(raw)
        self.squares: NDArray[np.float64] = squares(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    @property
    def width(self) -> int:
        return int(self.raw.shape[1])

    def unit(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Some of them, at length 1."""
        unit: NDArray[np.float64] = self.raw[rows] / np.sqrt(self.squares[rows])[:, None]
        return unit


class Low:
    """Vectors at length 1 in low precision, on a device, shortened to axes if there are any. Shape (n, w).

    `error` is the largest distance of one from what is stored of it.
    """

    def __init__(self, vectors: Vectors, axes: NDArray[np.float64] | None, plan: Plan) -> None:
        width = vectors.width if axes is None else axes.shape[1] + 1
        self.values = torch.empty((len(vectors), width), dtype=plan.dtype, device=plan.device)
        turned = None if axes is None else torch.from_numpy(axes).to(plan.device)

        def fill(begin: int) -> float:
            some = slice(begin, begin + _ROWS)
            lengths = torch.from_numpy(vectors.squares[some]).to(plan.device).sqrt()[:, None]
            exact = torch.from_numpy(vectors.raw[some]).to(plan.device).double()
            if turned is None:
                exact /= lengths
            else:
                kept = (exact @ turned) / lengths
                exact = torch.cat([kept, (1 - kept.square().sum(1, keepdim=True)).clamp(min=0).sqrt()], 1)
            low = exact.to(plan.dtype)
            self.values[some] = low
            return float((exact - low.double()).norm(dim=1).max())

        with one_thread(), ThreadPoolExecutor(plan.threads) as pool:
            self.error = max(pool.map(fill, range(0, len(vectors), _ROWS)), default=0.0)


class Bars:
    """What the products of two sides have to reach, in their precision, for each level of the cosine.

    `values` has one more, which nothing reaches. Below `values[0]` a cosine is below the lowest level; from `sure`
    on it is not. `bits` and `sure_bits` are the same as whole numbers.
    """

    def __init__(self, levels: NDArray[np.float64], one: Low, other: Low) -> None:
        width, dtype = one.values.shape[1], one.values.dtype
        summed = width * 2.0**-21 * (1 + one.error) * (1 + other.error)
        margin = one.error + other.error + one.error * other.error + summed + _PREPARED
        reached = [_rounded(float(level) - margin, dtype, up=False) for level in levels]
        values = torch.stack([*reached, torch.tensor(torch.inf, dtype=dtype)])
        sure = _rounded(float(levels[0]) + margin, dtype, up=True)
        bits = values.view(_bits(dtype)).numpy().copy()
        # Taken for whole numbers, those above 0 are in order, and those below it are not.
        bits[(values <= 0).numpy()] = np.iinfo(bits.dtype).min
        self.bits, self.sure_bits = bits, sure.view(_bits(dtype)).numpy()[()]
        self.values, self.sure = values.to(one.values.device), float(sure)


def _bits(dtype: torch.dtype) -> torch.dtype:
    return torch.int16 if dtype.itemsize == 2 else torch.int32


def _rounded(value: float, dtype: torch.dtype, *, up: bool) -> torch.Tensor:
    """The nearest number of a type that is not above the value, or not below it."""
    nearest = torch.tensor(value, dtype=torch.float64).to(dtype)
    step = int(float(nearest) < value) if up else -int(float(nearest) > value)
    if value <= 0:
        return torch.tensor(-torch.inf, dtype=dtype)
    return (nearest.view(_bits(dtype)) + step).view(dtype)


def axes_for(rows: Vectors, columns: Vectors, floor: float) -> NDArray[np.float64] | None:
    """The axes by which few enough pairs are proposed, shape (d, w); None where that is no gain.

    They decide how fast pairs are found, and not which.
    """
    if len(columns) < 2 * _SAMPLE:
        return None
    drawn = [np.linspace(0, len(side) - 1, _SAMPLE // 2).astype(np.int64) for side in (rows, columns)]
    sample = torch.from_numpy(np.concatenate([rows.unit(drawn[0]), columns.unit(drawn[1])]))
    cost, best = float(columns.width), None
    with one_thread():
        axes = torch.linalg.eigh(sample.T @ sample)[1].flip(1)
        turned = sample @ axes
        probes = turned[:: _SAMPLE // _PROBES]
        for width in (32, 64, 96, 128, 192, 256, 384, 512, 768):
            if width >= cost:
                break
            one, other = probes[:, : width - 1], turned[:, : width - 1]
            rests = [(1 - some.square().sum(1)).clamp(min=0).sqrt() for some in (one, other)]
            reached = one @ other.T + torch.outer(*rests) >= floor - _ABOUT
            share = float(reached.double().mean()) - 2 / _SAMPLE  # but for the probes themselves
            if width + _VERIFIED * share < cost:
                cost, best = width + _VERIFIED * share, np.ascontiguousarray(axes[:, : width - 1].numpy())
    return best


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work in the thread that asks it to: others would wait for more, and keep a core busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
