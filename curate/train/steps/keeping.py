"""What is kept while training goes on: weights of chosen epochs, what was heard of them, a step that failed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from curate.errors import CurateError
from curate.store import read_json, write_text
from curate.train import weights
from curate.train.checkpoints import aside, damage, disk_errors, seal
from curate.train.preparing import RECIPE, Prepared
from curate.train.rows.tokens import Tokens
from curate.train.speech.hearing import hear, name_of
from curate.train.steps import lora
from curate.train.steps.callbacks import Watch
from curate.train.steps.engine import Lessons
from curate.train.steps.launching import World, agreed, meet

if TYPE_CHECKING:
    from curate.train.steps._trainer import OurTrainer

FAILED_STEP: Final = "failed-step.json"


class Keeper:
    """Keeps epochs of one training folder: called by every process, it writes on the first."""

    def __init__(self, given: Prepared, *, world: World, watch: Watch) -> None:
        self._given, self._world, self._watch = given, world, watch

    def keep(self, trainer: OurTrainer, epoch: int) -> None:
        """Save the weights of an epoch, and hear what they say to the dev rows, unless both was done before.

        What is left to do is for the first process to say: another one that looked for itself may be late, find
        done what the first has just done, and not come to where that waits for it.
        """
        to = self._given.folder / "epochs" / name_of(epoch)
        note = to.with_name(f"{to.name}.json")
        whole = self._world.first and not damage(to)
        saved, heard_before = agreed((whole, note.exists()), self._world)
        if saved and heard_before:
            return
        if not saved:
            self._save(trainer, to)
        meet(self._world)
        step = trainer.state.global_step
        given = self._given
        heard = hear(
            trainer.model,
            given.template,
            given.recipe,
            given.folder,
            epoch=epoch,
            step=step,
            dev=given.dev,
            prompts=given.prompts,
        )
        meet(self._world)
        if self._world.first:
            self._watch.on_epoch(heard)

    def _save(self, trainer: OurTrainer, to: Path) -> None:
        """The weights of an epoch as a model's folder; with LoRA, the adapter and the tokenizer."""
        sharded = trainer.is_fsdp_enabled
        state = trainer.accelerator.get_state_dict(trainer.model) if sharded else None
        if not self._world.first:
            return
        model: Any = trainer.accelerator.unwrap_model(trainer.model)
        if not lora.is_adapted(model):
            weights.save_model(model, self._given.template, self._given.recipe, to, say=None, state=state)
            return
        with disk_errors(to), aside(to) as folder:
            lora.save_adapter(model, folder, state=state)
            self._given.template.tokenizer.save_pretrained(folder)
            write_text(folder / RECIPE, self._given.recipe.toml())
            seal(folder)


class Failing:
    """Says of a step that is not finite which rows it was of, and what is wrong with which."""

    def __init__(self, folder: Path, tokens: Tokens, lessons: Lessons, *, world: World) -> None:
        self._folder, self._tokens, self._lessons, self._world = folder, tokens, lessons, world

    def fail(self, trainer: OurTrainer, loss: float, norm: float) -> CurateError:
        """Write failed-step.json, and return the error that ends the run; the weights are as before the step.

        All processes call it. The others wait for the first: once one has ended, the launcher gives it 30 seconds.
        """
        step = trainer.state.global_step
        rows = self._lessons.rows(step)
        what = "loss" if not math.isfinite(loss) else "gradient"
        if not self._world.first:
            meet(self._world)
            return CurateError(f"the {what} of step {step + 1} is not finite")
        alone = None if trainer.is_fsdp_enabled else [_loss(trainer, self._tokens, row) for row in rows]
        broken = [
            name
            for name, weight in trainer.accelerator.unwrap_model(trainer.model).named_parameters()
            if not bool(weight.isfinite().all())
        ]
        told = [
            {
                "id": self._tokens.ids[row],
                "tokens": int(self._tokens.lengths[row]),
                "loss": None if alone is None else _plain(alone[at]),
            }
            for at, row in enumerate(rows)
        ]
        raw = {
            "step": step + 1,
            "epoch": step // self._lessons.order.steps + 1,
            "loss": _plain(loss),
            "grad_norm": _plain(norm),
            "lr": trainer._get_learning_rate(),  # noqa: SLF001 (as it was logged)
            "weights_not_finite": broken,
            "rows": told,
        }
        write_text(self._folder / FAILED_STEP, json.dumps(raw, indent=2) + "\n")
        meet(self._world)
        guilty = [self._tokens.ids[row] for at, row in enumerate(rows) if alone and not math.isfinite(alone[at])]
        cause = _cause(broken, guilty, rows)
        return CurateError(
            f"the {what} of step {step + 1} is not finite, and its update was not made: {cause}",
            where=str(self._folder / FAILED_STEP),
            next="look at these rows, or train anew with a lower learning_rate; states before it are as they were",
        )


def _loss(trainer: OurTrainer, tokens: Tokens, row: int) -> float:
    """The loss of a row by itself, without dropout."""
    import torch

    ids, labels = (torch.tensor(part, dtype=torch.int64)[None] for part in tokens.row(row))
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    model.eval()
    device = trainer.accelerator.device
    with torch.no_grad(), trainer.accelerator.autocast():
        return float(model(input_ids=ids.to(device), labels=labels.to(device), use_cache=False).loss)


def _cause(broken: list[str], guilty: list[str], rows: list[int]) -> str:
    told = f"of its {len(rows)} rows, each has a finite loss by itself"
    if guilty:
        shown = ", ".join(guilty[:5]) + (" …" if len(guilty) > 5 else "")
        told = f"of its {len(rows)} rows, {len(guilty)} have a loss by themselves that is not: {shown}"
    weights = f"; {len(broken):,} tensors of weights are not finite either, such as {broken[0]}" if broken else ""
    return told + weights


def _plain(number: float) -> float | str:
    """A number as JSON has it, which knows no infinity."""
    return number if math.isfinite(number) else str(number)


def heard(folder: Path) -> list[dict[str, Any]]:
    """What was heard of each epoch that is kept, in order."""
    return [read_json(note) for note in sorted((folder / "epochs").glob("epoch-*.json"))]
