"""Decides which records stay: one walk in the order of preference, over all passes together.

A record that matches a kept one in any pass is dropped in favour of the most preferred record it matches;
otherwise it is kept. So duplicates are stars, not chains: whatever is dropped was compared with the record it
is dropped for, that record outlives every pass, and a copy of a copy that no longer resembles the first is
kept. A hundred thousand rows of one template cost as many comparisons, because each meets the kept one alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from curate.dedup import Index, Method
from curate.errors import PipelineError, nearest
from curate.licenses import FREEST_FIRST
from curate.record import message
from curate.tables import DUPLICATES, PAIRS
from curate.views import FIELDS, text, with_views

# The user's message, a blank line and the response: what is not a field but a pass may look at.
PAIR: Final = "pair"
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

# Rows between two reports of progress.
_STEP: Final = 1000


@dataclass(frozen=True)
class Pass:
    """One search for duplicates: a method with its parameters, its name in the tables, the text it looks at."""

    method: Method
    name: str
    on: str
    parameters: Mapping[str, Any]


def check(passes: Sequence[Pass], keep: Sequence[str]) -> None:
    """Raise the `PipelineError` that `with_texts` or `decide` would raise, without any data."""
    _check_texts([each.on for each in passes])
    _order(keep)
    for each in passes:
        each.method([], **each.parameters)


def with_texts(records: pl.LazyFrame, on: Sequence[str]) -> pl.LazyFrame:
    """What `decide` needs of records that also have a `source_rank`: a column `on:<on>` for each text.

    A text is any field; or `pair`: the user's message, a blank line and the response (the pair of a record
    without a response is its message); or `links`: its id and what it is a declared duplicate of.

    Raises `PipelineError` for a text that there is not.
    """
    on = list(dict.fromkeys(on))
    _check_texts(on)
    fields = {name: text(name) for name in on if name not in {PAIR, LINKS}}
    links = pl.col("extra").str.json_path_match("$.duplicate_of")
    texts = fields | {
        PAIR: pl.concat_str(message(), "response", separator="\n\n", ignore_nulls=True),
        LINKS: pl.concat_str("id", links, separator="\n", ignore_nulls=True),
    }
    return with_views(records, fields.values()).select(
        "id",
        "source_rank",
        "score",
        "license",
        "position",
        pl.col("response").str.len_chars().fill_null(0).alias("chars"),
        *(texts[name].alias(f"on:{name}") for name in on),
    )


def decide(
    rows: pl.DataFrame,
    passes: Sequence[Pass],
    keep: Sequence[str],
    *,
    progress: Callable[[int], None] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tables `pairs` and `duplicates` of rows as `with_texts` makes them, by the passes together.

    `keep` names what makes one record preferred to another, first things first: `source_order` (as in the
    pipeline), `best_score` (highest), `native_order` (as in its input, first to last), `longest` (response, in
    characters), `freest_license`. Scores and places are compared within a source, so `source_order` goes before
    them even if unnamed. Ties go to the lower id. Of two passes that match one record, the first is named. A row
    whose text is null or blank takes no part in a pass. `progress` is told of rows as work on them is done; in
    all, of each row once.

    Raises `PipelineError` for a policy that there is not, and whatever a method raises at its parameters.
    """
    ordered = rows.sort(*_order(keep), "id", nulls_last=True)
    told = _Told(ordered.height, progress)
    walkers = []
    for number, each in enumerate(passes, 1):
        walkers.append(_Walker.of(each, ordered[f"on:{each.on}"]))
        # Making the indexes is most of the work; the walk is counted as one more pass.
        told.up_to(ordered.height * number // (len(passes) + 1))
    already = told.rows

    pairs: list[tuple[int, int, float, int]] = []
    dropped: list[tuple[int, int, float, int]] = []
    for row in range(ordered.height):
        found = [
            (kept, number, similarity)
            for number, walker in enumerate(walkers)
            for kept, similarity in walker.matches(row)
        ]
        if found:
            pairs.extend((row, kept, similarity, number) for kept, number, similarity in found)
            kept, number, similarity = min(found)
            dropped.append((row, kept, similarity, number))
        else:
            for walker in walkers:
                walker.keep(row)
        if row % _STEP == 0:
            told.up_to(already + (ordered.height - already) * row // ordered.height)
    told.up_to(ordered.height)
    return _tables(ordered["id"], passes, pairs, dropped)


def _check_texts(on: Sequence[str]) -> None:
    for name in on:
        if name not in {*FIELDS, PAIR, LINKS}:
            raise PipelineError(
                f"there is no text {name!r} to look for duplicates on",
                where="[[dedup]], key on",
                next=nearest(name, [*FIELDS, PAIR]),
            )


def _order(keep: Sequence[str]) -> list[pl.Expr]:
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


class _Walker:
    """The index of one pass in terms of all rows, of which some take no part in it."""

    def __init__(self, index: Index, places: dict[int, int], rows: list[int]) -> None:
        self._index, self._places, self._rows = index, places, rows

    @classmethod
    def of(cls, each: Pass, texts: pl.Series) -> _Walker:
        said = (texts.str.strip_chars() != "").fill_null(value=False)
        rows = said.arg_true().to_list()
        index = each.method(texts.filter(said).to_list(), **each.parameters)
        return cls(index, {row: place for place, row in enumerate(rows)}, rows)

    def matches(self, row: int) -> list[tuple[int, float]]:
        place = self._places.get(row)
        if place is None:
            return []
        return [(self._rows[kept], similarity) for kept, similarity in self._index.matches(place)]

    def keep(self, row: int) -> None:
        place = self._places.get(row)
        if place is not None:
            self._index.keep(place)


def _tables(
    ids: pl.Series,
    passes: Sequence[Pass],
    pairs: list[tuple[int, int, float, int]],
    dropped: list[tuple[int, int, float, int]],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    schema = {"row": pl.Int64, "kept": pl.Int64, "similarity": pl.Float64, "pass": pl.Int64}

    def named(found: list[tuple[int, int, float, int]]) -> pl.DataFrame:
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
    return table.match_to_schema(PAIRS), named(dropped).sort("id").match_to_schema(DUPLICATES)
