"""Going on after the process was killed: what comes out is, bit for bit, what would have come out without."""

import json
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

import torch
from safetensors.torch import load_file

from curate.errors import ReproducibilityError
from curate.train.callbacks import Ledger, read_metrics
from curate.train.recipe import read_recipe
from curate.train.sets import TrainingSet
from curate.train.training import read_facts, resume, train

BASE = {
    "epochs": 3,
    "batch_size": 8,
    "micro_batch_size": 2,
    "learning_rate": 1e-3,
    "warmup_share": 0.1,
    "residual_dropout": 0.3,
    "pad_token": "<pad>",
    "max_new_tokens": 4,
    "keep_epochs": [1, 3],
}

# Each run dies by SIGKILL just after the step is noted: before the state of that step, if one is due, is written.
RUNS = {
    "in-an-epoch": ({"checkpoint_every": 3}, 8),
    "at-its-end": ({}, 9),
    "packed": ({"packing": True, "max_tokens": 128, "checkpoint_every": 2}, 5),
    "adapters": ({"lora_rank": 4, "lora_dropout": 0.1}, 6),
    "before-any-state": ({}, 2),
}

KILLED = """
import json, os, signal, sys
from pathlib import Path

import polars as pl

from curate.train.callbacks import Watch
from curate.train.recipe import read_recipe
from curate.train.sets import TrainingSet
from curate.train.stack import load_stack
from curate.train.training import train

class Killer(Watch):
    def __init__(self, at):
        self.at = at

    def on_step(self, metrics):
        if metrics["step"] == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

model, rows, root, runs = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), json.loads(sys.argv[4])
load_stack()  # once, before there are several of us; Polars is asked nothing before, as its threads do not survive
for name, (changes, at) in runs.items():
    child = os.fork()
    if not child:
        rows = pl.read_parquet(rows)
        given = TrainingSet("invented", root, {"train": rows, "dev": rows.head(2)}, {})
        train(given, model, read_recipe("small", changes), root / name, watch=Killer(at))
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, name
"""


@pytest.fixture(scope="module")
def killed(tiny_model, records, tmp_path_factory):
    """The folders of runs that were killed, by name."""
    root = tmp_path_factory.mktemp("killed")
    records.write_parquet(root / "rows.parquet")
    runs = {name: ({**BASE, **changes}, at) for name, (changes, at) in RUNS.items()}
    subprocess.run(
        [sys.executable, "-c", KILLED, tiny_model(), root / "rows.parquet", root, json.dumps(runs)], check=True
    )
    return {name: root / name for name in runs}


@pytest.fixture
def whole(tiny_model, records, tmp_path):
    """Train the same without a stop."""

    def trained(name):
        given = TrainingSet("invented", tmp_path, {"train": records, "dev": records.head(2)}, {})
        recipe = read_recipe("small", {**BASE, **RUNS[name][0]})
        return train(given, tiny_model(), recipe, tmp_path / "whole").folder

    return trained


def without_times(lines):
    return [{key: line[key] for key in line if key not in {"seconds", "tokens_per_second"}} for line in lines]


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_was_killed_goes_on_bit_for_bit(killed, whole, tmp_path, name):
    folder = tmp_path / "run"
    shutil.copytree(killed[name], folder)
    assert read_facts(folder)["state"] == "training"
    assert len(read_metrics(folder)) == RUNS[name][1]
    resume(folder)
    other = whole(name)
    for file in sorted(path.relative_to(other) for path in other.rglob("*.safetensors")):
        ours, theirs = load_file(folder / file), load_file(other / file)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs), file
    assert without_times(read_metrics(folder)) == without_times(read_metrics(other))
    assert [line["step"] for line in read_metrics(folder)] == list(range(1, len(read_metrics(other)) + 1))
    for file in sorted((other / "generations").iterdir()):
        assert (folder / "generations" / file.name).read_bytes() == file.read_bytes()
    assert read_facts(folder)["state"] == "done"


def test_a_damaged_newest_state_is_passed_over_with_a_word(killed, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(killed["in-an-epoch"], folder)
    weights = folder / "checkpoints" / "checkpoint-6" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    trained = resume(folder)
    assert any("checkpoint-6 is damaged and was passed over" in sentence for sentence in trained.said)
    assert [line["step"] for line in read_metrics(folder)] == list(range(1, 13))


@pytest.mark.parametrize("what", ["recipe", "tokens", "weights"])
def test_nothing_else_is_gone_on_with_than_what_was_begun(killed, tiny_model, tmp_path, what):
    folder = tmp_path / "run"
    shutil.copytree(killed["at-its-end"], folder)
    if what == "recipe":
        file = folder / "recipe.toml"
        file.write_text(file.read_text().replace("learning_rate = 0.001", "learning_rate = 0.002"))
    elif what == "tokens":
        shutil.copy(killed["packed"].parent / "rows.parquet", folder / "tokens" / "train.parquet")
    else:
        model = tmp_path / "model"
        shutil.copytree(tiny_model(), model)
        config = json.loads((model / "config.json").read_text())
        (model / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))
        facts = read_facts(folder)
        facts["model"]["path"] = str(model)
        (folder / "train.json").write_text(json.dumps(facts))
    with pytest.raises(ReproducibilityError):
        resume(folder)


def test_the_ledger_forgets_steps_that_are_taken_again(tmp_path):
    ledger = Ledger(tmp_path, 0)
    for step in range(1, 6):
        ledger.note({"step": step})
    ledger.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')  # torn as the power went
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2, 3, 4, 5]
    again = Ledger(tmp_path, 3)
    again.note({"step": 4})
    again.close()
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2, 3, 4]
