"""What other tools find in texts or estimate of pairs: run by `measure.py` with their Python.

    PYTHON benchmarks/dedup_quality/peers.py JOB INPUT OUTPUT

INPUT is JSON: `texts`, and by job `pairs` (of rows), `sizes` (of shingles), `vectors` (an .npy), `thresholds`.
Needs datasketch, rensa, text-dedup, semhash, xxhash and NumPy. Words are what white space parts, in lower case.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

PERMUTATIONS = 128


def shingles(text: str, size: int, unit: str) -> list[str]:
    units = text.lower().split() if unit == "word" else list(" ".join(text.lower().split()))
    joint = " " if unit == "word" else ""
    return [joint.join(units[at : at + size]) for at in range(len(units) - size + 1)] or [joint.join(units)]


def signatures(texts: list[str], size: int, unit: str) -> list[Any]:
    import xxhash
    from datasketch import MinHash

    made = []
    for text in texts:
        signature = MinHash(PERMUTATIONS, scheme="affine32", hashfunc=xxhash.xxh32_intdigest)
        signature.update_batch([shingle.encode() for shingle in shingles(text, size, unit)])
        made.append(signature)
    return made


def planted(given: dict) -> dict:
    """The pairs that indexes find at 0.8: as they come, and with the bands that datatrove and others use."""
    from datasketch import MinHashLSH
    from rensa import RMinHash, RMinHashLSH

    texts, found = given["texts"], {}
    made = signatures(texts, 5, "word")
    for name, index in {
        "datasketch": MinHashLSH(threshold=0.8, num_perm=PERMUTATIONS),
        "datasketch_16x8": MinHashLSH(num_perm=PERMUTATIONS, params=(16, 8)),
    }.items():
        found[name] = []
        for row, signature in enumerate(made):
            found[name] += [[row, other] for other in index.query(signature)]
            index.insert(row, signature)
    index = RMinHashLSH(0.8, PERMUTATIONS, 16)
    found["rensa_16x8"] = []
    for row, signature in enumerate(
        RMinHash.from_token_sets([shingles(text, 5, "word") for text in texts], PERMUTATIONS, 42)
    ):
        found["rensa_16x8"] += [[row, other] for other in index.query(signature)]
        index.insert(row, signature)
    return found


def estimates(given: dict) -> dict:
    """Of each pair, the similarity that signatures say: datasketch's, and those text-dedup's command makes."""
    import numpy as np
    from text_dedup.minhash import RNG, embed_func
    from text_dedup.utils import xxh3_32hash

    texts, found = given["texts"], {}
    prime = np.uint32((1 << 32) - 5)
    factors = RNG.randint(1, prime, size=(PERMUTATIONS,), dtype=np.uint32)
    shifts = RNG.randint(0, prime, size=(PERMUTATIONS,), dtype=np.uint32)
    for unit, size in given["sizes"]:
        made = signatures(texts, size, unit)
        found[f"datasketch, {unit} {size}"] = [made[row].jaccard(made[other]) for row, other in given["pairs"]]
        if unit == "word":
            rows = [
                embed_func(
                    text, 0, num_perm=PERMUTATIONS, ngram_size=size, min_length=0,
                    hashranges=[(at, at + 1) for at in range(PERMUTATIONS)], permutations=(factors, shifts),
                    hash_func=xxh3_32hash, dtype=np.uint32, max_hash=np.uint32((1 << 32) - 1), modulo_prime=prime,
                )["__signatures__"]
                for text in texts
            ]  # fmt: skip
            found[f"text-dedup, word {size}"] = [
                sum(map(bytes.__eq__, rows[row], rows[other])) / PERMUTATIONS for row, other in given["pairs"]
            ]
    return found


class Given:
    """Stands where semhash wants a model; the vectors are there already."""

    def encode(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


def semantic(given: dict) -> dict:
    """By threshold, the row that semhash keeps for each it drops, of texts that differ and their vectors."""
    import numpy as np
    from semhash import SemHash

    rows = {text: row for row, text in enumerate(given["texts"])}
    hashed = SemHash.from_embeddings(np.load(given["vectors"]), given["texts"], Given())
    found = {}
    for threshold in given["thresholds"]:
        filtered = hashed.self_deduplicate(threshold=threshold).filtered
        found[str(threshold)] = [[rows[record.record], rows[record.duplicate_of]] for record in filtered]
    return found


def main() -> None:
    job, given, out = sys.argv[1:]
    found = {"planted": planted, "estimates": estimates, "semantic": semantic}[job](
        json.loads(Path(given).read_text())
    )
    versions = {name: version(name) for name in ("datasketch", "rensa", "text-dedup", "semhash")}
    Path(out).write_text(json.dumps({"found": found, "versions": versions}))


if __name__ == "__main__":
    main()
