"""Shifts of distributions as a table in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from curate.cli.shown import visible

_SHOWN: Final = 12  # distributions; the page and the JSON have all
_NARROW: Final = 100  # columns below which what is most frequent has no room
_CATEGORY: Final = 18  # characters of a category
_POPULATIONS: Final = {"judged": " (all judged)", "kept": "", "all": ""}


def print_shifts(shifts: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print how far each distribution is apart, the furthest first, and name those that are not apart."""
    apart = [row for row in shifts if row["shift"] != 0]
    console.print(Text("\nShifts of distributions", style="bold"))
    if not apart:
        console.print("None: every distribution is the same on both sides.")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("distribution", overflow="fold")
    for side in ("A", "B"):
        table.add_column(side, justify="right", no_wrap=True)
    for name in ("shift", "by chance"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in apart[:_SHOWN]:
        # What is no further apart than chance would have it says nothing.
        loud = row["shift"] is not None and row["shift"] > (row["by_chance"] or 0)
        table.add_row(
            Text(f"{row['title']}{_POPULATIONS[row['of']]}"),
            *(Text(_middle(row, side, narrow=console.width < _NARROW)) for side in "ab"),
            Text(_percent(row["shift"]), style="bold" if loud else "dim"),
            Text(_percent(row["by_chance"]), style="dim"),
        )
    console.print(table)
    left = len(apart) - _SHOWN
    if left > 0:
        console.print(Text(f"and {left:,} more; --html has all.", style="dim"))
    console.print(
        Text(
            "A and B: the median of numbers, the most frequent of categories, or the share of what is so. Shift:"
            " the Kolmogorov-Smirnov distance of numbers, the total variation distance of categories. By chance:"
            " what two random draws of these sizes would show.",
            style="dim",
        )
    )


def _percent(share: float | None) -> str:
    from curate.report.page import percent

    return percent(share)


def _middle(row: Mapping[str, Any], side: str, *, narrow: bool) -> str:
    if row["kind"] == "number":
        median = row[side]["median"]
        return "–" if median is None else f"{median:,}" if isinstance(median, int) else f"{median:,.4g}"
    found = row["leading"][side]
    if found is None:
        return "–"
    category, share = found["category"], _percent(found["share"])
    name = visible(category if category is not None else "not stated")
    if len(name) > _CATEGORY:
        name = f"{name[: _CATEGORY - 1]}…"
    return share if narrow or category == "yes" else f"{name} {share}"
