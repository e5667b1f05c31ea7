"""All pairs of vectors above a cosine, block by block of products: what each may be is said in `_products`.

Row after row in ascending order, of each row its columns in ascending order. So which pairs are kept where a row
has too many depends on the pairs alone, not on the blocks they were met in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from curate.dedup._cosines import STEP, candidates, verified
from curate.dedup._products import Bars, Low, Plan, Vectors, axes_for, one_thread

# A block of short products is made again of whole ones where it proposes more than so many columns a row.
_MOST: Final = STEP // 4


class Found(NamedTuple):
    """Verified pairs, as rows of the two sides with their cosine.

    `beyond` more reach the floor and are not kept; of `verified` pairs the cosine was computed.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    cosine: NDArray[np.float64]
    beyond: int
    verified: int


class _Sides(NamedTuple):
    """Both sides in low precision, and what their products have to reach."""

    rows: Low
    columns: Low
    bars: Bars


class _Asked(NamedTuple):
    """Which rows are compared with which columns, by number; of row i the first `limits[i]` columns alone."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    limits: NDArray[np.int64]


class Blocks:
    """Rows and columns that are compared with each other, all of them or some.

    Of a row all columns are kept whose cosine reaches the row's bar. That is the lowest level at first, and rises
    to the next as soon as `cap` columns have reached it. `note` says how products were made.
    """

    def __init__(
        self, rows: Vectors, columns: Vectors, *, levels: NDArray[np.float64], cap: int, plan: Plan
    ) -> None:
        self._rows, self._columns, self._levels, self._cap, self._plan = rows, columns, levels, cap, plan
        self._axes = axes_for(rows, columns, float(levels[0])) if plan.shorten else None
        self._made: dict[bool, _Sides] = {}
        self._making = Lock()
        self._shrunk: list[str] = []

    @property
    def note(self) -> str:
        precision = str(self._plan.dtype).removeprefix("torch.")
        device = "the processor" if self._plan.device == "cpu" else self._plan.device
        short = f", {self._axes.shape[1] + 1} numbers a vector" if self._axes is not None else ""
        return "; ".join([*self._shrunk, f"products in {precision} on {device}{short}"])

    def among(self, rows: NDArray[np.int64], columns: NDArray[np.int64], limits: NDArray[np.int64]) -> Found:
        """The pairs of some rows and columns; `limits`, shape as rows, says with how many columns each goes."""
        asked, begin, parts = _Asked(rows, columns, limits), 0, list[Found]()
        with _exact_sums():
            while begin < len(rows) and self._plan.device != "cpu":
                short = False
                try:
                    end = min(begin + self._plan.rows, len(rows))
                    parts.append(self._found(asked, begin, end))
                    begin = end
                except torch.OutOfMemoryError:
                    short = True
                # Not before: an error holds what was computed when it was raised.
                if short:
                    self._shrink()
            if begin < len(rows):
                parts += self._on_threads(asked, begin)
        return merged(parts)

    def _shrink(self) -> None:
        before, self._plan = self._plan, self._plan.smaller()
        torch.cuda.empty_cache()
        if self._plan.device == "cpu":
            self._made.clear()
            self._shrunk = [f"{before.device} has too little memory even for the smallest blocks"]
        else:
            blocks = f"{self._plan.rows:,} x {self._plan.columns:,}"
            self._shrunk = [f"blocks of {blocks} since {before.device} had no memory for larger ones"]

    def _on_threads(self, asked: _Asked, begin: int) -> Sequence[Found]:
        step = self._plan.rows
        self._sides(short=self._axes is not None)
        # The last rows have the most columns.
        starts = range(begin, len(asked.rows), step)[::-1]
        with one_thread(), ThreadPoolExecutor(self._plan.threads) as pool:
            return list(pool.map(lambda start: self._found(asked, start, start + step), starts))

    def _sides(self, *, short: bool) -> _Sides:
        with self._making:
            if short not in self._made:
                axes = self._axes if short else None
                rows = Low(self._rows, axes, self._plan)
                columns = rows if self._columns is self._rows else Low(self._columns, axes, self._plan)
                self._made[short] = _Sides(rows, columns, Bars(self._levels, rows, columns))
            return self._made[short]

    def _found(self, asked: _Asked, begin: int, end: int) -> Found:
        rows = asked.rows[begin:end]
        met = _Met(_Asked(rows, asked.columns, asked.limits[begin:end]), len(self._levels))
        stop = int(met.asked.limits.max(initial=0))
        for start in range(0, stop, self._plan.columns):
            self._visit(met, start, min(start + self._plan.columns, stop), short=self._axes is not None)
        return merged(met.parts)._replace(beyond=met.beyond, verified=met.verified)

    def _visit(self, met: _Met, start: int, stop: int, *, short: bool) -> None:
        """Keep the pairs of some rows and columns; where there are too many for the room, of fewer at a time."""
        proposed = self._proposed(met, start, stop, short=short)
        if proposed is None and short:
            self._visit(met, start, stop, short=False)
        elif proposed is None:
            middle = (start + stop) // 2
            self._visit(met, start, middle, short=False)
            self._visit(met, middle, stop, short=False)
        else:
            rows, columns, counted = proposed
            keep, cosine, beyond = verified(
                self._rows.raw, self._columns.raw, self._rows.squares, self._columns.squares,
                met.asked.rows, met.asked.columns[start:stop], rows, columns,
                self._levels, self._cap, met.counts, met.bars,
            )  # fmt: skip
            met.add(rows[keep], columns[keep] + start, cosine[keep])
            met.beyond += counted + beyond
            met.verified += len(rows)

    def _proposed(
        self, met: _Met, start: int, stop: int, *, short: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], int] | None:
        """The places of pairs that have to be verified, and how many are sure without and will not be kept.

        None if there is no room for them. Short products are never sure, so all that reach the lowest level are to
        be verified.
        """
        rows, columns, bars = self._sides(short=short)
        limits = np.clip(met.asked.limits - start, 0, stop - start)
        raised = met.bars * (not short)
        room = len(limits) * (_MOST if short else STEP)
        products = torch.mm(
            _taken(rows.values, met.asked.rows), _taken(columns.values, met.asked.columns[start:stop]).T
        )
        if not self._plan.compiled:
            return _looked(products, limits, raised, bars, room)
        found = np.empty((2, room), np.int64)
        bits = products.view(torch.int16 if products.dtype.itemsize == 2 else torch.int32).numpy()
        count, counted = candidates(bits, limits, bars.bits[raised], bars.bits[0], bars.sure_bits, *found)
        return None if count < 0 else (found[0, :count], found[1, :count], counted)


class _Met:
    """Some rows and what is known of them: how many columns reached each level, their bars, and their pairs."""

    def __init__(self, asked: _Asked, levels: int) -> None:
        self.asked = asked
        self.counts = np.zeros((len(asked.rows), levels), np.int32)
        self.bars = np.zeros(len(asked.rows), np.int64)
        self.parts: list[Found] = []
        self.beyond = 0
        self.verified = 0

    def add(self, rows: NDArray[np.int64], columns: NDArray[np.int64], cosine: NDArray[np.float64]) -> None:
        if len(rows):
            self.parts.append(Found(self.asked.rows[rows], self.asked.columns[columns], cosine, 0, 0))


def merged(parts: Sequence[Found]) -> Found:
    """Several as one."""
    if not parts:
        return Found(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64), 0, 0)
    return Found(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.columns for part in parts]),
        np.concatenate([part.cosine for part in parts]),
        sum(part.beyond for part in parts),
        sum(part.verified for part in parts),
    )


def _taken(values: torch.Tensor, rows: NDArray[np.int64]) -> torch.Tensor:
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):  # ascending
        return values[rows[0] : rows[-1] + 1]
    return values[torch.from_numpy(rows).to(values.device)]


def _looked(
    products: torch.Tensor, limits: NDArray[np.int64], raised: NDArray[np.int64], bars: Bars, room: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], int] | None:
    """What `candidates` does, on any device."""
    device = products.device
    reached = products >= bars.values[0]
    if limits.min() < products.shape[1]:
        reached &= torch.arange(products.shape[1], device=device) < torch.from_numpy(limits).to(device)[:, None]
    counted = 0
    if raised.any():
        own = bars.values[torch.from_numpy(raised).to(device)]
        alone = reached & (products >= bars.sure) & (products < own[:, None])
        counted = int(alone.sum())
        reached &= ~alone
    if int(reached.sum()) > room:
        return None
    rows, columns = (places.cpu().numpy() for places in reached.nonzero(as_tuple=True))
    return rows, columns, counted


@contextmanager
def _exact_sums() -> Iterator[None]:
    """Products as precise as their type says, whatever was allowed before."""
    single = torch.get_float32_matmul_precision()
    matmul = torch.backends.cuda.matmul
    half = matmul.allow_fp16_reduced_precision_reduction
    torch.set_float32_matmul_precision("highest")
    matmul.allow_fp16_reduced_precision_reduction = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(single)
        matmul.allow_fp16_reduced_precision_reduction = half
