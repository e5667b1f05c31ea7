"""The curves of a training run: what each step was, in so few points that a page and its tables can hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from curate.report.charts_style import ACCENT, LINE, RUST, TINT, altair, data, styled
from curate.report.words import compact, figure

Json = Mapping[str, Any]

POINTS: Final = 60  # of a curve; more steps are averaged, with the least and the most of them as a band
_HEIGHT: Final = 200
_MOST_LINES: Final = 20  # epochs whose ends are marked


def points(steps: Sequence[Json], key: str, most: int = POINTS) -> list[dict[str, Any]]:
    """The values of a key over steps, in at most so many points: `first` and `last` step, `mean`, `least`, `most`.

    Steps without a finite value are left out.
    """
    known = [(each["step"], float(each[key])) for each in steps if _finite(each.get(key))]
    size = together(len(known), most)
    return [
        {
            "first": group[0][0],
            "last": group[-1][0],
            "at": (group[0][0] + group[-1][0]) / 2,
            "mean": sum(value for _, value in group) / len(group),
            "least": min(value for _, value in group),
            "most": max(value for _, value in group),
        }
        for group in (known[start : start + size] for start in range(0, len(known), size))
    ]


def together(steps: int, most: int = POINTS) -> int:
    """How many steps a point is of."""
    return max(1, -(-steps // most))


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) != float("inf") and value == value  # noqa: PLR0124 - NaN


def curve(
    shown: Sequence[Json],
    *,
    title: str,
    marks: Sequence[Json] = (),
    ends: Sequence[int] = (),
    log: bool = False,
) -> Any:
    """Points of `points` as a line with a band, over steps.

    `marks` are `{"step", "value"}` of dev, drawn as diamonds; `ends` are the steps at which epochs end.
    """
    alt = altair()
    steps = [each["at"] for each in shown] + [mark["step"] for mark in marks]
    low, high = min(steps), max(*steps, min(steps) + 1)
    values = [float(each[key]) for each in shown for key in ("least", "most")] + [mark["value"] for mark in marks]
    x = alt.X(
        "at:Q",
        scale=alt.Scale(domain=[low, high], nice=False, zero=False),
        axis=alt.Axis(title="step", tickCount=5, format=",d", grid=False),
    )
    # Rates lie over powers of ten; of a loss, differences count.
    scale = alt.Scale(type="log" if log else "linear", domain=_domain(values, log=log), nice=not log, zero=False)
    form = "~e" if log else "~s" if max(values) >= 10 else "~g"
    y = alt.Y("mean:Q", scale=scale, axis=alt.Axis(title=title, tickCount=4, format=form, domain=False))
    layers = []
    if 1 < len(ends) <= _MOST_LINES:
        rows = [{"at": step} for step in ends[:-1]]
        layers.append(alt.Chart(data(rows)).mark_rule(color=LINE, strokeWidth=1).encode(x=x))
    made = alt.Chart(data([dict(each) for each in shown]))
    if any(each["first"] < each["last"] for each in shown):
        layers.append(made.mark_area(color=TINT).encode(x=x, y=alt.Y("least:Q", scale=scale), y2="most:Q"))
    line = made.mark_line(color=ACCENT, strokeWidth=1.8) if len(shown) > 1 else made.mark_point(color=ACCENT)
    layers.append(line.encode(x=x, y=y))
    if marks:
        rows = [{"at": mark["step"], "mean": mark["value"]} for mark in marks]
        own = alt.Chart(data(rows))
        layers.append(own.mark_line(color=RUST, strokeWidth=1, strokeDash=[2, 2]).encode(x=x, y=y))
        layers.append(
            own.mark_point(shape="diamond", filled=True, color=RUST, size=46, opacity=1).encode(x=x, y=y)
        )
        layers += _named(rows, "dev", RUST, x, y)
        early = shown[len(shown) // 6]
        layers += _named([{"at": early["at"], "mean": early["most"]}], "train", ACCENT, x, y, right=True)
    return styled(alt.layer(*layers), _HEIGHT, padding=6)


def _named(rows: Sequence[Json], name: str, colour: str, x: Any, y: Any, *, right: bool = False) -> list[Any]:
    """A line's name above its last point, or right of it."""
    alt = altair()
    last = {**rows[-1], "name": name}
    place = {"align": "left", "dx": 6, "dy": -3} if right else {"align": "right", "dx": -2, "dy": -6}
    text = alt.Chart(data([last])).mark_text(baseline="bottom", color=colour, **place)
    return [text.encode(x=x, y=y, text="name:N")]


def _domain(values: Sequence[float], *, log: bool) -> list[float]:
    low, high = min(values), max(values)
    if log:
        return [low / 1.2, high * 1.2]
    room = 0.04 * (high - low) or 0.5
    return [max(0.0, low - room) if low >= 0 else low - room, high + room]


def rows(shown: Sequence[Json]) -> list[list[Any]]:
    """The points of a curve as a table: steps, mean, least and most."""
    return [
        [
            f"{each['first']:,}" if each["first"] == each["last"] else f"{each['first']:,} to {each['last']:,}",
            *(figure(each[key]) for key in ("mean", "least", "most")),
        ]
        for each in shown
    ]


def described(shown: Sequence[Json]) -> str:
    """A curve in words: where it begins and ends."""
    first, last = shown[0], shown[-1]
    return (
        f"A line of {len(shown)} points from {compact(first['mean'])} at step {first['first']:,} to"
        f" {compact(last['mean'])} at step {last['last']:,}."
    )
