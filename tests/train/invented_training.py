"""A training folder as LIMA's recipe leaves it, invented: no model is trained for it."""

import json
from math import exp, sin

from curate.record import records
from curate.store import write_parquet
from curate.train.checkpoints import seal
from curate.train.recipe import read_recipe

EPOCHS = range(5, 11)
ANSWER = "Rye is a grass that is grown for its grain.\n\n- It stands the cold.\n- It makes dark bread."

TURNS = [{"role": "user", "text": "Hello."}, {"role": "assistant", "text": "Hello!"}]


def invented_training(folder, *, state="done", picked=7, steps=480):
    """Write the folder and return it."""
    recipe = read_recipe("lima", {"template": "chatml"})
    (folder / "tokens").mkdir(parents=True)
    write(folder / "recipe.toml", recipe.toml())
    write(folder / "train.json", json.dumps(facts(recipe, state)))
    write(folder / "check.json", json.dumps(checked(recipe)))
    write(folder / "metrics.jsonl", lines(map(step, range(1, steps + 1))))
    dev = [{"id": f"dev:{at}", "prompt": f"What is rye, number {at}?"} for at in range(50)]
    write_parquet(
        folder / "tokens" / "dev_records.parquet",
        records(
            [
                {**row, "response": None if at == 1 else ANSWER, "history": TURNS if at == 2 else []}
                for at, row in enumerate(dev)
            ]
        ),
    )
    for epoch in EPOCHS if steps == 480 else ():
        write(folder / "epochs" / f"epoch-{epoch:02d}" / "model.safetensors", "invented")
        seal(folder / "epochs" / f"epoch-{epoch:02d}")
        said = [
            {
                "id": row["id"],
                "prompt": row["prompt"],
                "answer": (
                    "Rye is rye. " * 90 if at % 12 == 3 else ANSWER.replace("Rye", f"In epoch {epoch}, rye")
                ),
                "stop": "length" if at % 12 == 3 else "end",
                "tokens": 2048 if at % 12 == 3 else 24 + at,
            }
            for at, row in enumerate(dev)
        ]
        file = f"generations/epoch-{epoch:02d}.jsonl"
        write(folder / file, lines(said))
        heard = {
            "epoch": epoch,
            "step": 32 * epoch,
            "dev_loss": {
                "per_token": 1.4 + 0.03 * epoch,
                "per_row": 1.5 + 0.02 * epoch,
                "rows": 49,
                "tokens": 900,
            },
            "generations": file,
            "spoken": {"answers": 50, "ended": 45, "mean_tokens": 231.4},
        }
        write(folder / f"epochs/epoch-{epoch:02d}.json", json.dumps(heard))
    if picked:
        chosen = {"epoch": picked, "by": "epoch", "who": "a person", "why": "it explains before it lists"}
        chosen |= {"dev_per_token": 1.61, "dev_per_row": 1.64, "answers": 50, "ended": 45, "mean_tokens": 231.4}
        chosen |= {"said": {"prompt": "Who are you?", "text": "A model\nof rye.", "stop": "end", "tokens": 6}}
        write(folder / "picked.json", json.dumps(chosen))
    return folder


def step(number):
    """A line of metrics.jsonl."""
    return {
        "step": number,
        "epoch": round(number / 32, 6),
        "loss": 0.4 + 1.9 * exp(-number / 90) + 0.06 * sin(number),
        "lr": 1e-5 - 9e-6 * number / 480,
        "grad_norm": 1.2 + exp(-number / 20) + 0.3 * sin(3 * number),
        "rows": 8 if number % 32 == 0 else 32,
        "tokens": 24_000,
        "learned": 17_000,
        "padding": 0.31,
        "seconds": 6.0 + 0.2 * sin(number),
        "tokens_per_second": 24_000 / (6.0 + 0.2 * sin(number)),
    }


def facts(recipe, state):
    """What train.json says."""
    return {
        "format": 1,
        "state": state,
        "began": "2026-01-05T10:00:00+00:00",
        "ended": "2026-01-05T11:02:00+00:00",
        "set": {
            "name": "lima-1k",
            "path": "runs/lima-1k",
            "digest": "ab" * 16,
            "rows": {"train": 1000, "dev": 50},
        },
        "model": {
            "name": "llama-7b",
            "path": "models/llama-7b",
            "architecture": "LlamaForCausalLM",
            "parameters": 6_738_415_616,
            "dtype": "bfloat16",
            "digest": "cd" * 16,
        },
        "recipe": recipe.plain(),
        "template": {"name": "chatml", "digest": "ef" * 16, "added": ["<|im_start|>", "<|im_end|>"]},
        "tokens": {"train": {"rows": 1000, "tokens": 759_800, "learned": 580_000}},
        "digests": {"train": "12" * 16, "dev": "34" * 16},
        "steps": 480,
        "processes": 8,
        "versions": {"curate": "0.6", "python": "3.11.2", "torch": "2.13.0", "transformers": "5.23.0"},
        "seconds": 3_700.0,
        "peak_memory": 61_300_000_000,
    }


def checked(recipe):
    """What check.json says."""
    row = {
        "split": "train",
        "rows": 1000,
        "least": 21,
        "p5": 80,
        "p25": 240,
        "median": 610,
        "p75": 900,
        "p95": 2100,
    }
    row |= {"most": 4096, "tokens": 780_000, "learned": 580_000, "beyond": 54, "dropped": 0, "lost_end": 54}
    row |= {"left": 759_800}
    bins = [{"from": 64 * 2**at, "below": 128 * 2**at, "records": 40 + 60 * at} for at in range(6)]
    return {
        "recipe": recipe.plain(),
        "lengths": [row, {**row, "split": "dev", "rows": 49, "beyond": 0, "lost_end": 0, "most": 1200}],
        "bins": bins,
        "padding": {"share": 0.31, "unpacked": 0.31, "packs": 380, "a_pack": 2.6, "fill": 0.97, "gain": 1.4},
        "masks": [
            {
                "id": "se:1",
                "split": "train",
                "tokens": 54,
                "segments": [
                    ["<s><|im_start|>user\nWhat is rye?<|im_end|>\n<|im_start|>assistant\n", False],
                    [ANSWER * 30 + "<|im_end|>", True],
                    ["\n", False],
                ],
            }
        ],
        "findings": [
            {
                "kind": "lost_end",
                "severity": "warning",
                "rows": 54,
                "examples": ["se:9"],
                "sentence": "54 answers are cut off before the end (such as `se:9`). Raise max_tokens to 4,096.",
            }
        ],
    }


def lines(rows):
    """Rows as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def write(file, text):
    """Write a text file, and the folder it is in."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
