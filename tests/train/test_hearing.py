"""What is heard of an epoch: the loss on rows that are not learned, and answers, whoever takes part in it."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from curate.train.recipe import read_recipe

pytest.importorskip("torch")
pytest.importorskip("trl")

import torch

from curate.train.rows.templates import template_for
from curate.train.rows.tokens import tokenize, write_tokens
from curate.train.sets import TrainingSet
from curate.train.speech import hearing
from curate.train.speech.hearing import SPOKEN, dev_loss, hear
from curate.train.steps.launching import World
from curate.train.training import train

# Two processes hear a model that each has whole, and one of which each has a half.
WORKER = """
import sys
from pathlib import Path

import polars as pl
import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from curate.train import weights
from curate.train.speech.hearing import hear
from curate.train.recipe import read_recipe
from curate.train.rows.templates import template_for
from curate.train.rows.tokens import read_tokens

folder, root = Path(sys.argv[1]), Path(sys.argv[2])
recipe = read_recipe(str(root / "recipe.toml"))
opened = weights.open_model(folder)
template = template_for(recipe.template, weights.load_tokenizer(opened))
dev, prompts = read_tokens(root / "dev.parquet"), pl.read_parquet(root / "prompts.parquet")
distributed.init_process_group("gloo")
for way in ("whole", "sharded"):
    model = weights.load_model(opened, template, recipe).train()
    if way == "whole":
        model = torch.nn.parallel.DistributedDataParallel(model)
    else:
        mesh = init_device_mesh("cpu", (2,))
        for layer in [*model.model.layers, model]:
            fully_shard(layer, mesh=mesh)
    hear(model, template, recipe, root / way, epoch=1, step=1, dev=dev, prompts=prompts)
    assert model.training
distributed.destroy_process_group()
"""

RECIPE = read_recipe("small", {"max_new_tokens": 6, "precision": "fp32", "template": "vicuna"})


@pytest.fixture(scope="module")
def model(tiny_model):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model())


@pytest.fixture(scope="module")
def template(tiny_model):
    from transformers import AutoTokenizer

    return template_for("vicuna", AutoTokenizer.from_pretrained(tiny_model()))


@pytest.fixture(scope="module")
def tokens(records, template):
    return tokenize(records, template, loss="assistant", max_tokens=512, too_long="error", markers="error")


def by_hand(model, tokens, row):
    """A row's summed loss and learned tokens, with the model's own loss, and alone."""
    ids, labels = (torch.tensor(np.array(part), dtype=torch.long)[None] for part in tokens.row(row))
    count = int((labels[:, 1:] != -100).sum())
    with torch.no_grad():
        return float(model.eval()(input_ids=ids, labels=labels).loss) * count, count


class TestLoss:
    def test_it_is_the_mean_over_tokens_and_the_mean_over_rows(self, model, tokens):
        found = dev_loss(model, tokens, RECIPE)
        alone = [by_hand(model, tokens, row) for row in range(len(tokens))]
        sums, counts = np.array([loss for loss, _ in alone]), np.array([count for _, count in alone])
        assert (found["rows"], found["tokens"]) == (len(tokens), counts.sum())
        assert found["per_token"] == pytest.approx(sums.sum() / counts.sum(), rel=1e-6)
        assert found["per_row"] == pytest.approx((sums / counts).mean(), rel=1e-6)
        assert found["per_token"] != pytest.approx(found["per_row"], rel=1e-4), "rows are of unlike length"

    def test_how_many_rows_are_taken_together_changes_nothing(self, model, tokens, monkeypatch):
        found = dev_loss(model, tokens, RECIPE)
        monkeypatch.setattr(hearing, "_SCORES", 1)
        alone = dev_loss(model, tokens, RECIPE)
        assert alone["per_token"] == pytest.approx(found["per_token"], rel=1e-6)

    def test_no_batch_has_more_tokens_than_it_may(self, tokens):
        batches = list(hearing._batches(tokens, range(len(tokens)), 300))
        assert sorted(row for batch in batches for row in batch) == list(range(len(tokens)))
        assert max(len(batch) * max(tokens.lengths[row] for row in batch) for batch in batches) <= 300
        assert max(map(len, batches)) > 1
        assert all(len(batch) == 1 for batch in hearing._batches(tokens, range(len(tokens)), 1))

    def test_a_row_in_which_nothing_is_learned_counts_for_nothing(self, model, tokens):
        labels = tokens.labels.copy()
        labels[: tokens.offsets[1]] = -100
        found = dev_loss(model, replace(tokens, labels=labels), RECIPE)
        assert found["rows"] == len(tokens) - 1
        assert np.isfinite(found["per_row"])

    def test_dropout_is_off_and_the_mode_comes_back(self, model, tokens):
        for layer in model.model.layers:
            layer.self_attn.attention_dropout = 0.5
        model.train()
        try:
            before = torch.get_rng_state()
            assert dev_loss(model, tokens, RECIPE) == dev_loss(model, tokens, RECIPE)
            assert model.training
            assert torch.equal(torch.get_rng_state(), before)
        finally:
            model.eval()
            for layer in model.model.layers:
                layer.self_attn.attention_dropout = 0.0

    def test_bf16_is_computed_in_where_the_recipe_has_it(self, model, tokens):
        short = dev_loss(model, tokens, RECIPE.model_copy(update={"precision": "bf16"}))
        found = dev_loss(model, tokens, RECIPE)
        assert short["per_token"] != found["per_token"]
        assert short["per_token"] == pytest.approx(found["per_token"], rel=0.02)


@pytest.mark.parametrize("changes", [{}, {"lora_rank": 4, "lora_dropout": 0.2}], ids=["full", "lora"])
def test_training_ends_bit_by_bit_where_it_would_have_if_nobody_had_asked(records, tiny_model, tmp_path, changes):
    recipe = read_recipe(
        "small",
        {
            "epochs": 3,
            "keep_epochs": [1, 3],
            "residual_dropout": 0.2,
            "learning_rate": 1e-3,
            "max_new_tokens": 6,
            "precision": "fp32",
            "pick": "manual",
            **changes,
        },
    )
    rows = {"train": records.head(16)}
    asked = TrainingSet("asked", tmp_path / "set", rows | {"dev": records.tail(4)}, {"kind": "file"})
    silent = TrainingSet("silent", tmp_path / "set", rows, {"kind": "file"})
    for given in (asked, silent):
        train(given, tiny_model(), recipe, tmp_path / given.name)
    assert (tmp_path / "asked" / "generations" / "epoch-02.jsonl").is_file()
    assert not (tmp_path / "silent" / "generations").exists()
    for epoch in ("epoch-02", "epoch-03"):
        one, other = (
            next((tmp_path / each / "epochs" / epoch).glob("*.safetensors")).read_bytes()
            for each in ("asked", "silent")
        )
        assert one == other


class TestHear:
    def test_it_writes_answers_and_then_what_was_heard(self, model, template, tokens, records, tmp_path):
        told = hear(model, template, RECIPE, tmp_path, epoch=5, step=160, dev=tokens, prompts=records.head(3))
        assert json.loads((tmp_path / "epochs" / "epoch-05.json").read_text("utf-8")) == told
        assert (told["epoch"], told["step"], told["generations"]) == (5, 160, "generations/epoch-05.jsonl")
        said = [json.loads(line) for line in (tmp_path / told["generations"]).read_text("utf-8").splitlines()]
        assert [each["id"] for each in said] == records["id"].head(3).to_list()
        assert told["spoken"]["answers"] == 3
        assert told["spoken"]["ended"] == sum(each["stop"] == "end" for each in said)
        assert told["spoken"]["mean_tokens"] == pytest.approx(np.mean([each["tokens"] for each in said]), abs=0.05)
        assert told["dev_loss"] == dev_loss(model, tokens, RECIPE)

    def test_without_dev_rows_there_is_nothing_to_hear(self, model, template, tmp_path):
        told = hear(model, template, RECIPE, tmp_path, epoch=12, step=1)
        assert (told["dev_loss"], told["generations"], told["spoken"]) == (None, None, None)
        assert (tmp_path / "epochs" / "epoch-12.json").is_file()

    def test_a_large_dev_set_is_asked_its_first_fifty(self, model, template, records, tmp_path):
        many = records.sample(60, with_replacement=True, seed=1)
        brief = RECIPE.model_copy(update={"max_new_tokens": 1})
        told = hear(model, template, brief, tmp_path, epoch=1, step=1, prompts=many)
        assert told["spoken"]["answers"] == SPOKEN == 50

    @pytest.mark.parametrize("size", [2, 3])
    def test_several_processes_hear_what_one_hears(
        self, model, template, tokens, records, tmp_path, monkeypatch, size
    ):
        alone = hear(
            model, template, RECIPE, tmp_path / "one", epoch=1, step=1, dev=tokens, prompts=records.head(7)
        )
        parts = []

        def gather(into, mine):
            """As if the other processes had come here with theirs, which were made before this one's."""
            parts[-1].append(mine)
            into[:] = parts[-1]

        monkeypatch.setattr("torch.distributed.all_gather_object", gather)
        work = hearing._shared

        def shared(count, model, make):
            parts.append([])
            for rank in range(size - 1):
                parts[-1].append(make(range(rank, count, size)))
            monkeypatch.setattr(hearing, "world", lambda: World(size - 1, size, size - 1))
            return work(count, model, make)

        monkeypatch.setattr(hearing, "_shared", shared)
        told = hear(
            model, template, RECIPE, tmp_path / "more", epoch=1, step=1, dev=tokens, prompts=records.head(7)
        )
        assert told["spoken"] == alone["spoken"]
        assert told["dev_loss"]["per_token"] == pytest.approx(alone["dev_loss"]["per_token"], rel=1e-6)
        assert told["dev_loss"]["tokens"] == alone["dev_loss"]["tokens"]

    @pytest.mark.slow
    def test_two_real_processes_hear_what_one_hears(self, model, template, tokens, records, tiny_model, tmp_path):
        (tmp_path / "recipe.toml").write_text(RECIPE.toml(), "utf-8")
        write_tokens(tokens, tmp_path / "dev.parquet")
        records.head(5).write_parquet(tmp_path / "prompts.parquet")
        alone = hear(model, template, RECIPE, tmp_path, epoch=1, step=1, dev=tokens, prompts=records.head(5))
        (tmp_path / "worker.py").write_text(WORKER, "utf-8")
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        subprocess.run(
            [*launcher, str(tmp_path / "worker.py"), str(tiny_model()), str(tmp_path)],
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        for way in ("whole", "sharded"):
            told = json.loads((tmp_path / way / "epochs" / "epoch-01.json").read_text("utf-8"))
            assert told["dev_loss"]["per_token"] == pytest.approx(alone["dev_loss"]["per_token"], rel=1e-6)
            assert told["spoken"] == alone["spoken"]
            said = (tmp_path / way / told["generations"]).read_bytes()
            assert said == (tmp_path / alone["generations"]).read_bytes()

    def test_only_the_first_process_writes(self, model, template, tmp_path, monkeypatch):
        monkeypatch.setattr(hearing, "world", lambda: World(1, 2, 1))
        hear(model, template, RECIPE, tmp_path, epoch=1, step=1)
        assert not any(tmp_path.iterdir())

    def test_of_a_sharded_model_each_process_does_all(self, monkeypatch):
        monkeypatch.setattr(hearing, "world", lambda: World(1, 2, 1))
        sharded = SimpleNamespace(parameters=lambda: iter([SimpleNamespace(device_mesh=1)]))
        assert hearing._shared(3, sharded, list) == [0, 1, 2]
