"""What it costs to describe sets: each metric over 52,002 rows, a panel of 25 sets, many rows, and peers beside.

    python benchmarks/metrics.py [--vectors FILE] [--peers PYTHON]

Rows are Alpaca's in CURATE_REAL_DATA; vectors of their prompts, float32 (n, d) as .npy (`benchmarks/neighbours.py`
makes them), and without a file drawn ones of 384 numbers. CPU-seconds (user and system) of all threads, start-up
apart, medians of rounds; each part in a process of its own, so that its memory is told too.

- `text` and `vectors`: what is made of the pool once, and then 25 sets of 1,000 rows: the longest, the shortest,
  the first, 22 random draws. `whole` is all together, and once more the pool as a set.
- `each`: every metric of one set of 1,000 rows, and of the pool as a set.
- `many`: 200,000 rows with vectors, Alpaca four times over, and 25 sets.
- `verb_nouns`: the verbs and nouns of all prompts.
- `longest`: what the numbers say of the 1,000 longest responses, in the band of 22 draws.
- `peers`, in the interpreter given: the package vendi-score on 1,000 vectors (`score_dual`), with both values.

Writes `results/metrics.json`.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
import polars as pl

from curate.keys import draws
from curate.metrics import Prepared, Sample, panel, verb_nouns

RESULTS = Path(__file__).parent / "results" / "metrics.json"
SIZE, DRAWS = 1_000, 22
MANY = 200_000
DIMENSIONS = 384

PEER = """
import json, sys, time
import numpy as np, scipy.linalg
from vendi_score import vendi
vectors = np.load(sys.argv[1])
vendi.score_dual(vectors[:50])
begun = time.process_time()
one, two = vendi.score_dual(vectors, q=1), vendi.score_dual(vectors, q=2)
print(json.dumps({"cpu_s": time.process_time() - begun, "vendi": float(one), "vendi_2": float(two)}))
"""


def sample(data: Path, vectors: Path | None, count: int | None = None) -> Sample:
    rows = json.loads((data / "self_instruct" / "alpaca_data.json").read_bytes())
    times = -(-count // len(rows)) if count else 1
    rows = (rows * times)[:count]
    ids = [str(number) for number in range(len(rows))]
    columns = {
        "id": ids,
        "prompt": [row["instruction"] + ("\n\n" + row["input"] if row["input"] else "") for row in rows],
        "response": [row["output"] for row in rows],
        "category": [row["instruction"].partition(" ")[0] for row in rows],
        "draw": draws(ids),
    }
    found = None
    if vectors is not None:
        found = np.load(vectors)
        found = np.concatenate([found] * times)[: len(rows)]
    return Sample(pl.DataFrame(columns), found)


def sets(pool: Sample) -> tuple[dict[str, Any], list[Any]]:
    lengths = pool.rows["response"].str.len_chars().to_numpy().astype(np.int64)
    order = np.argsort(lengths, kind="stable")
    chance = np.random.default_rng(13)
    count = len(lengths)
    named = {"longest": order[-SIZE:], "shortest": order[:SIZE], "first": np.arange(SIZE)}
    return named, [chance.choice(count, SIZE, replace=False) for _ in range(DRAWS)]


def timed(work: Callable[[], Any]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def peak() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def panels(data: Path, vectors: Path | None, count: int | None = None) -> dict[str, Any]:
    pool = sample(data, vectors, count)
    before, begun = peak(), time.process_time()
    prepared = Prepared(pool, seed=13)
    parts = ["words", "asked", "verbs", "categories", *(["clusters"] if vectors else [])]
    said: dict[str, Any] = {f"{part}_cpu_s": timed(partial(getattr, prepared, part)) for part in parts}
    named, drawn = sets(pool)
    rows: list[Any] = []
    said["25_sets_cpu_s"] = timed(
        lambda: rows.extend(panel(prepared, named, of="longest", draws=drawn, model="MiniLM"))
    )
    said["whole_cpu_s"] = time.process_time() - begun
    if count is None:
        said["pool_as_a_set_cpu_s"] = timed(lambda: prepared.values(range(len(pool.rows))))
    said |= {"rows": len(pool.rows), "peak_mb": peak(), "of_it_given_mb": before}
    if vectors and count is None:
        said["longest"] = {
            row["name"]: {
                "value": row["values"]["longest"],
                **(row["band"] or {}),
                "percentile": row["percentile"],
            }
            for row in rows
        }
    return said


def each(data: Path, vectors: Path | None) -> dict[str, Any]:
    pool = sample(data, vectors)
    prepared = Prepared(pool, seed=13)
    drawn = sets(pool)[1][0]
    prepared.values(drawn)
    said: dict[str, Any] = {}
    for metric in prepared.metrics():
        few, all_rows = prepared.chosen(drawn), prepared.chosen(range(len(pool.rows)))
        said[metric.info.name] = [timed(partial(metric, rows)) for rows in (few, all_rows)]
    said["verb_nouns"] = timed(lambda: verb_nouns(pool.rows["prompt"]))
    said["first_1000"] = prepared.values(range(SIZE))
    return said


def in_a_process(part: str, data: Path, vectors: Path | None) -> dict[str, Any]:
    command = [sys.executable, __file__, "--data", str(data), "--part", part]
    command += ["--vectors", str(vectors)] if vectors else []
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, Any] = json.loads(printed)
    return found


def medians(found: list[dict[str, Any]]) -> dict[str, Any]:
    last = found[-1]
    return {
        key: round(statistics.median(one[key] for one in found), 3) if isinstance(value, float) else value
        for key, value in last.items()
    }


@click.command()
@click.option("--data", envvar="CURATE_REAL_DATA", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--vectors", type=click.Path(path_type=Path, exists=True), help="float32 (52002, d) as .npy.")
@click.option("--peers", help="A Python that has vendi-score.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--part", hidden=True)
def main(data: Path, vectors: Path | None, peers: str | None, rounds: int, part: str | None) -> None:
    """Measure, print and write."""
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "text": lambda: panels(data, None),
        "vectors": lambda: panels(data, vectors),
        "many": lambda: panels(data, vectors, MANY),
        "each": lambda: each(data, vectors),
    }
    if part:
        print(json.dumps(parts[part]()))
        return
    with tempfile.TemporaryDirectory() as scratch:
        given = vectors
        if given is None:
            given = Path(scratch) / "vectors.npy"
            drawn = np.random.default_rng(1).normal(size=(52_002, DIMENSIONS)).astype(np.float32)
            np.save(given, drawn)
        result: dict[str, Any] = {
            "command": "python benchmarks/metrics.py"
            + " --vectors A" * bool(vectors)
            + " --peers P" * bool(peers),
            "date": datetime.now(UTC).date().isoformat(),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}",
            "load": round(os.getloadavg()[0], 1),
            "versions": {name: version(name) for name in ("numpy", "polars")},
            "rounds": rounds,
        }
        for name in ("text", "vectors"):
            result[name] = medians([in_a_process(name, data, given) for _ in range(rounds)])
        result["longest"] = result["vectors"].pop("longest")
        result["many"] = medians([in_a_process("many", data, given)])
        found = in_a_process("each", data, given)
        first = found.pop("first_1000")
        result["verb_nouns_cpu_s"] = round(found.pop("verb_nouns"), 3)
        result["each_cpu_s_of_1000_and_of_all"] = {
            name: [round(value, 4) for value in values] for name, values in found.items()
        }
        if peers:
            some = Path(scratch) / "some.npy"
            np.save(some, np.load(given)[:SIZE])
            printed = subprocess.run([peers, "-c", PEER, str(some)], capture_output=True, text=True, check=True)
            theirs = json.loads(printed.stdout)
            ours = {name: first[name] for name in ("vendi", "vendi_2")}
            ours["cpu_s"] = round(found["vendi"][0] + found["vendi_2"][0], 4)
            result["peers"] = {"vendi_score": theirs, "ours": ours}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
