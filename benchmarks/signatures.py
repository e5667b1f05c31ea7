"""MinHash signatures of 50,000 texts: what the processor needs to shingle them, to sign them, and rensa beside it.

    python benchmarks/signatures.py [--rensa PYTHON] [--device cuda]

The texts are sentences, drawn with a seed from the responses of Alpaca below CURATE_REAL_DATA where that is set,
and else made of drawn words; 128 permutations, shingles of five words. CPU-seconds of all threads, start-up apart,
medians of rounds taken in turns:

- `signatures`: ours and rensa's of the same shingles, which lie in memory for both as rensa wants them: 64-bit
  numbers below 2^32, and where each text begins. rensa runs in the interpreter given, with one thread and with as
  many as it takes, and the better counts; what it needs to read the numbers from disk is not counted.
- `shingled` and `signed`: from a Polars column to sets of shingles, and to signatures; the difference of `signed`
  and `signatures` is what it takes to come from text to hashes, without making sets of them.
- texts of other kinds: with some accents and quotes, Chinese, Hindi (whose marks need Polars to compose them), and
  shingles of characters.
- first use: a new process signs one text, with and without a folder of compiled loops.
- with `--device`, the same signatures there, moving the shingles included.

Signatures are compared with datasketch's on a sample. Results go to `results/signatures.json`.
"""

from __future__ import annotations

import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
import polars as pl
from datasketch import MinHash
from numpy.typing import NDArray

from curate.dedup.shingles import Shingles, shingled
from curate.dedup.signatures import signatures, signed

RESULTS = Path(__file__).parent / "results" / "signatures.json"
DOCUMENTS = 50_000
CHARACTERS = 2_600
NUM_PERM = 128
SIZE = 5

PEER = """
import json, sys, time
from importlib.metadata import version
import numpy as np, rensa
hashes, starts = np.load(sys.argv[1]), np.load(sys.argv[2])
taken = []
for _ in range(1 + int(sys.argv[4])):
    begun = time.process_time()
    rensa.RMinHash.digest_matrix_from_flat_token_hashes(hashes, starts, int(sys.argv[3]), 42)
    taken.append(time.process_time() - begun)
print(json.dumps({"version": version("rensa"), "cpu_s": taken[1:]}))
"""

FIRST = """
import time
begun = time.process_time()
import polars as pl
polars = time.process_time() - begun
from curate.dedup.signatures import signed
signed(pl.Series(["one text"]), size=5, num_perm=128)
print(time.process_time() - begun - polars)
"""


def sentences(draw: random.Random) -> list[str]:
    """Sentences of Alpaca's responses, or made ones."""
    data = os.environ.get("CURATE_REAL_DATA")
    if data:
        rows = json.loads((Path(data) / "self_instruct" / "alpaca_data.json").read_bytes())
        found = {part.strip() for row in rows for part in row["output"].split(". ") if 20 < len(part) < 300}
        return [f"{part}." for part in sorted(found)]
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    words = ["".join(draw.choices(letters, k=max(1, round(draw.gauss(5, 2.4))))) for _ in range(30_000)]
    made = [" ".join(draw.choices(words, k=draw.randint(5, 25))) for _ in range(100_000)]
    return [f"{sentence.capitalize()}." for sentence in made]


def documents(count: int, parts: list[str], draw: random.Random) -> pl.Series:
    """So many texts of these sentences, of about 2,600 characters."""
    mean = sum(map(len, parts)) / len(parts)
    return pl.Series(
        [" ".join(draw.choices(parts, k=round(CHARACTERS / mean * draw.uniform(0.5, 1.5)))) for _ in range(count)]
    )


def kinds(texts: pl.Series, draw: random.Random) -> dict[str, pl.Series]:
    """The same number of characters of other kinds of text."""
    few = texts.head(len(texts) // 5)
    accented = few.str.replace_all("e ", "é ").str.replace_all(r"\bthe (\w+)", "“$1”").str.replace_all("'", "’")

    def spelled(first: int, last: int, joined: str) -> pl.Series:
        letters = [chr(point) for point in range(first, last)]
        words = ["".join(draw.choices(letters, k=draw.randint(2, 7))) for _ in range(20_000)]
        return pl.Series([joined.join(draw.choices(words, k=CHARACTERS // 6)) for _ in range(len(few))])

    return {
        "plain": few,
        "with_accents_and_quotes": accented,
        "chinese": spelled(0x4E00, 0x5E00, "，"),
        "hindi": spelled(0x0904, 0x094E, " "),
    }


def medians(works: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The median CPU-seconds of each, taken in turns, so that a noisy minute meets them all."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(1 + rounds):
        for name, work in works.items():
            begun = time.process_time()
            found = work()
            lasted = [time.process_time() - begun]
            # A peer times itself, in a process of its own.
            if turn:
                taken[name] += found if isinstance(found, list) else lasted
    return {name: round(statistics.median(each), 4) for name, each in taken.items()}


def peers(interpreter: str, shingles: Shingles, folder: Path) -> dict[str, Callable[[], list[float]]]:
    """rensa on these shingles, with one thread and with as many as it takes."""
    np.save(folder / "hashes.npy", shingles.hashes & np.uint64(0xFFFFFFFF))
    np.save(folder / "starts.npy", shingles.starts.astype(np.uint64))
    arguments = [str(folder / "hashes.npy"), str(folder / "starts.npy"), str(NUM_PERM), "2"]

    def run(threads: dict[str, str]) -> list[float]:
        command = [interpreter, "-c", PEER, *arguments]
        printed = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | threads)
        return list(json.loads(printed.stdout)["cpu_s"])

    return {"rensa_one_thread": lambda: run({"RAYON_NUM_THREADS": "1"}), "rensa": lambda: run({})}


def first_use(rounds: int) -> dict[str, float]:
    """CPU-seconds of a new process that signs one text, Polars' import apart."""

    def run(cache: str) -> float:
        env = os.environ | {"NUMBA_CACHE_DIR": cache}
        printed = subprocess.run(
            [sys.executable, "-c", FIRST], check=True, capture_output=True, text=True, env=env
        )
        return float(printed.stdout)

    compiled, cached = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            compiled.append(run(cache))
            cached.append(run(cache))
    return {
        "compiled_afresh": round(statistics.median(compiled), 2),
        "compiled_before": round(statistics.median(cached), 2),
    }


def on_device(device: str, shingles: Shingles, expected: NDArray[np.uint32], rounds: int) -> dict[str, Any]:
    """Seconds by the clock of the same signatures on a device, and on the processor's cores."""
    seconds: dict[str, list[float]] = {device: [], "cpu": []}
    for _ in range(1 + rounds):
        for where, taken in seconds.items():
            begun = time.perf_counter()
            found = signatures(shingles, NUM_PERM, device=where)
            taken.append(time.perf_counter() - begun)
            if not np.array_equal(found, expected):
                raise click.ClickException(f"the signatures made on {where} differ")
    there, here = (statistics.median(taken[1:]) for taken in seconds.values())
    return {
        "device": device,
        "seconds": round(there, 4),
        "seconds_on_the_processor": round(here, 4),
        "documents_a_second": round(len(expected) / there),
    }


def like_datasketch(shingles: Shingles, made: NDArray[np.uint32], sample: int) -> int:
    """How many of a sample of signatures equal datasketch's."""
    equal = 0
    for row in range(0, len(made), max(len(made) // sample, 1)):
        theirs = MinHash(num_perm=NUM_PERM, scheme="affine32", hashfunc=int)
        theirs.update_batch([hash & 0xFFFFFFFF for hash in shingles.of(row).tolist()])
        if not np.array_equal(theirs.hashvalues, made[row]):
            raise click.ClickException(f"the signature of text {row} is not datasketch's")
        equal += 1
    return equal


def table(found: dict[str, Any]) -> str:
    lines = [f"{'':34}{'CPU-s':>9}{'us/doc':>9}{'MB/CPU-s':>10}"]
    for name, seconds in found["cpu_s"].items():
        speed = f"{found['megabytes'] / seconds:10.0f}"
        lines.append(f"{name:34}{seconds:9.3f}{seconds / found['documents'] * 1e6:9.2f}{speed}")
    lines += [f"{name:34}{'':18}{speed:10}" for name, speed in found["megabytes_a_cpu_s"].items()]
    return "\n".join(lines)


@click.command()
@click.option("--rensa", "interpreter", help="A Python that has rensa and numpy.")
@click.option("--device", help="A device of torch to sign on as well.")
@click.option("--rounds", default=7, show_default=True)
@click.option("--count", default=DOCUMENTS, show_default=True, help="Texts.")
def main(interpreter: str | None, device: str | None, rounds: int, count: int) -> None:
    """Measure, print and write the figures."""
    draw = random.Random(13)
    texts = documents(count, sentences(draw), draw)
    megabytes = texts.str.len_bytes().sum() / 1e6
    shingles = shingled(texts, size=SIZE)
    made = signatures(shingles, NUM_PERM)
    if not np.array_equal(made, signed(texts, size=SIZE, num_perm=NUM_PERM)):
        raise click.ClickException("one pass makes other signatures than two")

    low = Shingles(shingles.hashes & np.uint64(0xFFFFFFFF), shingles.starts)
    with tempfile.TemporaryDirectory() as folder:
        works: dict[str, Callable[[], Any]] = {
            "signatures": lambda: signatures(low, NUM_PERM),
            "shingled": lambda: shingled(texts, size=SIZE),
            "signed": lambda: signed(texts, size=SIZE, num_perm=NUM_PERM),
        }
        if interpreter:
            works |= peers(interpreter, low, Path(folder))
        seconds = medians(works, rounds)
    seconds["text_to_hashes (signed - signatures)"] = round(seconds["signed"] - seconds["signatures"], 4)

    others: dict[str, Callable[[], Any]] = {}
    sizes: dict[str, int] = {}
    for name, each in kinds(texts, draw).items():
        for unit in ("word", "character"):
            others[f"signed_{name}_by_{unit}"] = lambda each=each, unit=unit: signed(
                each, size=SIZE, unit=unit, num_perm=NUM_PERM
            )
            sizes[f"signed_{name}_by_{unit}"] = each.str.len_bytes().sum()
    speeds = {name: round(sizes[name] / 1e6 / lasted) for name, lasted in medians(others, 5).items()}

    found: dict[str, Any] = {
        "command": "python benchmarks/signatures.py" + (" --rensa PYTHON" if interpreter else ""),
        "machine": f"{os.cpu_count()} cores, {processor()}",
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {name: version(name) for name in ("numba", "numpy", "polars", "datasketch")}
        | ({"rensa": rensa_version(interpreter)} if interpreter else {}),
        "texts": "sentences of Alpaca" if os.environ.get("CURATE_REAL_DATA") else "made words",
        "documents": count,
        "megabytes": round(megabytes, 1),
        "shingles": len(shingles.hashes),
        "cpu_s": seconds,
        "megabytes_a_cpu_s": speeds,
        "first_use_cpu_s": first_use(3),
        "equal_to_datasketch": like_datasketch(shingles, made, 200),
    }
    if interpreter:
        best = min(seconds["rensa"], seconds["rensa_one_thread"])
        found["ratio_to_rensa"] = round(best / seconds["signatures"], 2)
    if device:
        found["on_device"] = on_device(device, low, made, rounds)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    click.echo(table(found))
    click.echo(
        json.dumps({name: found[name] for name in found if name not in ("cpu_s", "megabytes_a_cpu_s")}, indent=1)
    )


def rensa_version(interpreter: str) -> str:
    program = "from importlib.metadata import version; print(version('rensa'))"
    return subprocess.run([interpreter, "-c", program], check=True, capture_output=True, text=True).stdout.strip()


def processor() -> str:
    """The processor's name, and which of its wide registers LLVM knows."""
    import llvmlite.binding as llvm

    wide = [name for name in ("avx512f", "avx2", "neon") if llvm.get_host_cpu_features().get(name)]
    return f"{platform.machine()}, {llvm.get_host_cpu_name()} ({', '.join(wide[:1])})"


if __name__ == "__main__":
    main()
