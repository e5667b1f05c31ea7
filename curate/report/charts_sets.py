"""A selection beside other sets: each metric on a line with the band of chance, and how far selectors agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import log2
from typing import Any, Final

from curate.report.charts_style import ACCENT, BLUE, LINE, PAGE, RUST, SOFT, TINT, WIDTH, altair, data, styled
from curate.report.words import count, figure, short

Json = Mapping[str, Any]

SELECTORS: Final = 7  # more would not fit beside one another in letters that can be read
NEAR: Final = 0.05  # of the line: marks that are no farther apart would cover each other
_CELL: Final = 48  # the height of a cell: three lines
# How each set is marked in a strip: shape, colour, whether filled, size. Other selectors take the last in turn.
MARKS: Final[dict[str, tuple[str, str, bool, int]]] = {
    "pool": ("square", SOFT, False, 55),
    "random": ("circle", SOFT, False, 45),
    "longest": ("diamond", RUST, True, 130),
    "selection": ("circle", ACCENT, True, 95),
}
OTHER_MARKS: Final = ("triangle-up", "triangle-down", "cross", "triangle-left", "triangle-right")


def marks(names: Iterable[str]) -> dict[str, tuple[str, str, bool, int]]:
    """The mark of each set, the known ones as they are always drawn."""
    others = [name for name in names if name not in MARKS]
    return {
        **{name: (OTHER_MARKS[n % len(OTHER_MARKS)], BLUE, False, 65) for n, name in enumerate(others)},
        **MARKS,
    }


def strip(metric: Json, sets: Sequence[Json]) -> Any:
    """One metric on a line: the band of random draws, and each set where it lies."""
    alt = altair()
    titles = {each["name"]: each["title"] for each in sets}
    look = marks(titles)
    found = [
        {"at": number, "name": name, "title": titles.get(name, name), "value": figure(number)}
        for name, number in metric["values"].items()
        if number is not None
    ]
    found.sort(key=lambda row: list(look).index(row["name"]) if row["name"] in look else -1)
    band = metric.get("band")
    ends = [row["at"] for row in found] + (list(band.values()) if band else [])
    low, high = min(ends), max(ends)
    room = (high - low or abs(high) or 1) * 0.06
    scale = alt.Scale(domain=[low - room, high + room], nice=False, zero=False)
    large = {"format": "~s"} if abs(high) >= 100_000 else {}
    axis = alt.Axis(title=None, tickCount=4, grid=False, **large)
    x = alt.X("at:Q", scale=scale, axis=axis)
    layers = []
    if band:
        box = [{"at": band["low"], "end": band["high"], "name": "random draws, 5th to 95th percentile"}]
        layers.append(
            alt.Chart(data(box))
            .mark_rect(color=TINT, stroke=ACCENT, strokeWidth=0.6, y=5, y2=31)
            .encode(x=x, x2="end:Q", tooltip=["name:N", "at:Q", "end:Q"])
        )
        layers.append(
            alt.Chart(data([{"at": band["median"]}]))
            .mark_rule(color=SOFT, strokeWidth=1.2, y=5, y2=31)
            .encode(x=x)
        )
    beside = lanes([row["at"] for row in found], (high - low) * NEAR)
    for row, lane in zip(found, beside, strict=True):
        shape, colour, filled, size = look.get(row["name"], ("cross", BLUE, False, 65))
        point = alt.Chart(data([row])).mark_point(
            shape=shape, size=size, opacity=1, y=18 + 9 * lane, strokeWidth=1.6, stroke=PAGE if filled else colour
        )
        fill = point.encode(
            x=x,
            fill=alt.value(colour if filled else PAGE),
            tooltip=[alt.Tooltip("title:N"), alt.Tooltip("value:N")],
        )
        layers.append(fill)
    return styled(alt.layer(*layers), 60, padding=4)


def lanes(places: Sequence[float], near: float) -> list[int]:
    """For each place how far it moves out of the line, so that no mark covers another: 0, 1, -1, 0 and so on.

    The last place is that of the set which the others are compared with, and stays in the line.
    """
    lane_of: dict[int, int] = {}
    for own in reversed(range(len(places))):
        taken = {lane_of[other] for other in lane_of if abs(places[other] - places[own]) <= near}
        lane_of[own] = next((lane for lane in (0, 1, -1) if lane not in taken), 0)
    return [lane_of[number] for number in range(len(places))]


def overlap(agreement: Json, titles: Mapping[str, str] | None = None) -> Any:
    """How many records each two selectors share, and how many times what chance would give.

    Below the diagonal, on which their names stand; darker is further from chance, with the factor in words.
    """
    alt = altair()
    names = agreement["names"][:SELECTORS]
    titles = titles or {}
    size = (WIDTH - 6) / len(names)
    cells: list[dict[str, Any]] = []
    letters: list[dict[str, Any]] = []
    for row, name in enumerate(names):
        cell = _cell(row, row, size) | {"fill": PAGE, "strength": 1}
        cells.append(cell)
        lines = [*_lines(titles.get(name, name), int(size / 6)), count(agreement["shared"][row][row])]
        letters += _written(cell, lines, bold=len(lines) - 1)
        for column in range(row):
            shared, chance = agreement["shared"][row][column], agreement["expected"][row][column]
            lift = shared / chance if chance else None
            far = min(1.0, abs(log2(lift)) / 3) if lift else 1.0
            times = "" if lift is None else f"{lift:.1f}×" if lift >= 1 else f"{lift:.2g}×"
            cell = _cell(row, column, size) | {
                "fill": ACCENT if lift is not None and lift >= 1 else RUST,
                "strength": round(0.06 + 0.34 * far, 3),
                "pair": f"{name} and {names[column]}",
                "shared": shared,
                "chance": chance,
            }
            cells.append(cell)
            letters += _written(cell, [count(shared), times], bold=1)
    x, y = (kind(f"{axis}:Q", scale=None, axis=None) for axis, kind in (("x", alt.X), ("y", alt.Y)))
    tips = ["pair:N", alt.Tooltip("shared:Q", format=","), alt.Tooltip("chance:Q", format=",.1f")]
    layers = [
        alt.Chart(data(cells))
        .mark_rect(stroke=LINE)
        .encode(
            x=x,
            x2="x2:Q",
            y=y,
            y2="y2:Q",
            fill=alt.Fill("fill:N", scale=None),
            fillOpacity=alt.FillOpacity("strength:Q", scale=None),
            tooltip=tips,
        )
    ]
    for bold in (True, False):
        chosen = alt.Chart(data([each for each in letters if each["bold"] is bold]))
        words = chosen.mark_text(align="center", baseline="middle", fontWeight="bold" if bold else "normal")
        layers.append(words.encode(x=x, y=y, text="text:N"))
    return styled(alt.layer(*layers), _CELL * len(names) + 4)


def _cell(row: int, column: int, size: float) -> dict[str, Any]:
    x, y = column * size, row * _CELL
    return {"x": x, "x2": x + size, "y": y, "y2": y + _CELL}


def _written(cell: Json, lines: Sequence[str], *, bold: int) -> list[dict[str, Any]]:
    """Lines of letters in the middle of a cell, the first of them bold."""
    x, y = (cell["x"] + cell["x2"]) / 2, (cell["y"] + cell["y2"]) / 2
    return [
        {"x": x, "y": y + 14 * (place - (len(lines) - 1) / 2), "text": line, "bold": place < bold}
        for place, line in enumerate(lines)
    ]


def _lines(title: str, width: int) -> list[str]:
    """A title in one or two lines of at most so many letters."""
    words = short(title, 3 * width).removeprefix("the ").removeprefix("a ").split()
    first = words[:1]
    while len(words) > len(first) and len(" ".join(words[: len(first) + 1])) <= width:
        first.append(words[len(first)])
    rest = " ".join(words[len(first) :])
    return [short(" ".join(first), width), *([short(rest, width)] if rest else [])]
