"""Which records of a run fit a query, page by page: what `run.explore()` shows, without anything that shows it.

A query is answered from narrow columns (ids, states, reasons, scores), which are read once. Texts are read for the
page that is looked at. For a word that the query asks for, those of records that fit the rest of it are read, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from html import escape
from typing import Any, Final, Literal

import polars as pl

from curate.chat import LEFT
from curate.errors import CurateError, nearest
from curate.shifts import Finished
from curate.shown import VERDICTS, Shown, read_shown
from curate.tables import STATES

SIZE: Final = 10  # records a page
_CHARS: Final = 400  # of a text on a page, before it has to be opened
_HELD: Final = 8  # answers that are remembered, so that turning a page asks nothing again

Order = Literal["id", "random", "score", "cut"]
ORDERS: Final[tuple[Order, ...]] = ("id", "random", "score", "cut")


@dataclass(frozen=True)
class Query:
    """Which records are wanted, and in which order. What is None or empty asks for nothing.

    `state`, `source` and `domain` are the record's; `reason` is a rule that rejects it, `rule` one that found
    something in it, rejecting or not. `text` is looked for in all that the record says, whatever its case. The
    score is at least `min_score` and at most `max_score`. `order`: by id; "random", drawn by id; by "score", the
    highest first; or nearest to the "cut" of the `rule` (or the `reason`), relative to its limit.
    """

    state: str | None = None
    source: str | None = None
    domain: str | None = None
    reason: str | None = None
    rule: str | None = None
    text: str = ""
    min_score: float | None = None
    max_score: float | None = None
    order: Order = "id"

    def __str__(self) -> str:
        asked = [(each.name, getattr(self, each.name)) for each in fields(self) if each.name != "order"]
        told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in asked if value not in (None, ""))
        return told or "all records"


@dataclass(frozen=True)
class Page:
    """Some of the records that fit a query: page `number` of `pages`, from 1; `total` records fit in all."""

    query: Query
    number: int
    pages: int
    total: int
    records: tuple[Shown, ...]

    @property
    def said(self) -> str:
        """Which of how many these are."""
        if not self.total:
            return f"No record fits: {self.query}."
        return f"{self.query}: {self.total:,} records, page {self.number:,} of {self.pages:,}."

    def __repr__(self) -> str:
        return "\n".join([self.said, *(each.text(rule=self.query.rule) for each in self.records)])

    def _repr_html_(self) -> str:
        shown = "<hr>".join(each.html(chars=_CHARS, rule=self.query.rule) for each in self.records)
        return f"<div><p style='{LEFT}'>{escape(self.said)}</p>{shown}</div>"


@dataclass(frozen=True)
class Explorer:
    """The records of a finished run, to be asked for."""

    run: Finished
    _answers: dict[Query, pl.Series] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def index(self) -> pl.DataFrame:
        """A row for each record, by id: `source`, `domain`, `state`, `reasons`, `score` and `draw`."""
        ends = self.run.table("ledger").select("id", "source", pl.col("state").cast(pl.Enum(STATES)))
        about = self.run.table("records").select("id", pl.col("domain").cast(pl.Categorical), "score", "draw")
        said = pl.concat([self.run.table(name).select("id", "reasons") for name in VERDICTS])
        said = said.filter(pl.col("reasons").list.len() > 0).group_by("id").agg(pl.col("reasons").explode())
        joined = ends.join(about, on="id", how="left").join(said, on="id", how="left")
        named = joined.with_columns(
            pl.col("source").cast(pl.Categorical), pl.col("reasons").fill_null(pl.lit([], pl.List(pl.String)))
        )
        return named.collect(engine="streaming").sort("id")

    @cached_property
    def rules(self) -> dict[str, Mapping[str, Any]]:
        """What the run knows about each of its rules, by name."""
        return {rule["name"]: rule for rule in self.run.manifest["facts"]["rules"]}

    @cached_property
    def choices(self) -> dict[str, list[str]]:
        """What `state`, `source`, `domain`, `reason` and `rule` may be in this run, each in its order."""
        said = set(self.index["reasons"].explode().drop_nulls().str.strip_suffix(":unknown"))
        domains = self.index["domain"].drop_nulls().unique().cast(pl.String)
        return {
            "state": [state for state in STATES if (self.index["state"] == state).any()],
            "source": [source["name"] for source in self.run.manifest["pipeline"]["sources"]],
            "domain": domains.sort().to_list(),
            "reason": [name for name in self.rules if name in said],
            "rule": list(self.rules),
        }

    def ids(self, query: Query) -> pl.Series:
        """The ids of all records that fit, in order.

        Raises `CurateError` for what the run has not, and for an order that the query does not allow.
        """
        if query not in self._answers:
            while len(self._answers) >= _HELD:
                del self._answers[next(iter(self._answers))]
            self._answers[query] = self._found(query)
        return self._answers[query]

    def page(self, query: Query | None = None, number: int = 1, *, size: int = SIZE) -> Page:
        """One page of the records that fit, with their texts; the last one where there are not so many."""
        query = query or Query()
        ids = self.ids(query)
        pages = max(1, -(-len(ids) // size))
        number = min(max(1, number), pages)
        shown = read_shown(self.run, ids.slice((number - 1) * size, size).to_list())
        return Page(query, number, pages, len(ids), tuple(shown))

    def _found(self, query: Query) -> pl.Series:
        self._check(query)
        fit = [pl.lit(value=True)]
        fit += [
            pl.col(name) == getattr(query, name)
            for name in ("state", "source", "domain")
            if getattr(query, name) is not None
        ]
        if query.reason is not None:
            fit.append(_rejected_by(query.reason))
        if query.min_score is not None:
            fit.append(pl.col("score") >= query.min_score)
        if query.max_score is not None:
            fit.append(pl.col("score") <= query.max_score)
        found = self.index.filter(fit).select("id", "source", "score", "draw")
        found = self._in_order(found, query)
        return self._with_text(found["id"], query.text) if query.text else found["id"]

    def _in_order(self, found: pl.DataFrame, query: Query) -> pl.DataFrame:
        rule = query.rule or (query.reason if query.order == "cut" else None)
        if rule is not None:
            evidence = self._evidence(rule).filter(pl.col(rule).is_not_null())
            found = found.join(evidence.collect(engine="streaming"), on="id", how="inner", maintain_order="left")
        match query.order:
            case "id":
                return found
            case "random":
                return found.sort("draw", "id")
            case "score":
                return found.sort("score", "id", descending=[True, False], nulls_last=True)
            case "cut":
                limits = self.rules[str(rule)]["limit"]
                cut = (
                    pl.col("source").cast(pl.String).replace_strict(limits, default=None, return_dtype=pl.Float64)
                )
                room = (pl.col(str(rule)).cast(pl.Float64) - cut).abs() / cut.abs().clip(lower_bound=1)
                return found.with_columns(room=room).sort("room", "id", nulls_last=True)

    def _evidence(self, rule: str) -> pl.LazyFrame:
        table = self.run.table(VERDICTS[bool(self.rules[rule]["measured"])])
        if rule not in table.collect_schema():
            return pl.LazyFrame(schema={"id": pl.String, rule: pl.Float64})
        return table.select("id", rule)

    def _with_text(self, ids: pl.Series, text: str) -> pl.Series:
        holds = pl.any_horizontal(
            texts.str.contains(f"(?i){pl.escape_regex(text)}").fill_null(value=False) for texts in _TEXTS
        )
        among = self.run.table("records").filter(pl.col("id").is_in(ids.implode()))
        met = among.filter(holds).select("id").collect(engine="streaming")
        return ids.to_frame().join(met, on="id", how="semi", maintain_order="left")["id"]

    def _check(self, query: Query) -> None:
        # A state or a reason that no record met is none that the run has not.
        known = self.choices | {"state": list(STATES), "reason": list(self.rules)}
        for name, valid in known.items():
            value = getattr(query, name)
            if value is not None and value not in valid:
                raise CurateError(
                    f"no {name} is called {value!r}", where=str(self.run.path), next=nearest(value, valid)
                )
        if query.order not in ORDERS:
            raise CurateError(f"there is no order {query.order!r}", next=nearest(query.order, ORDERS))
        if query.order == "cut":
            rule = query.rule or query.reason
            if rule is None:
                raise CurateError("which cut is not said", next='give a `rule`, as in explore(rule="too_short")')
            if self.rules[rule]["sense"] not in ("below", "above"):
                what = f"the rule {rule!r} has no cut: what it finds is no number"
                raise CurateError(what, next='leave out `order="cut"`')


def asked(query: Mapping[str, Any]) -> Query:
    """A query from what a person gave. Raises `CurateError` for a word that is no part of one."""
    names = [each.name for each in fields(Query)]
    for name in query:
        if name not in names:
            raise CurateError(f"records cannot be asked for by {name!r}", next=nearest(name, names))
    return replace(Query(), **query)


def _rejected_by(rule: str) -> pl.Expr:
    reasons = pl.col("reasons").list
    return reasons.contains(pl.lit(rule)) | reasons.contains(pl.lit(f"{rule}:unknown"))


_TEXTS: Final[tuple[pl.Expr, ...]] = (
    *(pl.col(name) for name in ("prompt", "context", "response", "system")),
    pl.col("history").list.eval(pl.element().struct.field("text")).list.join("\n"),
)
