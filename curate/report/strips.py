"""One metric on a line: the band of random draws, and each set where it lies.

Written as SVG by hand: a page has some fifty of them, and each took Altair and vl-convert 0.1 s of a processor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import floor, log10
from typing import Any, Final

from curate.report.charts_sets import NEAR, lanes, marks
from curate.report.charts_style import BLUE, LETTERS, PAGE, VARIABLES, WIDTH
from curate.report.words import figure, visible

Json = Mapping[str, Any]

_HEIGHT: Final = 60
_LEFT: Final = 6  # of the line, and what is left free to the right of it
_MIDDLE: Final = 21  # of the marks, from above
_LANE: Final = 9  # by which a mark moves that would cover another
_HALF: Final = 13  # of the band's height
_AXIS: Final = 40
_ROOM: Final = 0.06  # of the line, beside its outermost mark
_TICKS: Final = 4

# Each shape around the origin, for a mark of an area of 4 r².
_SHAPES: Final = {
    "circle": "M-1,0a1,1,0,1,0,2,0a1,1,0,1,0,-2,0z",
    "square": "M-1-1h2v2h-2z",
    "diamond": "M0-1.3L1.3 0L0 1.3L-1.3 0z",
    "triangle-up": "M0-1.1L1.2 1H-1.2z",
    "triangle-down": "M0 1.1L1.2-1H-1.2z",
    "triangle-left": "M-1.1 0L1-1.2V1.2z",
    "triangle-right": "M1.1 0L-1-1.2V1.2z",
    "cross": "M-.4-1.2h.8v.8h.8v.8h-.8v.8h-.8v-.8h-.8v-.8h.8z",
}


def strip(metric: Json, sets: Sequence[Json], title: str, desc: str, *, id: str) -> str:
    """The strip as SVG with a title and a description that are read out; empty when no set has a value."""
    values = {name: float(number) for name, number in metric["values"].items() if number is not None}
    if not values:
        return ""
    band = metric.get("band")
    ends = [*values.values(), *(band.values() if band else ())]
    low, high = min(ends), max(ends)
    room = (high - low or abs(high) or 1.0) * _ROOM
    low, high = low - room, high + room

    def at(number: float) -> str:
        return f"{_LEFT + (number - low) / (high - low) * (WIDTH - 2 * _LEFT):.1f}"

    drawn = [*_axis(low, high, at), *(_band(band, at) if band else ()), *_marked(values, sets, at)]
    return (
        f'<svg width="{WIDTH}" height="{_HEIGHT}" viewBox="0 0 {WIDTH} {_HEIGHT}" class="chart" role="img"'
        f' aria-labelledby="{id}-title {id}-desc"><title id="{id}-title">{escape(visible(title))}</title>'
        f'<desc id="{id}-desc">{escape(visible(desc))}</desc>{"".join(drawn)}</svg>'
    )


def ticks(low: float, high: float) -> list[float]:
    """Some round numbers between two: multiples of 1, 2 or 5 times a power of ten."""
    span = (high - low) / _TICKS
    power = 10.0 ** floor(log10(span))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= span)
    first = floor(low / step) + 1
    return [round(n * step, 12) for n in range(first, floor(high / step) + 1)]


def _axis(low: float, high: float, at: Any) -> Iterator[str]:
    line = "var(--line)"
    yield f'<path d="M{_LEFT} {_AXIS}H{WIDTH - _LEFT}" stroke="{line}"/>'
    for number in ticks(low, high):
        x = at(number)
        yield (
            f'<path d="M{x} {_AXIS}v3" stroke="{line}"/><text x="{x}" y="{_AXIS + 14}" text-anchor="middle"'
            f' font-size="{LETTERS}px" fill="var(--soft)">{figure(number)}</text>'
        )


def _band(band: Json, at: Any) -> Iterator[str]:
    left, middle, right = (at(band[key]) for key in ("low", "median", "high"))
    width, top, height = max(float(right) - float(left), 1.0), _MIDDLE - _HALF, 2 * _HALF
    yield f'<path d="M{left} {top}h{width:.1f}v{height}h-{width:.1f}z" fill="var(--tint)" stroke="var(--accent)"/>'
    yield f'<path d="M{middle} {top}v{height}" stroke="var(--soft)" stroke-width="1.2"/>'


def _marked(values: Mapping[str, float], sets: Sequence[Json], at: Any) -> Iterator[str]:
    """A mark a set, the selection last: it lies above all others."""
    looks = marks(each["name"] for each in sets)
    order = list(looks)
    names = sorted(values, key=lambda name: order.index(name) if name in order else -1)
    places = [float(at(values[name])) for name in names]
    for name, place, lane in zip(names, places, lanes(places, NEAR * WIDTH), strict=True):
        shape, colour, filled, area = looks.get(name, ("cross", BLUE, False, 65))
        paint = f"var({VARIABLES[colour]})"
        page = f"var({VARIABLES[PAGE]})"
        size = (area / 4) ** 0.5
        yield (
            f'<path transform="translate({place} {_MIDDLE + _LANE * lane}) scale({size:.1f})" d="{_SHAPES[shape]}"'
            f' fill="{paint if filled else page}" stroke="{page if filled else paint}"'
            f' stroke-width="{1.6 / size:.2f}"/>'
        )
