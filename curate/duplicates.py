"""Which records of a run say the same, group by group: the record that stays and those that went for it.

The least similar come first, because that is where a wrong merge shows. Numbers come from the tables of the run
alone; texts are read for the groups that are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from typing import Any, Final

import polars as pl

from curate.contrast import Contrast, Piece, apart, contrast, sharing
from curate.dedup.stars import LINKS, with_text
from curate.diff import Finished
from curate.errors import CurateError, nearest
from curate.record import message
from curate.rethreshold import rethreshold

_SHOWN_ROWS: Final = 3  # of a group, unless one asks for more
_SHOWN_GROUPS: Final = 3  # in a notebook
_PLAIN: Final = ("id", "source", "similarity", "method", "on", "text")
_CHARS: Final = 300  # of a text, in a notebook
# States of records that came to deduplication: neither excluded, rejected nor contaminated.
CAME: Final = ("kept", "duplicate", "not drawn")

_ROWS: Final = pl.Schema(
    {
        "id": pl.String(),
        "source": pl.String(),
        "kept_id": pl.String(),
        "kept_source": pl.String(),
        "similarity": pl.Float64(),
        "method": pl.String(),
        "on": pl.String(),
    }
)


@dataclass(frozen=True)
class Member:
    """A record that went, and both texts that were compared.

    `beside` is what else the two say, which was not compared: their answers where the prompt was, their prompts
    where the answer was; by name, of the kept record and of this one. `runs` are the words a run, where texts were
    compared by runs that they share.
    """

    id: str
    source: str
    similarity: float
    method: str
    on: str
    text: str
    kept_text: str
    beside: dict[str, tuple[str, str]]
    runs: tuple[int, ...] = ()

    def contrast(self, chars: int) -> Contrast:
        """The kept text and this one, with what differs; or with what they share, where that was looked for.

        Of texts that nobody compared, nothing is marked.
        """
        if self.on == LINKS:
            return apart(self.kept_text, self.text, chars=chars)
        if self.runs:
            from curate.dedup.ngram import shared_run

            for n in self.runs:
                runs = shared_run(self.kept_text, self.text, n), shared_run(self.text, self.kept_text, n)
                if all(runs) and all(
                    run in text for run, text in zip(runs, (self.kept_text, self.text), strict=True)
                ):
                    return sharing(self.kept_text, self.text, runs, chars=chars)
        return contrast(self.kept_text, self.text, chars=chars)


@dataclass(frozen=True)
class Group:
    """A record that stays, or a reference, and records that went for it, the least similar first.

    There are `size` of them in all, of which `members` may be the first. A reference that is a dialogue may be in
    each with another of its texts.
    """

    kept_id: str
    kept_source: str
    size: int
    members: tuple[Member, ...]
    against: bool = False

    def plain(self) -> dict[str, Any]:
        """The group as JSON-able values, with whole texts: the kept record's once, a reference's beside each."""
        records = [{name: getattr(each, name) for name in _PLAIN} for each in self.members]
        if self.against:
            met = [row | {"reference": each.kept_text} for row, each in zip(records, self.members, strict=True)]
            return {"reference": self.kept_id, "size": self.size, "records": met}
        kept = {"kept_id": self.kept_id, "source": self.kept_source, "size": self.size}
        return kept | {"texts": {each.on: each.kept_text for each in self.members}, "records": records}


@dataclass(frozen=True)
class Duplicates:
    """The duplicates of a finished run, or those of them that were asked for.

    `rows`: a row for each record that went: `id` and `source`, `kept_id` and `kept_source` of the record it went
    for, and their `similarity` by `method` on the text `on`; the least similar first. With `against`, records that
    a reference text was found in instead, whose `kept_id` is the reference: its file, and its row from 0.
    """

    run: Finished
    rows: pl.DataFrame
    against: bool = False
    _references: pl.DataFrame = field(default_factory=pl.DataFrame, repr=False)

    @cached_property
    def calls(self) -> list[dict[str, Any]]:
        """The passes of the run's pipeline that sought them, with their parameters."""
        calls: list[dict[str, Any]] = self.run.manifest["pipeline"]["dedup"]
        return [call for call in calls if bool(call.get("against")) == self.against]

    @cached_property
    def passes(self) -> pl.DataFrame:
        """For each pass: rows that went, groups, the largest of these, and how similar the rows are.

        Two passes by one method on one text are told together: tables do not tell them apart.
        """
        similarity = pl.col("similarity")
        keys = ["method", "on"]
        names = [(call["use"], call["on"]) for call in self.calls]
        listed = pl.DataFrame(list(dict.fromkeys(names)), schema=dict.fromkeys(keys, pl.String), orient="row")
        sizes = self.rows.group_by(*keys, "kept_id").agg(size=pl.len())
        counted = sizes.group_by(keys).agg(groups=pl.len(), largest=pl.col("size").max())
        spread = self.rows.group_by(keys).agg(
            rows=pl.len(),
            least=similarity.min(),
            at_5=similarity.quantile(0.05, "nearest"),
            at_25=similarity.quantile(0.25, "nearest"),
            median=similarity.quantile(0.5, "nearest"),
        )
        table = listed.join(counted, on=keys, how="left", maintain_order="left")
        table = table.join(spread, on=keys, how="left", maintain_order="left")
        return table.with_columns(pl.col("rows", "groups", "largest").fill_null(0)).select(
            *keys, "rows", "groups", "largest", "least", "at_5", "at_25", "median"
        )

    @cached_property
    def sources(self) -> pl.DataFrame:
        """For each source: its rows that came so far, how many of them went, and for records of another source."""
        states = [*CAME, "contaminated"] if self.against else CAME
        came = self.run.table("ledger").filter(pl.col("state").is_in(states)).group_by("source").agg(came=pl.len())
        foreign = pl.col("source") != pl.col("kept_source")
        went = self.rows.group_by("source").agg(rows=pl.len(), for_others=foreign.sum())
        table = came.collect().join(went, on="source", how="left").sort("source")
        table = table.with_columns(pl.col("rows", "for_others").fill_null(0))
        table = table.with_columns(share=pl.col("rows") / pl.col("came"))
        return table.select("source", "came", "rows", "share", *([] if self.against else ["for_others"]))

    def where(
        self,
        *,
        method: str | None = None,
        on: str | None = None,
        source: str | None = None,
        min_similarity: float | None = None,
        max_similarity: float | None = None,
    ) -> Duplicates:
        """Those of them that went by this method, on this text, from this source, with such a similarity.

        Raises `CurateError` for a method, text or source that the run has not.
        """
        known = {
            "method": [call["use"] for call in self.calls],
            "on": [call["on"] for call in self.calls],
            "source": [source["name"] for source in self.run.manifest["pipeline"]["sources"]],
        }
        asked = [pl.lit(value=True)]
        for column, name in (("method", method), ("on", on), ("source", source)):
            if name is not None:
                if name not in known[column]:
                    raise CurateError(
                        f"no {_ASKED[column]} {name!r}",
                        where=str(self.run.path),
                        next=nearest(name, set(known[column])),
                    )
                asked.append(pl.col(column) == name)
        if min_similarity is not None:
            asked.append(pl.col("similarity") >= min_similarity)
        if max_similarity is not None:
            asked.append(pl.col("similarity") <= max_similarity)
        return replace(self, rows=self.rows.filter(asked))

    def group(self, id: str) -> Duplicates:
        """The one group of a record, be it the one that stays or one that went.

        Raises `CurateError` when the run has no such record, or nothing says the same.
        """
        found = self.rows.filter((pl.col("id") == id) | (pl.col("kept_id") == id))
        if found.is_empty():
            ledger = self.run.table("ledger")
            state = ledger.filter(pl.col("id") == id).select("state").collect()["state"].to_list()
            if not state:
                near = ledger.select("id").filter(pl.col("id").str.contains(id, literal=True)).head(5).collect()
                raise CurateError(
                    f"no record of the run is called {id!r}",
                    where=str(self.run.path),
                    next=nearest(id, near["id"]) if near.height else "`curate duplicates RUN` shows ids",
                )
            raise CurateError(
                f"{id} is in no group: it went for no other record, and none went for it",
                where=str(self.run.path),
                next=f"it ended as {state[0]}; `curate why` tells all about it",
            )
        kept = found.filter(pl.col("id") == id)["kept_id"].to_list() or [id]
        return replace(self, rows=self.rows.filter(pl.col("kept_id") == kept[0]))

    def groups(self, *, largest: bool = False) -> pl.DataFrame:
        """A row for each group: `kept_id`, its `size`, the `least` similarity; that first, or the `largest`."""
        groups = self.rows.group_by("kept_id").agg(size=pl.len(), least=pl.col("similarity").min())
        by = ["size", "least", "kept_id"] if largest else ["least", "kept_id"]
        return groups.sort(by, descending=[name == "size" for name in by])

    def read(self, kept_ids: Sequence[str], *, rows: int | None = _SHOWN_ROWS) -> list[Group]:
        """These groups with the texts of the kept record and of so many others (None: of all)."""
        of = self.rows.filter(pl.col("kept_id").is_in(list(kept_ids)))
        sizes = dict(of.group_by("kept_id").len().iter_rows())
        members: dict[str, list[dict[str, Any]]] = {kept_id: [] for kept_id in kept_ids}
        for row in of.iter_rows(named=True):
            if rows is None or len(members[row["kept_id"]]) < rows:
                members[row["kept_id"]].append(row)
        texts = self._texts([row for each in members.values() for row in each])
        return [
            Group(
                id,
                each[0]["kept_source"],
                sizes[id],
                tuple(self._member(row, texts) for row in each),
                self.against,
            )
            for id, each in members.items()
            if each
        ]

    def _texts(self, rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], str]:
        """Compared texts, by what they are of and the record's id, and what else all of them say.

        The declared duplicates of a source are seen by their prompts.
        """
        records = self.run.table("records")
        texts: dict[tuple[str, str], str] = {}
        ids = {row["id"] for row in rows}
        if self.against:
            of = self._references.filter(pl.col("id").is_in(sorted(ids)))
            said = dict(of.select("id", "text").iter_rows())
            texts |= {("reference", id): text or "" for id, text in said.items()}
        else:
            ids |= {row["kept_id"] for row in rows}
        # A filter by value reaches the scan, which then decodes no text of the others; a join does not.
        wanted = records.filter(pl.col("id").is_in(sorted(ids)))
        for on in sorted({_shown(row["on"]) for row in rows}):
            texts |= {(on, id): text or "" for id, text in with_text(wanted, on).collect().iter_rows()}
        for row in wanted.select("id", "context", "response", prompt=message()).collect().to_dicts():
            texts |= {(f"{name} beside", row["id"]): row[name] or "" for name in ("prompt", "context", "response")}
        return texts

    def _member(self, row: dict[str, Any], texts: dict[tuple[str, str], str]) -> Member:
        on, ends = _shown(row["on"]), (row["kept_id"], row["id"])
        kept, own = texts[("reference", row["id"]) if self.against else (on, row["kept_id"])], texts[on, row["id"]]
        beside = {
            name: (texts.get((f"{name} beside", ends[0]), ""), texts[f"{name} beside", ends[1]])
            for name in _BESIDE.get(row["on"], ())
        }
        like = [call for call in self.calls if (call["use"], call["on"]) == (row["method"], row["on"])]
        runs = sorted((call["n"] for call in like if row["method"] == "ngram"), reverse=True)
        named = {name: row[name] for name in ("id", "source", "similarity", "method", "on")}
        return Member(**named, text=own, kept_text=kept, beside=beside, runs=tuple(runs))

    def rethreshold(self, thresholds: Iterable[float]) -> pl.DataFrame:
        """What the run would drop at other thresholds, from the pairs that it stored; see `curate.rethreshold`."""
        return rethreshold(self.run, thresholds)

    def summary(self) -> str:
        """What was sought and found, in a sentence."""
        came, went = (int(self.sources[name].sum()) for name in ("came", "rows"))
        groups = self.rows["kept_id"].n_unique()
        if not self.calls:
            what = "compares with no reference" if self.against else "has no [[dedup]]"
            return f"The pipeline {what}: none of {came:,} records was compared."
        of = f"{came:,} records were compared{' with references' * self.against}"
        if not went:
            return f"{of}: nothing was found."
        if self.against:
            return f"{of}: {went:,} are contaminated, by {groups:,} of these."
        return f"{of}: {went:,} were dropped for {groups:,} that stay."

    def __str__(self) -> str:
        lines = [self.summary()]
        for row in self.passes.iter_rows(named=True):
            least = f", the least similar at {row['least']:.3f}" if row["rows"] else ""
            lines.append(f"  {row['method']} on {row['on']}: {row['rows']:,} in {row['groups']:,} groups{least}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Duplicates of {self.run.path.as_posix()!r}: {self}"

    def _repr_html_(self) -> str:
        groups = self.read(self.groups()["kept_id"].head(_SHOWN_GROUPS).to_list(), rows=1)
        shown = "".join(_html_group(group) for group in groups)
        tables = (("by pass", self.passes), ("by source", self.sources))
        counted = "".join(_html_table(caption, frame) for caption, frame in tables if not frame.is_empty())
        head = "<p>The least similar:</p>" if groups else ""
        return f"<p>{escape(self.summary())}</p>{counted}{head}{shown}"


_ASKED: Final = {"method": "pass is by", "on": "pass is on", "source": "source is called"}
# What else is shown of two records, where it is not what was compared.
_BESIDE: Final = {"prompt": ("context", "response"), "first_prompt": ("response",), "response": ("prompt",)}


def duplicates_of(run: Finished, *, against: bool = False) -> Duplicates:
    """The duplicates of a finished run; or, `against` references, the records that these were found in."""
    table = "contamination" if against else "duplicates"
    if against and table not in run.manifest["tables"]:
        return Duplicates(run, pl.DataFrame(schema=_ROWS), against)
    found = run.table(table).collect()
    sources = run.table("ledger").select("id", "source").collect()
    if against:
        rows = found.with_columns(kept_id=pl.concat_str("file", pl.lit(":"), "position"), kept_source="file")
    else:
        kept = sources.rename({"id": "kept_id", "source": "kept_source"})
        rows = found.join(kept, on="kept_id", how="left")
    rows = rows.join(sources, on="id", how="left").select(_ROWS.names())
    return Duplicates(run, rows.sort("similarity", "kept_id", "id"), against, found if against else pl.DataFrame())


def _shown(on: str) -> str:
    return "prompt" if on == LINKS else on


_LEFT: Final = " style='text-align:left'"


def _html_table(caption: str, frame: pl.DataFrame) -> str:
    lefts = [_LEFT if dtype == pl.String else "" for dtype in frame.dtypes]
    head = "".join(f"<th{left}>{escape(name)}</th>" for name, left in zip(frame.columns, lefts, strict=True))
    rows = "".join(f"<tr>{''.join(map(_html_cell, row))}</tr>" for row in frame.iter_rows())
    return f"<table><caption>{escape(caption)}</caption><tr>{head}</tr>{rows}</table>"


def _html_cell(value: Any) -> str:
    if isinstance(value, str):
        return f"<td{_LEFT}>{escape(value)}</td>"
    shown = "" if value is None else f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
    return f"<td style='text-align:right'>{shown}</td>"


def _html_group(group: Group) -> str:
    member = group.members[0]
    both = member.contrast(_CHARS)
    how = f"{member.similarity:.3f} by {member.method} on {member.on}"
    rows = ((f"kept {group.kept_id}", both.a, "ins"), (f"dropped {member.id}", both.b, "del"))
    shown = "".join(
        f"<tr><th{_LEFT}>{escape(id)}</th><td{_LEFT}>{_html_text(text, mark)}</td></tr>" for id, text, mark in rows
    )
    return f"<table><caption>{escape(how)} {escape(both.said)}</caption>{shown}</table>"


def _html_text(pieces: Iterable[Piece], mark: str) -> str:
    shown = {"same": "{}", "differs": f"<{mark}>{{}}</{mark}>", "shared": "<mark>{}</mark>", "cut": " … "}
    return "".join(shown[piece.kind].format(escape(piece.text)) for piece in pieces)
