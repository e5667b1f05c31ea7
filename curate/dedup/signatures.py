"""MinHash signatures (Broder, "On the resemblance and containment of documents", 1997).

The permutations are those of datasketch, scheme affine32, and the signatures equal those it makes of the low 32
bits of the same hashes, wherever they are computed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.dedup.shingles import Shingles, Unit, buffers, each_block, shingled

if TYPE_CHECKING:
    from datasketch import MinHash


def signed(
    texts: pl.Series,
    *,
    size: int,
    unit: Unit = "word",
    num_perm: int,
    device: str = "cpu",
    note: Callable[[str], object] = warnings.warn,
) -> NDArray[np.uint32]:
    """The signatures of the shingles of texts, as `shingled` finds them, which are not kept. Shape (n, num_perm).

    On another device than the processor, texts are shingled by the processor. What has to be done there in another
    way than planned is told to `note`.

    Raises `PipelineError` when there is no such device, `PluginError` when it needs torch and that is missing.
    """
    if device != "cpu":
        return signatures(shingled(texts, size=size, unit=unit), num_perm, device=device, note=note)
    from curate.dedup import _kernels
    from curate.dedup._wide import WIDTH

    made = np.empty((len(texts), num_perm), np.uint32)
    factors, shifts = _permutations(num_perm, WIDTH)

    def block(rows: slice) -> None:
        data, spans, table = buffers(texts[rows])
        nothing = np.empty(0, np.uint64), np.empty(0, np.int64)
        _kernels.shingle(data, spans, table, size, unit == "character", factors, shifts, made[rows], *nothing)

    for _ in each_block(texts.str.len_bytes().to_numpy(), block):
        pass
    return made


def signatures(
    shingles: Shingles, num_perm: int, *, device: str = "cpu", note: Callable[[str], object] = warnings.warn
) -> NDArray[np.uint32]:
    """The signature of each set of shingles, of which the low 32 bits count. Shape (n, num_perm).

    Raises what `signed` raises.
    """
    if device != "cpu":
        from curate.dedup._on_device import signed_on

        found = signed_on(device, shingles.hashes, shingles.starts, *_permutations(num_perm, 1), note)
        if found is not None:
            return found
    from curate.dedup import _kernels
    from curate.dedup._wide import WIDTH

    made = np.empty((len(shingles.starts) - 1, num_perm), np.uint32)
    factors, shifts = _permutations(num_perm, WIDTH)

    def block(rows: slice) -> None:
        starts = shingles.starts[rows.start : rows.stop + 1]
        _kernels.sign(shingles.hashes, starts, factors, shifts, made[rows])

    for _ in each_block(8 * shingles.sizes(), block):
        pass
    return made


def as_datasketch(signature: NDArray[np.uint32]) -> MinHash:
    """A signature, shape (num_perm,), for an index of datasketch, to be compared with signatures made there."""
    from datasketch import MinHash

    return MinHash(num_perm=len(signature), scheme="affine32", hashvalues=signature)


def _permutations(num_perm: int, width: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The factors and shifts of datasketch's `MinHash._init_permutations`; zeros up to a multiple of the width.

    They are drawn as it draws them, from its default seed, because it takes longer to import than to do the rest.
    """
    draw = np.random.RandomState(1)
    factors, shifts = np.zeros((2, -(-num_perm // width) * width), np.uint32)
    factors[:num_perm] = draw.randint(0, 1 << 31, num_perm, dtype=np.uint32) * 2 + 1
    shifts[:num_perm] = draw.randint(0, 1 << 32, num_perm, dtype=np.uint32)
    return factors, shifts
