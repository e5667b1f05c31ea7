"""A finished run as a notebook shows it: its records by source and state, the funnel, the alerts, and its charts.

Everything takes its colours from the page around it, so that it can be read on a dark one too.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.chat import LEFT, RIGHT
from curate.shifts import Finished

Json = Mapping[str, Any]

_BAR: Final = "display:inline-block;height:.8em;background:currentColor;vertical-align:baseline;margin-right:.4em"
_WIDE: Final = 16  # em: the bar of all records


def run_html(run: Finished, numbers: Json) -> str:
    """The run as HTML: a table of states by source, the funnel, alerts, and where its page lies."""
    parts = [f"<p style='{LEFT}'><strong><bdi>{escape(run.path.name)}</bdi></strong> {escape(_kept(numbers))}</p>"]
    alerts = "".join(f"<li>{escape(alert)}</li>" for alert in numbers["alerts"])
    parts.append(f"<ul style='{LEFT}'>{alerts}</ul>" if alerts else "")
    parts += [_states(numbers["ledger"]), _funnel(numbers["funnel"]["total"])]
    parts.append(f"<p style='{LEFT}'>Report: <code>{escape(report_of(run).as_posix())}</code></p>")
    return f"<div>{''.join(parts)}</div>"


def report_of(run: Finished) -> Path:
    """Where the run's page lies; its numbers, where the page was not made."""
    made = run.manifest["reports"]
    return run.path / next((name for name in ("report.html", "report.json") if name in made), min(made))


def _kept(numbers: Json) -> str:
    total = numbers["ledger"]["total"]
    splits = ", ".join(f"{rows:,} {split}" for split, rows in total["splits"].items() if rows)
    return f"keeps {total['kept']:,} of {total['records']:,} records{f': {splits}' if splits else ''}"


def _states(ledger: Json) -> str:
    states = [state for state in ledger["states"] if ledger["total"][state]]
    head = "".join(f"<th style='{RIGHT}'>{escape(name)}</th>" for name in ("records", *states))
    every = [*ledger["sources"], *([ledger["total"]] if len(ledger["sources"]) > 1 else [])]
    rows = "".join(
        f"<tr><th style='{LEFT}'><bdi>{escape(row['source'])}</bdi></th>"
        + "".join(f"<td style='{RIGHT}'>{row[name]:,}</td>" for name in ("records", *states))
        + "</tr>"
        for row in every
    )
    return f"<table><tr><th style='{LEFT}'>source</th>{head}</tr>{rows}</table>"


def _funnel(total: Json) -> str:
    most = max(1, total["records"])
    steps = [{"step": "records", "left": total["records"], "removed": 0}, *total["steps"]]
    rows = "".join(
        f"<tr><td style='{LEFT}'>{escape(step['step'])}</td><td style='{RIGHT}'>{_gone(step['removed'])}</td>"
        f"<td style='{LEFT}'><span style='{_BAR};width:{_WIDE * step['left'] / most:.2f}em'></span>"
        f"{step['left']:,}</td></tr>"
        for step in steps
        if step["removed"] or step is steps[0]
    )
    head = f"<tr><th style='{LEFT}'>step</th><th style='{RIGHT}'>goes</th><th style='{LEFT}'>left</th></tr>"
    return f"<table>{head}{rows}</table>"


def _gone(removed: int) -> str:
    return f"−{removed:,}" if removed else ""


def controls(numbers: Json) -> pl.DataFrame:
    """A row for each metric that the controls compare: its value for every set, and where chance lies.

    Columns: `metric`, `title`, `kind`, `higher` (what a higher value means), one for each set, `low` and `high`
    (the 5th and 95th of 100 random draws), and `percentile` of the selection among these. Empty without controls.
    """
    compared = numbers.get("controls") or {}
    sets = [each["name"] for each in compared.get("sets", ())]
    rows = [
        {"metric": each["name"], "title": each["title"], "kind": each["kind"], "higher": each["higher"]}
        | {name: each["values"].get(name) for name in sets}
        | {end: (each["band"] or {}).get(end) for end in ("low", "high")}
        | {"percentile": each["percentile"]}
        for each in compared.get("metrics", ())
    ]
    texts = dict.fromkeys(("metric", "title", "kind", "higher"), pl.String)
    return pl.DataFrame(rows, schema=texts | dict.fromkeys((*sets, "low", "high", "percentile"), pl.Float64))
