"""Sets beside one another on every metric, with the band of random draws in which chance alone lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.metrics.contract import COLUMNS, Sample
from curate.metrics.prepared import Prepared

Json = dict[str, Any]
Places = NDArray[np.int64]

# What of 20 draws one lies below and one above, near enough: the 5% and 95% quantiles.
_BAND: Final = (0.05, 0.5, 0.95)

UNEQUAL: Final = "only sets of one size may be compared"


def panel(
    pool: Prepared, sets: Mapping[str, Places], *, of: str, draws: Sequence[Places] = (), model: str = ""
) -> list[Json]:
    """Every metric of some sets from one pool, beside random draws as large as the set `of` that name.

    A row a metric: `name`, `title`, `unit`, `kind`, `higher`, `formula`, `source`, `summary`; `n`, `seed` and
    `model` (of vectors, null where they are not needed); `values` by set; of draws the `band` (`low`, `median`,
    `high`: the 5%, 50% and 95% quantiles), and the `percentile` of the set in question among them, 0 to 100, a
    draw of the same value counting half, with the `draws` that are `below`, `equal` and `above`; all are null
    where there are no draws. A value is null where it cannot be told, or where the metric changes with the number
    of rows and the set has another number: then `note` says so. Metrics that no set has are left out.
    """
    size = len(sets[of])
    other = [name for name, places in sets.items() if len(places) != size]
    values = {name: pool.values(places, of_any_size=name in other) for name, places in sets.items()}
    drawn = [pool.values(places) for places in draws]
    rows: list[Json] = []
    for info in pool.infos():
        told = {name: values[name].get(info.name) for name in sets}
        if all(value is None for value in told.values()):
            continue
        chance = [each[info.name] for each in drawn]
        known = np.array([value for value in chance if value is not None])
        rows.append(
            {key: value for key, value in asdict(info).items() if key not in {"needs", "equal_size"}}
            | {
                "n": size,
                "seed": pool.seed,
                "model": None if info.needs == "text" else model,
                "values": told,
                "band": _band(known),
                **_beside(told[of], known),
                "note": UNEQUAL if other and info.equal_size else "",
            }
        )
    return rows


def measure(
    samples: Mapping[str, Sample], pool: Sample | None = None, *, seed: int, model: str = ""
) -> list[Json]:
    """Every metric of samples of any origin, beside that of their pool where there is one; rows as of `panel`.

    Without a pool, all samples together are what clusters and coverage refer to. A record in several samples, or
    in a sample and the pool, is one by its id. Vectors count where every sample, and the pool, has them.
    """
    given = [*samples.values(), *([pool] if pool else [])]
    rows = pl.concat([each.rows.select(*COLUMNS) for each in given]).with_row_index("at")
    firsts = rows.unique("id", keep="first", maintain_order=True)
    place = firsts.select("id", place=pl.int_range(pl.len()))
    every = [each.vectors for each in given if each.vectors is not None]
    vectors = np.concatenate(every)[firsts["at"].to_numpy()] if len(every) == len(given) else None

    def places(sample: Sample) -> Places:
        found = sample.rows.select("id").join(place, on="id", how="left", maintain_order="left")["place"]
        return found.to_numpy().astype(np.int64)

    sets = {name: places(sample) for name, sample in samples.items()}
    reference = places(pool) if pool else None
    prepared = Prepared(Sample(firsts.drop("at"), vectors), seed=seed, reference=reference)
    return panel(
        prepared, sets | ({"pool": reference} if reference is not None else {}), of=next(iter(sets)), model=model
    )


def _band(known: NDArray[np.float64]) -> Json | None:
    if not len(known):
        return None
    low, median, high = (float(f"{value:.9g}") for value in np.quantile(known, _BAND))
    return {"low": low, "median": median, "high": high}


def _beside(value: float | None, known: NDArray[np.float64]) -> Json:
    """How many draws have a lower, the same and a higher value, and the percentile that these make."""
    if value is None or not len(known):
        return {"percentile": None, "draws": None}
    below, same = int((known < value).sum()), int((known == value).sum())
    draws = {"below": below, "equal": same, "above": len(known) - below - same}
    return {"percentile": 100 * (below + same / 2) / len(known), "draws": draws}
