"""Alpaca's 52,002 rows to tokens and labels, beside TRL's own preparation; and what packing saves of them.

    python benchmarks/rows_to_tokens.py

Needs the extra `train`, and Alpaca in CURATE_REAL_DATA. Rows are written by Alpaca's templates and cut at no
length. Two tokenizers are trained on the set itself, 32,000 tokens each, as no other is at hand: one of bytes,
as GPT-2's, and one of SentencePiece's kind. In one run, by turns, in CPU-seconds of the process and its
children, and in seconds by the clock, medians of the rounds:

- `ours`: `tokenize` from a frame of records to ids, labels and a table, every check included.
- `trl`: what `SFTTrainer` does to a dataset of prompts and completions before it trains, loss on the completion.
  It is given fewer rows, and what it takes for one row is taken off, the trainer's own making.
- `encode_batch`: the tokenizer alone, from the answers' texts to its own objects.

Rows that both have are held against each other, ids and labels. Packing: tokens that are computed in an epoch,
padding included, over tokens that say something, at two lengths, by batches of 4 and 16 rows in random order
(padded to the longest of each) and by packs. Results go to `results/rows_to_tokens.json`.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
import polars as pl

from curate.record import records
from curate.train.rows.joining import UNLEARNED
from curate.train.rows.packing import packs
from curate.train.rows.templates import Template, template_for
from curate.train.rows.tokens import Tokens, tokenize
from curate.train.stack import load_stack
from curate.train.tiny import make

RESULTS = Path(__file__).parent / "results" / "rows_to_tokens.json"
VOCABULARY = 32_000
VERSIONS = ("datasets", "numpy", "polars", "tokenizers", "transformers", "trl")
ENDLESS = 1 << 20  # tokens: no row is cut


def cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def taken(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """CPU-seconds and seconds of work, and what it came to."""
    cpu, began = cpu_seconds(), time.perf_counter()
    made = work()
    return cpu_seconds() - cpu, time.perf_counter() - began, made


def median(rounds: list[tuple[float, float, Any]], rows: int) -> dict[str, Any]:
    cpu, wall = (statistics.median(each[at] for each in rounds) for at in (0, 1))
    return {
        "rows": rows,
        "cpu_s": round(cpu, 2),
        "wall_s": round(wall, 2),
        "least_wall_s": round(min(each[1] for each in rounds), 2),
        "rows_per_s": round(rows / wall),
        "best_rows_per_s": round(rows / min(each[1] for each in rounds)),
        "rows_per_cpu_s": round(rows / cpu),
    }


def trl_rows(model: Any, template: Template, frame: pl.DataFrame) -> Callable[[], Any]:
    """Work that makes a dataset what `SFTTrainer` trains on: prompts and completions, in the same template."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    asked = [
        template.render(template.messages(row, answered=False), ask=True) for row in frame.iter_rows(named=True)
    ]
    # TRL's tokenizer puts the first token by itself, and a space after it if it is of SentencePiece's kind.
    prompts = [text.removeprefix(template.tokenizer.bos_token).lstrip() for text in asked]
    dataset = Dataset.from_dict({"prompt": prompts, "completion": frame["response"].to_list()})

    def prepare() -> Any:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            settings = SFTConfig(folder, max_length=None, report_to="none", use_cpu=True, bf16=False)
            trainer = SFTTrainer(model, settings, train_dataset=dataset, processing_class=template.tokenizer)
            return trainer.train_dataset

    return prepare


def differing(ours: Tokens, theirs: Any, template: Template) -> dict[str, Any]:
    """Rows whose ids or learned tokens are not the same, and what the first of them is where they part."""
    wrong, shown = 0, None
    for at, row in enumerate(theirs):
        ids, labels = ours.row(at)
        if row["input_ids"] != ids.tolist() or row["labels"] != labels.tolist():
            wrong += 1
            if shown is None:
                begin = int(np.argmax(labels != UNLEARNED))
                shown = [
                    template.tokenizer.decode(each[begin - 3 : begin + 3]) for each in (ids, row["input_ids"])
                ]
    return {"rows": len(theirs), "differing": wrong, "first_border": shown}


def packing(tokens: Tokens, max_tokens: int) -> dict[str, Any]:
    lengths = np.minimum(tokens.lengths, max_tokens)  # about as cut_turn does
    said = int(lengths.sum())
    found: dict[str, Any] = {
        "rows": len(lengths),
        "tokens": said,
        "beyond": int((tokens.lengths > max_tokens).sum()),
    }
    order = np.random.default_rng(13).permutation(lengths)
    for rows in (4, 16):
        batches = np.append(order, np.zeros(-len(order) % rows, np.int64)).reshape(-1, rows)
        computed = int((batches.max(axis=1) * rows).sum())
        found[f"batches_of_{rows}"] = {"computed_per_token": round(computed / said, 3)}
    found["padded_to_the_limit"] = {"computed_per_token": round(len(lengths) * max_tokens / said, 3)}
    cpu, _, packed = taken(lambda: packs(lengths, max_tokens))
    found["packs"] = {
        "sequences": len(packed),
        "computed_per_token": round(len(packed) * max_tokens / said, 4),
        "cpu_s": round(cpu, 2),
    }
    for kind in ("batches_of_4", "batches_of_16", "padded_to_the_limit"):
        found[kind]["packs_compute_less_by"] = round(
            found[kind]["computed_per_token"] / found["packs"]["computed_per_token"], 2
        )
    return found


@click.command()
@click.option("--data", envvar="CURATE_REAL_DATA", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--rounds", default=3, show_default=True)
@click.option("--rows", default=5_000, show_default=True, help="What TRL is given.")
def main(data: Path, rounds: int, rows: int) -> None:
    """Compare on a folder of real data [default: CURATE_REAL_DATA]."""
    load_stack()
    from transformers import AutoModelForCausalLM, AutoTokenizer

    given = json.loads((data / "self_instruct" / "alpaca_data.json").read_bytes())
    frame = records(
        {"id": f"alpaca:{at}", "prompt": row["instruction"], "context": row["input"], "response": row["output"]}
        for at, row in enumerate(given)
    )
    few = frame.head(rows)
    result: dict[str, Any] = {
        "command": "python benchmarks/rows_to_tokens.py",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 1),  # beyond the cores, seconds by the clock say little
        "versions": {name: version(name) for name in VERSIONS},
    }
    with tempfile.TemporaryDirectory() as scratch:
        for kind in ("bytes", "metaspace"):
            texts = [part for row in given for part in row.values()]
            folder = make(
                Path(scratch, kind), texts, kind=kind, vocabulary=VOCABULARY, width=16, layers=1, heads=1
            )
            tokenizer = AutoTokenizer.from_pretrained(folder)
            cpu, wall, template = taken(lambda tokenizer=tokenizer: template_for("alpaca", tokenizer))
            model = AutoModelForCausalLM.from_pretrained(folder)
            result[kind] = {"template_for": {"cpu_s": round(cpu, 2), "wall_s": round(wall, 2)}}
            result[kind] |= compared(template, model, frame, few, rounds)
            if kind == "bytes":
                whole = tokenize(frame, template, max_tokens=ENDLESS, markers="text")
                result["packing"] = {str(limit): packing(whole, limit) for limit in (512, 2048)}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    click.echo(json.dumps(result, indent=1))


def compared(
    template: Template, model: Any, frame: pl.DataFrame, few: pl.DataFrame, rounds: int
) -> dict[str, Any]:
    def ours() -> Tokens:
        return tokenize(frame, template, max_tokens=ENDLESS, markers="text")

    theirs, one = (trl_rows(model, template, rows) for rows in (few, few.head(1)))
    backend = template.tokenizer.backend_tokenizer
    texts = frame["response"].to_list()
    found: dict[str, list[tuple[float, float, Any]]] = {"ours": [], "trl": [], "one": [], "encode_batch": []}
    for _ in range(rounds):
        found["ours"].append(taken(ours))
        found["trl"].append(taken(theirs))
        found["one"].append(taken(one))
        found["encode_batch"].append(taken(lambda: len(backend.encode_batch_fast(texts))))
    for at, (each, single) in enumerate(zip(found["trl"], found["one"], strict=True)):
        found["trl"][at] = (each[0] - single[0], each[1] - single[1], each[2])
    own, other = median(found["ours"], frame.height), median(found["trl"], few.height)
    tokens, prepared = found["ours"][-1][2], found["trl"][-1][2]
    return {
        "tokens": {key: tokens.table[key] for key in ("rows", "tokens", "learned", "longest")},
        "ours": own,
        "trl": other,
        "ratio_cpu_per_row": round(own["rows_per_cpu_s"] / other["rows_per_cpu_s"], 1),
        "encode_batch_of_answers": median(found["encode_batch"], frame.height),
        "beside_trl": differing(tokens, prepared, template),
    }


if __name__ == "__main__":
    main()
