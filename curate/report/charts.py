"""The charts of the page and of notebooks: plain JSON in, an Altair chart out.

Each takes a part of the report's numbers (see `curate.report.numbers`). What a chart says by colour it says by
shape, place or words too. In a notebook a chart is shown as it is, with tooltips; `svg` makes it part of a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from curate.report.charts_map import embedding_map
from curate.report.charts_round import sunburst
from curate.report.charts_sets import marks, overlap, strip
from curate.report.charts_style import ACCENT, INK, SOFT, TINT, WIDTH, altair, data, styled
from curate.report.charts_svg import svg
from curate.report.words import compact, count, figure, short

__all__ = ["bars", "embedding_map", "funnel", "histogram", "marks", "overlap", "strip", "sunburst", "svg"]

Json = Mapping[str, Any]

BARS: Final = 15
_TICKS: Final = 6


def histogram(
    bins: Sequence[Json], *, limit: float | None = None, rejects: str = "", unit: str = "", what: str = "limit"
) -> Any:
    """Records by a number, in the bins given, each drawn equally wide, with the limit where there is one.

    `bins` are `{"from", "below", "records"}`, `below` None where the last is open. What a rule `rejects`
    ("below" or "above" the limit) is drawn hollow.
    """
    alt = altair()
    edges = [each["from"] for each in bins] + [bins[-1]["below"]]
    place = None if limit is None else _place(limit, edges)
    rows = []
    for number, each in enumerate(bins):
        out = place is not None and (
            (rejects == "below" and number + 1 <= place + 1e-9) or (rejects == "above" and number >= place - 1e-9)
        )
        rows.append(
            {
                "left": number + 0.04,
                "right": number + 0.96,
                "records": each["records"],
                "range": span(each),
                "side": "rejected" if out else "kept",
            }
        )
    named = [number for number, edge in enumerate(edges) if edge is not None]
    ticks = named[:: -(-len(named) // _TICKS)]
    names = [compact(edges[number]) for number in ticks]
    x = alt.X(
        "left:Q",
        scale=alt.Scale(domain=[0, len(bins)], nice=False, zero=False),
        axis=alt.Axis(
            title=unit or None,
            values=ticks,
            labelExpr=f"{names!r}[indexof({ticks!r}, datum.value)]",
            labelFlush=False,
            grid=False,
        ),
    )
    y = alt.Y("records:Q", axis=alt.Axis(title="records", tickCount=3, format="~s", domain=False, ticks=False))
    tips = [alt.Tooltip("range:N"), alt.Tooltip("records:Q", format=","), alt.Tooltip("side:N")]
    layers = []
    for side, look in (
        ("kept", {"color": ACCENT}),
        ("rejected", {"color": TINT, "stroke": ACCENT, "strokeDash": [3, 2], "strokeWidth": 1}),
    ):
        chosen = [row for row in rows if row["side"] == side and row["records"]]
        if chosen:
            bar = alt.Chart(data(chosen)).mark_rect(**look)
            layers.append(bar.encode(x=x, x2="right:Q", y=y, y2=alt.datum(0), tooltip=tips))
    if limit is not None and place is not None:
        within = _within(limit, edges)
        late = place > len(bins) / 2
        name = f"{what} {figure(limit)}"
        if not within:
            name = f"{name} lies beyond →" if late else f"← {name} lies below"
        at = [{"left": place, "name": name}]
        if within:
            layers.append(alt.Chart(data(at)).mark_rule(color=INK, strokeWidth=1.5).encode(x="left:Q"))
        words = alt.Chart(data(at)).mark_text(
            align="right" if late else "left", dx=-5 if late else 5, dy=-1, baseline="bottom", color=INK
        )
        layers.append(words.encode(x="left:Q", y=alt.value(0), text="name:N"))
    return styled(alt.layer(*layers), 190, padding=4)


def span(bin: Json) -> str:
    """The numbers a bin holds, in words."""
    low, high = bin["from"], bin["below"]
    if high is None:
        return f"{figure(low)} and more"
    if low is None:
        return f"below {figure(high)}"
    if isinstance(low, int) and isinstance(high, int):
        return f"{low:,} to {high - 1:,}" if high - 1 > low else f"{low:,}"
    return f"{figure(low)} to below {figure(high)}"


def _within(limit: float, edges: Sequence[float | None]) -> bool:
    known = [edge for edge in edges if edge is not None]
    return known[0] <= limit <= known[-1]


def _place(limit: float, edges: Sequence[float | None]) -> float:
    """Where a limit lies among bins drawn equally wide: at an end where no bin parts at it."""
    known = [(place, float(edge)) for place, edge in enumerate(edges) if edge is not None]
    if limit < known[0][1]:
        return 0.0
    for (place, low), (_, high) in pairwise(known):
        if limit <= high:
            return place + (limit - low) / (high - low)
    return float(len(edges) - 1)


def bars(rows: Sequence[Json], *, label: str, number: str = "records", most: int = BARS) -> Any:
    """One bar a row, in the order given; beyond `most` rows the rest is one bar."""
    alt = altair()
    shown = [{"order": n, "label": short(row[label], 21), "n": row[number]} for n, row in enumerate(rows[:most])]
    rest = rows[most:]
    if rest:
        left = sum(row[number] for row in rest)
        shown.append({"order": most, "label": f"{len(rest):,} others", "n": left})
    for row in shown:
        row["said"] = count(row["n"])
    y = alt.Y("order:O", axis=None, scale=alt.Scale(paddingInner=0.35))
    top = max(1, *(row["n"] for row in shown)) if shown else 1
    x = alt.X("n:Q", axis=None, scale=alt.Scale(domain=[0, top], range=[132, WIDTH - 62]))
    tips = [alt.Tooltip("label:N"), alt.Tooltip("n:Q", format=",", title=number)]
    made = alt.Chart(data(shown))
    return styled(
        alt.layer(
            made.mark_bar(color=ACCENT, cornerRadiusEnd=2).encode(x=x, x2=alt.datum(0), y=y, tooltip=tips),
            made.mark_text(align="left").encode(x=alt.value(0), y=y, text="label:N"),
            made.mark_text(align="left", dx=5, color=SOFT).encode(x=x, y=y, text="said:N"),
        ),
        21 * max(1, len(shown)),
    )


def funnel(total: Json) -> Any:
    """How many records are left after each stage, and how many it took away."""
    rows = [{"step": "records", "left": total["records"], "removed": 0}, *total["steps"]]
    alt = altair()
    shown = [
        {"order": n, "step": short(row["step"], 25), "left": row["left"], "end": row["left"] + row["removed"]}
        | {"removed": row["removed"], "said": count(row["left"])}
        for n, row in enumerate(rows)
    ]
    y = alt.Y("order:O", axis=None, scale=alt.Scale(paddingInner=0.35))
    scale = alt.Scale(domain=[0, max(1, total["records"])], range=[150, WIDTH - 55])
    tips = [alt.Tooltip("step:N"), alt.Tooltip("removed:Q", format=","), alt.Tooltip("left:Q", format=",")]
    made = alt.Chart(data(shown))
    return styled(
        alt.layer(
            made.mark_bar(color=ACCENT).encode(
                x=alt.X("left:Q", axis=None, scale=scale), x2=alt.datum(0), y=y, tooltip=tips
            ),
            made.mark_bar(color=TINT, stroke=ACCENT, strokeWidth=0.7, strokeDash=[3, 2]).encode(
                x=alt.X("left:Q", scale=scale), x2="end:Q", y=y, tooltip=tips
            ),
            made.mark_text(align="left").encode(x=alt.value(0), y=y, text="step:N"),
            made.mark_text(align="left", dx=5, color=SOFT).encode(
                x=alt.X("end:Q", scale=scale), y=y, text="said:N"
            ),
        ),
        22 * len(shown),
    )
