"""Tokens a second of `curate train` on a GPU, their share of what the device can multiply, and bare TRL beside.

    python benchmarks/training_gpu.py

A Llama-shaped model of about 1B random weights learns rows of 2,048 tokens in bf16, with weights and moments in
float32: once by our engine, and once by TRL's SFTTrainer set to the same values and given the same tokens. The two
run in pairs, each in a process of its own. A run's figure is the median of its steps after the first few.

The share is that of the device's measured rate, which is the best of some products of two square matrices in the
same type. A token is counted as 6 operations for each weight that it is multiplied with (all but the input
embeddings) and 6 × layers × width × length for attention: 12, as in PaLM (arXiv 2204.02311, appendix B), of which
causal attention needs half. Recomputed activations are not counted.

Results go to `results/training_gpu.json`. Without a GPU, `--toy` runs all of it on a toy model and writes nothing.
"""

from __future__ import annotations

import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import click

RESULTS: Final = Path(__file__).parent / "results" / "training_gpu.json"

WORDS: Final = ("the", "of", "and", "a", "to", "in", "is", "that", "it", "was", "for", "on", "are", "as", "with")

# TinyLlama's shape (jzhang38/TinyLlama): 1.1B weights.
BILLION: Final = {
    "vocab_size": 32_000,
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 22,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "tokens": 2048,
    "batch_size": 16,
    "micro_batch_size": 8,
    "matrix": 8192,
}
TOY: Final = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tokens": 64,
    "batch_size": 4,
    "micro_batch_size": 2,
    "matrix": 512,
}


@click.command()
@click.option("--toy", is_flag=True, help="A toy model, which a CPU can train.")
@click.option("--pairs", default=3, show_default=True, help="Runs of each.")
@click.option("--steps", default=24, show_default=True, help="Steps of a run.")
@click.option("--warm", default=4, show_default=True, help="Of these, the first that are not timed.")
@click.option("--attention", default="sdpa", show_default=True, help="sdpa or flash_attention_2.")
@click.option("--checkpointing", is_flag=True, help="Recompute activations.")
@click.option("--part", type=click.Choice(["ours", "trl", "matrix"]), hidden=True)
@click.option("--folder", type=click.Path(path_type=Path), hidden=True)
@click.option("--number", default=0, hidden=True)
def main(toy: bool, folder: Path | None, part: str | None, pairs: int, number: int, **options: Any) -> None:
    """Time both, in pairs."""
    sizes = TOY if toy else BILLION
    if part and folder:
        click.echo(json.dumps(_PARTS[part](folder, number, sizes, options)))
        return
    shared = [f"--{name}={value}" for name, value in options.items() if name != "checkpointing"]
    shared += ["--checkpointing"] * options["checkpointing"] + ["--toy"] * toy
    with tempfile.TemporaryDirectory() as made:
        make(Path(made), sizes, options["steps"])

        def run(part: str, number: int = 0) -> dict[str, Any]:
            command = [
                sys.executable,
                __file__,
                f"--part={part}",
                f"--folder={made}",
                f"--number={number}",
                *shared,
            ]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            read: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            return read

        rate = run("matrix")["operations_per_second"]
        runs: dict[str, list[dict[str, Any]]] = {"ours": [], "trl": []}
        for pair in range(pairs):
            for name, found in runs.items():
                found.append(run(name, pair))
                click.echo(f"{name}: {found[-1]['tokens_per_second']:,.0f} tokens/s", err=True)
        operations = operations_per_token(Path(made) / "model" / "config.json", sizes["tokens"])
    results = {
        "command": "python benchmarks/training_gpu.py",
        "machine": device(),
        "versions": {name: version(name) for name in ("torch", "transformers", "trl", "accelerate")},
        "sizes": sizes,
        **options,
        "operations_per_token": operations,
        "matrix_tflops": round(rate / 1e12, 2),
        **{name: summary(found, operations, rate) for name, found in runs.items()},
    }
    results["ours_over_trl"] = round(results["ours"]["tokens_per_second"] / results["trl"]["tokens_per_second"], 4)
    click.echo(json.dumps(results, indent=1))
    if not toy:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


def summary(runs: list[dict[str, Any]], operations: int, rate: float) -> dict[str, Any]:
    """The median of runs, and all of them."""
    each = [run["tokens_per_second"] for run in runs]
    median = statistics.median(each)
    return {
        "tokens_per_second": round(median, 1),
        "share_of_matrix_rate": round(median * operations / rate, 4),
        "peak_gib": round(max(run["peak_bytes"] for run in runs) / 2**30, 2),
        "last_loss": runs[-1]["last_loss"],
        "each": [round(one, 1) for one in each],
    }


def operations_per_token(config: Path, length: int) -> int:
    """Multiplications and additions of a forward and a backward pass, per token of rows of this length."""
    shape = json.loads(config.read_text("utf-8"))
    width, layers = shape["hidden_size"], shape["num_hidden_layers"]
    keys = width * shape["num_key_value_heads"] // shape["num_attention_heads"]
    layer = 2 * width * width + 2 * width * keys + 3 * width * shape["intermediate_size"]
    return 6 * (layers * layer + width * shape["vocab_size"]) + 6 * layers * width * length


def make(folder: Path, sizes: dict[str, int], steps: int) -> None:
    """Write a model of random weights with a tokenizer, and rows that are cut to just the wanted length."""
    import torch
    from transformers import AutoConfig, LlamaForCausalLM

    from curate.train import tiny

    chance = torch.Generator().manual_seed(13)
    rows = steps * sizes["batch_size"]
    drawn = torch.randint(len(WORDS), (rows, 3 * sizes["tokens"]), generator=chance).tolist()
    texts = [" ".join(WORDS[at] for at in row) for row in drawn]
    tiny.make(folder / "small", texts[:8], vocabulary=512, window=sizes["tokens"])
    shape = {name: value for name, value in sizes.items() if "_size" in name or name.startswith("num_")}
    shape = {name: value for name, value in shape.items() if "batch" not in name}
    config = AutoConfig.from_pretrained(folder / "small")
    config.update(shape | {"head_dim": sizes["hidden_size"] // sizes["num_attention_heads"]})
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        torch.manual_seed(13)
        LlamaForCausalLM(config).save_pretrained(folder / "model")
    for file in (folder / "small").glob("tokenizer*"):
        file.rename(folder / "model" / file.name)
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as file:
        for at, text in enumerate(texts):
            file.write(json.dumps({"id": str(at), "prompt": "Go on.", "response": text}) + "\n")


def recipe(sizes: dict[str, int], options: dict[str, Any]) -> Any:
    """The values of both runs."""
    from curate.train.recipe import read_recipe

    return read_recipe(
        "small",
        {
            "max_tokens": sizes["tokens"],
            "too_long": "cut_turn",
            "pad_token": "<pad>",
            "epochs": 1,
            "batch_size": sizes["batch_size"],
            "micro_batch_size": sizes["micro_batch_size"],
            "learning_rate": 1e-5,
            "schedule": "constant",
            "warmup_share": 0.0,
            "attention": options["attention"],
            "activation_checkpointing": options["checkpointing"],
            "max_new_tokens": 4,
        },
    )


def ours(folder: Path, number: int, sizes: dict[str, int], options: dict[str, Any]) -> dict[str, Any]:
    """A run of `curate train`, as the command makes it."""
    import polars as pl

    from curate.record import records
    from curate.train.sets import TrainingSet
    from curate.train.training import train

    rows = pl.read_ndjson(folder / "rows.jsonl").with_columns(source=pl.lit("mine"), license=pl.lit("CC0-1.0"))
    given = TrainingSet("rows", folder / "rows.jsonl", {"train": records(rows.to_dicts())}, {"kind": "file"})
    to = folder / f"ours-{number}"
    train(given, folder / "model", recipe(sizes, options), to)
    lines = [json.loads(line) for line in (to / "metrics.jsonl").read_text("utf-8").splitlines()]
    timed = lines[options["warm"] :]
    return {
        "tokens_per_second": statistics.median(line["tokens"] / line["seconds"] for line in timed),
        "last_loss": lines[-1]["loss"],
        "peak_bytes": peak(),
    }


def trl(folder: Path, number: int, sizes: dict[str, int], options: dict[str, Any]) -> dict[str, Any]:
    """A run of SFTTrainer on the tokens of ours, with the same values and no callback but a clock."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from curate.train.rows.tokens import read_tokens

    values = recipe(sizes, options)
    tokens = read_tokens(folder / f"ours-{number}" / "tokens" / "train.parquet")
    rows = [dict(zip(("input_ids", "labels"), tokens.row(at), strict=True)) for at in range(len(tokens))]
    ends: list[float] = []
    losses: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_log(self, *_: Any, logs: dict[str, Any] | None = None, **__: Any) -> None:
            if logs and "loss" in logs:
                ends.append(time.perf_counter())
                losses.append(logs["loss"])

    gpu = torch.cuda.is_available()
    arguments = SFTConfig(
        output_dir=str(folder / f"trl-{number}"),
        num_train_epochs=1,
        per_device_train_batch_size=values.micro_batch_size,
        gradient_accumulation_steps=values.batch_size // values.micro_batch_size,
        learning_rate=values.learning_rate,
        lr_scheduler_type="constant",
        bf16=gpu,
        use_cpu=not gpu,
        activation_checkpointing=values.activation_checkpointing,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        ddp_find_unused_parameters=False,
    )
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(
            folder / "model", dtype=torch.float32, attn_implementation=values.attention
        ),
        args=arguments,
        train_dataset=Dataset.from_list([{name: array.tolist() for name, array in row.items()} for row in rows]),
        processing_class=AutoTokenizer.from_pretrained(folder / "model"),
        callbacks=[Clock()],
    )
    trainer.train()
    seconds = [later - earlier for earlier, later in pairwise(ends)][options["warm"] - 1 :]
    a_step = int(tokens.lengths.sum()) / len(ends)
    return {
        "tokens_per_second": a_step / statistics.median(seconds),
        "last_loss": losses[-1],
        "peak_bytes": peak(),
    }


def matrix(_folder: Path, _number: int, sizes: dict[str, int], _options: dict[str, Any]) -> dict[str, Any]:
    """How many operations a second the device makes of multiplying square matrices, at best."""
    import torch

    gpu, size = torch.cuda.is_available(), sizes["matrix"]
    one, other = (
        torch.randn(size, size, device="cuda" if gpu else "cpu", dtype=torch.bfloat16 if gpu else torch.float32)
        for _ in range(2)
    )
    best = float("inf")
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(5):
            one @ other
        if gpu:
            torch.cuda.synchronize()
        best = min(best, (time.perf_counter() - began) / 5)
    return {"operations_per_second": 2 * size**3 / best}


def peak() -> int:
    """The most memory that was held: of the GPU, or of the process."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def device() -> str:
    """What it ran on."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {platform.machine()}"


_PARTS: Final = {"ours": ours, "trl": trl, "matrix": matrix}


if __name__ == "__main__":
    main()
