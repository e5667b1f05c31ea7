"""Decides which records stay: one walk in the order of preference, over all passes together.

A record that matches a kept one in any pass is dropped in favour of the most preferred record it matches;
otherwise it is kept. So duplicates are stars, not chains: whatever is dropped was compared with the record it
is dropped for, that record outlives every pass, and a copy of a copy that no longer resembles the first is
kept. A hundred thousand rows of one template cost as many comparisons, because each meets the kept one alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import polars as pl

from curate.dedup import Index, Method
from curate.dedup.texts import Block, Texts
from curate.dedup.walk import batches
from curate.errors import PipelineError, nearest
from curate.licenses import FREEST_FIRST
from curate.record import message
from curate.tables import DUPLICATES, PAIRS, PASSES
from curate.views import FIELDS, text, with_views

# The user's message, a blank line and the response: what is not a field but a pass may look at.
PAIR: Final = "pair"
# The user's message alone: the prompt, and the context that it refers to. And all of the user's messages.
MESSAGE: Final = "message"
MESSAGES: Final = "messages"
# A record's id, and in the next line the ids that its source declares it a duplicate of, as a JSON list.
LINKS: Final = "links"

_SOURCE_ORDER: Final = "source_order"
_BEST_SCORE: Final = "best_score"
_NATIVE_ORDER: Final = "native_order"

# What each criterion sorts by, the preferred record first.
POLICIES: Final[dict[str, pl.Expr]] = {
    _SOURCE_ORDER: pl.col("source_rank"),
    _BEST_SCORE: -pl.col("score").fill_nan(None),
    _NATIVE_ORDER: pl.col("position"),
    "longest": -pl.col("chars").cast(pl.Int64),
    "freest_license": pl.col("license").replace_strict(
        FREEST_FIRST, range(len(FREEST_FIRST)), default=len(FREEST_FIRST), return_dtype=pl.Int64
    ),
}

# Pairs of one dropped row that are listed. Rows that many kept ones contain would have a table of their own.
_PAIRS: Final = 100

# The texts of one kind, as frames of `id` and `text`.
Read = Callable[[str], Iterable[pl.DataFrame]]
# A row, the kept row that it matches, their similarity, and the number of the pass.
_Match = tuple[int, int, float, int]


@dataclass(frozen=True)
class Pass:
    """One search for duplicates: a method with its parameters, its name in the tables, the text it looks at."""

    method: Method
    name: str
    on: str
    parameters: Mapping[str, Any]

    def index(self, texts: Texts, ids: pl.Series) -> Index:  # noqa: ARG002 - a pass on vectors finds them by id
        """The index of the rows with these texts and ids."""
        index: Index = self.method(texts, **self.parameters)
        return index


def check(passes: Sequence[Pass], keep: Sequence[str]) -> None:
    """Raise the `PipelineError` that `with_text` or `decide` would raise, without any data."""
    check_texts([each.on for each in passes])
    in_preference(keep)
    for each in passes:
        each.method(np.empty((0, 1), np.float32) if each.method.measure else [], **each.parameters)


def ranked(records: pl.LazyFrame, sources: Sequence[str]) -> pl.LazyFrame:
    """What makes one record preferred to another; `sources` are the pipeline's, in order."""
    rank = pl.col("source").replace_strict(
        list(sources), range(len(sources)), default=None, return_dtype=pl.UInt32
    )
    return records.with_columns(source_rank=rank).select(
        "id",
        "source_rank",
        "score",
        "license",
        "position",
        pl.col("response").str.len_chars().fill_null(0).alias("chars"),
    )


def with_text(records: pl.LazyFrame, on: str) -> pl.LazyFrame:
    """The `id` and the `text` of records that a pass looks at.

    A text is any field; or `message`: the prompt, a blank line and the context where there is one; or `messages`:
    this, after all that the user said in earlier turns; or `pair`: the message, a blank line and the response (the
    pair of a record without a response is its message); or `links`: its id and what it is a declared duplicate of.

    Raises `PipelineError` for a text that there is not.
    """
    check_texts([on])
    if on == MESSAGE:
        subject = message()
    elif on == MESSAGES:
        said = pl.col("history").list.eval(
            pl.element().struct.field("text").filter(pl.element().struct.field("role") == "user")
        )
        earlier = pl.when(said.list.len() > 0).then(said.list.join("\n\n"))
        subject = pl.concat_str(earlier, message(), separator="\n\n", ignore_nulls=True)
    elif on == PAIR:
        subject = pl.concat_str(message(), "response", separator="\n\n", ignore_nulls=True)
    elif on == LINKS:
        links = pl.col("extra").str.json_path_match("$.duplicate_of")
        subject = pl.concat_str("id", links, separator="\n", ignore_nulls=True)
    else:
        return with_views(records, [text(on)]).select("id", text(on).alias("text"))
    return records.select("id", subject.alias("text"))


def decide(
    rows: pl.DataFrame,
    passes: Sequence[Pass],
    keep: Sequence[str],
    *,
    read: Read | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The tables `pairs`, `duplicates` and `passes` of rows as `ranked` makes them, by the passes together.

    `keep` names what makes one record preferred to another, first things first: `source_order` (as in the
    pipeline), `best_score` (highest), `native_order` (as in its input, first to last), `longest` (response, in
    characters), `freest_license`. Scores and places are compared within a source, so `source_order` goes before
    them even if unnamed. Ties go to the lower id. Of two passes that match one record, the first is named. A row
    whose text is null or blank takes no part in a pass. `progress` is told of rows as work on them is done; in
    all, of each row once.

    `read` gives the texts of one kind as frames of `id` and `text`; without it they are columns `on:<kind>` of
    the rows.

    Raises `PipelineError` for a policy that there is not, and whatever a method raises at its parameters.
    """
    ordered = preferred_first(rows, keep)
    ids, read = ordered["id"], read or partial(_columns, ordered)
    told = _Told(ordered.height, progress)
    sizes = np.zeros(ordered.height, np.int64)
    indexes = []
    for number, each in enumerate(passes, 1):
        texts = placed(ids, partial(read, each.on))
        indexes.append(each.index(texts, ids))
        sizes = np.maximum(sizes, texts.sizes)
        # Making the indexes is most of the work; the walk is counted as one more pass.
        told.up_to(ordered.height * number // (len(passes) + 1))

    pairs: list[_Match] = []
    dropped: list[_Match] = []
    overflow = 0
    walked = told.rows
    asked = [(number, index, index.groups >= 0) for number, index in enumerate(indexes)]
    for batch in batches(indexes, sizes) if indexes else ():
        for row in batch:
            mine = [(number, index) for number, index, takes_part in asked if takes_part[row]]
            found = [
                (kept, number, similarity) for number, index in mine for kept, similarity in index.matches(row)
            ]
            if found:
                joined = min(found)
                if len(found) > _PAIRS:
                    overflow += len(found) - _PAIRS
                    # The one that it joins, and of the others those most like it.
                    found = sorted(found, key=lambda match: (match != joined, -match[2], match))[:_PAIRS]
                pairs.extend((row, kept, similarity, number) for kept, number, similarity in found)
                kept, number, similarity = joined
                dropped.append((row, kept, similarity, number))
            else:
                for _, index in mine:
                    index.keep(row)
        walked += len(batch) * (ordered.height - told.rows) // max(ordered.height, 1)
        told.up_to(walked)
    told.up_to(ordered.height)
    if overflow:
        indexes[0].note += f"; {overflow:,} pairs of rows with more than {_PAIRS} are not listed"
    return _tables(ids, passes, indexes, pairs, dropped)


def preferred_first(rows: pl.DataFrame, keep: Sequence[str]) -> pl.DataFrame:
    """Rows as `ranked` makes them in the order in which they are decided; ties go by id."""
    return rows.sort(*in_preference(keep), "id", nulls_last=True)


def placed(ids: pl.Series, read: Callable[[], Iterable[pl.DataFrame]]) -> Texts:
    """Texts by the places that their ids have among these; those of other ids are left out."""
    places = ids.to_frame("id").with_row_index("row")
    # Texts are read again and again, and nearly always in the same pieces: then their places are known.
    before: list[tuple[pl.Series, pl.Series]] = []

    def blocks() -> Iterator[Block]:
        for number, frame in enumerate(read()):
            if number < len(before) and before[number][0].equals(frame["id"]):
                rows = before[number][1]
            else:
                rows = frame.join(places, on="id", how="left", maintain_order="left")["row"]
                before[number:] = [(frame["id"], rows)]
            texts = frame["text"]
            if rows.null_count():
                texts, rows = texts.filter(rows.is_not_null()), rows.drop_nulls()
            yield rows.to_numpy().astype(np.int64), texts

    return Texts(len(ids), blocks)


def _columns(rows: pl.DataFrame, on: str) -> Iterator[pl.DataFrame]:
    yield rows.select("id", pl.col(f"on:{on}").alias("text"))


def check_texts(on: Sequence[str], *, where: str = "[[dedup]], key on") -> None:
    """Raise `PipelineError` for a text that `with_text` does not know."""
    for name in on:
        if name not in {*FIELDS, MESSAGE, MESSAGES, PAIR, LINKS}:
            raise PipelineError(
                f"records have no text {name!r}",
                where=where,
                next=nearest(name, [*FIELDS, MESSAGE, MESSAGES, PAIR]),
            )


def in_preference(keep: Sequence[str]) -> list[pl.Expr]:
    """What to sort records by, the preferred first.

    Raises `PipelineError` for a reason that there is not.
    """
    names: list[str] = []
    for name in keep:
        if name not in POLICIES:
            raise PipelineError(
                f"{name!r} is no reason to keep one record rather than another",
                where="[[dedup]], key keep",
                next=nearest(name, POLICIES),
            )
        if name in {_BEST_SCORE, _NATIVE_ORDER} and _SOURCE_ORDER not in names:
            names.append(_SOURCE_ORDER)
        names.append(name)
    return [POLICIES[name] for name in dict.fromkeys(names)]


class _Told:
    """Progress that was reported."""

    def __init__(self, total: int, progress: Callable[[int], None] | None) -> None:
        self.rows, self.total, self._progress = 0, total, progress

    def up_to(self, rows: int) -> None:
        if self._progress is not None and rows > self.rows:
            self._progress(rows - self.rows)
            self.rows = rows


def _tables(
    ids: pl.Series, passes: Sequence[Pass], indexes: Sequence[Index], pairs: list[_Match], dropped: list[_Match]
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    schema = {"row": pl.Int64, "kept": pl.Int64, "similarity": pl.Float64, "pass": pl.Int64}

    def named(found: list[_Match]) -> pl.DataFrame:
        frame = pl.DataFrame(found, schema=schema, orient="row")
        return frame.select(
            ids.gather(frame["row"]).alias("id"),
            ids.gather(frame["kept"]).alias("kept_id"),
            "similarity",
            pl.Series("method", [passes[number].name for number in frame["pass"]], dtype=pl.String),
            pl.Series("on", [passes[number].on for number in frame["pass"]], dtype=pl.String),
        )

    table = named(pairs).select(
        pl.min_horizontal("id", "kept_id").alias("id_a"),
        pl.max_horizontal("id", "kept_id").alias("id_b"),
        "similarity",
        "method",
        "on",
    )
    # Two passes of one method on one text may meet the same pair.
    table = table.unique(maintain_order=True).sort("id_a", "id_b", "method", "on", "similarity")
    done = pl.DataFrame(
        [
            (number, each.name, each.on, sum(of == number for *_, of in dropped), index.comparisons, index.note)
            for number, (each, index) in enumerate(zip(passes, indexes, strict=True))
        ],
        schema=PASSES,
        orient="row",
    )
    return table.match_to_schema(PAIRS), named(dropped).sort("id").match_to_schema(DUPLICATES), done
