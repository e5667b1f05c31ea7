"""Kept and dropped records as a reader would meet them, drawn by id."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, zip_longest
from typing import Any, Final

import polars as pl

from curate.keys import mix, seed_for
from curate.record import message
from curate.report.books import Json, Tables, collected
from curate.report.excerpts import excerpt

SHOWN: Final = 20
WIDTH: Final = 600  # characters of a turn
TURNS: Final = 8  # of a dialogue, from its end; the system message comes first all the same


def samples(tables: Tables, seed: int) -> Json:
    """Twenty kept records, and twenty others of which each reason has its share, with their last turns.

    `why` is the reason under which a dropped record was drawn: a rule, or the state it ended in.
    """
    ends = _ends(tables, seed)
    kept = ends.filter(pl.col("state") == "kept").sort("drawn", "id")["id"].head(SHOWN).to_list()
    why = _why(tables, ends.filter(pl.col("state") != "kept"))
    dropped = _in_turns(why)
    reasons = dict(dropped)
    shown = pl.Series(sorted({*kept, *reasons}), dtype=pl.String).implode()
    rows = {row["id"]: row for row in _rows(tables, shown)}
    return {
        "kept": [_shown(rows[id], "") for id in kept],
        "dropped": [_shown(rows[id], reason) for id, reason in dropped],
    }


def _ends(tables: Tables, seed: int) -> pl.DataFrame:
    """How each record ended, with a draw of its own for this use."""
    draws = collected(tables["records"].select("id", "draw"))
    drawn = draws.select("id", mix(draws["draw"], seed_for(seed, "report.examples")).alias("drawn"))
    return collected(tables["ledger"].select("id", pl.col("state").cast(pl.Categorical))).join(drawn, on="id")


def _why(tables: Tables, ends: pl.DataFrame) -> dict[str, list[str]]:
    """For each reason the ids of some records that it took away, in the order of their draws."""
    said = [
        tables[name].filter(pl.col("reasons").list.len() > 0).select("id", "reasons")
        for name in ("verdicts", "verdicts_measured")
    ]
    reasons = pl.concat(said).explode("reasons")
    rejected = ends.lazy().filter(pl.col("state") == "rejected").join(reasons, on="id")
    others = (
        ends.lazy().filter(pl.col("state") != "rejected").with_columns(reasons=pl.col("state").cast(pl.String))
    )
    drawn = pl.concat([each.select("id", "drawn", "reasons") for each in (rejected, others)])
    first = drawn.group_by("reasons").agg(pl.col("id").sort_by("drawn", "id").head(SHOWN))
    return dict(collected(first).sort("reasons").iter_rows())


def _in_turns(why: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Ids and reasons: one of each reason, then the next of each; a record that has several comes once."""
    rounds: Iterable[tuple[tuple[str, str] | None, ...]] = zip_longest(
        *([(id, reason) for id in ids] for reason, ids in why.items())
    )
    taken: dict[str, str] = {}
    for each in chain.from_iterable(rounds):
        if each and len(taken) < SHOWN:
            taken.setdefault(*each)
    return list(taken.items())


def _rows(tables: Tables, ids: Any) -> list[Json]:
    urls = pl.col("works").list.eval(pl.element().struct.field("url")).list.drop_nulls()
    own = tables["records"].filter(pl.col("id").is_in(ids))
    texts = own.select("id", "source", "history", "system", "response", prompt=message(), url=urls.list.first())
    ends = tables["ledger"].filter(pl.col("id").is_in(ids)).select("id", "state", "detail")
    return collected(texts).join(collected(ends), on="id").to_dicts()


def _shown(row: Json, why: str) -> Json:
    turns = [(turn["role"], turn["text"]) for turn in row["history"] or ()]
    turns += [("user", row["prompt"]), ("assistant", row["response"])]
    left_out = max(0, len(turns) - TURNS)
    system = [("system", row["system"])] if row["system"] else []
    return {
        **{key: row[key] for key in ("id", "source", "state", "detail", "url")},
        "why": why,
        "left_out": left_out,
        "turns": [{"role": role, "text": excerpt(text, width=WIDTH)} for role, text in system + turns[left_out:]],
    }
