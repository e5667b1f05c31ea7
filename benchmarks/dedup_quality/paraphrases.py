"""Sentence pairs that people called paraphrases or not (MRPC): what similarities say of them.

Of 4,076 pairs 67.5% are paraphrases, so calling all of them so has an F1 of 0.806; and those that are none were
chosen to look alike. Ours is the true similarity of shingles, which is what `minhash` verifies; the peers' are
their estimates by 128 permutations. `both` is the mean of a similarity of shingles and the cosine. semhash is
given the same vectors, and has no scores for pairs: at a threshold it finds those for whose sentences it keeps the
same.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from curves import told
from numpy.typing import NDArray
from vectors import embedded

SIZES: Final = (
    ("word", 1),
    ("word", 2),
    ("word", 3),
    ("word", 5),
    ("character", 3),
    ("character", 5),
    ("character", 8),
)
BOTH: Final = ("word", 1), ("character", 3)
THRESHOLDS: Final = (0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def pairs(data: Path) -> tuple[list[str], NDArray[np.int64], NDArray[np.bool_]]:
    """Distinct sentences, the pairs of their rows, shape (n, 2), and whether each is a paraphrase."""
    file = data / "labels" / "mrpc_train.tsv"
    lines = file.read_text("utf-8-sig").splitlines()
    rows = list(csv.reader(lines[1:], delimiter="\t", quoting=csv.QUOTE_NONE))
    texts = list(dict.fromkeys(text for row in rows for text in row[3:5]))
    place = {text: number for number, text in enumerate(texts)}
    return (
        texts,
        np.array([[place[row[3]], place[row[4]]] for row in rows]),
        np.array([row[0] == "1" for row in rows]),
    )


def jaccard(texts: list[str], rows: NDArray[np.int64], size: int, unit: str) -> NDArray[np.float64]:
    """The true similarity of each pair's shingles, as `minhash` verifies it."""
    from curate.dedup.shingles import shingled

    made = shingled(pl.Series(texts), size=size, unit=unit)
    sets = [set(made.of(row).tolist()) for row in range(len(texts))]
    return np.array([len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in rows])


def measured(data: Path, scratch: Path, peers: Any) -> dict[str, Any]:
    texts, rows, labels = pairs(data)
    scores = {f"ours, {unit} {size}": jaccard(texts, rows, size, unit) for unit, size in SIZES}
    vectors = embedded(texts, scratch)
    cosine = (vectors[rows[:, 0]].astype(np.float64) * vectors[rows[:, 1]]).sum(axis=1)
    scores["embedding, MiniLM"] = cosine
    for unit, size in BOTH:
        scores[f"both, {unit} {size} and MiniLM"] = (scores[f"ours, {unit} {size}"] + cosine) / 2
    given = {"texts": texts, "pairs": rows.tolist(), "sizes": SIZES}
    scores |= {name: np.array(found) for name, found in peers("estimates", given).items()}
    np.save(scratch / "mrpc.npy", vectors)
    given = {"texts": texts, "vectors": str(scratch / "mrpc.npy"), "thresholds": THRESHOLDS}
    points = {}
    for threshold, filtered in peers("semantic", given).items():
        kept = np.arange(len(texts))
        for row, canonical in filtered:
            kept[row] = canonical
        points[threshold] = point(kept[rows[:, 0]] == kept[rows[:, 1]], labels)
        points[threshold] |= {"cosine alone": point(cosine >= float(threshold), labels)}
    return {
        "pairs": len(labels),
        "paraphrases": round(float(labels.mean()), 4),
        "methods": {name: told(found, labels) for name, found in scores.items()},
        "semhash": points,
    }


def point(found: NDArray[np.bool_], labels: NDArray[np.bool_]) -> dict[str, Any]:
    return {
        "found": int(found.sum()),
        "precision": round(float(labels[found].mean()), 4) if found.any() else None,
        "recall": round(float(found[labels].mean()), 4),
    }
