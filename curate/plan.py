"""What a run would do, and about how long it would take, without reading any data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from curate.engine import cores
from curate.inputs import DigestCache, Input, find_inputs
from curate.pipeline import Pipeline
from curate.read import WORTH_WORKERS_BYTES, is_read
from curate.runs import RUNS, prepare, run_name
from curate.store import Store

# Measured on two cores of an AMD EPYC, on a generated Stack Exchange dump (benchmarks/results/spine.json).
_BYTES_PER_SECOND_AND_CORE: Final = 15e6
_DISK_PER_BYTE: Final = 0.4
_MEMORY: Final = 400_000_000
_MEMORY_PER_WORKER: Final = 300_000_000


@dataclass(frozen=True)
class Planned:
    """One input, and whether an earlier run has read it."""

    input: Input
    done: bool


@dataclass(frozen=True)
class Estimate:
    """Wall seconds, bytes of disk and bytes of memory, on a number of cores."""

    seconds: float
    disk: int
    memory: int
    cores: int


@dataclass(frozen=True)
class Plan:
    """A pipeline with every default resolved, and what of it is still to be done."""

    pipeline: Pipeline
    folder: Path
    inputs: tuple[Planned, ...]

    @property
    def estimate(self) -> Estimate:
        """A rough estimate, from the bytes that are still to be read."""
        waiting = sum(each.input.bytes for each in self.inputs if not each.done)
        count = cores()
        seconds = 2 + waiting / (_BYTES_PER_SECOND_AND_CORE * count)
        workers = count if waiting >= WORTH_WORKERS_BYTES else 0
        memory = _MEMORY + _MEMORY_PER_WORKER * workers
        return Estimate(seconds, int(waiting * _DISK_PER_BYTE), memory, count)


def plan(
    pipeline: str | Path,
    *,
    plugins: Iterable[str | Path] = (),
    without: Iterable[str] = (),
    runs: str | Path = RUNS,
) -> Plan:
    """The plan of a pipeline. Inputs are found and digested, which is all that touches them.

    Raises a `CurateError` like `curate.run`.
    """
    resolved = prepare(pipeline, plugins=plugins, without=without)
    folder = Path(runs) / run_name(resolved)
    store = Store(folder)
    inputs = find_inputs(resolved, DigestCache(Path(runs) / ".cache" / "digests.json"))
    return Plan(resolved, folder, tuple(Planned(input, is_read(input, store)) for input in inputs))
