"""Sets that break deduplication: what comes out, what it costs, and what becomes of other tools.

Each is written to Parquet and given to every tool as in `minhash.py`, in a process of its own that is ended when
it takes longer than `--limit`. `wanted` is what should be dropped, where that is beyond doubt. What the others did
is kept in the scratch folder, and measured again with `--again`.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import polars as pl
from minhash import ours, peer
from near_copies import SEED, Documents

ROWS: Final = 100_000
TOOLS: Final = ("rensa", "datasketch", "text_dedup", "datatrove_split")
_LARGE: Final = 50_000_000  # bytes
# A template of 200 words gives 196 shingles, and 30 words more give 30 more: 196 / (196 + 30 + 30) = 0.77. Where
# two rows share a phrase of ten words, they share 6 more, and with one of 180 words (176 + 6) / (236 - 6) = 0.79.
_TEMPLATE: Final = 200
_SHORTER: Final = 180
_FILLING: Final = 30
_STOCK: Final = 200

Made = tuple[list[str], int | None]


def words(draw: random.Random, count: int) -> list[str]:
    return ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 10))) for _ in range(count)]


def two_words() -> Made:
    """50,000 prompts of two words, of which the last 1,000 are copies of the first."""
    draw = random.Random(SEED)
    prompts = [f"{verb} {noun}" for verb in words(draw, 20) for noun in words(draw, 2450)]
    prompts = list(dict.fromkeys(prompts))
    return [*prompts, *prompts[:1000]], 1000


def large(documents: Documents) -> Made:
    """A text of 50 MB, one with a sentence more, and 1,000 usual ones."""
    usual = [documents.original(number) for number in range(1000)]
    drawn = (documents.original(number) for number in itertools.count(1000))
    pieces: list[str] = []
    size = 0
    while size < _LARGE:
        pieces.append(next(drawn))
        size += len(pieces[-1].encode())
    text = "\n\n".join(pieces)
    return [*usual, text, f"{text} And so on and so forth, until the end."], 1


def near_equal() -> Made:
    """A template in which two words differ."""
    draw = random.Random(SEED)
    text = " ".join(words(draw, _TEMPLATE))
    return [f"{text} number {number} of all" for number in range(ROWS)], ROWS - 1


def own_filling() -> Made:
    """A template with so many words of a row's own that no two rows reach the threshold."""
    draw = random.Random(SEED)
    text, vocabulary = " ".join(words(draw, _TEMPLATE)), words(draw, 20_000)
    return [f"{text} {' '.join(draw.choices(vocabulary, k=_FILLING))}" for _ in range(ROWS)], 0


def shared_filling() -> Made:
    """A template filled with three of 200 phrases: rows that share one stay apart, those that share two match."""
    draw = random.Random(SEED)
    text, phrases = " ".join(words(draw, _SHORTER)), [" ".join(words(draw, 10)) for _ in range(_STOCK)]
    return [f"{text} {' '.join(draw.sample(phrases, 3))}" for _ in range(ROWS)], None


SETS: Final[dict[str, Callable[[Documents], Made]]] = {
    "empty": lambda _: ([], 0),
    "one_row": lambda documents: ([documents.original(0)], 0),
    "all_equal": lambda documents: ([documents.original(0)] * ROWS, ROWS - 1),
    "no_duplicates": lambda documents: ([documents.original(number) for number in range(20_000)], 0),
    "two_words": lambda _: two_words(),
    "one_of_50_mb": large,
    "template_near_equal": lambda _: near_equal(),
    "template_own_filling": lambda _: own_filling(),
    "template_shared_filling": lambda _: shared_filling(),
}


def measured(
    sentences: list[str], scratch: Path, python: str | None, chosen: list[str], limit: float, again: bool
) -> dict[str, Any]:
    documents, found = Documents(sentences), {}
    kept = scratch / "degenerate_peers.json"
    known = json.loads(kept.read_text()) if kept.exists() and not again else {}
    for name in chosen:
        texts, wanted = SETS[name](documents)
        file = scratch / "degenerate.parquet"
        pl.DataFrame(
            {"id": [f"{row:08d}" for row in range(len(texts))], "text": texts},
            schema={"id": pl.String, "text": pl.String},
        ).write_parquet(file)
        rows = len(texts)
        del texts
        runs = {"ours": ours([file], rows, scratch / "out.parquet", limit=limit)}
        for tool in TOOLS if python else ():
            if f"{name} {tool}" not in known:
                run = peer(python, tool, [file], rows, scratch, limit=limit)
                if "dropped" in run:
                    run["dropped"] = len(run["dropped"])
                known[f"{name} {tool}"] = run
                kept.write_text(json.dumps(known, indent=1))
            runs[tool] = known[f"{name} {tool}"]
        found[name] = {"rows": rows, "wanted": wanted, "runs": runs}
        table({name: found[name]})
    return found


def comparisons(run: dict[str, Any]) -> str:
    made = sum(told.get("comparisons") or 0 for told in run.get("passes", []))
    return f", {made:,} comparisons" if "passes" in run else ""


def table(found: dict[str, Any]) -> None:
    for name, told in found.items():
        wanted = "?" if told["wanted"] is None else f"{told['wanted']:,}"
        print(f"\n{name}: {told['rows']:,} rows, {wanted} to drop")
        for tool, run in told["runs"].items():
            if "failed" in run:
                print(f"  {tool:18}{run['because'][:80]} ({run['seconds']} s)")
            else:
                print(
                    f"  {tool:18}{run['dropped']:>9,} dropped {run['cpu_s']:>8.1f} CPU-s {run['peak_mb']:>7,} MB"
                    f"{comparisons(run)}"
                )
