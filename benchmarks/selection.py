"""Choosing 1,000 (and 6,000) of Alpaca's 52,002 by vectors, beside the plain loops that others write.

    python benchmarks/selection.py --vectors FILE [--rounds 3]

Vectors are MiniLM's of the prompts (384 dimensions), as `benchmarks/neighbours.py --keep FILE` makes them. Each
contender has a process of its own; CPU-seconds (user and system, of all threads) and wall-clock are of the work
alone, memory is that of the whole process. Medians of the rounds.

- `k_center`: greedy k-centre. Beside it the usual loop in numpy: all distances to the last one taken, a minimum,
an
  argmax. Both take the same rows, which is checked.
- `score_first`: DEITA's filter, by length, cosine at most 0.9. Beside it the published loop (hkust-nlp/deita,
  `IterativeFilter`): row by row, the cosines to all that are selected.
- `quality_diversity`, `clusters`: alone; nobody publishes these in this form.

Writes `results/selection.json`.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate import registry
from curate.keys import draws, mix
from curate.rankings import Candidates, Greedy
from curate.vectors import SCALE, whole

RESULTS = Path(__file__).parent / "results"
COUNTS = (1_000, 6_000)
CONTENDERS = {
    "k_center": ("ours", "numpy loop"),
    "score_first": ("ours", "published loop"),
    "quality_diversity": ("ours",),
    "clusters": ("ours",),
}
_SEED = 13
_MAX_COSINE = 0.9


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} cores, {names[0] if names else platform.machine()}"


def candidates(vectors: NDArray[np.float32]) -> Candidates:
    ids = pl.Series([f"row:{n:06}" for n in range(len(vectors))])
    # Lengths without meaning, but the same for all contenders.
    chars = mix(draws(ids), 1) % 3000
    rows = pl.DataFrame(
        {"id": ids, "draw": draws(ids), "chars": chars, "score": pl.Series([None] * len(ids), dtype=pl.Float64)}
    )
    return Candidates(rows, _SEED, np.zeros(len(ids), dtype=np.int64), vectors)


def ours(order: str, given: Candidates, count: int) -> list[int]:
    parameters = {"by": "longest"} if order in {"score_first", "quality_diversity"} else {}
    found = registry.get("rankings", order)(given, **parameters)
    if isinstance(found, Greedy):
        line: list[int] = []
        while len(line) < count and (row := found.best(0)) is not None:
            found.take(row)
            line.append(row)
        return line
    return found.arg_sort().to_list()[:count]


def k_center_loop(given: Candidates, count: int) -> list[int]:
    vectors = whole(given.vectors)  # so that both compare the same numbers
    place = np.argsort(np.argsort(mix(given.rows["draw"], _SEED).to_numpy(), kind="stable"))
    line = [int(place.argmin())]
    nearest = vectors @ vectors[line[0]]
    nearest[line[0]] = np.inf
    while len(line) < count:
        least = np.flatnonzero(nearest == nearest.min())
        row = int(least[place[least].argmin()])
        line.append(row)
        np.maximum(nearest, vectors @ vectors[row], out=nearest)
        nearest[line] = np.inf
    return line


def score_first_loop(given: Candidates, count: int) -> list[int]:
    vectors = whole(given.vectors)
    line: list[int] = []
    for row in (-given.rows["chars"].cast(pl.Int64)).arg_sort().to_list():
        if not line or (vectors[line] @ vectors[row]).max() <= _MAX_COSINE * SCALE**2:
            line.append(row)
            if len(line) == count:
                break
    return line


LOOPS = {"k_center": k_center_loop, "score_first": score_first_loop}


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def work(file: Path, order: str, contender: str, count: int) -> None:
    given = candidates(np.load(file).astype(np.float32))
    begun, wall = cpu(), time.perf_counter()
    line = ours(order, given, count) if contender == "ours" else LOOPS[order](given, count)
    taken = {"cpu_s": cpu() - begun, "wall_s": time.perf_counter() - wall}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(taken | {"peak_mb": peak, "line": line}))


@click.command()
@click.option("--vectors", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--rounds", default=3)
@click.option(
    "--work", "only", nargs=3, type=str, help="One contender, in this process: used by the command itself."
)
def main(vectors: Path, rounds: int, only: tuple[str, str, str] | None) -> None:
    if only:
        work(vectors, only[0], only[1], int(only[2]))
        return
    found: list[dict[str, Any]] = []
    for order, contenders in CONTENDERS.items():
        for count in COUNTS:
            lines = {}
            for contender in contenders:
                command = [
                    sys.executable,
                    __file__,
                    "--vectors",
                    str(vectors),
                    "--work",
                    order,
                    contender,
                    str(count),
                ]
                told = [
                    json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
                    for _ in range(rounds)
                ]
                lines[contender] = told[0].pop("line")
                medians = {
                    key: statistics.median(each[key] for each in told) for key in ("cpu_s", "wall_s", "peak_mb")
                }
                found.append({"order": order, "count": count, "contender": contender, **medians})
                print(
                    f"{order:<18} {count:>6,} {contender:<15} {medians['cpu_s']:7.2f} CPU-s"
                    f" {medians['wall_s']:7.2f} s"
                    f" {medians['peak_mb']:7,.0f} MB"
                )
            same = all(line == lines["ours"] for line in lines.values())
            assert same, f"{order}: the contenders take other rows"
    RESULTS.joinpath("selection.json").write_text(
        json.dumps(
            {
                "date": datetime.now(UTC).date().isoformat(),
                "processor": processor(),
                "versions": {name: version(name) for name in ("numpy", "polars")},
                "rows": len(np.load(vectors, mmap_mode="r")),
                "rounds": rounds,
                "results": found,
            },
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
