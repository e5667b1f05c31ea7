"""What a rule would keep at another limit, told from stored evidence: no text is read, and nothing is run again.

The comparison is the judge's own (`curate.verdict.rejects_when`): a run with that limit gives the same verdicts.
What such a run does with the records that come back is not foretold: rules on measures may not have seen them, and
they may be duplicates, or stand behind others in a quota's line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import Any, Final

import polars as pl

from curate.chat import LEFT, RIGHT
from curate.errors import CurateError, nearest
from curate.report.bins import histogram
from curate.shifts import Finished
from curate.shown import VERDICTS, Shown, read_shown
from curate.verdict import Verdict, rejects_when

# A row for each source that has the rule: records it has evidence for, that it rejects in the run, would at the
# other limit, would free and newly reject; how many of these two no other rule rejects.
BY_SOURCE: Final = pl.Schema(
    {
        "source": pl.String(),
        "limit_before": pl.Float64(),
        "limit_after": pl.Float64(),
        "judged": pl.UInt32(),
        "before": pl.UInt32(),
        "after": pl.UInt32(),
        "freed": pl.UInt32(),
        "freed_alone": pl.UInt32(),
        "lost": pl.UInt32(),
        "lost_alone": pl.UInt32(),
    }
)
_COUNTS: Final = ("judged", "before", "after", "freed", "freed_alone", "lost", "lost_alone")
_BESIDE: Final = 3  # records shown on either side of a cut
_STEPS: Final = 9  # other limits that are tried where nobody names one
_CHARS: Final = 300  # of a text beside a cut
_HEADS: Final = {
    "judged": "judged",
    "before": "rejects",
    "after": "would reject",
    "freed": "freed",
    "freed_alone": "freed, no other rejects",
    "lost": "newly rejected",
    "lost_alone": "new, no other rejects",
}

Limit = float | Mapping[str, float]


@dataclass(frozen=True)
class AtLimit:
    """What a rule rejects at another limit. `sources` has the columns of `BY_SOURCE`.

    `unmeasured`: of those freed that no other rule rejects, the records that no rule on measures has seen, because
    this one had rejected them before.
    """

    run: Finished
    rule: str
    sense: str
    sources: pl.DataFrame
    unmeasured: int
    _rows: pl.DataFrame = field(repr=False)

    @property
    def total(self) -> dict[str, int]:
        """The counts for all sources together."""
        return {name: int(self.sources[name].sum()) for name in _COUNTS}

    @property
    def freed(self) -> pl.Series:
        """The ids of the records that the rule rejects in the run, and would not at this limit; sorted."""
        return self._rows.filter(pl.col("before") & ~pl.col("after"))["id"].sort()

    @property
    def lost(self) -> pl.Series:
        """The ids of the records that it would reject, and does not in the run; sorted."""
        return self._rows.filter(pl.col("after") & ~pl.col("before"))["id"].sort()

    def beside(self, n: int = _BESIDE) -> tuple[list[Shown], list[Shown]]:
        """The records nearest to the cut: the last that are rejected and the first that stay, nearest first."""
        sides = []
        for out in (True, False):
            nearest_first = self._rows.filter(pl.col("after") == out).bottom_k(n, by=["room", "id"])
            sides.append(nearest_first.sort("room", "id")["id"].to_list())
        shown = {each.id: each for each in read_shown(self.run, [id for side in sides for id in side])}
        rejected, kept = ([shown[id] for id in side] for side in sides)
        return rejected, kept

    @property
    def said(self) -> str:
        """What would change, in a sentence or two."""
        n = self.total
        limits = sorted(set(self.sources["limit_after"]))
        at = " and ".join(f"{limit:,g}" for limit in limits) + (", by source" if len(limits) > 1 else "")
        told = f"{self.rule} at {at} rejects {n['after']:,} of {n['judged']:,} records, in the run {n['before']:,}"
        for kind in ("freed", "lost"):
            if n[kind]:
                verb = "are freed" if kind == "freed" else "are newly rejected"
                told += f"; {n[kind]:,} {verb}, {n[f'{kind}_alone']:,} of them rejected by no other rule"
        unseen = f" Rules on measures have not seen {self.unmeasured:,} of them." if self.unmeasured else ""
        return f"{told}.{unseen}"

    def __repr__(self) -> str:
        return f"{self.said}\n{self.sources}"

    def _repr_html_(self) -> str:
        rejected, kept = self.beside()
        sides = "".join(
            f"<details open><summary><em>{title}</em></summary>{'<hr>'.join(shown)}</details>"
            for title, side in (("The last that would go", rejected), ("The first that would stay", kept))
            for shown in [[each.html(chars=_CHARS, rule=self.rule) for each in side]]
            if shown
        )
        return f"<div style='{LEFT}'><p>{escape(self.said)}</p>{self.table()}{sides}</div>"

    def table(self) -> str:
        """The counts by source as an HTML table."""
        heads = "".join(f"<th style='{RIGHT}'>{head}</th>" for head in ("limit", "tried", *_HEADS.values()))
        rows = [*self.sources.iter_rows(named=True)]
        if len(rows) > 1:
            rows.append({"source": "all", "limit_before": None, "limit_after": None, **self.total})
        cells = "".join(
            f"<tr><td style='{LEFT}'><bdi>{escape(row['source'])}</bdi></td>"
            + "".join(
                f"<td style='{RIGHT}'>{_number(row[name])}</td>"
                for name in ("limit_before", "limit_after", *_HEADS)
            )
            + "</tr>"
            for row in rows
        )
        return f"<table><tr><th style='{LEFT}'>source</th>{heads}</tr>{cells}</table>"


@dataclass(frozen=True)
class Tuning:
    """A rule on numbers and the evidence that a run stored for it, to be looked at under other limits."""

    run: Finished
    rule: Mapping[str, Any]
    source: str | None = None

    @property
    def name(self) -> str:
        return str(self.rule["name"])

    @property
    def limits(self) -> dict[str, float]:
        """The rule's limit in the run, by source."""
        wanted = self.rule["sources"] if self.source is None else [self.source]
        return {source: float(self.rule["limit"][source]) for source in wanted}

    @cached_property
    def evidence(self) -> pl.DataFrame:
        """A row for each record that the rule has evidence for.

        `id`, `source`, `value`, whether the rule rejects it in the run (`before`), whether another rule does
        (`others`), and whether rules on measures were asked (`measured`).
        """
        own, other = VERDICTS if not self.rule["measured"] else VERDICTS[::-1]
        mine = self.run.table(own).filter(
            pl.col("source").is_in(list(self.limits)), pl.col(self.name).is_not_null()
        )
        reasons = pl.col("reasons").list
        before = reasons.contains(pl.lit(self.name))
        rows = mine.select(
            "id", "source", value=self.name, before=before, beside=reasons.len() - before.cast(pl.UInt32)
        )
        there = self.run.table(other).select("id", elsewhere=reasons.len())
        joined = rows.join(there, on="id", how="left").collect(engine="streaming")
        # A rule on measures is asked of records that rules on text let pass, which are all there.
        asked = pl.col("elsewhere").is_not_null() if own == "verdicts" else pl.lit(value=True)
        others = (pl.col("beside") > 0) | (pl.col("elsewhere").fill_null(0) > 0)
        return joined.select("id", "source", "value", "before", others=others, measured=asked).sort("id")

    @property
    def span(self) -> tuple[float, float]:
        """The least and the greatest evidence that is not far out: from the 1st to the 99th of 100."""
        value = self.evidence["value"]
        if value.is_empty():
            return min(self.limits.values()), max(self.limits.values())
        low, high = (float(value.quantile(q, "nearest") or 0) for q in (0.01, 0.99))
        return min(low, *self.limits.values()), max(high, *self.limits.values())

    def at(self, limit: Limit) -> AtLimit:
        """What the rule would reject at another limit, the same for all sources or one for each named.

        Raises `CurateError` for a source that has not the rule, and a limit that is no number.
        """
        after = self.limits | (dict(limit) if isinstance(limit, Mapping) else dict.fromkeys(self.limits, limit))
        for source, value in after.items():
            if source not in self.limits:
                raise CurateError(f"{self.name} judges no source {source!r}", next=nearest(source, self.limits))
            if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # noqa: PLR0124 (NaN)
                raise CurateError(f"a limit is a number, and {value!r} is none", next="give one, such as 100")
        here = self._judged(after)
        rows = here.group_by("source").agg(
            judged=pl.len(),
            before=pl.col("before").sum(),
            after=pl.col("after").sum(),
            freed=_FREED.sum(),
            freed_alone=(_FREED & ~pl.col("others")).sum(),
            lost=_LOST.sum(),
            lost_alone=(_LOST & ~pl.col("others")).sum(),
        )
        named = {"source": list(after), "limit_before": [self.limits[each] for each in after]}
        sources = pl.DataFrame(named | {"limit_after": [float(value) for value in after.values()]})
        sources = (
            sources.join(rows, on="source", how="left")
            .fill_null(0)
            .sort("source")
            .select(pl.col(name).cast(dtype) for name, dtype in BY_SOURCE.items())
        )
        unmeasured = 0
        if any(each["measured"] and not each["lifted"] for each in self.run.manifest["facts"]["rules"]):
            unmeasured = here.filter(_FREED, ~pl.col("others"), ~pl.col("measured")).height
        return AtLimit(self.run, self.name, self.rule["sense"], sources, unmeasured, here)

    def over(self, limits: Sequence[float] | None = None) -> pl.DataFrame:
        """A row for each limit: what the rule would reject, and what would be freed and newly rejected.

        Without limits given, some from the least to the greatest evidence, and the run's own.
        """
        tried = sorted({*(limits or self._steps()), *(() if limits else self.limits.values())})
        rows = [{"limit": float(limit), **self.at(limit).total} for limit in tried]
        return pl.DataFrame(rows, schema={"limit": pl.Float64, **dict.fromkeys(_COUNTS, pl.UInt32)})

    def bins(self, limit: float | None = None) -> dict[str, Any] | None:
        """How the evidence spreads, with the cut between two bins; see `curate.report.bins.histogram`."""
        limits = set(self.limits.values())
        cut = limit if limit is not None else limits.pop() if len(limits) == 1 else None
        return histogram(self.evidence["value"], cut, above=self.rule["sense"] == "above")

    def chart(self, limit: float | None = None) -> Any:
        """How the evidence spreads, with the cut, as a `Drawing`; None where there is no evidence.

        Raises `PluginError` without altair.
        """
        from curate.report.charts import histogram as drawn
        from curate.run_charts import anywhere

        bins = self.bins(limit)
        if bins is None:
            return None
        return anywhere(drawn(bins["bins"], limit=bins["limit"], rejects=self.rule["sense"], unit=self.name))

    def _judged(self, after: Mapping[str, float]) -> pl.DataFrame:
        """The evidence with `after`, whether the limit rejects it, and `room`, how far from it that is."""
        value, judged, room = pl.col("value"), pl.lit(value=False), pl.lit(0.0)
        signed = value.cast(pl.Float64)  # counts have no sign, and what is below a limit would lie far above it
        for source, limit in after.items():
            mine = pl.col("source") == source
            verdict = Verdict(value, self.rule["sense"], limit)
            judged = pl.when(mine).then(rejects_when(verdict, value)).otherwise(judged)
            room = pl.when(mine).then((signed - limit).abs() / max(1.0, abs(limit))).otherwise(room)
        return self.evidence.with_columns(after=judged, room=room)

    def _steps(self) -> list[float]:
        low, high = self.span
        value = self.evidence["value"]
        shares = [value.quantile((step + 1) / (_STEPS + 1), "nearest") for step in range(_STEPS)]
        return [float(each) for each in shares if each is not None] or [low, high]

    def __repr__(self) -> str:
        return f"Tuning of {self.name!r}: {self.at(self.limits).said}\n{self.over()}"

    def _repr_html_(self) -> str:
        heads = "".join(f"<th style='{RIGHT}'>{head}</th>" for head in ("limit", *_HEADS.values()))
        own = set(self.limits.values())
        rows = "".join(
            f"<tr><td style='{RIGHT}'>{_number(row['limit'])}{' (as it is)' * (row['limit'] in own)}</td>"
            + "".join(f"<td style='{RIGHT}'>{row[name]:,}</td>" for name in _HEADS)
            + "</tr>"
            for row in self.over().iter_rows(named=True)
        )
        said = f"<p style='{LEFT}'>{escape(self.at(self.limits).said)}</p>"
        return f"<div>{said}<table><tr>{heads}</tr>{rows}</table></div>"


_FREED: Final = pl.col("before") & ~pl.col("after")
_LOST: Final = pl.col("after") & ~pl.col("before")


def tuning(run: Finished, rule: str, source: str | None = None) -> Tuning:
    """A rule of a run, to be looked at under other limits; for all its sources, or one.

    Raises `CurateError` for a rule that the run has not, that has no evidence, or whose limit is no number.
    """
    rules = {each["name"]: each for each in run.manifest["facts"]["rules"]}
    if rule not in rules:
        raise CurateError(f"no rule is called {rule!r}", where=str(run.path), next=nearest(rule, rules))
    found = rules[rule]
    if found["sense"] not in ("below", "above"):
        what = (
            "has no limit: it finds something or not" if found["sense"] == "present" else "compares with no number"
        )
        raise CurateError(
            f"the rule {rule!r} {what}",
            where=str(run.path),
            next=f"run.explore(reason={rule!r}) shows what it rejects",
        )
    if source is not None and source not in found["sources"]:
        raise CurateError(f"{rule} judges no source {source!r}", next=nearest(source, found["sources"]))
    if rule not in run.table(VERDICTS[bool(found["measured"])]).collect_schema():
        raise CurateError(
            f"the run has no evidence of {rule!r}",
            where=str(run.path),
            next="its measure was not made: run with it",
        )
    return Tuning(run, found, source)


def at_limit(run: Finished, rule: str, limit: Limit) -> AtLimit:
    """What a rule of a run would reject at another limit, from stored evidence."""
    return tuning(run, rule).at(limit)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.12g}"
