"""Judging Alpaca's 52,002 rows by a named list of rules, beside plain Python and datatrove.

    python benchmarks/judging.py [--datatrove PYTHON] [--millions 2]

CPU-seconds of all threads, medians of repeated runs in one process, read from Parquet parts as a run does:

- all of the list, and once more with another length rule;
- those of the list that a few lines of plain Python say as well, beside a loop over rows; decisions are compared;
- those that datatrove has as well, beside its filters in the interpreter given (one with datatrove and spacy);
- the whole list over millions of rows (the 52K again and again under other ids), part by part, with peak memory.

Reads `self_instruct/alpaca_data.json` below CURATE_REAL_DATA and writes `results/judging.json`.
"""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import statistics
import string
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import polars as pl

import curate
from curate.judge import evidence, verdicts
from curate.pipeline import Pipeline, Rule
from curate.runs import prepare

RESULTS = Path(__file__).parent / "results" / "judging.json"
REPEATS = 5

# Thirty rules on text: hygiene that a careful user would run over any instruction data.
RULES = """
removed = {}
too_short = { min_chars = 1 }
too_long = { max_chars = 4096 }
too_few_words = { of = "prompt" }
too_many_words = { of = "prompt" }
beyond_text = {}
odd_start = {}
starts_with = {}
echoes_input = {}
ends_with_colon = {}
merged_instructions = {}
no_answer = {}
refuses = {}
says_it_is_ai = {}
names_its_cutoff = {}
vendor_words = {}
rate_limited = {}
repeated_digits = {}
broken_numbering = {}
template_markers = {}
control_characters = {}
mojibake = {}
repeats_itself = {}
repeated_lines = {}
few_letters = {}
symbol_heavy = {}
email_address = {}
phone_number = {}
ip_address = {}
first_person = {}
"""
ONE_MORE = 'far_too_long = { use = "too_long", of = "prompt", max_chars = 100000 }\n'

PIPELINE = """
name = "{name}"
[[source]]
use = "self_instruct"
name = "alpaca"
path = "{path}"
[source.filters]
{rules}
[[select.quota]]
from = "alpaca"
take = 0
"""

_BLACKLIST = re.compile(
    r"\b(?:images?|graphs?|pictures?|files?|maps?|draw|plot|go to|video|audio|music|flowchart|diagram)\b",
    re.IGNORECASE,
)
_NUMBERING = re.compile(r"\n1\. [^2]*\n1\. ")
_DIGITS = re.compile("|".join(f"{digit}{{9}}" for digit in range(10)))
_VENDORS = re.compile("openai|chatgpt", re.IGNORECASE)
_LIMIT = re.compile(r"(?:\A|\n\n)\s*!?Too many requests in 1 hour\. Try again later\.")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")


def _message(row: dict[str, Any]) -> str:
    return f"{row['prompt']}\n\n{row['context']}" if row["context"] else row["prompt"]


def _turns(row: dict[str, Any]) -> list[str]:
    return [_message(row), row["response"]]


# What a user would write in a loop, for the rules whose whole definition fits in a line.
PLAIN: dict[str, Callable[[dict[str, Any]], bool]] = {
    "too_short": lambda row: len(row["response"]) < 1,
    "too_long": lambda row: len(row["response"]) > 4096,
    "too_few_words": lambda row: len(row["prompt"].split()) <= 3,
    "too_many_words": lambda row: len(row["prompt"].split()) > 150,
    "beyond_text": lambda row: bool(_BLACKLIST.search(row["prompt"])),
    "odd_start": lambda row: row["prompt"][:1] in string.punctuation or not row["prompt"][:1].isascii(),
    "starts_with": lambda row: row["prompt"].startswith("Write a program"),
    "echoes_input": lambda row: row["context"] == row["response"],
    "ends_with_colon": lambda row: row["response"].endswith(":"),
    "vendor_words": lambda row: any(_VENDORS.search(turn) for turn in _turns(row)),
    "rate_limited": lambda row: bool(_LIMIT.search(row["response"])),
    "repeated_digits": lambda row: any(_DIGITS.search(turn) for turn in _turns(row)),
    "broken_numbering": lambda row: any(_NUMBERING.search(turn) for turn in _turns(row)),
    "control_characters": lambda row: bool(_CONTROL.search(row["response"])),
}

# Of datatrove's Gopher and C4 filters: what has a counterpart here, each of its other checks switched off.
DATATROVE = (
    "odd_word_lengths",
    "few_letters",
    "few_stop_words",
    "symbol_heavy",
    "bullet_heavy",
    "ellipsis_lines",
    "repeated_lines",
)
PEER = """
import json, sys, time
from datatrove.data import Document
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
texts = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
documents = [Document(text=text, id=str(number)) for number, text in enumerate(texts)]
quality = GopherQualityFilter(max_doc_words=None)
repetition = GopherRepetitionFilter(
    dup_line_frac=0.3, dup_para_frac=None, dup_line_char_frac=None, dup_para_char_frac=None,
    top_n_grams=(), dup_n_grams=(),
)
quality.filter(documents[0])
begun = time.process_time()
for document in documents:
    quality.filter(document)
    repetition.filter(document)
print(json.dumps(time.process_time() - begun))
"""


def prepared(folder: Path, name: str, rules: str) -> Pipeline:
    """The pipeline with these rules over the real 52K."""
    data = Path(os.environ["CURATE_REAL_DATA"]) / "self_instruct" / "alpaca_data.json"
    file = folder / f"{name}.toml"
    file.write_text(PIPELINE.format(name=name, path=data, rules=rules), encoding="utf-8")
    return prepare(file)


def judged(part: Path, rules: list[Rule], name: str = "alpaca") -> pl.DataFrame:
    """Evidence and verdicts of one part, as a run makes them."""
    found = evidence(pl.scan_parquet(part), rules).collect().sort("id")
    columns = {rule.name: found.schema[rule.name] for rule in rules}
    schema = pl.Schema({"id": pl.String(), "source": pl.String(), "reasons": pl.List(pl.String()), **columns})
    return verdicts(found.lazy(), rules, name, schema).collect()


def cpu(work: Callable[[], Any]) -> float:
    """CPU-seconds of all threads."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def medians(*works: Callable[[], Any], repeats: int = REPEATS) -> list[float]:
    """Median CPU-seconds of each, taken in turns, so that a noisy minute meets them all."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for work, taken in zip(works, times, strict=True):
            taken.append(cpu(work))
    return [round(statistics.median(taken), 3) for taken in times]


def loop(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The ids that each plain rule hits."""
    hits: dict[str, list[str]] = {name: [] for name in PLAIN}
    for row in rows:
        for name, rule in PLAIN.items():
            if row["response"] is not None and rule(row):
                hits[name].append(row["id"])
    return hits


def beside_loop(parts: list[Path], rules: dict[str, Rule]) -> dict[str, Any]:
    """Ours and the loop on the rules that both have, and where they differ."""
    columns = ["id", "prompt", "context", "response"]
    shared = [rules[name] for name in PLAIN]
    rows = pl.concat([pl.read_parquet(part, columns=columns) for part in parts]).to_dicts()
    reasons = pl.concat([judged(part, shared) for part in parts]).select("id", "reasons").explode("reasons")
    hits = loop(rows)
    differ = {}
    for name in PLAIN:
        ours = set(reasons.filter(pl.col("reasons") == name)["id"])
        if ours != set(hits[name]):
            differ[name] = len(ours ^ set(hits[name]))
    ours, theirs = medians(lambda: [judged(part, shared) for part in parts], lambda: loop(rows))
    return {
        "rules": len(PLAIN),
        "ours_cpu_s": ours,
        "loop_cpu_s": theirs,
        "ratio": round(theirs / ours, 2),
        "rows_that_differ": differ,
    }


def beside_datatrove(parts: list[Path], rules: list[Rule], interpreter: str, folder: Path) -> dict[str, Any]:
    """Ours and datatrove on the responses, by the rules that both have."""
    texts = folder / "responses.jsonl"
    responses = pl.concat([pl.read_parquet(part, columns=["response"]) for part in parts])["response"]
    texts.write_text("".join(json.dumps(text or "") + "\n" for text in responses), encoding="utf-8")
    script = folder / "peer.py"
    script.write_text(PEER, encoding="utf-8")
    command = [interpreter, str(script), str(texts)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    theirs = float(printed.strip().splitlines()[-1])
    (ours,) = medians(lambda: [judged(part, rules) for part in parts])
    return {
        "rules": len(rules),
        "ours_cpu_s": ours,
        "datatrove_cpu_s": round(theirs, 1),
        "ratio": round(theirs / ours, 1),
    }


def over_millions(parts: list[Path], rules: list[Rule], millions: float, folder: Path) -> dict[str, Any]:
    """The whole list over many copies of the rows, part by part, in this process."""
    rows = made = 0
    taken = 0.0
    while rows < millions * 1e6:
        for part in parts:
            copy = folder / "copy.parquet"
            frame = pl.read_parquet(part).with_columns(pl.concat_str("id", pl.lit(f"#{made}")).alias("id"))
            frame.write_parquet(copy)
            del frame
            taken += cpu(lambda copy=copy: judged(copy, rules))
            rows += pl.scan_parquet(copy).select(pl.len()).collect().item()
        made += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"rows": rows, "cpu_s": round(taken, 1), "peak_mb": peak}


@click.command()
@click.option("--datatrove", "interpreter", help="A Python that has datatrove and spacy.")
@click.option("--millions", default=2.0, show_default=True, help="Rows of the long run, in millions.")
def main(interpreter: str | None, millions: float) -> None:
    """Judge, compare, and write the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain = prepared(folder, "records", "")
        run = curate.run(plain.file, runs=folder / "runs")
        listed = run.manifest["tables"]["records"]
        parts = [run.path / "stages" / listed["folder"] / part for part in listed["parts"]]
        (source,) = prepared(folder, "rules", RULES).sources
        rules = list(source.rules)
        (more,) = prepared(folder, "more", RULES + ONE_MORE).sources
        whole, one_more = medians(
            lambda: [judged(part, rules) for part in parts],
            lambda: [judged(part, list(more.rules)) for part in parts],
            repeats=2 * REPEATS,
        )
        found: dict[str, Any] = {
            "command": "python benchmarks/judging.py" + (" --datatrove PYTHON" if interpreter else ""),
            "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}, Polars {pl.__version__}",
            "rows": run.records.select(pl.len()).collect().item(),
            "rules": len(rules),
            "cpu_s": whole,
            "one_more_length_rule": {"cpu_s": one_more, "more": round(one_more / whole - 1, 4)},
        }
        long = over_millions(parts, rules, millions, folder)  # before the loop, whose rows would count as memory
        found["beside_a_loop"] = beside_loop(parts, {rule.name: rule for rule in rules})
        if interpreter:
            gopher = "".join(f"{rule} = {{}}\n" for rule in DATATROVE)
            (source,) = prepared(folder, "gopher", gopher).sources
            found["beside_datatrove"] = beside_datatrove(parts, list(source.rules), interpreter, folder)
        per_row = (long["cpu_s"] / long["rows"]) / (whole / found["rows"])
        found["millions"] = long | {"cpu_a_row_beside_the_52k": round(per_row, 2)}
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
