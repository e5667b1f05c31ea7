"""All pairs of vectors whose cosine is at least a floor.

What is found is proposed by products of low precision, by FAISS or within partitions, and every cosine is then
computed in 64 bits and one fixed order. So the same vectors give the same pairs to the last bit, on any device.

Rows are in order of preference, and a row is compared with those before it. A row that has very many neighbours
would have a table of its own: of 52,002 equal vectors all 1.35 billion pairs. Therefore each row has a bar, which
is the floor at first and rises to the next hundredth whenever `cap` neighbours have reached it. At every whole
hundredth up to 0.98, the first `cap` neighbours of a row are thus among its pairs, the most preferred first.
Whoever walks the rows in order, and lets each join the first kept one that it matches, is misled only where a row
is `unsure` and joins none: then a neighbour beyond its first `cap` may be kept, and the row stays beside it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from curate.errors import PipelineError, PluginError

if TYPE_CHECKING:
    from curate.dedup._blocks import Blocks, Found
    from curate.dedup._products import Vectors

Search = Literal["exact", "flat", "ivf", "kmeans"]

# Neighbours of a row at a level. So 52,000 rows of one template have 13 million pairs if they are nearly equal,
# and 37 million if their cosines spread about 0.85, which took 2 and 3 GB.
CAP: Final = 256

# The highest bar but for the floor. Above it nothing could be told apart by products in 16 bits.
_HIGHEST: Final = 98


@dataclass(frozen=True)
class Neighbours:
    """Pairs of rows with their cosine, sorted by `left`, then `right`. Shapes (pairs,).

    `left` is the row with the lower number; between two sets it is the row of the reference. `overflow` counts the
    pairs that reach the floor and are not kept. `searched` says how they were sought, on which device, and what
    may have been missed.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    similarity: NDArray[np.float64]
    overflow: int
    searched: str


@dataclass(frozen=True)
class Flips:
    """What is decided differently for two sets of vectors of the same texts.

    `pairs` reach the threshold in either, `flipped` in one alone; `rows` are dropped in one alone, if each row
    joins the first kept row that it matches. `change` is the most by which the cosine of a flipped pair differs.
    """

    pairs: int
    flipped: int
    rows: int
    change: float


def neighbours(
    vectors: NDArray[np.float32],
    *,
    floor: float,
    search: Search = "exact",
    cap: int = CAP,
    device: str | None = None,
    seed: int = 0,
) -> Neighbours:
    """The pairs of vectors, shape (n, d) and of any length, whose cosine is at least `floor`.

    "exact" misses none; "flat" and "ivf" ask FAISS; "kmeans" compares each row with the four partitions whose
    centres are nearest to it, for millions of rows. What these three miss is measured on rows drawn by `seed`.
    `device` is "cpu" or "cuda", by default CUDA where there is any.

    Raises `PipelineError` for vectors or parameters that are none, `PluginError` when a package is missing.
    """
    if search not in {"exact", "flat", "ivf", "kmeans"}:
        raise PipelineError(
            f"there is no search {search!r}", where="semantic, key search", next="exact, flat, ivf or kmeans"
        )
    _check(floor, cap, device)
    _needs("faiss" if search in {"flat", "ivf"} else "torch", search)
    _check_shape(vectors, "vectors")
    if len(vectors) < 2:
        return _none(len(vectors))
    from curate.dedup import _sought

    made = _vectors(vectors, "vectors")
    blocks = _blocks(made, made, floor, cap, device)
    rows = np.arange(len(made))
    pairs = f"all {len(made) * (len(made) - 1) // 2:,} pairs"
    if search == "exact":
        found = blocks.among(rows, rows, rows)
        return _ordered(found, f"{pairs}; {blocks.note}", cap)
    if search == "kmeans":
        found, how = _sought.in_partitions(made, blocks, levels(floor), cap, seed)
    else:
        found, how = _sought.by_faiss(made, search, levels(floor), cap, seed)
    return _ordered(found, f"{how}; {_sought.measured(found, blocks, len(made), seed)}", cap)


def neighbours_of(
    vectors: NDArray[np.float32],
    reference: NDArray[np.float32],
    *,
    floor: float,
    cap: int = CAP,
    device: str | None = None,
) -> Neighbours:
    """The pairs of a row of the reference and a row of the vectors whose cosine is at least `floor`.

    `left` are rows of the reference, shape (m, d), and `right` rows of the vectors, shape (n, d). Of each row of
    the vectors the first `cap` references are kept at a level.

    Raises `PipelineError` for vectors or parameters that are none, `PluginError` when a package is missing.
    """
    _check(floor, cap, device)
    _needs("torch", "exact")
    _check_shape(vectors, "vectors")
    _check_shape(reference, "reference vectors")
    if not len(vectors) or not len(reference):
        return _none(len(vectors))
    if vectors.shape[1] != reference.shape[1]:
        raise PipelineError(
            f"vectors of {vectors.shape[1]} dimensions cannot be compared with references of {reference.shape[1]}",
            where="semantic",
            next="make both with the same model",
        )
    blocks = _blocks(_vectors(vectors, "vectors"), _vectors(reference, "reference vectors"), floor, cap, device)
    rows, columns = np.arange(len(vectors)), np.arange(len(reference))
    found = blocks.among(rows, columns, np.full(len(vectors), len(reference)))
    return _ordered(found, f"all {len(vectors) * len(reference):,} pairs; {blocks.note}", cap)


def flips(
    first: NDArray[np.float32], second: NDArray[np.float32], *, threshold: float, device: str | None = None
) -> Flips:
    """What two sets of vectors of the same texts, as a processor and a GPU make them, decide differently.

    Shapes (n, d), rows in order of preference. Raises `PipelineError` where `neighbours` does.
    """
    if len(first) != len(second):
        raise PipelineError(
            f"{len(first):,} vectors cannot be held against {len(second):,}",
            next="give the vectors of the same texts in the same order",
        )
    both = [neighbours(vectors, floor=threshold, device=device) for vectors in (first, second)]
    sets = [set(zip(each.left.tolist(), each.right.tolist(), strict=True)) for each in both]
    flipped = np.array(sorted(sets[0] ^ sets[1]), np.int64).reshape(-1, 2).T
    change = 0.0
    if flipped.size:
        from curate.dedup._cosines import cosines

        there = [
            cosines(np.ascontiguousarray(each), np.ascontiguousarray(each), *flipped) for each in (first, second)
        ]
        change = float(np.abs(there[0] - there[1]).max())
    dropped = [_dropped(each, len(first)) for each in both]
    return Flips(len(sets[0] | sets[1]), flipped.shape[1], len(dropped[0] ^ dropped[1]), change)


def unsure(
    right: NDArray[np.int64], similarity: NDArray[np.float64], *, count: int, floor: float, threshold: float,
    cap: int = CAP,
) -> NDArray[np.bool_]:  # fmt: skip
    """Which of `count` rows may have more neighbours at a threshold than were kept of them. Shape (count,).

    `right` and `similarity` are of the pairs down to the `floor`. All neighbours of the other rows were kept.
    """
    steps = levels(floor)
    reached = similarity >= steps[steps <= threshold].max(initial=floor)
    return np.bincount(right[reached], minlength=count) >= cap


def levels(floor: float) -> NDArray[np.float64]:
    """What a row's bar can be: the floor, and the whole hundredths above it up to 0.98. Ascending."""
    return np.array([floor, *(step / 100 for step in range(1, _HIGHEST + 1) if step / 100 > floor)])


def _dropped(found: Neighbours, count: int) -> set[int]:
    preferred: dict[int, list[int]] = {}
    for left, right in zip(found.left.tolist(), found.right.tolist(), strict=True):
        preferred.setdefault(right, []).append(left)
    dropped: set[int] = set()
    for row in range(count):
        if any(left not in dropped for left in preferred.get(row, ())):
            dropped.add(row)
    return dropped


def _ordered(found: Found, searched: str, cap: int) -> Neighbours:
    order = np.lexsort((found.rows, found.columns))
    searched += f"; {found.verified:,} cosines computed in float64"
    if found.beyond:
        searched += f"; {found.beyond:,} pairs of rows with over {cap:,} neighbours were counted and not kept"
    return Neighbours(found.columns[order], found.rows[order], found.cosine[order], found.beyond, searched)


def _none(count: int) -> Neighbours:
    no_rows = np.empty(0, np.int64)
    return Neighbours(no_rows, no_rows, np.empty(0, np.float64), 0, f"{count} vectors: nothing to compare")


def _check(floor: float, cap: int, device: str | None) -> None:
    if not 0 < floor <= 1:
        raise PipelineError(
            f"a cosine of {floor} cannot be a floor",
            where="semantic, key floor",
            next="give a number above 0, up to 1; 0.8 is usual",
        )
    if cap < 1:
        raise PipelineError(f"{cap} neighbours a row are none", next="give a cap of at least 1")
    if device is not None and not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise PipelineError(
            f"there is no device {device!r}", where="semantic, key device", next='"auto", "cpu" or "cuda"'
        )


def _needs(package: str, search: str) -> None:
    if find_spec(package) is None:
        raise PluginError(
            f"the search {search!r} for neighbours needs the package {package!r}, which is not installed",
            next="pip install 'curate-sft[embed]'",
        )


def _check_shape(vectors: NDArray[np.float32], what: str) -> None:
    if vectors.dtype != np.float32 or vectors.ndim != 2 or (len(vectors) and not vectors.shape[1]):
        raise PipelineError(
            f"the {what} are {vectors.dtype} of shape {vectors.shape}, not float32 of shape (rows, dimensions)",
            where="semantic",
            next="give one vector a row",
        )


def _vectors(raw: NDArray[np.float32], what: str) -> Vectors:
    from curate.dedup._products import Vectors

    made = Vectors(raw)
    (wrong,) = np.nonzero(~(np.isfinite(made.squares) & (made.squares > 0)))
    if len(wrong):
        raise PipelineError(
            f"{len(wrong):,} of the {len(raw):,} {what} have no direction: NaN, infinity or zeros alone",
            where=f"row {wrong[0]:,} is the first",
            next="make these embeddings again; an empty text has none",
        )
    return made


def _blocks(rows: Vectors, columns: Vectors, floor: float, cap: int, device: str | None) -> Blocks:
    import torch

    from curate.dedup._blocks import Blocks
    from curate.dedup._products import planned

    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device != "cpu" and not torch.cuda.is_available():
        raise PipelineError(
            f"there is no device {device!r} here", where="semantic, key device", next='leave it at "auto"'
        )
    return Blocks(rows, columns, levels=levels(floor), cap=cap, plan=planned(device))
