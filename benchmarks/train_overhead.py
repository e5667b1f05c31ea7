"""What our trainer adds to a bare one of TRL, on the same tokens, weights and settings.

    python benchmarks/train_overhead.py [--pairs 7] [--rows 1600] [--epochs 1]

Rows are 72 random tokens, half of each learned, in batches of 32: all as long, so that our order, which lays the
rows of a step out with less padding, is no gain here. The model is a Llama of random weights; the smaller it is,
the more weighs what is done around each step, and this one is some thousand times smaller than a 7B.

`bare` is TRL's `SFTTrainer` with the settings that ours gets, but its own order, optimizer and logging (a line
every ten steps). `ours` has our order and our optimizer, looks at loss and gradient of each step, and writes its
line of metrics.jsonl. Neither saves. Each run has a process of its own, in turns; CPU-seconds are of `train()`
alone. The interval of the ratio is Student's, at 95%, over the pairs.

Writes `results/train_overhead.json`.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np

RESULTS = Path(__file__).parent / "results"
CONTENDERS = ("bare", "ours")
LENGTH = 72  # what an Alpaca row has on average, about
WORDS = ("wren lives in the hedge", "otter swims in the river", "which colour is the heron", "it is grey")
_STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} cores, {names[0] if names else platform.machine()}"


def tokens(rows: int, words: int) -> Any:
    from curate.train.rows.tokens import Tokens

    ids = np.random.default_rng(13).integers(10, words, (rows, LENGTH)).astype(np.int32)
    labels = ids.copy()
    labels[:, : LENGTH // 2] = -100
    named = [f"row:{row}" for row in range(rows)]
    return Tokens(named, np.arange(rows + 1) * LENGTH, ids.reshape(-1), labels.reshape(-1), {})


def run(contender: str, model: Path, rows: int, epochs: int) -> dict[str, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
    from trl import SFTTrainer

    from curate.train.recipe import read_recipe
    from curate.train.stack import load_stack
    from curate.train.steps.callbacks import Ledger, Watch
    from curate.train.steps.engine import lessons, settings
    from curate.train.steps.interrupts import Stop
    from curate.train.steps.launching import World

    load_stack()
    recipe = read_recipe("small", {"epochs": epochs, "batch_size": 32, "micro_batch_size": 8, "max_tokens": 512})
    tokenizer = AutoTokenizer.from_pretrained(model)
    loaded = AutoModelForCausalLM.from_pretrained(model)
    taught = lessons(tokens(rows, len(tokenizer)), recipe, pad=tokenizer.pad_token_id)
    with tempfile.TemporaryDirectory() as folder:
        given: dict[str, Any] = {
            "model": loaded,
            "args": settings(recipe, loaded, Path(folder), taught.order, World()),
            "processing_class": tokenizer,
        }
        if contender == "bare":
            given["args"].logging_steps = 10
            trainer = SFTTrainer(train_dataset=taught.dataset.select(range(rows)), **given)
        else:
            from curate.train.steps._trainer import OurTrainer, Steps

            trainer = OurTrainer(
                recipe=recipe,
                lessons=taught,
                world=World(),
                facts={},
                keep=lambda *_: None,
                fail=lambda *_: AssertionError("not finite"),
                stop=Stop(),
                **given,
            )
            ledger = Ledger(Path(folder), 0)
            trainer.add_callback(
                Steps(trainer, ledger, Watch(), recipe.model_copy(update={"checkpoint_every": 10**9}))
            )
        trainer.remove_callback(PrinterCallback)
        wall, cpu = time.perf_counter(), time.process_time()
        trainer.train()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    return {"cpu_seconds": cpu, "seconds": wall, "steps": trainer.state.global_step, "last_loss": losses[-1]}


@click.command()
@click.option("--pairs", default=7, type=click.IntRange(2, 10))
@click.option("--rows", default=1600)
@click.option("--epochs", default=1)
@click.option("--width", default=128)
@click.option("--layers", default=4)
@click.option("--run", "contender", type=click.Choice(CONTENDERS), hidden=True)
@click.option("--model", type=click.Path(path_type=Path), hidden=True)
def main(
    pairs: int, rows: int, epochs: int, width: int, layers: int, contender: str | None, model: Path | None
) -> None:
    if contender and model:
        print(json.dumps(run(contender, model, rows, epochs)))
        return
    from curate.train.tiny import make

    taken: dict[str, list[dict[str, Any]]] = {each: [] for each in CONTENDERS}
    with tempfile.TemporaryDirectory() as folder:
        made = make(Path(folder) / "model", WORDS, width=width, layers=layers, vocabulary=2048)
        for pair in range(pairs):
            # In turns, so that neither is always the one to come first.
            for each in CONTENDERS if pair % 2 else CONTENDERS[::-1]:
                command = [sys.executable, __file__, "--run", each, "--model", str(made)]
                command += ["--rows", str(rows), "--epochs", str(epochs)]
                environment = {**os.environ, "OMP_NUM_THREADS": "1"}
                said = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
                taken[each].append(json.loads(said.splitlines()[-1]))
                print(pair, each, taken[each][-1])
    logs = [
        math.log(ours["cpu_seconds"] / bare["cpu_seconds"])
        for ours, bare in zip(taken["ours"], taken["bare"], strict=True)
    ]
    middle, spread = statistics.mean(logs), _STUDENT[pairs] * statistics.stdev(logs) / math.sqrt(pairs)
    result = {
        "added_percent": [
            round(100 * (math.exp(edge) - 1), 2) for edge in (middle - spread, middle, middle + spread)
        ],
        "cpu_seconds": {each: [round(one["cpu_seconds"], 3) for one in runs] for each, runs in taken.items()},
        "steps": taken["ours"][0]["steps"],
        "model": {"width": width, "layers": layers},
        "rows": rows,
        "epochs": epochs,
        "on": processor(),
        "versions": {name: version(name) for name in ("torch", "transformers", "trl")},
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    print(json.dumps(result, indent=2))
    (RESULTS / "train_overhead.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
