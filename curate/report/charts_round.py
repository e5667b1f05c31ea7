"""The verbs that begin instructions, and the nouns they act on, as two rings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import cos, pi, sin
from typing import Any, Final

from curate.report.charts_style import ACCENT, INK, PAGE, SOFT, WIDTH, altair, data, styled
from curate.report.words import count, short

VERBS: Final = 20  # and as many nouns to each: as the figure of Self-Instruct (arXiv 2212.10560, figure 2)
NOUNS: Final = 4
_RADII: Final = ((48, 108), (108, 167))  # of the ring of verbs and of the ring of nouns
_SIZE: Final = 10
_LETTERS: Final = 11  # how many fit across a ring


def sunburst(verbs: Mapping[str, Any]) -> Any:
    """The most frequent verbs as an inner ring, their most frequent nouns as an outer one.

    A piece is as wide as its share of the rows whose verb is shown. One that is too narrow for letters has none;
    nouns beyond those named are the plain end of each verb's piece.
    """
    alt = altair()
    pieces = list(_pieces(verbs["verbs"][:VERBS]))
    made = alt.Chart(data(pieces))
    arcs = made.mark_arc(stroke=PAGE, strokeWidth=1.2).encode(
        theta=alt.Theta("start:Q", scale=None),
        theta2="end:Q",
        radius=alt.Radius("outer:Q", scale=None),
        radius2="inner:Q",
        fill=alt.Fill("fill:N", scale=None),
        fillOpacity=alt.FillOpacity("strength:Q", scale=None),
        tooltip=["name:N", alt.Tooltip("records:Q", format=",")],
    )
    named = [piece for piece in pieces if piece["label"]]
    words = alt.Chart(data(named)).mark_text(color=INK, fontSize=_SIZE, align="center", baseline="middle")
    labels = words.encode(
        x=alt.X("x:Q", scale=None, axis=None),
        y=alt.Y("y:Q", scale=None, axis=None),
        angle=alt.Angle("angle:Q", scale=None),
        text="label:N",
    )
    return styled(alt.layer(arcs, labels), WIDTH)


def _pieces(verbs: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The pieces of both rings, the verbs' first, with what is written on each and where."""
    whole = sum(verb["records"] for verb in verbs) or 1
    turn = 2 * pi / whole
    start = 0
    outer = []
    for place, verb in enumerate(verbs):
        look = {"fill": (ACCENT, SOFT)[place % 2], "strength": 0.24}
        yield _piece(verb["verb"], verb["records"], start, turn, 0) | look
        at = start
        for noun in verb["nouns"][:NOUNS]:
            outer.append(_piece(noun["noun"], noun["records"], at, turn, 1) | look | {"strength": 0.15})
            at += noun["records"]
        start += verb["records"]
        if at < start:
            rest = _piece(f"{verb['verb']}, other nouns or none", start - at, at, turn, 1)
            outer.append(rest | look | {"strength": 0.05, "label": ""})
    yield from outer


def _piece(name: str, records: int, start: int, turn: float, ring: int) -> dict[str, Any]:
    inner, outer = _RADII[ring]
    begin, end = start * turn, (start + records) * turn
    middle, radius = (begin + end) / 2, (inner + outer) / 2
    upright = middle <= pi
    fits = (end - begin) * radius >= _SIZE + 1
    centre = (WIDTH - 4) / 2
    return {
        "name": short(name),
        "records": records,
        "said": count(records),
        "start": begin,
        "end": end,
        "inner": inner,
        "outer": outer,
        "label": short(name, _LETTERS) if fits else "",
        "x": centre + radius * sin(middle),
        "y": centre - radius * cos(middle),
        "angle": middle * 180 / pi + (-90 if upright else 90),
    }
