"""Makes a corpus of any size in which near-copies and their similarity are known.

    CURATE_REAL_DATA=… python benchmarks/near_copies.py --docs 500000 --scratch DIR

A document is some twenty sentences that people wrote, drawn from the questions and answers, the posts and the
model answers in CURATE_REAL_DATA; without that folder the sentences are made of made words. One document in ten is
a near-copy of an earlier one that is none: its words are replaced, left out, put in, or a run of them makes way
for other sentences, as much as it takes for a similarity drawn evenly from 0.5 to 1, and one copy in ten is exact.
So about 20% of the documents have a near-copy. Half of the copies come within 10,000 documents of their original,
the others anywhere after it.

A document depends on the seed and its number alone, so a corpus of 50,000 is the beginning of one of two million,
which is written file by file, in memory that does not grow. What is there already is not made again.
"""

from __future__ import annotations

import csv
import html
import io
import itertools
import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import click
import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.archives import stream_member
from curate.zstd import zstd

SEED: Final = 13
FILE_DOCS: Final = 50_000
NEAR: Final = 10_000  # documents within which half of the copies are
COPIES: Final = 0.105  # of all documents
EXACT: Final = 0.1  # of the copies
BYTES: Final = 2560  # a document, about
RUN: Final = 5  # words a shingle, by which similarities are meant

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_BODY = re.compile(rb' Body="([^"]*)"')
_TAG = re.compile(r"<[^>]+>")


def texts_of(data: Path) -> Iterator[str]:
    """What people and models wrote in a folder of real data, a text at a time."""
    for site in sorted(data.glob("stackexchange/*.stackexchange.com*")):
        posts = (site / "Posts.xml").read_bytes() if site.is_dir() else b"".join(stream_member(site, "Posts.xml"))
        for body in _BODY.findall(posts):
            yield html.unescape(_TAG.sub(" ", html.unescape(body.decode())))
    for row in json.loads((data / "self_instruct" / "alpaca_data.json").read_bytes()):
        yield row["output"]
    for file in sorted(data.glob("reddit/*.csv")):
        csv.field_size_limit(10**8)
        for row in csv.DictReader(io.StringIO(file.read_text("utf-8"), newline="")):
            yield from (text for text in row.values() if isinstance(text, str) and len(text) > 200)
    for file in sorted(data.glob("reddit/*_submissions.zst")):
        with zstd.open(file, "rb", options={zstd.DecompressionParameter.window_log_max: 31}) as lines:
            for line in lines:
                yield json.loads(line).get("selftext") or ""


def sentences(texts: Iterable[str]) -> list[str]:
    """Their distinct sentences of 5 to 60 words, in order."""
    found: dict[str, None] = {}
    for text in texts:
        for sentence in _SENTENCE.split(text):
            words = sentence.split()
            if 5 <= len(words) <= 60 and len(sentence) < 600:  # no tables of numbers, no lines of code
                found[" ".join(words)] = None
    return list(found)


def made_sentences(count: int = 200_000) -> list[str]:
    """Sentences of made words, of which few are frequent, as in every language."""
    draw = random.Random(SEED)
    syllables = ["".join(pair) for pair in itertools.product("bdfgklmnprstvz", "aeiou")]
    words = ["".join(draw.choices(syllables, k=draw.choice((1, 2, 2, 3, 3, 4)))) for _ in range(30_000)]
    weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(words))))
    found = []
    for _ in range(count):
        line = " ".join(draw.choices(words, cum_weights=weights, k=draw.randint(6, 30)))
        found.append(line.capitalize() + draw.choice("....?!"))
    return found


def pool(data: Path | None) -> list[str]:
    """The sentences that documents are made of."""
    return sentences(texts_of(data)) if data else made_sentences()


def originals(count: int, seed: int = SEED) -> NDArray[np.int64]:
    """Of each document the earlier one that it is a near-copy of; -1 where it is none. Shape (n,)."""
    found = np.full(count, -1, np.int64)
    is_copy = np.zeros(count, np.bool_)
    for begin in range(0, count, NEAR):
        draw = np.random.default_rng([seed, begin])
        chosen = draw.random(NEAR) < COPIES
        nearby, places = draw.random(NEAR) < 0.5, draw.random(NEAR)
        for place in np.flatnonzero(chosen[: count - begin]):
            row = begin + int(place)
            first = begin if nearby[place] else 0
            original = first + int(places[place] * (row - first))
            while original >= first and is_copy[original]:
                original -= 1
            if original >= first:
                found[row], is_copy[row] = original, True
    return found


class Documents:
    """The documents made of some sentences: text by number."""

    def __init__(self, sentences: Sequence[str], seed: int = SEED) -> None:
        self._sentences, self._seed = sentences, seed
        self._sentence_bytes = sum(len(sentence.encode()) for sentence in sentences) / len(sentences)

    def original(self, number: int) -> str:
        draw = random.Random(self._seed << 32 | number)
        return self._drawn(draw, BYTES * draw.lognormvariate(-0.08, 0.4))

    def text(self, number: int, original: int) -> str:
        """The document of this number, which is a copy of another unless that is -1."""
        return self.original(number) if original < 0 else self.copy(number, original)

    def copy(self, number: int, original: int) -> str:
        """An edited document: as many words as it takes for a similarity drawn from 0.5 to 1."""
        text = self.original(original)
        draw = random.Random(self._seed << 32 | number)
        if draw.random() < EXACT:
            return text
        return self.edited(text, draw.uniform(0.5, 1), draw)

    def edited(self, text: str, similarity: float, draw: random.Random) -> str:
        """A text with about this similarity to another: words changed here and there, or a run of them at once.

        White space becomes single spaces.
        """
        words = text.split()
        shingles = max(1, len(words) - RUN + 1)
        gone = shingles * (1 - similarity) / (1 + similarity)  # what each of the two has for itself
        if draw.random() < 0.5:
            other = self._drawn(draw, self._sentence_bytes).split()
            for place in draw.sample(range(len(words)), min(len(words), max(1, round(gone / RUN)))):
                kind = draw.randrange(3)
                word = draw.choice(other)
                words[place] = ("", word, f"{words[place]} {word}")[kind]
            return " ".join(" ".join(words).split())
        run = min(len(words), max(1, round(gone) - RUN + 1))
        begin = draw.randint(0, len(words) - run)
        new = self._drawn(draw, self._sentence_bytes + run * 6).split()[:run]
        return " ".join([*words[:begin], *new, *words[begin + run :]])

    def _drawn(self, draw: random.Random, wanted: float) -> str:
        """Sentences of so many bytes in all, about, in paragraphs of five."""
        chosen = draw.choices(self._sentences, k=max(1, round(wanted / (self._sentence_bytes + 1))))
        return "\n\n".join(" ".join(chosen[begin : begin + 5]) for begin in range(0, len(chosen), 5))


def corpus(scratch: Path, docs: int, data: Path | None) -> list[Path]:
    """The files of a corpus of so many documents, of an `id` and a `text`, made unless they are there."""
    folder = scratch / ("corpus" if data else "corpus_of_made_words")
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"part-{begin // FILE_DOCS:03d}.parquet" for begin in range(0, docs, FILE_DOCS)]
    found = originals(len(files) * FILE_DOCS)
    if missing := [(number, file) for number, file in enumerate(files) if not file.exists()]:
        documents = Documents(pool(data))
        for number, file in missing:
            rows = range(number * FILE_DOCS, (number + 1) * FILE_DOCS)
            texts = [
                documents.copy(row, int(found[row])) if found[row] >= 0 else documents.original(row)
                for row in rows
            ]
            temporary = file.with_suffix(".part")
            pl.DataFrame({"id": [f"{row:08d}" for row in rows], "text": texts}).write_parquet(temporary)
            temporary.rename(file)
    return files


@click.command()
@click.option("--data", envvar="CURATE_REAL_DATA", type=click.Path(path_type=Path, exists=True))
@click.option("--docs", default=500_000, show_default=True)
@click.option("--scratch", required=True, type=click.Path(path_type=Path))
def main(data: Path | None, docs: int, scratch: Path) -> None:
    """Make the corpus, and say what it is."""
    files = corpus(scratch, docs, data)
    sizes = pl.scan_parquet(files).select(pl.len(), pl.col("text").str.len_bytes().cast(pl.Int64).sum()).collect()
    rows, bytes_ = sizes.row(0)
    found = originals(rows)
    with_copies = len(np.union1d(found[found >= 0], np.flatnonzero(found >= 0)))
    size = f"{rows:,} documents, {bytes_ / 1e6:,.0f} MB"
    print(f"{size}, {with_copies / rows:.1%} with a near-copy, in {files[0].parent}")


if __name__ == "__main__":
    main()
