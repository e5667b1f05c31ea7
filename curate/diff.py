"""What differs between two runs: which records end otherwise, for which reasons, and which settings did it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.diff_settings import differing_settings
from curate.diff_texts import beside, shifts_frame, table_html
from curate.errors import ReproducibilityError
from curate.record import CONTENT
from curate.report.excerpts import quoted
from curate.shifts import Finished, shifts

__all__ = ["Difference", "Finished", "difference"]

# Records compared at a time: both ledgers are sorted by id, so that a range of ids is read from both.
_RANGE: Final = 1_000_000
_NEEDED: Final = ("ledger", "records", "verdicts", "verdicts_measured")
_WIDTH: Final = 160  # characters of a text that are quoted

_KEPT_A: Final = pl.col("state_a").eq_missing(pl.lit("kept"))
_KEPT_B: Final = pl.col("state_b").eq_missing(pl.lit("kept"))

ROWS: Final = pl.Schema(
    {
        "id": pl.String(),
        "source": pl.String(),
        "state_a": pl.String(),
        "state_b": pl.String(),
        "reasons_a": pl.List(pl.String()),
        "reasons_b": pl.List(pl.String()),
        "split_a": pl.String(),
        "split_b": pl.String(),
        "detail_a": pl.String(),
        "detail_b": pl.String(),
        "other_text": pl.Boolean(),
    }
)
_STATES: Final = pl.Schema({"state_a": pl.String(), "state_b": pl.String(), "records": pl.UInt32()})


@dataclass(frozen=True)
class Difference:
    """What differs between the runs `a` and `b`.

    `rows`: each record that ends otherwise, or for other reasons, or has another text, or is in one run only;
    by id. A state is null where the run has no such record; `detail` is the ledger's: a duplicate's kept twin,
    why a record was not drawn. `states`: how many records went from which state to which. `reasons`: how many
    records each rule rejects in either, and how many in one alone. `settings`: what differs of pipelines,
    inputs, versions and code, and their values.
    """

    a: Finished
    b: Finished
    rows: pl.DataFrame
    states: pl.DataFrame
    reasons: pl.DataFrame
    settings: pl.DataFrame

    @property
    def lost(self) -> pl.DataFrame:
        """The rows that `a` keeps and `b` does not."""
        return self.rows.filter(_KEPT_A & ~_KEPT_B)

    @property
    def gained(self) -> pl.DataFrame:
        """The rows that `b` keeps and `a` does not."""
        return self.rows.filter(_KEPT_B & ~_KEPT_A)

    @property
    def others(self) -> pl.DataFrame:
        """The rows of which both runs keep the record, or neither does."""
        return self.rows.filter(_KEPT_A == _KEPT_B)

    @cached_property
    def shifts(self) -> list[dict[str, Any]]:
        """Every distribution of what both keep, and of evidence, side by side; see `curate.shifts.shifts`."""
        return shifts(self.a, self.b)

    def counts(self) -> dict[str, int]:
        """How many records: in both runs, in one alone, kept in each, and what differs of them."""
        of = {name: int(self.states.filter(each)["records"].sum()) for name, each in _COUNTED.items()}
        return of | {
            "lost": self.lost.height,
            "gained": self.gained.height,
            "differing": self.rows.height,
            "other_text": int(self.rows["other_text"].sum()),
        }

    def examples(self, rows: pl.DataFrame) -> list[dict[str, Any]]:
        """The rows as mappings, each with what `curate.diff_texts.beside` shows of its texts."""
        a, b = (quoted(run.table("records"), rows["id"]) for run in (self.a, self.b))
        return [row | beside(a.get(row["id"]), b.get(row["id"]), width=_WIDTH) for row in rows.to_dicts()]

    def plain(self, rows: int) -> dict[str, Any]:
        """The difference as JSON-able values, with so many examples of each kind."""
        return {
            "kind": "runs",
            "a": self.a.path.as_posix(),
            "b": self.b.path.as_posix(),
            "settings": self.settings.to_dicts(),
            "counts": self.counts(),
            "states": self.states.to_dicts(),
            "reasons": self.reasons.to_dicts(),
            "shifts": self.shifts,
            **{
                kind: self.examples(getattr(self, kind).head(rows)) if rows else []
                for kind in ("lost", "gained", "others")
            },
        }

    def __repr__(self) -> str:
        n = self.counts()
        return (
            f"Difference of {self.a.path.as_posix()!r} and {self.b.path.as_posix()!r}: {n['kept_a']:,} kept and"
            f" {n['kept_b']:,}, {n['lost']:,} lost and {n['gained']:,} gained, {n['differing']:,} of"
            f" {n['both'] + n['only_a'] + n['only_b']:,} records differ, {self.settings.height} settings"
        )

    def _repr_html_(self) -> str:
        tables = (
            ("settings that differ", self.settings),
            ("states", self.states),
            ("reasons", self.reasons),
            ("shifts, the largest first", shifts_frame(self.shifts)),
        )
        shown = "".join(table_html(caption, frame) for caption, frame in tables if not frame.is_empty())
        return f"<p>{escape(repr(self))}</p>{shown}"


_BOTH: Final = pl.col("state_a").is_not_null() & pl.col("state_b").is_not_null()
_COUNTED: Final = {
    "both": _BOTH,
    "only_a": pl.col("state_b").is_null(),
    "only_b": pl.col("state_a").is_null(),
    "kept_a": _KEPT_A,
    "kept_b": _KEPT_B,
}


def difference(a: Finished, b: Finished) -> Difference:
    """What differs between two finished runs. Records are joined by id, a range of ids at a time.

    Raises `ReproducibilityError` when a run lacks a table that is compared.
    """
    for run in (a, b):
        missing = [name for name in _NEEDED if name not in run.manifest["tables"]]
        if missing:
            raise ReproducibilityError(
                f"the run cannot be compared: it has no table {missing[0]!r}",
                where=str(run.path),
                next="another version wrote it; run its pipeline again with this one",
            )
    changed = _other_texts(a, b)
    states, rows = [pl.DataFrame(schema=_STATES)], [pl.DataFrame(schema=ROWS)]
    for within in _ranges(a):
        one, other = _ends(a, within, "_a"), _ends(b, within, "_b")
        joined = one.join(other, on="id", how="full", coalesce=True).collect(engine="streaming")
        states.append(joined.group_by("state_a", "state_b").agg(records=pl.len()))
        joined = joined.with_columns(
            pl.coalesce("source_a", "source_b").alias("source"),
            pl.col("id").is_in(changed.implode()).alias("other_text"),
        )
        same = [pl.col(f"{what}_a").eq_missing(pl.col(f"{what}_b")) for what in ("state", "split")]
        said = [pl.col(f"reasons_{side}").list.sort() for side in "ab"]  # in whichever order the rules stand
        same.append(said[0].eq_missing(said[1]))
        rows.append(joined.filter(~pl.all_horizontal(same) | pl.col("other_text")).select(ROWS.names()))
    counted = pl.concat(states).group_by("state_a", "state_b").agg(pl.col("records").sum())
    differing = pl.concat(rows).sort("id")
    return Difference(
        a,
        b,
        differing,
        counted.sort("state_a", "state_b", nulls_last=True),
        _reasons(a, b, differing),
        differing_settings(a.manifest, b.manifest),
    )


def _ranges(run: Finished) -> Iterator[pl.Expr]:
    """Conditions on ids that every id meets one of."""
    ids = run.table("ledger").select(pl.col("id").gather_every(_RANGE, _RANGE)).collect()["id"].to_list()
    for low, high in pairwise([None, *ids, None]):
        above = pl.lit(value=True) if low is None else pl.col("id") >= low
        yield above if high is None else above & (pl.col("id") < high)


def _ends(run: Finished, within: pl.Expr, suffix: str) -> pl.LazyFrame:
    """How each record ended: source, state, all reasons against it, split, and the ledger's detail."""
    said = _said(run).filter(within)
    ended = run.table("ledger").filter(within).join(said, on="id", how="left")
    split = pl.when(pl.col("state") == "kept").then("detail")
    ended = ended.with_columns(pl.col("reasons").fill_null([]), split.alias("split"))
    return ended.rename({name: f"{name}{suffix}" for name in ended.collect_schema() if name != "id"})


def _said(run: Finished) -> pl.LazyFrame:
    """`id` and `reasons` of the records that rules reject. What text rejects is not measured: no id is twice."""
    tables = [run.table(name).select("id", "reasons") for name in ("verdicts", "verdicts_measured")]
    return pl.concat(tables).filter(pl.col("reasons").list.len() > 0)


def _reasons(a: Finished, b: Finished, rows: pl.DataFrame) -> pl.DataFrame:
    """Records by reason: in each run, and in one run alone."""
    counted = []
    for run, side, other in ((a, "a", "b"), (b, "b", "a")):
        whole = _said(run).select(reason=pl.col("reasons").explode()).group_by("reason")
        counted.append(whole.agg(pl.len().alias(side)).collect(engine="streaming"))
        gone = (
            pl.col(f"reasons_{side}").fill_null([]).list.set_difference(pl.col(f"reasons_{other}").fill_null([]))
        )
        alone = rows.select(reason=gone.explode(empty_as_null=False)).group_by("reason")
        counted.append(alone.agg(pl.len().alias(f"only_{side}")))
    joined = counted[0]
    for frame in counted[1:]:
        joined = joined.join(frame, on="reason", how="full", coalesce=True)
    numbers = pl.col("a", "b", "only_a", "only_b").fill_null(0)
    return joined.with_columns(numbers).select("reason", "a", "b", "only_a", "only_b").sort("reason")


def _other_texts(a: Finished, b: Finished) -> pl.Series:
    """The ids of records that both runs have, with other texts. Parts with the same bytes are not read."""
    parts = [_parts(run) for run in (a, b)]
    mine, theirs = (
        {digest: file for digest, file in parts[n].items() if digest not in parts[1 - n]} for n in (0, 1)
    )
    found = [pl.Series("id", [], dtype=pl.String)]
    if theirs:
        others = pl.scan_parquet(sorted(theirs.values()), glob=False).select("id", *CONTENT)
        for file in mine.values():
            own = pl.scan_parquet(file, glob=False).select("id", *CONTENT).collect()
            met = others.filter(pl.col("id").is_in(own["id"].implode())).collect(engine="streaming")
            both = own.join(met, on="id", how="inner", suffix="_b")
            same = [pl.col(name).eq_missing(pl.col(f"{name}_b")) for name in CONTENT]
            found.append(both.filter(~pl.all_horizontal(same))["id"])
    return pl.concat(found)


def _parts(run: Finished) -> dict[str, Path]:
    listed = run.manifest["tables"]["records"]
    return {sha256: run.path / "stages" / listed["folder"] / part for part, sha256 in listed["parts"].items()}
