"""TRL's trainer, fed our tokens in our order and set as the recipe says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate.keys import seed_for
from curate.train.recipe import Recipe
from curate.train.rows.joining import UNLEARNED
from curate.train.steps.launching import PATIENCE, World, check_batch, on_cpus, sharding_settings
from curate.train.steps.order import FILLER, Order
from curate.train.steps.schedules import schedule, warmup
from curate.train.weights import precision

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel
    from trl.trainer.sft_config import SFTConfig

    from curate.train.rows.tokens import Tokens


@dataclass(frozen=True)
class Lessons:
    """What is learned: sequences in a data set, the order they come in, and the rows of the tokens in each."""

    dataset: Dataset
    order: Order
    members: Sequence[NDArray[np.int64]]

    def rows(self, step: int) -> list[int]:
        """The rows of the tokens that a step learns from, over all processes."""
        return [int(row) for place in self.order.rows(step) for row in self.members[place]]


def lessons(tokens: Tokens, recipe: Recipe, *, pad: int, processes: int = 1) -> Lessons:
    """The tokens as TRL's trainer takes them: a row, or a pack of rows, a sequence; and a filler."""
    import pyarrow as pa  # type: ignore[import-untyped]
    from datasets import Dataset

    members = _members(tokens, recipe)
    lengths = np.asarray(tokens.lengths, dtype=np.int64)
    order = np.concatenate(members)
    sizes = np.array([len(rows) for rows in members])
    totals = np.add.reduceat(lengths[order], np.cumsum(sizes) - sizes)
    offsets = np.concatenate([[0], np.cumsum(totals), [totals.sum() + FILLER]])
    taken = _spans(tokens.offsets[:-1][order], lengths[order])
    columns = {
        "input_ids": _lists(offsets, np.append(tokens.input_ids[taken], [pad] * FILLER)),
        "labels": _lists(offsets, np.append(tokens.labels[taken], [UNLEARNED] * FILLER)),
    }
    if recipe.packing:
        edges = np.concatenate([[0], np.cumsum(sizes), [len(order) + 1]])
        columns["seq_lengths"] = _lists(edges, np.append(lengths[order], FILLER))
    learned = np.add.reduceat(_learned(tokens)[order], np.cumsum(sizes) - sizes)
    return Lessons(
        Dataset(pa.table(columns)),
        Order(
            [tokens.ids[rows[0]] for rows in members],
            totals,
            learned,
            seed_for(recipe.seed, "order"),
            recipe.batch_size,
            recipe.micro_batch_size,
            processes,
            padded=not recipe.packing,
        ),
        members,
    )


def settings(recipe: Recipe, model: PreTrainedModel, to: Path, order: Order, world: World) -> SFTConfig:
    """The recipe as TRL's arguments. Whatever TRL or transformers would decide by themselves is said."""
    import torch
    from trl.trainer.sft_config import SFTConfig

    steps = order.steps * recipe.epochs
    sharded = sharding_settings(model, recipe)
    return SFTConfig(
        output_dir=str(to),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.micro_batch_size,
        gradient_accumulation_steps=check_batch(recipe, world.size),
        learning_rate=recipe.learning_rate,
        max_grad_norm=recipe.max_grad_norm,
        weight_decay=recipe.weight_decay,
        warmup_steps=warmup(recipe, steps),
        **schedule(recipe),
        seed=seed_for(recipe.seed, "training") % 2**32,  # as many bits as NumPy's seeds have
        bf16=precision(recipe) == "bf16",
        fp16=False,
        # Without it accelerate leaves processes on CPUs to train each by itself.
        use_cpu=on_cpus(world.size),
        activation_checkpointing=recipe.activation_checkpointing,
        # Rows come tokenized, masked and, if at all, packed: TRL prepares, cuts and shuffles nothing.
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        packing=False,
        padding_free=recipe.packing,
        shuffle_dataset=False,
        pad_to_multiple_of=None,
        loss_type="nll",
        # A step that is not finite is to be seen, not to be averaged away.
        logging_nan_inf_filter=False,
        logging_strategy="steps",
        logging_steps=1,
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        push_to_hub=False,
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        ddp_find_unused_parameters=False,
        ddp_timeout=int(PATIENCE.total_seconds()),
        **sharded,
    )


def _members(tokens: Tokens, recipe: Recipe) -> list[NDArray[np.int64]]:
    """The rows of each sequence: one, or with packing those of a pack.

    Packs are made once: in every epoch the same rows share a sequence, and only the order of packs is drawn anew.
    """
    if not recipe.packing:
        return list(np.arange(len(tokens), dtype=np.int64)[:, None])
    from curate.train.rows.packing import packs

    return packs(np.asarray(tokens.lengths, dtype=np.int64), recipe.max_tokens)


def _learned(tokens: Tokens) -> NDArray[np.int64]:
    """Of each row, the tokens that are predicted and learned: the first of a row is predicted from nothing."""
    counted = (tokens.labels != UNLEARNED).astype(np.int64)
    counted[tokens.offsets[:-1]] = 0
    learned: NDArray[np.int64] = np.add.reduceat(counted, tokens.offsets[:-1])
    return learned


def _spans(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places `start, start + 1, …` of all spans, one after the other."""
    ends = np.cumsum(lengths)
    places: NDArray[np.int64] = np.arange(ends[-1]) + np.repeat(starts - (ends - lengths), lengths)
    return places


def _lists(offsets: NDArray[np.int64], values: NDArray[Any]) -> Any:
    import pyarrow as pa

    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(values.astype(np.int32)))
