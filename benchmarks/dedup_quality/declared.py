"""Questions that Stack Exchange's sites declare to be duplicates: how early they come among all pairs.

Every pair of questions of a site is scored, by title, body or both, and all are ranked together; and of every
question with a declared duplicate it is told whether that is among its nearest. What is not declared is not surely
no duplicate: people close what they notice. So precision here is a lower bound, and of each site the pairs that
come first and are not declared are written to the scratch folder, to be read. Declared pairs of which one question
is not in the dump cannot be found and are left out.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from curves import told
from numpy.typing import NDArray
from vectors import embedded

from curate.archives import stream_member
from curate.markdown import to_markdown

SITES: Final = ("beer.stackexchange.com.7z", "quantumcomputing.stackexchange.com", "french.meta.stackexchange.com")
DUPLICATE: Final = "3"  # a LinkTypeId
UNDECLARED: Final = 20  # pairs a site
FIRST: Final = (20, 100, 1000)  # of all pairs
NEAREST: Final = (1, 5, 10)  # of a question
Score = Callable[[pl.DataFrame, Path], NDArray[np.float64]]

_ROW = re.compile(r"<row (.*?)/>", re.DOTALL)
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')


def rows(site: Path, member: str) -> list[dict[str, str]]:
    content = (site / member).read_bytes() if site.is_dir() else b"".join(stream_member(site, member))
    return [
        {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(row)}
        for row in _ROW.findall(content.decode("utf-8-sig"))
    ]


def questions(site: Path) -> tuple[pl.DataFrame, set[tuple[int, int]]]:
    """The title and body of every question, and the pairs of rows that the site declares."""
    posts = [post for post in rows(site, "Posts.xml") if post["PostTypeId"] == "1"]
    place = {post["Id"]: row for row, post in enumerate(posts)}
    links = [link for link in rows(site, "PostLinks.xml") if link["LinkTypeId"] == DUPLICATE]
    pairs = [(place.get(link["PostId"], -1), place.get(link["RelatedPostId"], -1)) for link in links]
    declared = {(min(pair), max(pair)) for pair in pairs if min(pair) >= 0 and pair[0] != pair[1]}
    titles = [post.get("Title", "") for post in posts]
    bodies = [to_markdown(post.get("Body", "")) for post in posts]
    both = [f"{title}\n\n{body}" for title, body in zip(titles, bodies, strict=True)]
    return pl.DataFrame({"title": titles, "body": bodies, "both": both}), declared


def all_jaccard(texts: pl.Series, size: int, unit: str) -> NDArray[np.float64]:
    """The similarity of shingles of every pair of texts. Shape (n, n)."""
    from curate.dedup.shingles import shingled

    made = shingled(texts, size=size, unit=unit)
    count = len(texts)
    held = pl.DataFrame({"hash": made.hashes, "row": np.repeat(np.arange(count), made.sizes())})
    common = np.zeros((count, count))
    for (held_by,) in (
        held.group_by("hash").agg("row").filter(pl.col("row").list.len() > 1).select("row").iter_rows()
    ):
        common[np.ix_(held_by, held_by)] += 1
    sizes = made.sizes()
    return common / (sizes[:, None] + sizes[None, :] - common)


def shingles(text: str, size: int, unit: str) -> Score:
    return lambda frame, _: all_jaccard(frame[text], size, unit)


def cosine(text: str) -> Score:
    def of(frame: pl.DataFrame, scratch: Path) -> NDArray[np.float64]:
        vectors = embedded(frame[text].to_list(), scratch)
        return (vectors @ vectors.T).astype(np.float64)

    return of


def mean(one: Score, other: Score) -> Score:
    return lambda frame, scratch: (one(frame, scratch) + other(frame, scratch)) / 2


METHODS: Final[dict[str, Score]] = {
    "words of titles": shingles("title", 1, "word"),
    "words of both": shingles("both", 1, "word"),
    "5 words of bodies": shingles("body", 5, "word"),
    "3 characters of titles": shingles("title", 3, "character"),
    "5 characters of both": shingles("both", 5, "character"),
    "embedding of titles": cosine("title"),
    "embedding of both": cosine("both"),
    "words of both and embedding of both": mean(shingles("both", 1, "word"), cosine("both")),
    "5 characters and embedding of both": mean(shingles("both", 5, "character"), cosine("both")),
}


def measured(data: Path, scratch: Path) -> dict[str, Any]:
    every: dict[str, list[NDArray[np.float64]]] = {method: [] for method in METHODS}
    ranks: dict[str, list[int]] = {method: [] for method in METHODS}
    labels, sites = [], {}
    for site in SITES:
        frame, declared = questions(data / "stackexchange" / site)
        one, other = np.triu_indices(len(frame), 1)
        alike = np.zeros((len(frame), len(frame)), np.bool_)
        for row, twin in declared:
            alike[row, twin] = alike[twin, row] = True
        labels.append(alike[one, other])
        for method, score in METHODS.items():
            scores = score(frame, scratch)
            every[method].append(scores[one, other])
            ranks[method] += nearest(scores, alike)
            if method == "embedding of both":
                write_undeclared(scratch / f"undeclared-{site}.jsonl", frame, scores, alike)
        sites[site] = {"questions": len(frame), "declared_pairs": len(declared)}
    label = np.concatenate(labels)
    methods = {}
    for method in METHODS:
        scores = np.concatenate(every[method])
        order = np.argsort(-scores, kind="stable")
        methods[method] = told(scores, label) | {
            "declared_in_first": {count: int(label[order[:count]].sum()) for count in FIRST},
            "nearest": {k: round(float(np.mean(np.array(ranks[method]) <= k)), 4) for k in NEAREST},
        }
    return {"sites": sites, "pairs": len(label), "declared": int(label.sum()), "methods": methods}


def nearest(scores: NDArray[np.float64], alike: NDArray[np.bool_]) -> list[int]:
    """For each question with a declared duplicate, the place of the nearest of those among its neighbours."""
    found = []
    for row in np.flatnonzero(alike.any(axis=1)):
        others = np.delete(scores[row], row)
        best = scores[row][alike[row]].max()
        found.append(int((others >= best).sum()))  # of those that score the same, it counts as the last
    return found


def write_undeclared(
    file: Path, frame: pl.DataFrame, scores: NDArray[np.float64], alike: NDArray[np.bool_]
) -> None:
    one, other = np.triu_indices(len(frame), 1)
    order = np.argsort(-scores[one, other], kind="stable")
    chosen = [number for number in order if not alike[one[number], other[number]]][:UNDECLARED]
    with file.open("w") as lines:
        for number in chosen:
            pair = {"one": frame["both"][int(one[number])], "other": frame["both"][int(other[number])]}
            told = {"cosine": round(float(scores[one[number], other[number]]), 4), **pair}
            lines.write(json.dumps(told, ensure_ascii=False) + "\n")


def table(found: dict[str, Any]) -> None:
    for method, row in found["methods"].items():
        first = ", ".join(f"{declared} in first {count}" for count, declared in row["declared_in_first"].items())
        near = ", ".join(f"{share:.0%} within {k}" for k, share in row["nearest"].items())
        print(f"{method:40}{first}; of a question's neighbours {near}")
