"""What each of two processes does in the test of FSDP2: trains one model whole and shared out, and compares them.

Run by torch's launcher. The first process writes what it found, as JSON, into the file that is given.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from torch import distributed
from transformers import LlamaConfig, LlamaForCausalLM, TrainingArguments
from trl.trainer.utils import add_fused_lm_head

from curate.train.recipe import Recipe
from curate.train.steps.dropout import add_residual_dropout, residual_dropout
from curate.train.steps.launching import sharding_settings
from curate.train.steps.optimizers import optimizer_for

RECIPE = Recipe(name="mine", sharding="fsdp2", learning_rate=1e-3, weight_decay=0.1)
STEPS = 3


def made(*, tied):
    torch.manual_seed(1)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=61,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=64,
            tie_word_embeddings=tied,
        )
    )


def shared_out(model, recipe):
    """The model as the Trainer and accelerate share it out by our settings, but on CPUs, which they refuse."""
    given = SimpleNamespace(activation_checkpointing=False, **sharding_settings(model, recipe))
    plugin = FullyShardedDataParallelPlugin(**TrainingArguments._process_fsdp_args(given))
    accelerator = SimpleNamespace(
        state=SimpleNamespace(fsdp_plugin=plugin), mixed_precision="no", is_main_process=False
    )
    return fsdp2_prepare_model(accelerator, model)


def trained(recipe, *, tied=False, shared=True, checkpointing=False):
    """The weights after a few steps, and the names and rates of the modules that have residual dropout."""
    model = made(tied=tied)
    add_residual_dropout(model, recipe.residual_dropout)
    if checkpointing:
        model.activation_checkpointing_enable()
    add_fused_lm_head(model)
    rows = torch.randint(3, 61, (4, 16), generator=torch.Generator().manual_seed(5))
    if shared:
        rows = rows[distributed.get_rank() :: distributed.get_world_size()]
        model = shared_out(model, recipe)
    optimizer = optimizer_for(model, recipe)
    model.train()
    torch.manual_seed(100 + distributed.get_rank())
    for _ in range(STEPS):
        optimizer.zero_grad()
        model(input_ids=rows, labels=rows, fused_lm_head=True).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    state = model.state_dict()
    return {name: whole(weight) for name, weight in state.items()}, residual_dropout(model)


def whole(weight):
    return (weight.full_tensor() if hasattr(weight, "full_tensor") else weight).detach().clone()


def distance(one, other):
    return max((one[name] - other[name]).abs().max().item() for name in one)


def main():
    distributed.init_process_group("gloo")
    found = {"distances": {}}
    for scaled in (False, True):
        for tied in (False, True):
            recipe = RECIPE.model_copy(update={"scale_by_weight": scaled})
            one, two = (trained(recipe, tied=tied, shared=shared)[0] for shared in (False, True))
            found["distances"][f"scaled={scaled}, tied={tied}"] = distance(one, two)
    dropping = RECIPE.model_copy(update={"residual_dropout": 0.3})
    without, _ = trained(RECIPE)
    once, rates = trained(dropping)
    again, _ = trained(dropping)
    checkpointed, _ = trained(dropping, checkpointing=True)
    found["rates"] = rates
    found["dropped"] = distance(without, once)
    found["again"] = distance(once, again)
    found["checkpointed"] = distance(once, checkpointed)
    if distributed.get_rank() == 0:
        Path(sys.argv[1]).write_text(json.dumps(found), "utf-8")
    distributed.destroy_process_group()


main()
