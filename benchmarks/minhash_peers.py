"""Near-duplicates as other tools find them, each in a process of its own: run by `minhash.py` with their Python.

    PYTHON benchmarks/minhash_peers.py TOOL DOCS SCRATCH FILE…

Needs rensa, datasketch, xxhash, polars, text-dedup and datatrove[processing] with spacy. Runs of five words, 128
permutations in 16 bands of 8, threshold 0.8, from Parquet to the ids that are dropped, which go to a file in the
scratch folder. Each tool works as its documentation says, with the fastest hash and the cheapest words it takes:

- `rensa`: shingles as strings, `RMinHashDeduplicator`, which checks what it finds by its estimate.
- `rensa_prehashed`: words hashed by Polars and chained by NumPy, `digest_matrix_from_flat_token_hashes`; what its
  index flags then goes through `RMinHashDeduplicator`, since flags alone do not say who is whose duplicate.
- `datasketch`: affine32 and xxh32, `update_batch`; what `MinHashLSH` finds is checked by the estimate.
- `text_dedup`: its command, with xxh3 of 32 bits and a process a core; candidates are not checked.
- `datatrove`: its four steps, with a worker a core and spaCy's words; candidates are not checked.
- `datatrove_split`: the same with `str.split` for words.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

BANDS, ROWS, THRESHOLD, RUN = 16, 8, 0.8, 5
BATCH = 10_000
CORES = os.cpu_count() or 1


def batches(files: list[str], docs: int) -> Iterator[tuple[Any, Any]]:
    """Ids and texts as Polars columns."""
    import polars as pl
    import pyarrow.parquet

    left = docs
    for file in files:
        for batch in pyarrow.parquet.ParquetFile(file).iter_batches(BATCH, columns=["id", "text"]):
            frame = pl.from_arrow(batch).head(left)
            left -= frame.height
            if frame.height:
                yield frame["id"], frame["text"]


def shingles(text: str) -> list[str]:
    words = text.lower().split()
    return [" ".join(run) for run in zip(*(words[place:] for place in range(RUN)), strict=False)] or [
        " ".join(words)
    ]


def rensa(files: list[str], docs: int, _scratch: Path) -> Iterator[str]:
    from rensa import RMinHashDeduplicator

    deduplicator = RMinHashDeduplicator(THRESHOLD, BANDS * ROWS, use_lsh=True, num_bands=BANDS)
    for ids, texts in batches(files, docs):
        kept = deduplicator.add_pairs(zip(ids, map(shingles, texts), strict=True))
        yield from (id for id, keep in zip(ids, kept, strict=True) if not keep)


def rensa_prehashed(files: list[str], docs: int, _scratch: Path) -> Iterator[str]:
    import numpy as np
    import polars as pl
    from rensa import RMinHash, RMinHashDeduplicator, RMinHashLSH

    def flat_hashes(texts: Any) -> tuple[Any, Any]:
        words = texts.str.to_lowercase().str.extract_all(r"\S+")
        lengths = words.list.len().to_numpy().astype(np.int64)
        chain = words.explode().hash().to_numpy()
        size = len(chain) - RUN + 1
        runs = chain[:size].copy()
        for place in range(1, RUN):
            runs *= np.uint64(0x9E3779B97F4A7C15)
            runs ^= runs >> np.uint64(32)
            runs += chain[place : size + place]
        ends = np.repeat(np.cumsum(lengths), lengths)[:size]
        counts = np.maximum(lengths - RUN + 1, 0)  # of this corpus, no text has fewer than five words
        whole = runs[np.arange(size) + RUN <= ends]
        return whole, np.concatenate([[0], np.cumsum(counts)]).astype(np.uint64)

    index = RMinHashLSH(THRESHOLD, BANDS * ROWS, BANDS)
    matrices = []
    start = 0
    for _, texts in batches(files, docs):
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(*flat_hashes(texts), BANDS * ROWS, 42)
        index.insert_matrix(matrix, start)
        start += matrix.len()
        matrices.append(matrix)
    flags = itertools.chain.from_iterable(index.query_duplicate_flags_matrix(matrix) for matrix in matrices)
    flagged = np.fromiter(flags, bool, start)
    deduplicator = RMinHashDeduplicator(THRESHOLD, BANDS * ROWS, use_lsh=True, num_bands=BANDS)
    start = 0
    for ids, texts in batches(files, docs):
        mine = pl.Series(flagged[start : start + len(ids)], dtype=pl.Boolean)
        start += len(ids)
        kept = deduplicator.add_pairs(zip(ids.filter(mine), map(shingles, texts.filter(mine)), strict=True))
        yield from (id for id, keep in zip(ids.filter(mine), kept, strict=True) if not keep)


def datasketch(files: list[str], docs: int, _scratch: Path) -> Iterator[str]:
    import xxhash
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    empty = MinHash(BANDS * ROWS, scheme="affine32", hashfunc=xxhash.xxh32_intdigest)
    signatures = {}
    for ids, texts in batches(files, docs):
        for id, text in zip(ids, texts, strict=True):
            signature = empty.copy()
            signature.update_batch([shingle.encode() for shingle in shingles(text)])
            if any(signature.jaccard(signatures[other]) >= THRESHOLD for other in index.query(signature)):
                yield id
            else:
                index.insert(id, signature, check_duplication=False)
                signatures[id] = signature


def head(files: list[str], docs: int, scratch: Path) -> list[str]:
    """The files, or a file of the first documents alone."""
    from pyarrow import parquet

    wanted, left = [], docs
    for number, file in enumerate(files):
        rows = parquet.ParquetFile(file).metadata.num_rows
        if rows > left:
            wanted.append(str(scratch / f"head-{number}.parquet"))
            parquet.write_table(parquet.read_table(file).slice(0, left), wanted[-1])
        else:
            wanted.append(file)
        left -= rows
        if left <= 0:
            break
    return wanted


def text_dedup(files: list[str], docs: int, scratch: Path) -> Iterator[str]:
    files = head(files, docs, scratch)
    arguments = {
        "path": "parquet", "data_files": ",".join(files), "split": "train", "column": "text", "ngram": RUN,
        "num_perm": BANDS * ROWS, "threshold": THRESHOLD, "b": BANDS, "r": ROWS, "hash_func": "xxh3",
        "hash_bits": 32, "num_proc": CORES, "output": scratch / "kept", "cache_dir": scratch / "cache",
    }  # fmt: skip
    if len(files) > 1:  # it has no way to name more than one file but a folder of them
        folder = scratch / "files"
        folder.mkdir()
        for file in files:
            (folder / Path(file).name).symlink_to(file)
        arguments |= {"data_files": str(folder / "*.parquet")}
    told = [f"--{name}={value}" for name, value in arguments.items()]
    environment = os.environ | {"HF_HOME": str(scratch), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-m", "text_dedup.minhash", *told], check=True, env=environment)
    import datasets
    import polars as pl

    kept = set(datasets.load_from_disk(str(scratch / "kept"))["id"])
    yield from (id for file in files for id in pl.read_parquet(file)["id"] if id not in kept)


def datatrove(files: list[str], docs: int, scratch: Path, words: Any = None) -> Iterator[str]:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import JsonlWriter

    folder = scratch / "files"
    folder.mkdir()
    for file in head(files, docs, scratch):
        (folder / Path(file).name).symlink_to(file)
    config = MinhashConfig(n_grams=RUN, num_buckets=BANDS, hashes_per_bucket=ROWS)
    tasks = min(CORES, len(files))
    documents = ParquetReader(str(folder), text_key="text", id_key="id")
    signatures = MinhashDedupSignature(str(scratch / "signatures"), config=config)
    if words:
        signatures.word_tokenizer = words
    dropped = JsonlWriter(str(scratch / "dropped"), compression=None)
    steps = [
        ([documents, signatures], tasks),
        ([MinhashDedupBuckets(str(scratch / "signatures"), str(scratch / "buckets"), config=config)], BANDS),
        ([MinhashDedupCluster(str(scratch / "buckets"), str(scratch / "remove"), config=config)], 1),
        ([documents, MinhashDedupFilter(str(scratch / "remove"), exclusion_writer=dropped)], tasks),
    ]
    for number, (step, tasks_of_step) in enumerate(steps):
        logs = str(scratch / f"logs-{number}")
        # What a fork server's processes take is counted nowhere.
        LocalPipelineExecutor(
            step, tasks=tasks_of_step, workers=CORES, logging_dir=logs, start_method="fork"
        ).run()
    for file in sorted((scratch / "dropped").glob("*.jsonl")):
        yield from (json.loads(line)["id"] for line in file.open())


class Split:
    """Words for datatrove, which white space parts."""

    def word_tokenize(self, text: str) -> list[str]:
        return text.split()


def datatrove_split(files: list[str], docs: int, scratch: Path) -> Iterator[str]:
    yield from datatrove(files, docs, scratch, Split())


PACKAGES = {"rensa_prehashed": "rensa", "text_dedup": "text-dedup", "datatrove_split": "datatrove"}


def main() -> None:
    tool, docs, scratch, *files = sys.argv[1:]
    dropped = list(globals()[tool](files, int(docs), Path(scratch)))
    (Path(scratch) / "dropped.txt").write_text("\n".join(dropped))
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    told = {
        "version": version(PACKAGES.get(tool, tool)),
        "peak_mb": max(int(line.split()[1]), children) // 1024,  # of one process, where there are several
    }
    (Path(scratch) / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
