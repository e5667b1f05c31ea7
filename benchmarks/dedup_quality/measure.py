"""How good deduplication is, on planted pairs, labelled pairs, declared duplicates and sets that break others.

    CURATE_REAL_DATA=… python benchmarks/dedup_quality/measure.py --scratch DIR --peers PYTHON [--only SECTION]

What each section does is told in its module: `planted`, `paraphrases`, `declared`, `degenerate`. PYTHON has what
`peers.py` names, and for `degenerate` what `minhash_peers.py` does. Needs the extras `embed` and `offline`.
Sections that are not run keep what they found before. Writes `results/dedup_quality.json`.
"""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import click

HERE: Final = Path(__file__).parent
sys.path.append(str(HERE.parent))  # the corpus and the runs of other tools are those of `minhash.py`

import curves  # noqa: E402
import declared  # noqa: E402
import degenerate  # noqa: E402
import paraphrases  # noqa: E402
import planted  # noqa: E402
from minhash import machine  # noqa: E402
from near_copies import pool  # noqa: E402

RESULTS: Final = HERE.parent / "results" / "dedup_quality.json"
SECTIONS: Final = ("planted", "paraphrases", "declared", "degenerate")


class Peers:
    """Asks the other tools, in their Python. Without one, they say nothing."""

    def __init__(self, python: str | None, scratch: Path) -> None:
        self._python, self._scratch = python, scratch
        self.versions: dict[str, str] = {}

    def __call__(self, job: str, given: dict[str, Any]) -> dict[str, Any]:
        if self._python is None:
            return {}
        asked, answered = self._scratch / "asked.json", self._scratch / "answered.json"
        asked.write_text(json.dumps(given))
        subprocess.run([self._python, str(HERE / "peers.py"), job, str(asked), str(answered)], check=True)
        answer = json.loads(answered.read_text())
        self.versions = answer["versions"]
        found: dict[str, Any] = answer["found"]
        return found


@click.command()
@click.option("--data", envvar="CURATE_REAL_DATA", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--scratch", required=True, type=click.Path(path_type=Path), help="A folder for vectors and sets.")
@click.option("--peers", "python", help="A Python that has the peers; without it there is ours alone.")
@click.option("--only", multiple=True, type=click.Choice(SECTIONS), help="May be repeated. [default: all]")
@click.option("--a-class", default=125, show_default=True, help="Pairs for each bin and class of length.")
@click.option(
    "--sets", multiple=True, type=click.Choice(list(degenerate.SETS)), help="Of `degenerate`. [default: all]"
)
@click.option("--limit", default=60.0, show_default=True, help="Seconds that a tool may take for such a set.")
@click.option("--again", is_flag=True, help="Measure other tools again on such sets.")
def main(
    data: Path, scratch: Path, python: str | None, only: tuple[str, ...], a_class: int, sets: tuple[str, ...],
    limit: float, again: bool,
) -> None:  # fmt: skip
    """Measure, print tables, and write the figures."""
    scratch.mkdir(parents=True, exist_ok=True)
    peers = Peers(python, scratch)
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    found |= {
        "command": "python benchmarks/dedup_quality/measure.py --scratch DIR --peers PYTHON",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": machine(),
    }
    chosen = only or SECTIONS
    if "planted" in chosen:
        found["planted"] = planted.measured(pool(data), a_class, lambda texts: peers("planted", {"texts": texts}))
        planted.table(found["planted"])
    if "paraphrases" in chosen:
        found["paraphrases"] = paraphrases.measured(data, scratch, peers)
        told = found["paraphrases"]
        print(f"\nMRPC, {told['pairs']:,} pairs, {told['paraphrases']:.1%} paraphrases")
        curves.table(list(found["paraphrases"]["methods"].items()))
        for threshold, point in found["paraphrases"]["semhash"].items():
            print(f"semhash at {threshold}: {point}")
    if "declared" in chosen:
        found["declared"] = declared.measured(data, scratch)
        print(
            f"\nStack Exchange, {found['declared']['declared']} declared of {found['declared']['pairs']:,} pairs"
        )
        curves.table(list(found["declared"]["methods"].items()))
        declared.table(found["declared"])
    if "degenerate" in chosen:
        known = found.get("degenerate", {}) if sets else {}
        wanted = list(sets or degenerate.SETS)
        found["degenerate"] = known | degenerate.measured(pool(data), scratch, python, wanted, limit, again)
    found["versions"] = found.get("versions", {}) | peers.versions
    found["versions"] |= {
        name: version(name) for name in ("numpy", "numba", "polars", "sentence-transformers", "torch")
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
