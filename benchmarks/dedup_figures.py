"""The README's table of deduplication beside other tools, from the figures that the benchmarks wrote.

python benchmarks/dedup_figures.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).parent / "results"
NAMES: Final = {
    "rensa": "rensa, shingles made in Python",
    "rensa_prehashed": "rensa, shingles hashed by Polars",
    "datasketch": "datasketch",
    "text_dedup": "text-dedup",
    "datatrove_split": "datatrove, words at blanks",
    "datatrove": "datatrove",
}


def read(name: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return made


def main() -> None:
    minhash, near, embedding = read("minhash"), read("neighbours"), read("embedding")["cpu"]
    ours, found = minhash["ours"], near["found"]
    rows = [("work", "ours", "beside"), ("---", "---", "---")]
    rows.append(
        (
            (
                f"MinHash, {ours['docs']:,} documents of 2.6 KB from Parquet to pairs: µs of CPU a document; "
                "share of the pairs found, of the drops right"
            ),
            f"{_cost(ours)}, {ours['peak_mb'] / 1000:.1f} GB",
            "; ".join(f"{label} {_cost(minhash['peers'][name])}" for name, label in NAMES.items()),
        )
    )
    count, dimensions = near["vectors"]
    faiss = min(found[name]["cpu_s"] for name in ("faiss_grown", "faiss_range", "faiss_knn"))
    rows.append(
        (
            f"All pairs of a cosine ≥ {near['threshold']} among {count:,} × {dimensions}: CPU-seconds",
            f"{found['ours']['cpu_s']:.1f} (again: {found['ours']['again_cpu_s']:.1f})",
            f"FAISS flat {faiss:.1f}; semhash {found['semhash']['cpu_s']:.1f}",
        )
    )
    whole = embedding["all of 128 tokens"]
    rate, cosine = whole["texts_a_cpu_s"], int(whole["least_cosine"]["bfloat16"] * 1e4) / 1e4
    rows.append(
        (
            "Embedding 128 tokens by MiniLM: texts a CPU-second",
            f"{rate['bfloat16']:.0f} in bfloat16 at a cosine ≥ {cosine}, {rate['float32']:.0f} in float32",
            (
                f"sentence-transformers {rate['sentence_transformers']:.0f}, with its weights in bfloat16 "
                f"{rate['sentence_transformers_bfloat16']:.0f}"
            ),
        )
    )
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))


def _cost(tool: dict[str, Any]) -> str:
    return f"{tool['us_a_doc']:,.0f}, {tool['found']:.0%} and {tool['right']:.0%}"


if __name__ == "__main__":
    main()
