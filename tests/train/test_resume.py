"""Going on after the process was killed: what comes out is, bit for bit, what would have come out without."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("trl")

import torch
from safetensors.torch import load_file, save_file

from curate.cli.train_resume_command import command
from curate.errors import CurateError, PipelineError, ReproducibilityError
from curate.train.checkpoints import newest
from curate.train.preparing import write_facts
from curate.train.recipe import read_recipe
from curate.train.rows.tokens import read_tokens, write_tokens
from curate.train.sets import TrainingSet
from curate.train.steps.callbacks import Ledger, read_metrics
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

from curate.train.steps.callbacks import Watch
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


def test_a_damaged_newest_state_never_costs_the_whole_one_before_it(killed, tmp_path, monkeypatch):
    """Of the same size as before, it would be held for the one to keep when the next state is written."""
    folder = tmp_path / "run"
    shutil.copytree(killed["in-an-epoch"], folder)
    weights = folder / "checkpoints" / "checkpoint-6" / "model.safetensors"
    written = bytearray(weights.read_bytes())
    written[-1] ^= 1
    weights.write_bytes(written)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("curate.train.steps._trainer.seal", full)
    with pytest.raises(CurateError, match="No space left"):
        resume(folder)
    assert newest(folder / "checkpoints") == (folder / "checkpoints" / "checkpoint-3", [])
    assert (folder / "checkpoints" / ".checkpoint-6.damaged" / "model.safetensors").read_bytes() == written


def edit_recipe(folder, _base):
    file = folder / "recipe.toml"
    file.write_text(file.read_text().replace("learning_rate = 0.001", "learning_rate = 0.002"))


def edit_tokens(folder, _base):
    """One id of one row, and all digests as they have to be."""
    file = folder / "tokens" / "train.parquet"
    tokens = read_tokens(file)
    ids = tokens.input_ids.copy()
    ids[3] += 1
    write_tokens(replace(tokens, input_ids=ids), file)


def edit_weights(_folder, base):
    file = base / "model.safetensors"
    save_file({name: weight * 1.5 for name, weight in load_file(file).items()}, file, {"format": "pt"})


def edit_configuration(_folder, base):
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))


def edit_tokenizer(_folder, base):
    """Two letters are one another's ids."""
    written = json.loads((base / "tokenizer.json").read_text())
    vocabulary = written["model"]["vocab"]
    vocabulary["A"], vocabulary["B"] = vocabulary["B"], vocabulary["A"]
    (base / "tokenizer.json").write_text(json.dumps(written))


EDITS = {
    "recipe.learning_rate was 0.001, and is 0.002": edit_recipe,
    "tokens was": edit_tokens,
    "weights was": edit_weights,
    "weights was .*": edit_configuration,
    "tokenizer was": edit_tokenizer,
}


@pytest.mark.parametrize("name", ["at-its-end", "before-any-state"])
@pytest.mark.parametrize("said", EDITS)
def test_nothing_else_is_gone_on_with_than_what_was_begun(moved, name, said):
    folder, base = moved(name)
    before = (folder / "train.json").read_bytes()
    EDITS[said](folder, base)
    with pytest.raises(ReproducibilityError, match=f"this is not the training that was begun: {said}"):
        resume(folder)
    assert (folder / "train.json").read_bytes() == before


def test_a_state_of_another_training_is_not_gone_on_with(killed, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(killed["at-its-end"], folder)
    edit_recipe(folder, None)
    facts = read_facts(folder)
    facts["same"]["recipe"]["learning_rate"] = 0.002
    write_facts(folder, facts)
    with pytest.raises(ReproducibilityError, match=r"recipe\.learning_rate was 0\.001") as refused:
        resume(folder)
    assert refused.value.where.endswith("checkpoint-8")


@pytest.fixture
def moved(killed, tiny_model, tmp_path):
    """A copy of a run that was killed, and of the base model, where it says that the base model lies."""

    def copied(name):
        folder, base = tmp_path / "run", tmp_path / "base"
        shutil.copytree(killed[name], folder)
        shutil.copytree(tiny_model(), base)
        facts = read_facts(folder)
        write_facts(folder, facts | {"model": facts["model"] | {"path": str(base)}})
        return folder, base

    return copied


def test_a_base_model_that_was_moved_is_named_and_has_to_be_the_same(moved, tmp_path):
    folder, base = moved("adapters")
    there = base.rename(tmp_path / "elsewhere")
    with pytest.raises(PipelineError, match="not where it was") as refused:
        resume(folder)
    assert "--model PATH" in refused.value.next
    other = tmp_path / "other"
    shutil.copytree(there, other)
    edit_weights(folder, other)
    with pytest.raises(ReproducibilityError, match="not the model that training began with"):
        resume(folder, other)
    done = CliRunner().invoke(command, [str(folder), "--model", str(there), "--quiet"])
    assert done.exit_code == 0, done.output
    assert read_facts(folder)["model"]["path"] == str(there)
    assert (folder / "model" / "model.safetensors").exists()


def test_another_precision_is_refused(killed, tmp_path, monkeypatch):
    """What `auto` is depends on the machine."""
    folder = tmp_path / "run"
    shutil.copytree(killed["in-an-epoch"], folder)
    was = read_facts(folder)["same"]["precision"]
    now = {"bf16": "fp32", "fp32": "bf16"}[was]
    monkeypatch.setattr("curate.train.weights.precision", lambda _: now)
    with pytest.raises(ReproducibilityError, match=f'precision was "{was}", and is "{now}"'):
        resume(folder)


def test_other_versions_are_said_and_every_start_is_noted(killed, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(killed["in-an-epoch"], folder)
    facts = read_facts(folder)
    write_facts(folder, facts | {"peak_memory": 10**15})
    versions = facts["versions"]
    monkeypatch.setattr("curate.train.preparing._versions", lambda: {**versions, "trl": "99.0"})
    trained = resume(folder)
    said = f"trl was {versions['trl']} and is 99.0: what comes out may differ in its last bits"
    assert any(sentence.startswith(said) for sentence in trained.said)
    facts = read_facts(folder)
    assert [(each["step"], each["versions"]["trl"]) for each in facts["starts"]] == [
        (0, versions["trl"]),
        (6, "99.0"),
    ]
    assert facts["versions"] == versions
    assert facts["peak_memory"] == 10**15  # the most that any of its processes held


@pytest.mark.parametrize("torn", [b"", b'{"format": 1, "st', b"[]", b"\xff"])
def test_torn_facts_are_told(tmp_path, torn):
    (tmp_path / "train.json").write_bytes(torn)
    with pytest.raises(ReproducibilityError, match=r"train.json is not what was written") as told:
        resume(tmp_path)
    assert told.value.next


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
