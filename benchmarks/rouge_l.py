"""Novelty by ROUGE-L of Alpaca's 52,002 instructions, beside rapidfuzz and rouge_score.

    python benchmarks/rouge_l.py

Needs rapidfuzz and rouge_score, and Alpaca in CURATE_REAL_DATA. Each instruction is compared with the 175 seeds
and all instructions before it, as published (words = "latin", threshold 0.7, native order). In one run, in
CPU-seconds of one process, medians of the rounds:

- `ours`: `rouge_l` from texts to decisions.
- `cdist`: rapidfuzz's `process.cdist` over the same pairs, each of them once, with the threshold as cutoff.
  Taking texts apart into words, and spelling words as characters, is counted apart.
- `rouge_score`: on a sample of pairs.

Since hardly any two instructions of Alpaca exceed 0.7, decisions are held against the peers' with 10,000 twins
added, instructions in which words were left out, put in or moved: on all pairs against `cdist`, and against
rouge_score on a sample, half of it drawn among the pairs whose F1 is at least 0.5 and half among all. Responses,
which are longer, are compared as well; `cdist` has every sixteenth there, from which its time for all is reckoned.
Last come what our pruning likes least (the same words in another order) and most (rows of one template). Results
go to `results/rouge_l.json`.
"""

from __future__ import annotations

import json
import os
import platform
import random
import re
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import Indel
from rouge_score.rouge_scorer import RougeScorer

from curate.dedup.rouge_l import f1, rouge_l

RESULTS = Path(__file__).parent / "results" / "rouge_l.json"
THRESHOLD = 0.7
NEAR = 0.5  # from where on a pair counts as near the threshold
_ROWS = 500  # rows that `cdist` is given at a time
_STRIDE = 16  # of long texts `cdist` is given every so manieth row

Pairs = dict[tuple[int, int], float]


def ours(texts: Sequence[str], *, keep_all: bool = False, **parameters: Any) -> tuple[Pairs, int]:
    """Every match of every text among those kept before it, and how many subsequences were computed."""
    index: Any = rouge_l(texts, **parameters)
    found: Pairs = {}
    for row in range(len(texts)):
        matches = index.matches(row)
        for kept, similarity in matches:
            found[row, kept] = similarity
        if keep_all or not matches:
            index.keep(row)
    return found, index.comparisons


def spelled(texts: Sequence[str]) -> list[str]:
    """Each text with its words as characters, each word another one, which is what rapidfuzz is fastest on."""
    characters: dict[str, str] = {}
    spelled = []
    for text in texts:
        words = re.findall("[a-z0-9]+", text.lower())
        spelled.append("".join(characters.setdefault(word, chr(len(characters) + 1)) for word in words))
    return spelled


def cdist(
    words: Sequence[str], cutoff: float, stride: int = 1
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The pairs of rows whose F1 is about the cutoff or more, later row first."""
    for begin in range(0, len(words), _ROWS * stride):
        rows = np.arange(begin, min(begin + _ROWS * stride, len(words)), stride)
        similarities = process.cdist(
            [words[row] for row in rows],
            words[: rows[-1] + 1],
            scorer=Indel.normalized_similarity,
            score_cutoff=cutoff - 1e-6,  # of 32 bits
            dtype=np.float32,
            workers=1,
        )
        row, other = np.nonzero(similarities)
        before = other < rows[row]
        yield rows[row[before]], other[before]


def taken(work: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    """The median CPU-seconds of rounds of work, and what it came to."""
    seconds = []
    for _ in range(rounds):
        began = time.process_time()
        found = work()
        seconds.append(time.process_time() - began)
    return round(statistics.median(seconds), 3), found


def exceeding(words: Sequence[str]) -> set[tuple[int, int]]:
    """The pairs that `cdist` finds above the threshold, decided on by the published arithmetic."""
    pairs = set()
    for rows, others in cdist(words, THRESHOLD):
        for row, other in zip(rows.tolist(), others.tolist(), strict=True):
            common = Indel.similarity(words[row], words[other]) // 2
            sizes = np.int64(len(words[row])), np.array([len(words[other])])
            if common and f1(np.array([common]), *sizes)[0] > THRESHOLD:
                pairs.add((row, other))
    return pairs


def twins(texts: Sequence[str], count: int) -> list[str]:
    """Some texts with up to half of their words left out, followed by another word, or moved."""
    draw = random.Random(13)
    made = []
    for text in draw.sample(texts, count):
        words = text.split()
        for _ in range(draw.randint(1, 1 + len(words) // 2)):
            word = words.pop(draw.randrange(len(words))) if words else "none"
            kind = draw.randrange(3)
            if kind:
                words.insert(draw.randint(0, len(words)), word)
            if kind == 1:
                words.insert(draw.randint(0, len(words)), draw.choice(draw.choice(texts).split() or ["none"]))
        made.append(" ".join(words))
    return made


def near(words: Sequence[str], stride: int = 1) -> NDArray[np.int64]:
    """The pairs of rows whose F1 is at least about 0.5, later row first. Shape (pairs, 2)."""
    return np.concatenate([np.stack(found) for found in cdist(words, NEAR, stride)], axis=1).T


def drawn(count: int, rows: int) -> NDArray[np.int64]:
    """Pairs of rows drawn among all, later row first. Shape (count, 2)."""
    draw = np.random.default_rng(13)
    later = np.sqrt(draw.random(count) * rows**2).astype(np.int64)  # as often as there are rows before it
    later = np.maximum(later, 1)
    return np.stack([later, (draw.random(count) * later).astype(np.int64)]).T


def decisions(texts: Sequence[str], pairs: NDArray[np.int64]) -> dict[str, Any]:
    """How many pairs rouge_score finds above the threshold, and of how many ours says otherwise."""
    every, _ = ours(texts, words="latin", keep_all=True)
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    began = time.process_time()
    above = {
        (row, other)
        for row, other in pairs.tolist()
        if scorer.score(texts[row], texts[other])["rougeL"].fmeasure > THRESHOLD
    }
    seconds = time.process_time() - began
    differing = above ^ {pair for pair in map(tuple, pairs.tolist()) if pair in every}
    return {"pairs": len(pairs), "cpu_s": round(seconds, 1), "above": len(above), "differing": len(differing)}


def instructions(texts: Sequence[str], rounds: int, pairs: int) -> dict[str, Any]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    own, (matches, comparisons) = taken(lambda: ours(texts, words="latin"), rounds)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    any_script, (more, _) = taken(lambda: ours(texts, words="any"), rounds)
    spelling, words = taken(lambda: spelled(texts), rounds)
    theirs, _ = taken(lambda: [len(rows) for rows, _ in cdist(words, THRESHOLD)], rounds)

    twinned = [*texts, *twins(texts, 10_000)]
    words = spelled(twinned)
    above = exceeding(words)
    every, _ = ours(twinned, words="latin", keep_all=True)
    close = near(words)
    chosen = close[np.random.default_rng(13).permutation(len(close))[: pairs // 2]]
    sample = np.concatenate([chosen, drawn(pairs - len(chosen), len(twinned))])
    reference = decisions(twinned, sample)
    compared = len(texts) * (len(texts) - 1) // 2
    return {
        "rows": len(texts),
        "pairs": compared,
        "ours": {
            "cpu_s": own,
            "cpu_s_any_script": any_script,
            "subsequences": comparisons,
            "grown_mb": round(grown / 1024),
            "rows_that_match": {"latin": len({row for row, _ in matches}), "any": len({row for row, _ in more})},
        },
        "cdist": {"cpu_s": theirs, "cpu_s_spelling": spelling, "ratio": round(theirs / own, 1)},
        "rouge_score": {"ratio": round(reference["cpu_s"] / len(sample) * compared / own)},
        "decisions_with_twins": {
            "cdist": {
                "pairs": len(twinned) * (len(twinned) - 1) // 2,
                "above": len(above),
                "differing": len(above ^ set(every)),
            },
            "rouge_score": {**reference, "drawn_near": len(chosen)},
        },
    }


def novelty(seeds: Sequence[str], made: Sequence[str]) -> dict[str, Any]:
    """How many instructions fall to the seeds and what was kept before them; and how many pairs the seeds have."""
    found, _ = ours([*seeds, *made], words="latin")
    alone, _ = ours(seeds, words="latin", keep_all=True)
    return {
        "dropped": len({row for row, _ in found if row >= len(seeds)}),
        "of": len(made),
        "pairs_of_seeds": {f"{other}, {row}": similarity for (row, other), similarity in sorted(alone.items())},
    }


def responses(texts: Sequence[str], rounds: int) -> dict[str, Any]:
    own, (matches, comparisons) = taken(lambda: ours(texts, words="latin"), rounds)
    words = spelled(texts)
    theirs, _ = taken(lambda: [len(rows) for rows, _ in cdist(words, THRESHOLD, _STRIDE)], 1)
    return {
        "rows": len(texts),
        "words": sum(map(len, words)),
        "ours": {"cpu_s": own, "subsequences": comparisons, "dropped": len({row for row, _ in matches})},
        "cdist": {"cpu_s_reckoned": round(theirs * _STRIDE), "ratio": round(theirs * _STRIDE / own, 1)},
        "decisions": {"rouge_score": decisions(texts, near(words, _STRIDE))},
    }


def extremes(rounds: int) -> dict[str, Any]:
    draw = random.Random(13)
    twelve = [f"w{number}" for number in range(12)]
    kinds = {
        "same_words_in_another_order": [" ".join(draw.sample(twelve, 12)) for _ in range(4_000)],
        "one_template": [" ".join([*twelve, f"w{draw.randrange(12, 9_000)}"]) for _ in range(20_000)],
    }
    found = {}
    for kind, texts in kinds.items():
        own, (_, comparisons) = taken(lambda texts=texts: ours(texts), rounds)
        words = spelled(texts)
        theirs, _ = taken(lambda words=words: [len(rows) for rows, _ in cdist(words, THRESHOLD)], rounds)
        found[kind] = {"rows": len(texts), "ours_cpu_s": own, "subsequences": comparisons, "cdist_cpu_s": theirs}
    return found


@click.command()
@click.option("--data", envvar="CURATE_REAL_DATA", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--rounds", default=3, show_default=True)
@click.option("--pairs", default=2_000_000, show_default=True, help="What rouge_score is asked for.")
def main(data: Path, rounds: int, pairs: int) -> None:
    """Compare on a folder of real data [default: CURATE_REAL_DATA]."""
    folder = data / "self_instruct"
    run = folder / "run_leadawon" / "machine_generated_instructions.jsonl"
    seeds = [json.loads(line)["instruction"] for line in (folder / "seed_tasks.jsonl").read_bytes().splitlines()]
    alpaca = json.loads((folder / "alpaca_data.json").read_bytes())
    prompts = [row["instruction"] for row in alpaca]
    result = {
        "command": "python benchmarks/rouge_l.py",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": {name: version(name) for name in ("numpy", "polars", "rapidfuzz", "rouge_score")},
        "instructions": instructions([*seeds, *prompts], rounds, pairs),
        "alpaca": novelty(seeds, prompts),
        "run_leadawon": novelty(seeds, [json.loads(row)["instruction"] for row in run.read_bytes().splitlines()]),
        "responses": responses([row["output"] for row in alpaca], rounds),
        "extremes": extremes(rounds),
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    click.echo(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
