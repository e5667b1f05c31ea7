"""What differs between two sets that no pipeline made: rows gained, lost and changed, and how the sets shift.

A row of one set is that of the other, first, when both say the same; then, when both bear the same id of their
own; then, when both ask the same. Of several that say the same, the first of one is the first of the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any, Final

import polars as pl

from curate.diff_texts import beside, shifts_frame, table_html
from curate.keys import draws, text_digests
from curate.record import message
from curate.report.excerpts import quoted
from curate.shifts import Finished, shifts

# Rows that say the same mostly bear the same id, or an id is but a row's number and says nothing of the row.
_TRUSTED: Final = 0.5
_KINDS: Final = ("lost", "gained", "changed")

ROWS: Final = pl.Schema(
    {"id_a": pl.String(), "id_b": pl.String(), "end": pl.String(), "by": pl.String(), "differs": pl.String()}
)


@dataclass(frozen=True)
class FilesDifference:
    """What differs between the sets `a` and `b`, each read as a run that keeps all.

    `rows`: each row that is lost, gained or changed, in the order of `a` and then of `b`. `by`: what tells that a
    changed row is the other's, "id" or "prompt"; `differs`: what of it changed. `same`: how many rows say the same
    in both; `ids_told`: whether the files' own ids tell rows apart.
    """

    a: Finished
    b: Finished
    rows: pl.DataFrame
    same: int
    ids_told: bool

    @property
    def lost(self) -> pl.DataFrame:
        """The rows that only `a` has."""
        return self.rows.filter(pl.col("end") == "lost")

    @property
    def gained(self) -> pl.DataFrame:
        """The rows that only `b` has."""
        return self.rows.filter(pl.col("end") == "gained")

    @property
    def changed(self) -> pl.DataFrame:
        """The rows of both that ask the same, or have the same id, and are not the same."""
        return self.rows.filter(pl.col("end") == "changed")

    @cached_property
    def shifts(self) -> list[dict[str, Any]]:
        """Every distribution of both sets beside one another; see `curate.shifts.shifts`."""
        return shifts(self.a, self.b, whole=True)

    def counts(self) -> dict[str, int]:
        """How many rows each set has, and how many are the same, changed, lost and gained."""
        ended = {kind: int((self.rows["end"] == kind).sum()) for kind in _KINDS}
        both = self.same + ended["changed"]
        left_out = {
            f"{what}_{side}": rows for side, run in (("a", self.a), ("b", self.b)) for what, rows in _left_out(run)
        }
        sizes = {"rows_a": both + ended["lost"], "rows_b": both + ended["gained"]}
        return sizes | {"same": self.same} | ended | left_out

    def examples(self, rows: pl.DataFrame) -> list[dict[str, Any]]:
        """The rows as mappings, each with what `curate.diff_texts.beside` shows of its texts."""
        texts = [
            quoted(run.table("records"), rows[id].drop_nulls()) for run, id in ((self.a, "id_a"), (self.b, "id_b"))
        ]
        return [
            row | {"id": row["id_a"] or row["id_b"]} | beside(texts[0].get(row["id_a"]), texts[1].get(row["id_b"]))
            for row in rows.to_dicts()
        ]

    def drawn(self, kind: str, rows: int) -> pl.DataFrame:
        """So many of the rows that are lost, gained or changed, drawn by their ids and in order."""
        own = self.rows.filter(pl.col("end") == kind).with_row_index("at")
        drawn = own.with_columns(draws(own.select(pl.coalesce("id_a", "id_b")).to_series()))
        return drawn.sort("draw", "at").head(rows).sort("at").drop("at", "draw")

    def plain(self, rows: int) -> dict[str, Any]:
        """The difference as JSON-able values, with so many examples of each kind."""
        return {
            "kind": "files",
            "a": named(self.a),
            "b": named(self.b),
            "counts": self.counts(),
            "not_compared": not_compared(self.counts()),
            "ids_told": self.ids_told,
            "shifts": self.shifts,
            **{kind: self.examples(self.drawn(kind, rows)) if rows else [] for kind in _KINDS},
        }

    def __repr__(self) -> str:
        n = self.counts()
        return (
            f"Difference of {named(self.a)!r} and {named(self.b)!r}: {n['rows_a']:,} rows and {n['rows_b']:,},"
            f" {n['same']:,} the same, {n['changed']:,} changed, {n['lost']:,} lost and {n['gained']:,} gained"
        )

    def _repr_html_(self) -> str:
        n = self.counts()
        counts = pl.DataFrame({"rows": list(n), "records": list(n.values())})
        tables = table_html("rows", counts) + table_html("shifts, the largest first", shifts_frame(self.shifts))
        return f"<p>{escape(repr(self))}</p>{tables}"


def named(run: Finished) -> str:
    """The names of the inputs of a set, by which people know it."""
    return ", ".join(dict.fromkeys(each["input"] for each in run.manifest["facts"]["inputs"]))


def files_difference(a: Finished, b: Finished) -> FilesDifference:
    """What differs between two sets, each read as a run. Rows are matched as this module says.

    Memory: a few hundred bytes a row, and the texts of one part.
    """
    one, other = _keys(a), _keys(b)
    one, other, same = _matched(one, other, "content")
    told = _ids_told(same)
    pairs = []
    for by in ("id", "prompt"):
        if by == "prompt" or told:
            one, other, met = _matched(one, other, "native" if by == "id" else by)
            pairs.append(met.with_columns(pl.lit(by).alias("by")))
    changed = pl.concat(pairs).sort("at").with_columns(pl.lit("changed").alias("end"), _what_differs())
    left = [
        side.sort("at").select(pl.col("id").alias(id), pl.lit(end).alias("end"))
        for side, id, end in ((one, "id_a", "lost"), (other, "id_b", "gained"))
    ]
    rows = pl.concat([pl.DataFrame(schema=ROWS), changed.select(ROWS.names()), *left], how="diagonal")
    return FilesDifference(a, b, rows, same.height, told)


def _keys(run: Finished) -> pl.DataFrame:
    """For each record its place, its id without the connector's name, and digests of what it asks and says."""
    listed = run.manifest["tables"]["records"]
    found = [pl.DataFrame(schema=_KEYS)]
    for part in listed["parts"]:
        rows = pl.scan_parquet(run.path / "stages" / listed["folder"] / part, glob=False).select(
            "id",
            "source",
            "position",
            # A native id may have colons of its own, as addresses do.
            pl.col("id").str.splitn(":", 2).struct.field("field_1").alias("native"),
            pl.struct("history", "system", message().alias("message")).struct.json_encode().alias("prompt"),
            # A response that is empty is not the same as none.
            pl.concat_str(pl.lit("="), "response").fill_null("").alias("response"),
        )
        own = rows.collect()
        asked, said = (text_digests(own[field]) for field in ("prompt", "response"))
        both = list(map("".join, zip(asked, said, strict=True)))
        digests = {"prompt": asked, "response": said, "content": text_digests(both)}
        found.append(
            own.with_columns(**{name: pl.Series(name, each, pl.String) for name, each in digests.items()})
        )
    # Parts are in order of id; a file's own order is that of the positions.
    return pl.concat(found, how="vertical").sort("source", "position", "id").with_row_index("at")


_KEYS: Final = pl.Schema(
    {
        "id": pl.String(),
        "source": pl.String(),
        "position": pl.UInt64(),
        "native": pl.String(),
        "prompt": pl.String(),
        "response": pl.String(),
        "content": pl.String(),
    }
)


def _matched(a: pl.DataFrame, b: pl.DataFrame, key: str) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """What is left of both once rows with the same key are matched, and the matches."""
    nth = pl.int_range(pl.len()).over(key).alias("nth")
    one, other = a.with_columns(nth), b.with_columns(nth)
    met = one.join(other, on=[key, "nth"], how="inner", suffix="_b", maintain_order="left", coalesce=False)
    left = (
        a.join(met.select("id"), on="id", how="anti", maintain_order="left"),
        b.join(met.select(id="id_b"), on="id", how="anti", maintain_order="left"),
    )
    columns = {"id_a": "id", "id_b": "id_b", "at": "at", "native_a": "native", "native_b": "native_b"}
    columns |= {"prompt_a": "prompt", "prompt_b": "prompt_b", "response_a": "response", "response_b": "response_b"}
    return *left, met.select(**columns)


def _ids_told(same: pl.DataFrame) -> bool:
    """Whether ids are to be trusted: rows that say the same bear the same id, or no two rows say the same."""
    if same.is_empty():
        return True
    alike = int((same["native_a"] == same["native_b"]).sum())
    return alike >= _TRUSTED * same.height


def _what_differs() -> pl.Expr:
    apart = [pl.col(f"{field}_a") != pl.col(f"{field}_b") for field in ("prompt", "response")]
    named = [
        pl.when(differs).then(pl.lit(field)) for field, differs in zip(("prompt", "response"), apart, strict=True)
    ]
    return pl.concat_str(named, separator=" and ", ignore_nulls=True).alias("differs")


def _left_out(run: Finished) -> Iterator[tuple[str, int]]:
    """How many native rows of a set are no record of it, by why: unreadable, or with the id of another row."""
    sums = run.table("intake").select(pl.col("unreadable").sum(), shared=pl.sum("repeated") + pl.sum("superseded"))
    unreadable, shared = sums.collect().row(0)
    yield "unreadable", int(unreadable)
    yield "shared_id", int(shared)


def not_compared(counts: Mapping[str, int]) -> list[str]:
    """A sentence for each kind of rows that a side has and that are not compared."""
    told = {"unreadable": "could not be read", "shared_id": "have the id of another row"}
    return [
        f"{counts[f'{what}_{side}']:,} rows of {side.upper()} {words}, and are not compared."
        for side in "ab"
        for what, words in told.items()
        if counts[f"{what}_{side}"]
    ]
