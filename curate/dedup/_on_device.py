"""MinHash signatures by torch: the same numbers as on the processor, bit for bit.

torch multiplies and adds 32-bit numbers modulo 2^32 like the compiled loops, but orders them with a sign; so 2^31
is added before the least is sought, and taken off again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from curate.errors import PipelineError, PluginError

# Shingles that are on the device at a time (256 MB), and bytes permuted at a time, which an H200's second-level
# cache of 50 MB holds; smaller ones than the least would keep no device busy.
_SHINGLES: Final = 1 << 26
_BYTES: Final = 1 << 25
_LEAST_BYTES: Final = 1 << 20

# Longer texts are taken apart, so that short ones beside them are not made as long.
_PIECE: Final = 512

_SIGN: Final = np.uint32(1 << 31)


def signed_on(
    device: str,
    hashes: NDArray[np.uint64],
    starts: NDArray[np.int64],
    factors: NDArray[np.uint32],
    shifts: NDArray[np.uint32],
    note: Callable[[str], object],
) -> NDArray[np.uint32] | None:
    """The signatures of texts whose hashes begin at `starts`; none where the device has not enough memory.

    What is done in smaller pieces than planned, or not at all, is noted.

    Raises `PipelineError` when there is no such device, `PluginError` when torch is not installed.
    """
    torch = _torch_with(device)
    made = np.full((len(starts) - 1, len(factors)), np.iinfo(np.uint32).max, np.uint32)
    size = _BYTES
    for rows, begin, end in _parts(starts, _SHINGLES):
        while True:
            try:
                lowest = _lowest(torch, device, hashes[begin:end], starts[rows] - begin, factors, shifts, size)
                break
            except torch.OutOfMemoryError:
                size //= 2
            # Outside of the handler, which holds on to what was on the device.
            torch.cuda.empty_cache()
            if size < _LEAST_BYTES:
                note(f"{device} has not enough memory for signatures: they are made on the processor")
                return None
            note(f"{device} ran out of memory: signatures are made {size >> 20} MB at a time")
        here = slice(rows.start, rows.stop - 1)
        made[here] = np.minimum(made[here], lowest)
    return made


def _torch_with(device: str) -> Any:
    try:
        import torch
    except ModuleNotFoundError as error:
        what = "signatures on a device need the package 'torch', which is not installed"
        raise PluginError(what, next="pip install 'curate-sft[embed]', or say device = \"cpu\"") from error
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        what = f"there is no device {device!r}: {str(error).splitlines()[0]}"
        raise PipelineError(what, where="minhash, key device", next='say device = "cpu"') from error
    return torch


def _parts(starts: NDArray[np.int64], most: int) -> Iterator[tuple[slice, int, int]]:
    """Ranges of at most so many hashes, with the places in `starts` of the texts that lie in each."""
    for begin in range(int(starts[0]), int(starts[-1]), most):
        end = min(begin + most, int(starts[-1]))
        first = int(np.searchsorted(starts, begin, "right")) - 1
        yield slice(first, int(np.searchsorted(starts, end, "left")) + 1), begin, end


def _lowest(
    torch: Any,
    device: str,
    hashes: NDArray[np.uint64],
    starts: NDArray[np.int64],
    factors: NDArray[np.uint32],
    shifts: NDArray[np.uint32],
    size: int,
) -> NDArray[np.uint32]:
    # A text may begin before these hashes, or end after them.
    starts = np.clip(starts, 0, len(hashes))
    sizes = np.diff(starts)
    pieces = -(-sizes // _PIECE)
    rows = np.repeat(np.arange(len(sizes)), pieces)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    firsts = starts[rows] + nth * _PIECE
    counts = np.minimum(sizes[rows] - nth * _PIECE, _PIECE)
    order = np.argsort(counts, kind="stable")

    def moved(values: NDArray[Any]) -> Any:
        return torch.from_numpy(values).to(device)

    mixed = _mixed(moved(hashes.astype(np.uint32).view(np.int32)))
    factor, shift = moved(factors.view(np.int32)), moved((shifts ^ _SIGN).view(np.int32))
    row, first, count = moved(rows[order]), moved(firsts[order]), moved(counts[order])
    lowest = torch.full((len(sizes), len(factors)), np.iinfo(np.int32).max, dtype=torch.int32, device=device)
    for begin, end in _rectangles(counts[order], max(size // (4 * len(factors)), _PIECE)):
        place = torch.arange(int(counts[order[end - 1]]), device=device)
        # A shorter piece has its last hash again.
        place = first[begin:end, None] + torch.minimum(place[None], count[begin:end, None] - 1)
        least = torch.addcmul(shift, mixed[place][:, :, None], factor).amin(1)
        lowest.scatter_reduce_(0, row[begin:end, None].expand_as(least), least, "amin")
    found: NDArray[np.int32] = lowest.cpu().numpy()
    return found.view(np.uint32) ^ _SIGN


def _rectangles(counts: NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Ranges of pieces, shortest first, that have at most so many hashes when all are as long as their last."""
    begin = 0
    while begin < len(counts):
        longer = counts[begin : begin + most // int(counts[begin])]
        areas = longer * np.arange(1, len(longer) + 1)
        end = begin + max(int(np.searchsorted(areas, most, "right")), 1)
        yield begin, end
        begin = end


def _mixed(hashes: Any) -> Any:
    """The finaliser of MurmurHash3, whose shifts bring in zeros where those of numbers with a sign do not."""
    hashes = hashes ^ (hashes >> 16 & 0xFFFF)
    hashes = hashes * (0x85EBCA6B - (1 << 32))
    hashes = hashes ^ (hashes >> 13 & 0x7FFFF)
    hashes = hashes * (0xC2B2AE35 - (1 << 32))
    return hashes ^ (hashes >> 16 & 0xFFFF)
