"""The numbers of a report and its page: CPU-seconds and peak memory of 52K records and of a million, by section.

    CURATE_REAL_DATA=… python benchmarks/report.py --scratch DIR [--records 1000000] [--tokenizer PATH]

A run is made over Alpaca's 52,002 rows, or over as many of made sentences where CURATE_REAL_DATA is not set,
under thirty rules and two passes of deduplication. Its tables are then said again and again under other ids, until
they hold as many records as asked. Each report is made in a process of its own, with vectors of 384 components
that are drawn by id. What is in the scratch folder already is not made again. Writes `results/report.json`.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import polars as pl
from judging import RULES
from near_copies import pool

import curate
from curate.keys import canonical, draws
from curate.report import books, groups, kept, numbers, rules
from curate.report.page import page
from curate.report.projection import Vectors
from curate.store import read_json, scan
from curate.tables import EVIDENCE

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "results" / "report.json"
ROWS: Final = 52_002
DIMENSIONS: Final = 384
TOPICS: Final = 60

PIPELINE: Final = """
name = "base"
[[source]]
use = "self_instruct"
name = "alpaca"
path = "{path}"
[source.filters]
{rules}
[[dedup]]
use = "exact"
on = "pair"
[[dedup]]
use = "minhash"
on = "pair"
threshold = 0.7
[[select.quota]]
from = "alpaca"
take = 45000
[[select.quota]]
from = "alpaca"
split = "test"
take = 1000
"""
# Columns that hold ids, by table; the others have `id`.
IDS: Final = {"pairs": ("id_a", "id_b"), "duplicates": ("id", "kept_id")}
SECTIONS: Final[dict[str, tuple[Any, str]]] = {
    "intake, ledger, balances": (books, "balances"),
    "funnel": (books, "funnel"),
    "rules": (rules, "rule_numbers"),
    "kept rows": (kept, "kept_rows"),
    "duplicates": (kept, "duplicates"),
    "groups": (groups, "groups"),
    "quotes": (numbers, "_quote"),
    "before and after": (numbers, "before_after"),
    "licensing": (numbers, "licensing"),
    "tokens, verbs, hygiene": (numbers, "_of_texts"),
    "map": (numbers, "mapped"),
    "examples": (numbers, "samples"),
}


def base(scratch: Path, data: str | None) -> Path:
    """The folder of the run that is multiplied."""
    folder = scratch / ("real" if data else "made")
    if not (folder / "runs" / "base" / "manifest.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        path = Path(data or "") / "self_instruct" / "alpaca_data.json"
        if not data:
            path = folder / "alpaca_data.json"
            path.write_text(json.dumps(list(made(pool(None)))), encoding="utf-8")
        pipeline = folder / "base.toml"
        pipeline.write_text(PIPELINE.format(path=path, rules=RULES), encoding="utf-8")
        curate.run(pipeline, runs=folder / "runs")
    return folder / "runs" / "base"


def made(sentences: list[str]) -> Any:
    """Rows shaped like Alpaca's, of made sentences."""
    chance = np.random.default_rng(13)
    for number in range(ROWS):
        some = [sentences[place] for place in chance.integers(len(sentences), size=6)]
        context = some[1] if number % 3 == 0 else ""
        yield {"instruction": some[0], "input": context, "output": " ".join(some[2 : 2 + 1 + number % 4])}


def multiplied(run: Path, scratch: Path, records: int) -> Path:
    """A folder of tables in which the run's records come again under other ids; `facts.json` beside them."""
    folder = scratch / f"{run.parent.parent.name}-{records}"
    if (folder / "facts.json").exists():
        return folder
    manifest = read_json(run / "manifest.json")
    times = -(-records // manifest["tables"]["records"]["rows"])
    for name, table in manifest["tables"].items():
        files = [run / "stages" / table["folder"] / part for part in table["parts"]]
        (folder / name).mkdir(parents=True, exist_ok=True)
        here = scan(files, run / "stages" / table["folder"]).collect()
        here = here.select(EVIDENCE.names()) if name.startswith("evidence") else here
        if name == "intake":
            counts = [column for column, dtype in here.schema.items() if dtype.is_integer()]
            here = here.with_columns(
                *(pl.col(counts) * times,),
                passed_over=pl.lit([], dtype=here.schema["passed_over"]),
            ).with_columns(native=pl.col("used") + pl.col("unreadable"))
        again = times if name not in {"intake", "passes", "passes_against"} else 1
        for number in range(again):
            ids = [column for column in IDS.get(name, ("id",)) if column in here.columns]
            copy = here.with_columns(
                pl.concat_str(column, pl.lit(f"#{number:03}")).alias(column) for column in ids
            )
            if "draw" in copy.columns:
                copy = copy.with_columns(draws(copy["id"]))
            for place, piece in enumerate(copy.iter_slices(50_000) if copy.height else [copy]):
                piece.write_parquet(folder / name / f"{number:03}-{place}.parquet")
    (folder / "facts.json").write_text(json.dumps(manifest["facts"]), encoding="utf-8")
    return folder


def peak_mb() -> int:
    """The most memory since it was last asked for."""
    file = Path("/proc/self/status")
    if not file.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    [line] = [line for line in file.read_text().splitlines() if line.startswith("VmHWM:")]
    Path("/proc/self/clear_refs").write_text("5")
    return int(line.split()[1]) // 1024


def timed(function: Callable[..., Any], name: str, found: dict[str, Any]) -> Callable[..., Any]:
    """The function, which notes what it takes."""

    def noted(*given: Any, **named: Any) -> Any:
        peak_mb()
        begun = time.process_time()
        value = function(*given, **named)
        found[name] = {"cpu_s": round(time.process_time() - begun, 2), "peak_mb": peak_mb()}
        return value

    return noted


def vectors(tables: dict[str, pl.LazyFrame]) -> Vectors:
    """Vectors around sixty topics, drawn by id."""
    ids = tables["ledger"].select("id").collect()["id"].sort()
    topics = np.random.default_rng(13).normal(size=(TOPICS, DIMENSIONS))

    def of(some: pl.Series) -> Any:
        noise = np.random.default_rng(len(some)).normal(size=(len(some), DIMENSIONS))
        return (topics[(draws(some) % TOPICS).to_numpy()] + noise).astype(np.float32)

    return Vectors(ids, of, "drawn by id")


def measured(folder: Path, tokenizer: str) -> dict[str, Any]:
    """Make one report in this process."""
    tables = {
        each.name: pl.scan_parquet(sorted(each.glob("*.parquet"))) for each in folder.iterdir() if each.is_dir()
    }
    facts = read_json(folder / "facts.json") | {"report": {"tokenizer": tokenizer or None, "max_tokens": 2048}}
    sections: dict[str, Any] = {}
    for name, (module, function) in SECTIONS.items():
        setattr(module, function, timed(getattr(module, function), name, sections))
    given = vectors(tables)
    counted = timed(numbers.numbers, "numbers", sections)(tables, facts, given)
    peak = max(each["peak_mb"] for each in sections.values())
    shown = timed(page, "page", sections)(counted)
    return {
        "records": counted["summary"]["records"],
        "kept": counted["summary"]["kept"],
        "numbers_cpu_s": sections["numbers"]["cpu_s"],
        "numbers_peak_mb": peak,
        "page_cpu_s": sections["page"]["cpu_s"],
        "page_peak_mb": sections["page"]["peak_mb"],
        "json_bytes": len(canonical(counted).encode()),
        "page_bytes": len(shown.encode()),
        "sections": sections,
    }


@click.command()
@click.option("--scratch", type=click.Path(path_type=Path), required=True)
@click.option("--records", default=1_000_000, show_default=True)
@click.option("--tokenizer", default="", help="A tokenizer.json, or a folder with one.")
@click.option("--one", type=click.Path(path_type=Path), hidden=True)
def main(scratch: Path, records: int, tokenizer: str, one: Path | None) -> None:
    """Make both reports, and write what they took."""
    if one:
        print(json.dumps(measured(one, tokenizer)))
        return
    data = os.environ.get("CURATE_REAL_DATA")
    run = base(scratch, data)
    found: dict[str, Any] = {
        "command": "python benchmarks/report.py --scratch DIR" + (" --tokenizer PATH" if tokenizer else ""),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}, Polars {pl.__version__}",
        "data": "Alpaca's 52,002 rows, and these again under other ids" if data else "made sentences",
        "reports": [],
    }
    for many in (ROWS, records):
        command = [sys.executable, __file__, "--scratch", scratch, "--one", multiplied(run, scratch, many)]
        # Without a tokenizer for the long one: its time is known from the short one.
        command += ["--tokenizer", tokenizer] if many == ROWS else []
        said = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        if said.returncode:
            raise click.ClickException(said.stderr)
        found["reports"].append(json.loads(said.stdout.splitlines()[-1]))
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
