"""What is heard of a model at each kept epoch: the loss on dev rows, and the answers to their prompts.

All of it comes while training goes on, so the model is left as it was found, and so is all chance: a run that was
resumed is compared with one that was not stopped bit by bit. Where several processes train, each takes a part.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import polars as pl

from curate.store import write_text
from curate.train.recipe import Recipe
from curate.train.rows.joining import UNLEARNED
from curate.train.speech.listening import as_it_was, is_sharded, unwrapped
from curate.train.speech.speaking import Speaker, answered, write_lines
from curate.train.steps.launching import world

if TYPE_CHECKING:
    from curate.train.rows.templates import Template
    from curate.train.rows.tokens import Tokens

Found = TypeVar("Found")

SPOKEN: Final = 50  # prompts of the dev set that an epoch is asked: LIMA's has as many (arXiv 2305.11206, §3)
_SCORES: Final = 2**28  # scores at a time, 1 GiB of float32: tokens of a batch times the vocabulary


def name_of(epoch: int) -> str:
    """What files and folders of an epoch are called."""
    return f"epoch-{epoch:02d}"


def hear(
    model: Any,
    template: Template,
    recipe: Recipe,
    folder: Path,
    *,
    epoch: int,
    step: int,
    dev: Tokens | None = None,
    prompts: pl.DataFrame | None = None,
    done: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """What is heard of an epoch's model: its loss on the dev rows, and its answers to prompts of the dev set.

    Writes `generations/epoch-05.jsonl` and then `epochs/epoch-05.json` of the training folder, and returns the
    latter. Where several processes train, all of them call it: each takes a part of the work, and the first
    writes. The model is left as it was, and so is all chance.
    """
    first = world().first
    loss = dev_loss(model, dev, recipe) if dev is not None and len(dev) else None
    heard: dict[str, Any] = {"epoch": epoch, "step": step, "dev_loss": loss, "generations": None, "spoken": None}
    if prompts is not None and prompts.height:
        speaker = Speaker(model, template, recipe)
        rows = prompts.head(SPOKEN).to_dicts()
        said = _shared(len(rows), model, lambda mine: answered(speaker, [rows[row] for row in mine], done=done))
        file = f"generations/{name_of(epoch)}.jsonl"
        heard |= {"generations": file, "spoken": counted(said)}
        if first:
            write_lines(folder / file, said)
    if first:
        (folder / "epochs").mkdir(parents=True, exist_ok=True)
        write_text(folder / "epochs" / f"{name_of(epoch)}.json", json.dumps(heard, indent=2) + "\n")
    return heard


def counted(said: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many answers there are, how many ended by themselves, and their mean length in tokens."""
    return {
        "answers": len(said),
        "ended": sum(each["stop"] == "end" for each in said),
        "mean_tokens": round(float(np.mean([each["tokens"] for each in said])), 1),
    }


def dev_loss(model: Any, tokens: Tokens, recipe: Recipe) -> dict[str, Any]:
    """The loss on rows that are not trained on, in the recipe's precision: two means and what they are of.

    `per_token` is the mean over all learned tokens, as of the loss that is trained on; `per_row` is the mean of
    each row's mean, in which a long answer counts as much as a short one. Modes and chance are as before.
    """
    rows = [row for row in range(len(tokens)) if (tokens.row(row)[1][1:] != UNLEARNED).any()]
    found = _shared(len(rows), model, lambda mine: _losses(model, tokens, [rows[at] for at in mine], recipe))
    counts = sum(count for _, count in found)
    return {
        "per_token": sum(loss for loss, _ in found) / counts if rows else None,
        "per_row": sum(loss / count for loss, count in found) / len(rows) if rows else None,
        "rows": len(rows),
        "tokens": counts,
    }


def _losses(model: Any, tokens: Tokens, rows: Sequence[int], recipe: Recipe) -> list[tuple[float, int]]:
    """The summed loss and the number of learned tokens of each row."""
    import torch

    bare = unwrapped(model)
    vocabulary = bare.config.vocab_size
    found: dict[int, tuple[float, int]] = {}
    with as_it_was(bare, recipe):
        for batch in _batches(tokens, rows, max(1, _SCORES // vocabulary)):
            read = [tokens.row(row) for row in batch]
            width = max(len(ids) for ids, _ in read)
            ids, labels = np.zeros((len(read), width), np.int64), np.full((len(read), width), UNLEARNED, np.int64)
            mask = np.zeros((len(read), width), np.int64)
            for at, (given, said) in enumerate(read):
                ids[at, : len(given)], labels[at, : len(given)], mask[at, : len(given)] = given, said, 1
            device = bare.device
            scores = bare(
                input_ids=torch.from_numpy(ids).to(device),
                attention_mask=torch.from_numpy(mask).to(device),
                use_cache=False,
            ).logits[:, :-1]
            wanted = torch.from_numpy(labels[:, 1:]).to(device)
            learned = wanted != UNLEARNED
            losses = torch.nn.functional.cross_entropy(scores[learned].float(), wanted[learned], reduction="none")
            counts = learned.sum(1).tolist()
            sums = [float(part.sum(dtype=torch.float64)) for part in torch.split(losses, counts)]
            found |= dict(zip(batch, zip(sums, counts, strict=True), strict=True))
    return [found[row] for row in rows]


def _batches(tokens: Tokens, rows: Sequence[int], most: int) -> Iterator[list[int]]:
    """Rows of like length together, of no more tokens than `most` with their padding; at least one row each."""
    batch: list[int] = []
    for row in sorted(rows, key=lambda row: (-int(tokens.lengths[row]), row)):
        if batch and (len(batch) + 1) * int(tokens.lengths[batch[0]]) > most:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _shared(count: int, model: Any, work: Callable[[Sequence[int]], Sequence[Found]]) -> list[Found]:
    """What the work makes of each of so many rows, in order, shared out among the processes that train.

    Of a sharded model every pass needs all processes, so that each of them does all of the work.
    """
    here = world()
    if here.size == 1 or is_sharded(unwrapped(model)):
        return [*work(range(count))]
    from torch import distributed

    parts: list[Any] = [None] * here.size
    distributed.all_gather_object(parts, work(range(here.rank, count, here.size)))
    return [parts[row % here.size][row // here.size] for row in range(count)]
