"""Near-duplicates that were planted: how many are found, by similarity, and whether all that is found is true.

Texts of 10 to 1,000 words, in four classes of length, each with a copy in which words were replaced, left out or
put in, or a run of words makes way for another. Similarity is the share of runs of five words, as Python's sets
count them. Copies are made until every class of length has as many in each bin of similarity as is wanted; then
all pairs that share a run are compared by brute force, so that pairs that nobody planted are known as well.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from minhash import THRESHOLD, our_sets
from near_copies import RUN, SEED

# Below 0.8 lies what must not be found. A copy that is equal is no test.
BINS: Final = ((0.5, 0.7), (0.7, 0.8), (0.8, 0.85), (0.85, 0.9), (0.9, 1.0))
LENGTHS: Final = ((10, 30), (30, 100), (100, 300), (300, 1001))
_TRIES: Final = 200_000

Pairs = dict[tuple[int, int], float]


def planted(sentences: Sequence[str], a_class: int) -> list[str]:
    """Texts and their copies by turns, with `a_class` pairs for each bin of each class of length."""
    draw = random.Random(SEED)
    shuffled = draw.sample(sentences, len(sentences))
    stock = itertools.chain.from_iterable(sentence.split() for sentence in itertools.cycle(shuffled))
    found = []
    for shortest, longest in LENGTHS:
        wanted = Counter(dict.fromkeys(BINS, a_class))
        for _ in range(_TRIES):
            if not +wanted:
                break
            size = draw.randrange(shortest, longest)
            text = list(itertools.islice(stock, size))
            low, high = draw.choice(list(+wanted))
            copy = edited(text, draw.uniform(low, high), stock, draw)
            one, other = our_sets([" ".join(text), " ".join(copy)])
            similarity = len(one & other) / len(one | other)
            for bin in +wanted:
                if bin[0] <= similarity < bin[1]:
                    wanted[bin] -= 1
                    found += [" ".join(text), " ".join(copy)]
    return found


def edited(text: list[str], similarity: float, stock: Any, draw: random.Random) -> list[str]:
    """Words changed one by one, or a run of them, at the ends as often as within: of little, only ends can go."""
    gone = max(1, len(text) - RUN + 1) * (1 - similarity) / (1 + similarity)
    words = list(text)
    kind = draw.randrange(4)
    if kind == 0:
        for place in draw.sample(range(len(words)), max(1, round(gone / RUN))):
            words[place] = draw.choice(("", next(stock), f"{words[place]} {next(stock)}"))
    elif kind == 1:
        return words[max(1, round(2 * gone)) :]
    elif kind == 2:
        words += itertools.islice(stock, max(1, round(2 * gone)))
    else:
        run = max(1, round(gone) - RUN + 1)
        begin = draw.randint(0, max(0, len(words) - run))
        words[begin : begin + run] = itertools.islice(stock, run)
    return " ".join(words).split()


def brute(texts: Sequence[str], floor: float) -> Pairs:
    """Every pair of texts with at least this similarity."""
    sets = our_sets(list(texts))
    holders: dict[Any, list[int]] = defaultdict(list)
    for row, runs in enumerate(sets):
        for run in runs:
            holders[run].append(row)
    common: Counter[tuple[int, int]] = Counter()
    for rows in holders.values():
        common.update(itertools.combinations(rows, 2))
    similar = {
        (row, other): count / (len(sets[row]) + len(sets[other]) - count) for (row, other), count in common.items()
    }
    return {pair: similarity for pair, similarity in similar.items() if similarity >= floor}


def ours(texts: Sequence[str], **parameters: Any) -> tuple[Pairs, str]:
    """The pairs that `minhash` verifies, and what it says of how they were looked for."""
    from curate.dedup.minhash import minhash
    from curate.dedup.stars import Pass, decide

    rows = pl.DataFrame({"id": [f"{row:08d}" for row in range(len(texts))], "on:response": texts})
    rows = rows.with_row_index("position").with_columns(
        source_rank=pl.lit(0, pl.UInt32), score=pl.lit(None, pl.Float64), license=pl.lit(None, pl.String),
        chars=pl.lit(0, pl.UInt32),
    )  # fmt: skip
    passes = [Pass(minhash, "minhash", "response", parameters)]
    pairs, _, told = decide(rows, passes, ["native_order"])
    found = {
        (int(a), int(b)): similarity for a, b, similarity in pairs.select("id_a", "id_b", "similarity").rows()
    }
    return found, str(told.to_dicts())


def measured(sentences: Sequence[str], a_class: int, peers: Any) -> dict[str, Any]:
    """Recall in each bin and class of length, what the bands promise, and precision."""
    from curate.dedup.minhash import banding, expected_recall

    texts = planted(sentences, a_class)
    truth = brute(texts, BINS[0][0])
    above = {pair: similarity for pair, similarity in truth.items() if similarity >= THRESHOLD}
    found, note = ours(texts, threshold=THRESHOLD, num_perm=128, shingle=RUN)
    bands, rows = banding(threshold=THRESHOLD, num_perm=128, recall=0.99)
    promised = expected_recall(set(above.values()), bands=bands, rows=rows)
    others = {tool: {tuple(sorted(pair)) for pair in pairs} for tool, pairs in peers(texts).items()}

    def row(chosen: list[tuple[int, int]]) -> dict[str, Any]:
        return {
            "pairs": len(chosen),
            "recall": round(sum(pair in found for pair in chosen) / max(1, len(chosen)), 4),
            "promised": round(float(np.mean([promised[above[pair]] for pair in chosen] or [1])), 4),
            **{tool: round(len(pairs & set(chosen)) / max(1, len(chosen)), 4) for tool, pairs in others.items()},
        }

    sizes = [len(text.split()) for text in texts]
    by_bin = {
        f"{low:.2f}-{high:.2f}": row([pair for pair, similarity in above.items() if low <= similarity < high])
        for low, high in BINS
        if low >= THRESHOLD
    }
    by_length = {
        f"{low}-{high - 1} words": row([pair for pair in above if low <= sizes[pair[0]] < high])
        for low, high in LENGTHS
    }
    wrong = [pair for pair in found if pair not in above]
    return {
        "texts": len(texts),
        "pairs_below_the_threshold": len(truth) - len(above),
        "bands": [bands, rows],
        "note": note,
        "by_similarity": by_bin,
        "by_length": by_length,
        "found": len(found),
        "wrong": len(wrong),
        "precision": round(1 - len(wrong) / max(1, len(found)), 4),
        "precision_of_peers": {
            tool: round(len(pairs & set(above)) / max(1, len(pairs)), 4) for tool, pairs in others.items()
        },
        "largest_error_of_a_similarity": max((abs(found[p] - above[p]) for p in found if p in above), default=0.0),
    }


def table(found: dict[str, Any]) -> None:
    print(f"\nPlanted pairs, {found['bands'][0]} bands of {found['bands'][1]} rows")
    for name, row in [*found["by_similarity"].items(), *found["by_length"].items()]:
        print(f"{name:16}" + "".join(f"{key} {value:<9}" for key, value in row.items()))
    print(f"precision {found['precision']} of {found['found']:,} pairs; of peers {found['precision_of_peers']}")
    print(f"largest error of a similarity {found['largest_error_of_a_similarity']}")
