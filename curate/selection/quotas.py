"""Draws quotas: who is eligible, how many are taken, and at which temperature the domains mix.

A quota puts its eligible records in line and draws from the front. The line does not depend on how many are
drawn, so what `take = 1000` draws is part of what `take = 6000` draws.

- Splits are fixed before training data is ranked: test quotas draw first, then dev, then train, each split's
  in the order of the pipeline. A thread that one split has drawn from is closed to the others. A record
  belongs to the first quota that draws it.
- Domains (the values of the column `by`) interleave by divisor: next comes the domain with the largest
  n^(1/τ) / (2c + 1), where n of its records stood eligible, c of them are in line so far, and τ is the
  `temperature`. At τ = 1 shares follow the domains' sizes, as in Sainte-Laguë's apportionment of seats; a
  higher τ flattens them, as LIMA's τ = 3 did for Stack Exchange (arXiv 2305.11206, §2.1). Rounded shares
  would not nest: with one more to take, a domain may get one less.
- `at_most` caps how many records of one author, thread, … a quota's line may hold; the rest are passed by.
- What is `together`, near-duplicates of one another, goes into one split, as a thread does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import polars as pl

from curate import registry
from curate.errors import PipelineError, nearest
from curate.keys import seed_for
from curate.pipeline import Quota
from curate.rankings import Candidates, Greedy
from curate.selection.interleave import Integers, codes, greedily, interleaved
from curate.selection.together import components
from curate.tables import PICKS
from curate.vectors import Floats

# The vectors of records, by their ids, of a measure of one text: shape (n, d), zeros where there is no text.
VectorsOf = Callable[[str, str, pl.Series], Floats]

# One row a record that no earlier stage stopped. `author` is the response's, `chars` the response's length in
# characters. More columns of text or truth may be added, and named by `where`, `by` and `at_most`.
ELIGIBLE: Final = pl.Schema(
    {
        "id": pl.String(),
        "source": pl.String(),
        "domain": pl.String(),
        "group": pl.String(),
        "thread": pl.String(),
        "author": pl.String(),
        "license": pl.String(),
        "score": pl.Float64(),
        "prompt_only": pl.Boolean(),
        "chars": pl.UInt32(),
        "position": pl.UInt64(),
        "draw": pl.UInt64(),
    }
)

DRAWING_ORDER: Final = ("test", "dev", "train")

_PROMPT_ONLY: Final = "prompt-only, and train needs a response"
# Stands in the reasons of records whose thread, or what they are like, another split has drawn from.
ELSEWHERE: Final = " is in "
_UNMATCHED: Final = "no quota takes it"
_NAMEABLE: Final = (pl.String, pl.Boolean, pl.Categorical, pl.Enum)


def nameable(schema: pl.Schema = ELIGIBLE) -> list[str]:
    """The columns that `where`, `by` and `at_most` may name: those of text or truth, but not `id` or `source`."""
    return [
        name for name, dtype in schema.items() if isinstance(dtype, _NAMEABLE) and name not in ("id", "source")
    ]


def check_quotas(quotas: Sequence[Quota], columns: Iterable[str] | None = None) -> None:
    """Raise `PipelineError` for a quota that names an unknown column or order, or a number out of range."""
    columns = nameable() if columns is None else list(columns)
    for quota in quotas:
        name = quota.name
        named = [("where", column) for column in quota.where]
        named += [("by", quota.by)] if quota.by is not None else []
        named += [("at_most", column) for column in quota.at_most]
        for key, column in named:
            if column not in columns:
                what = f"`{key}` names a column that a quota cannot go by: {column!r}"
                raise PipelineError(what, where=f"quota {name!r}", next=nearest(column, columns))
        registry.get("rankings", quota.order)
        if not 1 <= quota.temperature < float("inf"):
            what = f"a temperature must be a number from 1 up, not {quota.temperature}"
            raise PipelineError(
                what, where=f"quota {name!r}", next="1 keeps the domains' shares, 3 flattens them as LIMA did"
            )
        for column, cap in quota.at_most.items():
            if cap < 1:
                what = f"`at_most` must allow at least 1 of {column}, not {cap}"
                raise PipelineError(what, where=f"quota {name!r}", next="leave the column out to set no cap")


def matches(quota: Quota) -> pl.Expr:
    """True for the records of the quota's source that have one of the values that `where` asks for."""
    conditions = [pl.col("source") == quota.source]
    for column, values in quota.where.items():
        wanted = [values] if isinstance(values, str) else list(values)
        conditions.append(pl.col(column).cast(pl.String).is_in(wanted).fill_null(value=False))
    return pl.all_horizontal(conditions)


def draw_quotas(
    eligible: pl.DataFrame,
    quotas: Sequence[Quota],
    *,
    seed: int,
    together: pl.DataFrame | None = None,
    vectors_of: VectorsOf | None = None,
) -> pl.DataFrame:
    """Say of every eligible record which quota drew it, or why none did.

    Takes `eligible` with the columns of `ELIGIBLE` in any order of rows, and returns `PICKS`, sorted by id. A
    record that was not drawn has no split; `quota` is then the first that it matched, `rank` its place in
    that quota's line if it stood in it, and `why` names what each quota that it matched had against it. A greedy
    order makes no longer line than is drawn. `together` has pairs of ids, `id_a` and `id_b`, that must not be in
    two splits; ids of records that are not eligible may link those that are. `vectors_of` is asked by orders that
    look at vectors.

    Raises `PipelineError` for what `check_quotas` refuses.
    """
    check_quotas(quotas, nameable(eligible.schema))
    rows = eligible.sort("id")
    threads = codes(rows.select(pl.col("thread").fill_null(pl.col("id"))).to_series())
    joined = components(rows["id"], threads, together)
    prompt_only = rows["prompt_only"].to_numpy()
    outcome = _Outcome(len(rows))
    # A thread's code, and that of what hangs together, → the split, in drawing order, that drew from it.
    thread_in, joined_in = (np.full(len(rows) + 1, -1) for _ in range(2))

    for index in sorted(range(len(quotas)), key=lambda index: DRAWING_ORDER.index(quotas[index].split)):
        quota = quotas[index]
        split = DRAWING_ORDER.index(quota.split)
        wanted = rows.select(matches(quota)).to_series().to_numpy()
        here = np.flatnonzero(wanted & (outcome.drawn_by < 0))
        outcome.match(here, index)

        closed = joined_in[joined[here]]
        for other in range(split):
            elsewhere = here[closed == other]
            own = thread_in[threads[elsewhere]] == other
            outcome.refuse(elsewhere[own], f"thread{ELSEWHERE}{DRAWING_ORDER[other]}")
            outcome.refuse(elsewhere[~own], f"what it is like{ELSEWHERE}{DRAWING_ORDER[other]}")
        here = here[(closed < 0) | (closed == split)]
        if quota.split == "train":
            outcome.refuse(here[prompt_only[here]], _PROMPT_ONLY)
            here = here[~prompt_only[here]]

        line, passed = _line(rows[here], quota, seed_for(seed, f"select.{quota.source}"), vectors_of)
        line = here[line]
        taken = line[: quota.take]
        outcome.rank(line, index)
        outcome.draw(taken, index)
        outcome.refuse(line[len(taken) :], f"quota {quota.name} is full")
        for why, some in passed.items():
            outcome.refuse(here[some], why)
        if quota.take is not None and len(taken) == quota.take:
            ahead = np.zeros(len(rows), dtype=bool)
            ahead[line] = True
            for some in passed.values():
                ahead[here[some]] = True
            outcome.refuse(here[~ahead[here]], f"quota {quota.name} is full")
        thread_in[threads[taken]] = joined_in[joined[taken]] = split

    return outcome.picks(rows["id"], quotas)


class _Outcome:
    """What has become of each row so far, as arrays by row number. -1 stands for nothing yet."""

    def __init__(self, rows: int) -> None:
        self.drawn_by = np.full(rows, -1)
        self.matched = np.full(rows, -1)
        self.ranks = np.full(rows, -1)
        self.why = np.zeros(rows, dtype=np.int64)  # positions in `whys`
        self.whys: dict[tuple[str, ...], int] = {(): 0}

    def match(self, rows: Integers, quota: int) -> None:
        new = rows[self.matched[rows] < 0]
        self.matched[new] = quota

    def rank(self, line: Integers, quota: int) -> None:
        first = np.flatnonzero(self.matched[line] == quota)
        self.ranks[line[first]] = first

    def draw(self, taken: Integers, quota: int) -> None:
        self.drawn_by[taken] = quota
        self.ranks[taken] = np.arange(len(taken))

    def refuse(self, rows: Integers, why: str) -> None:
        """Add a reason to the rows' reasons, once. There are few combinations, so each is kept once."""
        known = list(self.whys)
        before, place = np.unique(self.why[rows], return_inverse=True)
        combined = [known[at] if why in known[at] else (*known[at], why) for at in before]
        after = [self.whys.setdefault(reasons, len(self.whys)) for reasons in combined]
        self.why[rows] = np.array(after, dtype=np.int64)[place]

    def picks(self, ids: pl.Series, quotas: Sequence[Quota]) -> pl.DataFrame:
        self.refuse(np.flatnonzero(self.matched < 0), _UNMATCHED)
        drawn = self.drawn_by >= 0
        return pl.DataFrame(
            {
                "id": ids,
                "split": _named(self.drawn_by, [quota.split for quota in quotas]),
                "quota": _named(np.where(drawn, self.drawn_by, self.matched), [quota.name for quota in quotas]),
                "rank": _known(self.ranks),
                "why": _named(np.where(drawn, -1, self.why), ["; ".join(reasons) for reasons in self.whys]),
            }
        ).cast(PICKS)


def _line(
    eligible: pl.DataFrame, quota: Quota, seed: int, vectors_of: VectorsOf | None
) -> tuple[Integers, dict[str, Integers]]:
    """Positions among the eligible records in the order of the line, and those that are passed by, by why."""
    domains = np.zeros(len(eligible), dtype=np.int64) if quota.by is None else codes(eligible[quota.by])
    caps = {column: (codes(eligible[column]), most) for column, most in quota.at_most.items()}
    order = order_of(quota.order, quota.order_parameters, Candidates(eligible, seed, domains), vectors_of)
    if isinstance(order, Greedy):
        line, capped = greedily(domains, order, most=quota.take, temperature=quota.temperature, caps=caps)
    else:
        line, capped = interleaved(domains, order, temperature=quota.temperature, caps=caps)
    passed = {f"at most {quota.at_most[column]} of {column}": rows for column, rows in capped.items()}
    if isinstance(order, Greedy):
        passed |= {why: np.array(rows, dtype=np.int64) for why, rows in order.refused.items()}
    return line, passed


def order_of(
    name: str, parameters: Mapping[str, Any], candidates: Candidates, vectors_of: VectorsOf | None
) -> pl.Series | Greedy:
    """The order of that name over the candidates, with the vectors that it asks for."""
    ranking = registry.get("rankings", name)
    if ranking.measure:
        if vectors_of is None:
            raise PipelineError(f"the order {name!r} needs vectors, and there are none", next="run a pipeline")
        on = parameters.get("on", ranking.text)
        candidates = replace(candidates, vectors=vectors_of(ranking.measure, on, candidates.rows["id"]))
    return ranking(candidates, **parameters)  # type: ignore[no-any-return]


def _known(numbers: Integers) -> pl.Series:
    """The numbers, null for those that are negative."""
    return pl.Series(numbers).set(pl.Series(numbers < 0), None)


def _named(at: Integers, names: list[str]) -> pl.Series:
    """The name at each position, null where the position is negative."""
    return pl.Series(names, dtype=pl.String).gather(_known(at))
