"""Where texts lie beside one another, by what became of them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from curate.report.charts_style import ACCENT, BLUE, INK, RUST, SOFT, altair, styled
from curate.report.words import short

Json = Mapping[str, Any]


def embedding_map(drawn: Json, *, state: str | None = None) -> Any:
    """Texts as points, near where their embeddings are near: all by state, or one state before the others."""
    alt = altair()
    axes = {
        axis: kind(f"{axis}:Q", axis=None, scale=alt.Scale(domain=_range(drawn["points"], place), nice=False))
        for place, (axis, kind) in enumerate((("x", alt.X), ("y", alt.Y)))
    }
    if state is None:
        made = alt.Chart(_table(drawn)).mark_point(filled=True, size=14, opacity=0.75)
        points = made.encode(
            **axes,
            color=alt.Color("state:N", scale=alt.Scale(range=[ACCENT, RUST, BLUE, SOFT, INK])),
            shape=alt.Shape("state:N"),
            tooltip=["state:N", "source:N"],
        )
        return styled(points, 340, width=460)
    layers = []
    pale, dark = {"color": SOFT, "size": 6, "opacity": 0.3}, {"color": ACCENT, "size": 10, "opacity": 1}
    for own, look in ((False, pale), (True, dark)):
        chosen = [point for point in drawn["points"] if (drawn["states"][point[2]] == state) is own]
        if chosen:
            made = alt.Chart(_table(dict(drawn) | {"points": chosen})).mark_circle(strokeWidth=0, **look)
            layers.append(made.encode(**axes, tooltip=["state:N", "source:N"]))
    return styled(alt.layer(*layers), 260, padding=6)


def _table(drawn: Json) -> Any:
    """The points as one text: Altair copies a chart's data time and again, and a text costs nothing to copy."""
    written = StringIO()
    lines = csv.writer(written, lineterminator="\n")
    lines.writerow(["x", "y", "state", "source"])
    states, sources = ([short(name) for name in drawn[key]] for key in ("states", "sources"))
    lines.writerows([x, y, states[s], sources[f]] for x, y, s, f in drawn["points"])
    alt = altair()
    return alt.InlineData(values=written.getvalue(), format=alt.DataFormat(type="csv"))


def _range(points: Sequence[Sequence[float]], place: int) -> list[float]:
    along = [point[place] for point in points]
    low, high = min(along), max(along)
    return [low, high] if high > low else [low - 1, high + 1]
