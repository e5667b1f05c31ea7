"""The greedy order by worth and distance: lazily, since few rows need an up-to-date distance at any step."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from curate.rankings import Candidates, Greedy, Integers
from curate.vectors import SCALE, Nearness, whole

_BLOCK: Final = 32  # rows whose distances are brought up to date together
# Rows taken until all distances are brought up to date, by one product of matrices for all of these.
_LAG: Final = 64

# A row without a vector has no distance to anything: it comes after all that have one.
_NOWHERE: Final = -1.0
_OFFERED: Final = -np.inf


class Spread(Greedy):
    """Next comes the row with the largest worth × distance to the nearest row taken, where distance is 1 − cosine.

    Distances only shrink as rows are taken, so one that is out of date is an upper bound, and a row is next when
    its own value is up to date and no less than any bound (lazy evaluation: Minoux, Optimization Techniques,
    1978). `worth`, shape (n,), is not negative; the first row taken is the one of most worth. Equal values go by
    `ties`.
    """

    def __init__(self, candidates: Candidates, worth: NDArray[np.float64], ties: NDArray[np.uint64]) -> None:
        vectors = whole(candidates.vectors)
        self._near = Nearness(vectors)
        self._near.known[:] = -(SCALE**2)  # no row is farther from another than opposite to it
        self._placed = (vectors != 0).any(axis=1)
        self._worth = worth
        self._since = 0
        order = np.argsort(ties, kind="stable")
        codes = candidates.domains[order]
        self._rows = {int(code): order[codes == code] for code in np.unique(codes)}
        self._bounds = {code: self._values(rows) for code, rows in self._rows.items()}

    def best(self, domain: int) -> int | None:
        rows, bounds = self._rows[domain], self._bounds[domain]
        block = _BLOCK
        while True:
            first = int(bounds.argmax())
            if bounds[first] == _OFFERED:
                return None
            if self._near.is_known(int(rows[first])):
                bounds[first] = _OFFERED
                return int(rows[first])
            top = np.argpartition(bounds, -block)[-block:] if block < len(bounds) else np.arange(len(bounds))
            top = top[bounds[top] != _OFFERED]
            self._near.refresh(rows[top])
            bounds[top] = self._values(rows[top])
            block *= 2

    def take(self, row: int) -> None:
        self._near.take(row)
        self._since += 1
        if self._since == _LAG:
            self._since = 0
            self._near.refresh_all()
            for code, rows in self._rows.items():
                bounds = self._bounds[code]
                bounds[:] = np.where(bounds == _OFFERED, _OFFERED, self._values(rows))

    def _values(self, rows: Integers) -> NDArray[np.float64]:
        """Worth × distance, in units of 1/SCALE², by what is known of the distance."""
        distance = SCALE**2 - self._near.known[rows].astype(np.float64)
        return np.where(self._placed[rows], self._worth[rows] * distance, _NOWHERE)
