"""Near-duplicates from Parquet to verified pairs, beside rensa, datasketch, text-dedup and datatrove; and growth.

    CURATE_REAL_DATA=… python benchmarks/minhash.py --docs 500000 --scratch DIR --peers PYTHON
    CURATE_REAL_DATA=… python benchmarks/minhash.py --docs 500000 --scratch DIR --growth 50000,500000,2000000

The corpus is that of `near_copies.py`: documents of 2.6 KB, of which a fifth have a near-copy whose similarity is
known. It is made in the scratch folder unless it is there. PYTHON has the packages that `minhash_peers.py` names.

Every run is a process of its own, counted whole: start-up, imports, reading, and a process's children too. All
look for runs of five words with 128 permutations at 0.8. Ours comes as often as `--rounds` says, and medians are
told; what numba compiled is kept from run to run, and `cold` is a run that compiles first. Slow peers are given a
shorter head of the corpus. There, what a document costs is the difference between that head and a fifth of it, so
that start-up weighs no more than it would in a long run. What the peers took is kept in the scratch folder, and
measured again with `--again`.

Quality is of what was dropped of the first documents, by the runs of what the tool itself takes for words,
compared for all pairs of a cluster: `found`, the share of the pairs at 0.8 or more of which one was dropped, and
`right`, the share of the dropped that have a kept twin at 0.8 or more. Writes `results/minhash.json`.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import click
import polars as pl
from near_copies import FILE_DOCS, corpus, originals

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "results" / "minhash.json"
THRESHOLD: Final = 0.8
RUN: Final = 5
SCORED: Final = 50_000  # documents at the head of the corpus, of which quality is told
# How many documents each peer is given, at most.
HEADS: Final = {
    "rensa": 500_000,
    "rensa_prehashed": 500_000,
    "datasketch": 50_000,
    "text_dedup": 50_000,
    "datatrove_split": 20_000,
    "datatrove": 5_000,
}

# What a record is to `decide`, and nothing else, so that what is counted is deduplication.
OURS: Final = """
import json, sys
from pathlib import Path
import polars as pl
from curate.dedup.minhash import minhash
from curate.dedup.stars import Pass, decide

docs, out, *files = sys.argv[1:]
rows = pl.scan_parquet(files).head(int(docs)).select("id").collect().with_row_index("position").with_columns(
    source_rank=pl.lit(0, pl.UInt32), score=pl.lit(None, pl.Float64), license=pl.lit(None, pl.String),
    chars=pl.lit(0, pl.UInt32))
passes = [Pass(minhash, "minhash", "response", {"threshold": 0.8, "num_perm": 128, "shingle": 5})]

def read(on):
    for file in files:
        yield pl.read_parquet(file, columns=["id", "text"])

pairs, duplicates, told = decide(rows, passes, ["native_order"], read=read)
duplicates.write_parquet(out)
[peak] = [line for line in open("/proc/self/status") if line.startswith("VmHWM:")]
print(json.dumps({"pairs": pairs.height, "dropped": duplicates.height, "passes": told.to_dicts(),
                  "peak_mb": int(peak.split()[1]) // 1024}))
"""


def machine() -> str:
    """Processor, cores, Python."""
    processor = platform.machine()
    if (file := Path("/proc/cpuinfo")).exists():
        named = [
            line.partition(":")[2].strip()
            for line in file.read_text().splitlines()
            if line.startswith("model name")
        ]
        processor = named[0] if named else processor
    return f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}"


def measured(
    command: Sequence[str], environment: dict[str, str] | None = None, limit: float | None = None
) -> dict[str, Any]:
    """CPU-seconds of a process and its children, and seconds; what it printed last, if that is JSON, beside them.

    With a limit, it and its children are ended after so many seconds.
    """
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        began = time.perf_counter()
        process = subprocess.Popen(
            [*map(str, command)],
            stdout=said,
            stderr=complained,
            env=os.environ | (environment or {}),
            start_new_session=True,  # so that its children can be ended with it
        )
        ender = threading.Timer(limit or threading.TIMEOUT_MAX, os.killpg, (process.pid, signal.SIGKILL))
        ender.daemon = True
        ender.start()
        try:
            _, status, used = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        ender.cancel()
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode == -signal.SIGKILL:
            why = f"ended after {limit:.0f} s" if limit and seconds >= limit else "killed, perhaps for its memory"
            return {"failed": process.returncode, "because": why, "seconds": round(seconds, 1)}
        said.seek(0)
        complained.seek(0)
        if process.returncode:
            lines = complained.read().decode(errors="replace").strip().splitlines()
            # What went wrong first: a process that failed is the reason why the one that started it did.
            errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)] or lines[-1:]
            return {"failed": process.returncode, "because": " ".join(errors[:1]), "seconds": round(seconds, 1)}
        last = said.read().decode(errors="replace").strip().splitlines()[-1:]
    told = json.loads(last[0]) if last and last[0].startswith("{") else {}
    return {"cpu_s": round(used.ru_utime + used.ru_stime, 2), "seconds": round(seconds, 2), **told}


def ours(
    files: Sequence[Path], docs: int, out: Path, cache: Path | None = None, limit: float | None = None
) -> dict[str, Any]:
    """One run of ours over the first documents; `cache` is where numba keeps what it compiles, if not as usual."""
    environment = {"NUMBA_CACHE_DIR": str(cache)} if cache else {}
    used = files[: max(1, -(-docs // FILE_DOCS))]
    return measured([sys.executable, "-c", OURS, str(docs), str(out), *map(str, used)], environment, limit)


def peer(
    python: str, tool: str, files: Sequence[Path], docs: int, scratch: Path, limit: float | None = None
) -> dict[str, Any]:
    """One run of a peer over the first documents, and the ids that it dropped."""
    folder = scratch / "peer"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    program = HERE / "minhash_peers.py"
    used = files[: max(1, -(-docs // FILE_DOCS))]
    found = measured([python, str(program), tool, str(docs), str(folder), *map(str, used)], limit=limit)
    if "failed" not in found:
        found |= json.loads((folder / "told.json").read_text())
        found["dropped"] = (folder / "dropped.txt").read_text().split()
    shutil.rmtree(folder)
    return found


def runs(words: list[str]) -> set[tuple[str, ...]]:
    return set(zip(*(words[place:] for place in range(RUN)), strict=False)) or {tuple(words)}


def spaced(text: str) -> list[str]:
    return text.lower().split()


def parted(text: str) -> list[str]:
    """As text-dedup takes words: what is no letter parts two words, and between two of those is an empty one."""
    return re.split(r"\W", text.lower())


def unpunctuated(text: str) -> list[str]:
    """As datatrove takes words, about: punctuation is left out."""
    return re.findall(r"\w+", text.lower())


_UNSPACED: Final = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
OUR_WORD: Final = (
    rf"[{_UNSPACED}]|[\p{{L}}\p{{M}}\p{{N}}_--[{_UNSPACED}]]+"
    r"|[\p{P}\p{S}--[_.,;:!?\"'…“”„‘’«»‹›。、，．；：！？「」『』،؛؟۔।]]"
)

WORDS: Final[dict[str, Callable[[str], list[str]]]] = {
    "text_dedup": parted,
    "datatrove": unpunctuated,
    "datatrove_split": unpunctuated,
}


class Truth:
    """The near-copies among the first documents of the corpus, with their similarities."""

    def __init__(self, files: Sequence[Path], docs: int) -> None:
        frame = pl.scan_parquet(files[: max(1, -(-docs // FILE_DOCS))]).head(docs).collect()
        self._texts: list[str] = frame["text"].to_list()
        self._clusters: dict[int, list[int]] = defaultdict(list)
        for row, original in enumerate(originals(docs).tolist()):
            if original >= 0:
                self._clusters[original] = [*(self._clusters[original] or [original]), row]
        self._known: dict[Any, dict[tuple[int, int], float]] = {}

    def similarities(self, words: Callable[[str], list[str]] | None) -> dict[tuple[int, int], float]:
        """Of every pair of a cluster; of what we take for words, where none is given."""
        if words not in self._known:
            self._known[words] = {}
            for rows in self._clusters.values():
                texts = [self._texts[row] for row in rows]
                sets = [runs(words(text)) for text in texts] if words else our_sets(texts)
                for (row, one), (other, two) in itertools.combinations(zip(rows, sets, strict=True), 2):
                    self._known[words][row, other] = len(one & two) / len(one | two)
        return self._known[words]

    def scored(self, dropped: Iterable[str], words: Callable[[str], list[str]] | None) -> dict[str, Any]:
        docs = len(self._texts)
        gone = {row for row in map(int, dropped) if row < docs}
        alike = [pair for pair, similarity in self.similarities(words).items() if similarity >= THRESHOLD]
        twins = {row for pair in alike for row, other in (pair, pair[::-1]) if row in gone and other not in gone}
        met = sum(row in gone or other in gone for row, other in alike)
        return {
            "scored_docs": docs,
            "pairs": len(alike),
            "dropped_of_them": len(gone),
            "found": round(met / max(1, len(alike)), 4),
            "right": round(len(twins) / max(1, len(gone)), 4),
        }


def our_sets(texts: list[str]) -> list[set[tuple[str, ...]]]:
    """As `curate.dedup.shingles` takes words, spelled out: letters, marks and digits, and each sign but those that
    end a sentence or quote."""
    composed = pl.Series(texts).str.normalize("NFC").str.to_lowercase()
    return [runs(words) for words in composed.str.extract_all(OUR_WORD).to_list()]


def median_run(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The run of the median CPU time, with the times of all."""
    if failed := [run for run in found if "failed" in run]:
        return failed[0]
    middle = sorted(found, key=lambda run: run["cpu_s"])[len(found) // 2]
    return middle | {
        "cpu_s": statistics.median(run["cpu_s"] for run in found),
        "runs": [r["cpu_s"] for r in found],
    }


def beside(
    files: list[Path], docs: int, scratch: Path, python: str, tools: list[str], again: bool
) -> dict[str, Any]:
    """What the peers take and how good it is, as measured now or kept from before."""
    kept = scratch / "peers.json"
    known = json.loads(kept.read_text()) if kept.exists() and not again else {}
    truths: dict[int, Truth] = {}
    for tool in tools:
        head = min(docs, HEADS[tool])
        if f"{tool} {head}" in known:
            continue
        print(f"{tool}: {head:,} documents", flush=True)
        found = peer(python, tool, files, head, scratch)
        if "failed" not in found:
            scored = min(head, SCORED)
            truths.setdefault(scored, Truth(files, scored))
            found |= truths[scored].scored(found.pop("dropped"), WORDS.get(tool, spaced))
            found["us_a_doc"] = round(found["cpu_s"] / head * 1e6, 1)
            if head < docs:
                fifth = peer(python, tool, files, head // 5, scratch)
                found["us_a_doc"] = round((found["cpu_s"] - fifth["cpu_s"]) / (head - head // 5) * 1e6, 1)
        known[f"{tool} {head}"] = {"docs": head, **found}
        kept.write_text(json.dumps(known, indent=1))
    return {tool: known[f"{tool} {min(docs, HEADS[tool])}"] for tool in tools}


def table(found: dict[str, Any]) -> None:
    print(
        f"\n{'':18}{'docs':>10}{'CPU-s':>9}{'s':>8}{'us a doc':>10}{'times':>7}{'MB':>7}{'found':>8}{'right':>8}"
    )
    base = found["ours"].get("us_a_doc")
    for name, run in [("ours", found["ours"]), ("ours, cold", found["cold"]), *found.get("peers", {}).items()]:
        if "failed" in run:
            print(f"{name:18}{run.get('docs', 0):>10,}  failed: {run['because']}")
            continue
        times = f"{run['us_a_doc'] / base:.1f}" if base else ""
        print(
            f"{name:18}{run['docs']:>10,}{run['cpu_s']:>9.1f}{run['seconds']:>8.1f}{run['us_a_doc']:>10.1f}{times:>7}"
            f"{run['peak_mb']:>7,}{run.get('found', ''):>8}{run.get('right', ''):>8}"
        )
    for run in found.get("growth", []):
        print(f"growth: {run['docs']:>10,} documents, {run['us_a_doc']} us CPU a document, {run['peak_mb']:,} MB")


@click.command()
@click.option("--data", envvar="CURATE_REAL_DATA", type=click.Path(path_type=Path, exists=True))
@click.option("--docs", default=500_000, show_default=True)
@click.option("--scratch", required=True, type=click.Path(path_type=Path), help="A folder for corpus and peers.")
@click.option("--peers", help="A Python that has the peers; without it there is ours alone.")
@click.option(
    "--only", multiple=True, type=click.Choice(list(HEADS)), help="A peer; may be repeated. [default: all]"
)
@click.option("--rounds", default=3, show_default=True, help="How often ours is run.")
@click.option("--growth", default="", help="Numbers of documents to run ours on once, as 50000,500000,2000000.")
@click.option("--again", is_flag=True, help="Measure the peers again.")
def main(
    data: Path | None, docs: int, scratch: Path, peers: str | None, only: tuple[str, ...], rounds: int,
    growth: str, again: bool,
) -> None:  # fmt: skip
    """Compare, print a table, and write the figures."""
    scratch.mkdir(parents=True, exist_ok=True)
    sizes = [int(size) for size in growth.split(",") if size]
    files = corpus(scratch, max([docs, *sizes]), data)
    out = scratch / "duplicates.parquet"
    found: dict[str, Any] = {
        "command": f"python benchmarks/minhash.py --docs {docs} --scratch DIR --peers PYTHON --growth {growth}",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": machine(),
        "versions": {name: version(name) for name in ("numpy", "numba", "polars")},
        "corpus": files[0].parent.name,
    }

    def each(run: dict[str, Any], documents: int) -> dict[str, Any]:
        return (
            {"docs": documents, "us_a_doc": round(run["cpu_s"] / documents * 1e6, 1), **run}
            if "cpu_s" in run
            else run
        )

    with tempfile.TemporaryDirectory() as cache:
        found["cold"] = each(ours(files, docs, out, Path(cache)), docs)
    found["ours"] = each(median_run([ours(files, docs, out) for _ in range(rounds)]), docs)
    if "failed" not in found["ours"]:
        truth = Truth(files, min(docs, SCORED))
        found["ours"] |= truth.scored(pl.read_parquet(out)["id"], None)
    if peers:
        tools = list(only) or list(HEADS)
        found["peers"] = beside(files, docs, scratch, peers, tools, again)
    found["growth"] = [each(ours(files, size, out), size) for size in sizes]
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    table(found)


if __name__ == "__main__":
    main()
