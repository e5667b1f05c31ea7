"""In which order rows are learned: an order an epoch, drawn by the rows' ids, the same on any number of processes.

Every row comes exactly once an epoch. Where they are no multiple of what all processes take at once, the last step
is filled up with rows of two tokens of which none is learned: they weigh nothing, and no row is taken twice.

The rows of one step come longest first. Which rows a step learns from is chance's; in which order it takes them
changes nothing but how much padding they need, and that processes have rows of like lengths at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.keys import draws, mix, seed_for

# A filler's tokens: of one token a model that predicts the next one would be left with none.
FILLER: Final = 2

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """The rows of each epoch and step. Epochs are counted from 0, and so are steps, over all epochs.

    `ids` are of the rows (or packs), `lengths` their tokens, `learned` how many of these are learned. Each of so
    many `processes` takes `at_once` rows at a time, until there are `batch_size`. Without `padded`, rows that are
    taken at once are laid end to end.
    """

    ids: Sequence[str]
    lengths: Rows
    learned: Rows
    seed: int
    batch_size: int
    at_once: int = 1
    processes: int = 1
    padded: bool = True

    def __len__(self) -> int:
        """The rows of an epoch, fillers included."""
        return len(self.ids) + self.fillers

    @property
    def fillers(self) -> int:
        """How many rows that weigh nothing end an epoch."""
        return -len(self.ids) % (self.at_once * self.processes)

    @property
    def steps(self) -> int:
        """The steps of an epoch; the last may be of fewer rows."""
        return -(-len(self) // self.batch_size)

    def epoch(self, number: int) -> Rows:
        """The places of an epoch's rows, in order; that of a filler is the number of rows. Shape (len(self),)."""
        keys = mix(self._draws, seed_for(self.seed, f"epoch {number}"))
        drawn = np.argsort(keys.to_numpy(), kind="stable").astype(np.int64)
        places = np.append(drawn, np.full(self.fillers, len(self.ids)))
        longest_first = -np.append(self.lengths, FILLER)[places]
        return places[np.lexsort((longest_first, np.arange(len(places)) // self.batch_size))]

    def rows(self, step: int) -> Rows:
        """The places of the rows of a step, over all processes and without fillers."""
        epoch, start = step // self.steps, step % self.steps * self.batch_size
        places = self.epoch(epoch)[start : start + self.batch_size]
        return places[places < len(self.ids)]

    def counts(self, number: int) -> list[dict[str, Any]]:
        """Of each step of an epoch: rows, tokens, learned tokens, and the share of padding in what is computed."""
        places = self.epoch(number)
        real = places < len(self.ids)
        lengths = np.append(self.lengths, FILLER)[places]
        starts = np.arange(0, len(self), self.batch_size)
        tokens = np.add.reduceat(np.where(real, lengths, 0), starts)
        learned = np.add.reduceat(np.append(self.learned, 0)[places], starts)
        computed = np.add.reduceat(self._computed(lengths), starts)
        rows = np.add.reduceat(real.astype(np.int64), starts)
        return [
            {
                "rows": int(rows[step]),
                "tokens": int(tokens[step]),
                "learned": int(learned[step]),
                "padding": round(1 - float(tokens[step] / computed[step]), 4),
            }
            for step in range(self.steps)
        ]

    def _computed(self, lengths: Rows) -> Rows:
        """The tokens that are computed for each row: as many as the longest has of those taken with it."""
        if not self.padded:
            return lengths
        longest: Rows = lengths.reshape(-1, self.at_once).max(axis=1)
        return np.repeat(longest, self.at_once)

    @cached_property
    def _draws(self) -> pl.Series:
        return draws(self.ids)
