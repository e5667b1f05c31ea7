"""Prints how often rules are right as a Markdown table, from `results/decisions.json`.

python benchmarks/decisions/table.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent.parent / "results" / "decisions.json"


def shown(found: dict[str, Any] | None) -> str:
    """A share with its interval, in whole percent."""
    if not found:
        return "–"
    return f"{100 * found['share']:.0f}% ({100 * found['low']:.0f}–{100 * found['high']:.0f})"


def both(found: dict[str, Any]) -> str:
    """Precision and recall."""
    return f"{shown(found['precision'])}, {shown(found['recall'])}"


def main() -> None:
    """Print the table."""
    print("| rule | rows read of | first: precision, recall | tuned | held out: rows, precision, recall |")
    print("| --- | --- | --- | --- | --- |")
    for name, found in json.loads(RESULTS.read_text("utf-8")).items():
        read, pool = sum(found["labelled"].values()), sum(found["strata"].values())
        cells = [f"`{name}`", f"{read:,} of {pool:,}", both(found["before"]), both(found["now"]), "–"]
        if found["held_out"]:
            cells[-1] = f"{sum(found['held_out']['labelled'].values())}: {both(found['held_out'])}"
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
