"""What each process does in the tests of several: `curate train`, and a note of the rows that it was given.

Where the recipe asks for FSDP2, accelerate is made to do on CPUs what it does on GPUs. `CURATE_TEST` says what
else is to happen: `late` processes come to the end of an epoch seconds after the first, and of a `poisoned` model
one token is no number.
"""

import json
import os
import sys
import time
from pathlib import Path

import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from trl import SFTTrainer

from curate.cli import main
from curate.train import weights
from curate.train.steps import keeping, launching

notes, *arguments = sys.argv[1:]
taken, drawn = [], []
compute_loss = SFTTrainer.compute_loss


def noted(self, model, inputs, *others, **named):
    """Note the tokens and the labels of each row in a micro-batch, without padding."""
    if model.training:
        with torch.random.fork_rng():
            drawn.append(torch.rand(1).item())  # what dropout would draw next
        kept = inputs["attention_mask"].bool() if "attention_mask" in inputs else inputs["input_ids"] >= 0
        for ids, labels, real in zip(inputs["input_ids"], inputs["labels"], kept, strict=True):
            taken.append([self.state.global_step, ids[real].tolist(), labels[real].tolist()])
    return compute_loss(self, model, inputs, *others, **named)


def shard_on_cpus():
    """Let accelerate share models out to processes on CPUs: it holds that only GPUs do, and makes whole copies."""
    begin = AcceleratorState.__init__

    def begun(self, *others, fsdp_plugin=None, **named):
        begin(self, *others, fsdp_plugin=fsdp_plugin, **named)
        if fsdp_plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
            self.fsdp_plugin, self.distributed_type = fsdp_plugin, DistributedType.FSDP
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP

    AcceleratorState.__init__ = begun
    launching._check_sharding = lambda _processes: None


def late():
    """Let all but the first be late where epochs are kept."""
    keep = keeping.Keeper.keep

    def kept(self, trainer, epoch):
        if launching.world().rank:
            time.sleep(4)
        keep(self, trainer, epoch)

    keeping.Keeper.keep = kept


def poison():
    """Have one token of the model be no number, and the first process slow to say of which rows it is."""
    load, loss = weights.load_model, keeping._loss

    def loaded(folder, template, recipe):
        model = load(folder, template, recipe)
        token = template.tokenizer.encode("3. 長江", add_special_tokens=False)[-1]
        with torch.no_grad():
            model.get_input_embeddings().weight[token] = float("nan")
        return model

    def slowly(trainer, tokens, row):
        time.sleep(0.5)
        return loss(trainer, tokens, row)

    weights.load_model, keeping._loss = loaded, slowly


SFTTrainer.compute_loss = noted
{"late": late, "poisoned": poison}.get(os.environ.get("CURATE_TEST", ""), lambda: None)()
if "--set=sharding=fsdp2" in arguments or arguments[1] == "resume":
    shard_on_cpus()
sys.argv = ["curate", *arguments]
try:
    main()
except SystemExit as ended:
    if ended.code:
        told = (Path(notes) / keeping.FAILED_STEP).exists()
        Path(f"{notes}-{launching.world().rank}.json").write_text(json.dumps(told), "utf-8")
        raise
Path(f"{notes}-{launching.world().rank}.json").write_text(json.dumps([taken, drawn]), "utf-8")
