"""Numbers of a report as a large run would have them, all invented, in the shapes that the page is given."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

STATES = ("kept", "rejected", "duplicate", "not drawn")
SOURCES = ("forum", "tasks")
SETS = {
    "selection": "the selection",
    "random": "a random set",
    "longest": "the longest responses",
    "k_center": "k-centre greedy",
    "pool": "the pool",
}
METRICS = (
    ("vendi", "Vendi score", "rows", "diversity", "more diverse", 0.97),
    ("distinct_2", "Distinct word pairs of responses", "share", "diversity", "more diverse", 0.6),
    ("compression", "Compression of responses", "times", "diversity", "less diverse", 0.1),
    ("coverage", "Coverage of the pool", "cosine", "diversity", "more diverse", 0.5),
    ("breaks_off", "Responses that break off", "share", "quality", "worse", 0.0),
    ("lists", "Responses with a list", "share", "style", "", 1.0),
    ("chars", "Median length of responses", "characters", "length", "", 1.0),
)
VERBS = (
    *("write", "create", "describe", "explain", "generate", "find", "identify", "summarize", "classify"),
    *("rewrite", "name", "make", "suggest", "compare", "design", "calculate", "convert", "list", "construct"),
)
NOUNS = ("sentence", "story", "characteristics", "list")


def quoted(text: str, match: list[int] | None = None) -> dict[str, Any]:
    return {"text": text, "match": match, "cut_before": False, "cut_after": len(text) > 300, "chars": len(text)}


def invented(points: int = 1_200, rule: str = "too_short") -> dict[str, Any]:
    """Everything beyond what `numbers` makes of the small job; `points` of the map, on three heaps."""
    draw = random.Random(13)
    return {
        "before_after": {
            "rows": [
                {"what": "records", "unit": "records", "before": 52_002, "after": 1_000, "alert": ""},
                {"what": "median response", "unit": "characters", "before": 196, "after": 1_480}
                | {"alert": "Kept responses are 7.6 times as long as those read."},
                {"what": "with a context", "unit": "share", "before": 0.3978, "after": 0.094, "alert": ""},
                {"what": "domains", "unit": "domains", "before": 12, "after": 12, "alert": ""},
            ]
        },
        "licensing": {
            "by_source": [
                {"source": "forum", "license": "CC-BY-SA-4.0", "records": 31_000}
                | {"kept": 600, "train": 500, "dev": 50, "test": 50},
                {"source": "forum", "license": None, "records": 2, "kept": 1, "train": 1, "dev": 0, "test": 0},
                {"source": "tasks", "license": "CC-BY-NC-4.0", "records": 21_000}
                | {"kept": 399, "train": 349, "dev": 0, "test": 50},
            ],
            "strictest": [
                {"split": "train", "license": "CC-BY-NC-4.0", "use": "no commercial use, with attribution"},
                {"split": "dev", "license": "CC-BY-SA-4.0", "use": "share alike, with attribution"},
            ],
            "conflicts": ["CC-BY-SA-4.0 (600 records) and CC-BY-NC-4.0 (399) cannot be shared as one work."],
            "policy": "any",
            "policies": [
                {"policy": "any", "kept": 1_000, "lost": 0, "by": []},
                {"policy": "commercial", "kept": 600, "lost": 400}
                | {
                    "by": [
                        {"license": "CC-BY-NC-4.0", "records": 399},
                        {"license": None, "records": 1},
                    ]
                },
            ],
        },
        "tokens": {
            "tokenizer": "an estimate: UTF-8 bytes / 4",
            "exact": False,
            "limit": 2_048,
            "splits": [
                {"split": "train", "n": 900, "median": 412, "p95": 1_980, "max": 5_120}
                | {"beyond": 41, "beyond_share": 0.04556},
                {"split": "test", "n": 100, "median": 398, "p95": 1_750, "max": 2_051}
                | {"beyond": 1, "beyond_share": 0.01},
            ],
            "bins": bins([0, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, None], draw, 400),
        },
        "verbs": {
            "rows": 1_000,
            "parsed": 871,
            "share": 0.871,
            "distinct": 204,
            "method": "the first verb of the last sentence, by a list of words",
            "verbs": [
                {
                    "verb": verb,
                    "records": 131 - 6 * place,
                    "nouns": [
                        {"noun": noun, "records": (131 - 6 * place) // (3 + 2 * rank)}
                        for rank, noun in enumerate(NOUNS)
                    ],
                }
                for place, verb in enumerate(VERBS)
            ],
        },
        "categories": {
            "by": "domain",
            "n": 1_000,
            "distinct": 22,
            "entropy": 2.81,
            "evenness": 0.909,
            "rows": [{"category": f"domain {n}", "records": 150 // (n + 1) + 1} for n in range(22)],
        },
        "map": chart_map(points, draw),
        "controls": controls(draw),
        "hygiene": {
            "n": 1_000,
            "rows": [
                {"name": "email_address", "summary": "An address of e-mail in `of`.", "records": 3, "share": 0.003}
                | {"examples": [{"id": "forum:7", "text": quoted("Write to jo@example.org today.", [9, 23])}]},
                {"name": "refusal", "summary": "A response that refuses.", "records": 0, "share": 0.0}
                | {"examples": []},
            ],
        },
        "examples": {
            "kept": [chat(f"forum:{n}", "kept", "train") for n in range(20)],
            "dropped": [chat(f"tasks:{n}", "rejected", rule) for n in range(20)],
        },
        "decisions": {"accepted": 12, "rejected": 5, "edited": 2, "unmet": 1},
    }


def bins(edges: list[int | None], draw: random.Random, most: int) -> list[dict[str, Any]]:
    pairs = pairwise(edges)
    return [{"from": low, "below": high, "records": draw.randint(1, most)} for low, high in pairs]


def histogram(limit: float, draw: random.Random) -> dict[str, Any]:
    """Thirty bins from 0 to 3,000, open at the end."""
    edges = [*range(0, 3_000, 100), None]
    return {"bins": bins(edges, draw, 900), "limit": limit, "scale": "linear"}


def with_histograms(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rules, those on numbers with a histogram for each source."""
    draw = random.Random(7)
    for rule in rules:
        for row in rule["sources"]:
            if isinstance(row["limit"], int | float):
                row["histogram"] = histogram(row["limit"], draw)
    return rules


def groups_shown() -> list[dict[str, Any]]:
    stays = "Plants take in light, water and carbon dioxide and make sugar of them."
    goes = "Plants take in sunlight, water and carbon dioxide, and make sugar."
    return [
        {
            "kept": {"id": f"forum:{n}", "prompt": quoted("What is photosynthesis?"), "response": quoted(stays)}
            | {"url": f"https://example.org/{n}"},
            "dropped": [
                {"id": f"tasks:{n}", "similarity": 0.8 + n / 100, "method": "minhash", "on": "response"}
                | {"prompt": quoted("Explain photosynthesis."), "response": quoted(goes)}
            ],
            "similarity": 0.8 + n / 100,
            "size": 2,
        }
        for n in range(12)
    ]


def chart_map(points: int, draw: random.Random) -> dict[str, Any]:
    middles = [(200, 300), (700, 250), (520, 760)]
    rows = []
    for n in range(points):
        x, y = middles[n % 3]
        state = draw.choices(range(4), (1, 2, 1, 4))[0]
        rows.append([round(draw.gauss(x, 90)), round(draw.gauss(y, 90)), state, n % 2])
    return {"points": rows, "states": list(STATES), "sources": list(SOURCES), "model": "all-MiniLM-L6-v2"} | {
        "method": "principal components",
        "of": 52_002,
        "sample": points,
        "seed": 13,
    }


def controls(draw: random.Random) -> dict[str, Any]:
    names = [name for name in SETS if name != "pool"]
    return {
        "split": "train",
        "n": 900,
        "pool": 41_210,
        "seed": 13,
        "draws": 20,
        "note": "Random sets are drawn from 41,210 records that could have been selected.",
        "sets": [{"name": name, "title": title, "n": 900} for name, title in SETS.items()],
        "metrics": [metric(*each, draw) for each in METRICS],
        "overlap": {
            "names": names,
            "shared": [[900 if a == b else 19 + 40 * abs(a - b) for b in range(4)] for a in range(4)],
            "expected": [[19.7] * 4] * 4,
        },
        "length": {
            "sentence": "A selected response is longer than one that is not in 91% of pairs (by chance 50%).",
            "median_chars": {"selection": 1_480, "random": 196, "longest": 2_210},
            "rank_correlation": 0.82,
        },
    }


def metric(
    name: str, title: str, unit: str, kind: str, higher: str, place: float, draw: random.Random
) -> dict[str, Any]:
    values = {each: round(draw.uniform(0.2, 0.8), 4) for each in SETS}
    band = {"low": 0.45, "median": 0.5, "high": 0.55}
    if name == "chars":
        values = {each: round(3_000 * number) for each, number in values.items()}
        band = {"low": 190, "median": 196, "high": 203}
    return {
        "name": name,
        "title": title,
        "unit": unit,
        "kind": kind,
        "higher": higher,
        "formula": "Σ p ln p",
        "source": "arXiv 2210.02410",
        "n": 900,
        "seed": 13,
        "model": "",
        "values": values if name != "vendi" else values | {"pool": None},
        "band": band,
        "percentile": 100 * place,
        "draws": {"below": round(20 * place), "equal": 0, "above": 20 - round(20 * place)},
        "note": "",
    }


def chat(id: str, state: str, detail: str) -> dict[str, Any]:
    turns = [
        ("system", "Be brief."),
        ("user", "How long does dough rest?"),
        ("assistant", "Overnight.\n\nIn the cold."),
    ]
    return {
        "id": id,
        "source": id.split(":", maxsplit=1)[0],
        "state": state,
        "detail": detail,
        "url": f"https://example.org/{id}",
        "turns": [{"role": role, "text": quoted(text)} for role, text in turns],
    }
