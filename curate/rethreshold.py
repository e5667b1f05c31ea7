"""What a run would drop at another threshold, told from the pairs that it stored; nothing is compared again.

Of vectors, all pairs down to a floor are stored, so the walk is done once more and its answer is that of a run.
Other methods store what a dropped record matched among the kept ones. Then a record that no longer matches any
comes back; but it was never compared with others that come back, nor with kept ones that come after it, which may
go in turn. So the answer is a range, whose ends no run can pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.dedup import stars
from curate.diff import Finished
from curate.errors import PipelineError

# A row for each pass and threshold that is asked for. `gained` are records that the run drops and this threshold
# keeps, `lost` the other way round: at least and at most. Where these are equal and yet not `exact`, they hold if
# other passes find nothing in what comes back. `unmatched`: dropped records that match none of the run's kept ones
# any more. `said`: why there are no numbers, or what they leave open.
RETHRESHOLDED: Final = pl.Schema(
    {
        "method": pl.String(),
        "on": pl.String(),
        "run_threshold": pl.Float64(),
        "threshold": pl.Float64(),
        "exact": pl.Boolean(),
        "kept_least": pl.UInt64(),
        "kept_most": pl.UInt64(),
        "dropped_least": pl.UInt64(),
        "dropped_most": pl.UInt64(),
        "gained_least": pl.UInt64(),
        "gained_most": pl.UInt64(),
        "lost_least": pl.UInt64(),
        "lost_most": pl.UInt64(),
        "unmatched": pl.UInt64(),
        "said": pl.String(),
    }
)
_AT_ONCE: Final = 1_000_000  # pairs that are Python's numbers, which take ten times the bytes


def rethresholded(order: pl.Series, pairs: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Which records go at a threshold, for which: the walk of `curate.dedup.stars` over given pairs.

    `order` are all ids, the preferred first; `pairs` have `id_a`, `id_b` and their `similarity`. A record joins
    the most preferred kept one among those it is paired with; without any, it is kept. The result has a row for
    each record that goes, in order: `id`, `kept_id`, `similarity`.
    """
    rows = order.to_frame("id").with_row_index("row")
    placed = (
        pairs.lazy()
        .filter(pl.col("similarity") >= threshold)
        .join(rows.lazy().rename({"id": "id_a", "row": "a"}), on="id_a")
        .join(rows.lazy().rename({"id": "id_b", "row": "b"}), on="id_b")
        .select(row=pl.max_horizontal("a", "b"), preferred=pl.min_horizontal("a", "b"), similarity="similarity")
        # Of passes that met the same pair, the first counts, as in the run.
        .unique(["row", "preferred"], keep="first", maintain_order=True)
        .sort("row", "preferred")
        .collect()
    )
    kept = np.ones(len(order), np.bool_)
    row, preferred = (placed[name].to_numpy() for name in ("row", "preferred"))
    joined = []
    for start in range(0, len(row), _AT_ONCE):
        piece = slice(start, start + _AT_ONCE)
        # A row's pairs lie together, and rows preferred to it are decided before it.
        for place, (own, other) in enumerate(
            zip(row[piece].tolist(), preferred[piece].tolist(), strict=True), start
        ):
            if kept[own] and kept[other]:
                kept[own] = False
                joined.append(place)
    went = placed[joined]
    return pl.DataFrame(
        {
            "id": order.gather(went["row"]),
            "kept_id": order.gather(went["preferred"]),
            "similarity": went["similarity"],
        }
    )


def preferred_first(run: Finished) -> pl.Series:
    """The ids of the records that came to deduplication, in the order in which the run decided them."""
    pipeline = run.manifest["pipeline"]
    names = [source["name"] for source in pipeline["sources"]]
    came = run.table("ledger").filter(pl.col("state").is_in(["kept", "duplicate", "not drawn"])).select("id")
    frame = stars.ranked(run.table("records"), names).join(came, on="id", how="semi").collect()
    return stars.preferred_first(frame, pipeline["keep"])["id"]


def rethreshold(run: Finished, thresholds: Iterable[float]) -> pl.DataFrame:
    """What each pass of a run that has a threshold would drop at others, the rest of the pipeline as it is.

    The columns are those of `RETHRESHOLDED`.

    Raises `PipelineError` for a threshold outside (0, 1].
    """
    asked = sorted(set(thresholds))
    for threshold in asked:
        if not 0 < threshold <= 1:
            raise PipelineError(
                f"a similarity of {threshold} cannot be a threshold", next="give a number above 0, up to 1"
            )
    calls = [call for call in run.manifest["pipeline"]["dedup"] if not call.get("against")]
    mine = [call for call in calls if "threshold" in call]
    if not mine:
        return pl.DataFrame(schema=RETHRESHOLDED)
    stored = _Stored(run, preferred_first(run), run.table("pairs").collect(), run.table("duplicates").collect())
    told = []
    for call in mine:
        like = [other for other in calls if (other["use"], other["on"]) == (call["use"], call["on"])]
        for threshold in asked:
            answer = _unknown("the pairs of two like passes cannot be told apart") if len(like) > 1 else None
            answer = answer or stored.answer(call, threshold, alone=len(calls) == 1)
            told.append(
                {"method": call["use"], "on": call["on"], "run_threshold": call["threshold"]}
                | {"threshold": threshold}
                | answer
            )
    return pl.DataFrame(told, schema=RETHRESHOLDED).unique(maintain_order=True)


@dataclass(frozen=True)
class _Stored:
    """What a run stored, and the order in which it decided."""

    run: Finished
    order: pl.Series
    pairs: pl.DataFrame
    duplicates: pl.DataFrame

    def answer(self, call: dict[str, Any], threshold: float, *, alone: bool) -> dict[str, Any]:
        """The numbers for one pass at a threshold. `alone`: it is the only pass of the run."""
        table = f"neighbours_{call['on']}"
        of_pass = (pl.col("method") == call["use"]) & (pl.col("on") == call["on"])
        others = self.pairs.filter(~of_pass)
        if "floor" in call and table in self.run.manifest["tables"]:
            if threshold < call["floor"]:
                return _unknown(f"pairs below {call['floor']:g} are not stored: run with a lower floor")
            near = self.run.table(table).filter(pl.col("similarity") >= threshold).collect()
            # What another pass matched counts whatever its similarity.
            every = pl.concat([near, others.select(near.columns).with_columns(similarity=pl.lit(1.0))])
            return self._walked(rethresholded(self.order, every, threshold), alone=alone)
        if threshold < call["threshold"]:
            return _unknown(f"pairs below {call['threshold']:g} are not stored: run with that threshold")
        counting = pl.concat([self.pairs.filter(of_pass & (pl.col("similarity") >= threshold)), others])
        return self._bounded(counting)

    def _walked(self, went: pl.DataFrame, *, alone: bool) -> dict[str, Any]:
        gained = self.duplicates.join(went, on="id", how="anti").height
        lost = went.join(self.duplicates, on="id", how="anti").height
        # Other passes compared records with the kept ones alone; where none is new, they have nothing to add.
        exact = alone or not gained
        said = "" if exact else f"other passes never compared the {gained:,} that come back, and may drop some"
        return self._numbers((gained, gained), (lost, lost), exact=exact, said=said)

    def _bounded(self, counting: pl.DataFrame) -> dict[str, Any]:
        place = dict(zip(self.order, range(len(self.order)), strict=True))
        dropped = np.zeros(len(self.order), np.bool_)
        dropped[[place[id] for id in self.duplicates["id"]]] = True
        # Of the two of a stored pair, one is kept.
        ends: list[NDArray[np.int64]] = [
            np.array([place[id] for id in counting[name]], np.int64) for name in ("id_a", "id_b")
        ]
        row = np.where(dropped[ends[0]], *ends)
        kept = np.where(dropped[ends[0]], *ends[::-1])
        matched = np.zeros(len(self.order), np.bool_)
        matched[row] = True
        unmatched = np.flatnonzero(dropped & ~matched)
        if not len(unmatched):
            return self._numbers((0, 0), (0, 0), exact=True, said="") | {"unmatched": 0}
        # What is preferred to the first of them is decided as it was, and so it comes back.
        first = int(unmatched[0])
        sure = np.zeros(len(self.order), np.bool_)
        sure[row[kept < first]] = True
        loose = int((dropped & matched & ~sure).sum())
        at_risk = int((~dropped[first:]).sum())
        return self._numbers(
            (1, len(unmatched) + (loose if at_risk else 0)),
            (0, at_risk),
            exact=False,
            said="the unmatched are like no record that the run keeps, but were never compared with one another, "
            "nor with kept ones after them, which may go in turn: a run with that threshold tells",
        ) | {"unmatched": len(unmatched)}

    def _numbers(
        self, gained: tuple[int, int], lost: tuple[int, int], *, exact: bool, said: str
    ) -> dict[str, Any]:
        kept = len(self.order) - self.duplicates.height
        least, most = kept + gained[0] - lost[1], kept + gained[1] - lost[0]
        return {
            "exact": exact,
            "kept_least": least,
            "kept_most": most,
            "dropped_least": len(self.order) - most,
            "dropped_most": len(self.order) - least,
            "gained_least": gained[0],
            "gained_most": gained[1],
            "lost_least": lost[0],
            "lost_most": lost[1],
            "said": said,
        }


def _unknown(said: str) -> dict[str, Any]:
    return {"exact": False, "said": said}
