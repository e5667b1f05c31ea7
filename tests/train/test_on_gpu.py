"""What only a GPU can show: bf16, dropout drawn on the device, and a model that is shared out."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("trl")

import torch
import transformers

from curate.train.recipe import read_recipe
from curate.train.sets import TrainingSet
from curate.train.steps.callbacks import read_metrics
from curate.train.steps.dropout import add_residual_dropout
from curate.train.training import read_facts, train
from curate.train.weights import open_model

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")]

QUICK = {"epochs": 4, "batch_size": 8, "micro_batch_size": 4, "learning_rate": 1e-3, "max_new_tokens": 4}


def test_training_is_in_bf16_and_its_peak_of_memory_is_the_gpus(tiny_model, records, tmp_path):
    given, to = TrainingSet("invented", tmp_path, {"train": records}, {"kind": "file"}), tmp_path / "trained"
    torch.cuda.reset_peak_memory_stats()
    train(given, tiny_model(), read_recipe("small", {**QUICK, "residual_dropout": 0.1}), to)
    lines = read_metrics(to)
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert open_model(to / "model").dtype == "bfloat16"
    assert 0 < read_facts(to)["peak_memory"] <= torch.cuda.max_memory_allocated()


def test_packed_rows_learn_what_single_ones_do(tiny_model, records, tmp_path):
    """In one step over all rows, whatever attention the device takes for rows that are packed."""
    given = TrainingSet("invented", tmp_path, {"train": records}, {"kind": "file"})
    losses = []
    for packing in (False, True):
        changes = {**QUICK, "epochs": 1, "batch_size": 32, "micro_batch_size": 1, "packing": packing}
        to = tmp_path / str(packing)
        train(given, tiny_model(), read_recipe("small", {**changes, "precision": "fp32"}), to)
        losses.append(read_metrics(to)[0]["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_dropout_on_the_device_is_drawn_again_for_recomputed_layers(tiny_model):
    ids = torch.randint(4, 500, (4, 64), device="cuda")
    gradients = []
    for checkpointing in (False, True):
        model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model(), dtype=torch.float32).cuda().train()
        add_residual_dropout(model, 0.3)
        if checkpointing:
            model.activation_checkpointing_enable()
        torch.manual_seed(7)
        model(input_ids=ids, labels=ids).loss.backward()
        gradients.append([weight.grad for weight in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-8)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there are no two GPUs")
@pytest.mark.parametrize("changes", [{}, {"activation_checkpointing": True}, {"lora_rank": 4}], ids=str)
def test_a_model_shared_out_to_two_gpus_learns_what_whole_ones_do(changes, tiny_model, records, tmp_path):
    rows = tmp_path / "rows.jsonl"
    columns = records.select("id", "prompt", "context", "response")
    rows.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in columns.to_dicts()), "utf-8")
    losses = []
    for sharding in ("none", "fsdp2"):
        values = {**QUICK, "precision": "fp32", **changes, "sharding": sharding}
        command = ["train", rows, "--model", tiny_model(), "--recipe", "small", "--processes", 2, "--to", sharding]
        command += [f"--set={name}={json.dumps(value)}" for name, value in values.items()]
        subprocess.run(
            [sys.executable, "-m", "curate.cli", *map(str, command)], check=True, cwd=tmp_path, env={**os.environ}
        )
        losses.append([line["loss"] for line in read_metrics(tmp_path / sharding)])
        assert open_model(tmp_path / sharding / "model").dtype == "float32"
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
