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


def main() -> None:
    """Print the table."""
    print("| rule | rows read of | when drawn: precision, recall | now: precision | now: recall |")
    print("| --- | --- | --- | --- | --- |")
    for name, found in json.loads(RESULTS.read_text("utf-8")).items():
        read, pool = sum(found["labelled"].values()), sum(found["strata"].values())
        before, now = found["before"], found["now"]
        print(
            f"| `{name}` | {read:,} of {pool:,} | {shown(before['precision'])}, {shown(before['recall'])} "
            f"| {shown(now['precision'])} | {shown(now['recall'])} |"
        )


if __name__ == "__main__":
    main()
