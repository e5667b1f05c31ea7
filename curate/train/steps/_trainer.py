# ruff: noqa: ARG002 (transformers calls its callbacks by these names)
"""TRL's trainer with our order, our optimizer, our states, and a stop where a step is not finite."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback
from trl.trainer.sft_trainer import SFTTrainer

from curate.keys import seed_for
from curate.train.checkpoints import KEPT, disk_errors, rotate, seal, settle, unfinished
from curate.train.recipe import Recipe
from curate.train.steps import lora
from curate.train.steps.callbacks import Ledger, Watch
from curate.train.steps.engine import Lessons
from curate.train.steps.interrupts import Stop
from curate.train.steps.launching import World, agreed
from curate.train.steps.optimizers import optimizer_for
from curate.train.steps.order import Order


class OurTrainer(SFTTrainer):
    """One training run. It is the same trainer on every process; the first one writes and speaks.

    `facts` go into the manifest of every state. `keep` is called on every process at the end of each epoch that is
    kept, once its state is written. `fail` is called with the loss and the gradient's norm of a step that is not
    finite, before weights are touched, and returns the error to raise.
    """

    def __init__(
        self,
        *,
        recipe: Recipe,
        lessons: Lessons,
        world: World,
        facts: dict[str, Any],
        keep: Callable[[OurTrainer, int], None],
        fail: Callable[[OurTrainer, float, float], Exception],
        stop: Stop,
        **given: Any,
    ) -> None:
        self._recipe, self._world, self._facts = recipe, world, facts
        self._keep, self._fail, self.stop = keep, fail, stop
        self._sampler = _InOrder(lessons.order)
        self._aside: Path | None = None
        super().__init__(train_dataset=lessons.dataset, **given)
        self.order = lessons.order
        self._plain_head = isinstance(
            self.accelerator.unwrap_model(self.model).get_output_embeddings(), torch.nn.Linear
        )

    @property
    def _bare(self) -> Any:
        """The model as FSDP has it, or as it is; transformers' annotations allow for none."""
        return self.model

    @property
    def _states(self) -> Path:
        return Path(self.args.output_dir or "")

    @property
    def epochs_done(self) -> int | None:
        """How many epochs are done, where one has just ended; None within an epoch and before the first."""
        done, within = divmod(self.state.global_step, self.order.steps)
        return done if done and not within else None

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """The recipe's optimizer."""
        self.optimizer = optimizer_for(self._bare if model is None else model, self._recipe)
        return self.optimizer

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """None of TRL's: it would have places for what is not known."""

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The sum over learned tokens divided by those of the whole step, as TRL computes it.

        Where the head is no plain layer, as when LoRA trains rows of added tokens, the model's own loss is taken:
        TRL's reads the head's weights past what is trained of it.
        """
        if self._plain_head:
            return super().compute_loss(  # type: ignore[no-untyped-call]
                model, inputs, return_outputs, num_items_in_batch
            )
        return Trainer.compute_loss(
            self, model, {**inputs, "use_cache": False}, return_outputs, num_items_in_batch
        )

    def keep_missed(self) -> None:
        """Keep the epoch whose state this run goes on from, if it ended before that was done."""
        self._keep_epoch()

    def _get_train_sampler(self, *_: Any, **__: Any) -> Sampler[int]:
        return self._sampler

    def _run_epoch(self, *args: Any, **given: Any) -> None:
        self._sampler.epoch = given["epoch"]
        super()._run_epoch(*args, **given)  # type: ignore[no-untyped-call]
        self._keep_epoch()

    def _keep_epoch(self) -> None:
        done = self.epochs_done
        if done is not None and done in self._recipe.kept:
            self._keep(self, done)

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> float:
        given: Any = super()._get_grad_norm(model, grad_norm=grad_norm)  # type: ignore[no-untyped-call]
        norm = float(given.full_tensor() if hasattr(given, "full_tensor") else given)
        # What was added up since the step before was logged is this step's loss. Each process has its own part of
        # it, and all have to fail together.
        part: Any = self._tr_loss
        loss = float(part if self._world.size == 1 else self.accelerator.reduce(part.detach(), "mean"))
        if not (math.isfinite(norm) and math.isfinite(loss)):
            raise self._fail(self, loss, norm)
        return norm

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        if lora.is_adapted(self._bare) and state_dict is None:
            if self.args.should_save:
                lora.save_adapter(self._bare, Path(output_dir or self._states))
            return
        super()._save(output_dir, state_dict)

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._aside or super()._get_output_dir(trial))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """A whole state, written aside, sealed and renamed."""
        to = self._states / f"checkpoint-{self.state.global_step}"
        with disk_errors(to):
            if self._world.first:
                to.parent.mkdir(parents=True, exist_ok=True)
                rotate(to.parent, KEPT - 1)
            self._aside = agreed(unfinished(to) if self._world.first else None, self._world)
            try:
                # TRL's own writes a model card into the folder first.
                Trainer._save_checkpoint(self, model, trial)  # noqa: SLF001 (what this one takes the place of)
                self.accelerator.wait_for_everyone()
                if self._world.first:
                    state = self._aside / to.name
                    (state / "training_args.bin").unlink(missing_ok=True)  # a pickle that nothing here reads
                    seal(state, self._facts)
                    settle(state, to)
            finally:
                # Of a state that could not be written nothing stays: the disk may be full.
                if self._world.first:
                    shutil.rmtree(self._aside)
                self._aside = None
        self.accelerator.wait_for_everyone()


class _InOrder(Sampler[int]):
    """The rows of an epoch in our order."""

    def __init__(self, order: Order) -> None:
        self._order, self.epoch = order, 0

    def __iter__(self) -> Iterator[int]:
        return iter(self._order.epoch(self.epoch).tolist())

    def __len__(self) -> int:
        return len(self._order)


class Steps(TrainerCallback):
    """Says when a state is due and when to stop, and notes each step."""

    def __init__(self, trainer: OurTrainer, ledger: Ledger | None, watch: Watch, recipe: Recipe) -> None:
        self._trainer, self._ledger, self._watch, self._every = trainer, ledger, watch, recipe.checkpoint_every
        self._seed = recipe.seed
        self._counted, self._counts = -1, list[dict[str, Any]]()
        self._since = time.perf_counter()
        self._idle = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Tell how many steps there are."""
        trainer = self._trainer
        self._watch.on_begin(state.max_steps, state.global_step)
        if not state.global_step and trainer.accelerator.process_index:
            # Processes that were seeded alike would drop the same places of different rows.
            torch.manual_seed(seed_for(self._seed, f"dropout {trainer.accelerator.process_index}") % 2**32)
        trainer.keep_missed()
        self._since = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A state every so many steps, and before the run stops because it is told to."""
        if self._asked():
            control.should_save = control.should_training_stop = True
        elif self._every and state.global_step % self._every == 0:
            control.should_save = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A state at the end of each epoch, where none is asked for in between."""
        written = self._trainer.stop.asked and control.should_training_stop
        control.should_save = not self._every and self._trainer.epochs_done is not None and not written

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Note a step."""
        if self._ledger is None or not logs or "loss" not in logs:
            return
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        counts = self._count(state.global_step - 1)
        metrics = {
            "step": state.global_step,
            "epoch": round(state.global_step / self._trainer.order.steps, 6),
            "loss": logs["loss"],
            "lr": logs["learning_rate"],
            "grad_norm": logs["grad_norm"],
            **counts,
            "seconds": round(seconds, 4),
            "tokens_per_second": round(counts["tokens"] / seconds, 1),
        }
        self._ledger.note(metrics)
        self._watch.on_step(metrics)
        if not metrics["grad_norm"] and not self._idle:
            self._idle = True
            self._watch.on_word(f"the gradient of step {state.global_step:,} is 0: nothing is learned any more")

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """What is noted of the steps of a state is on the disk once the state is."""
        if self._ledger is not None:
            self._ledger.settle()
        self._since = time.perf_counter()  # writing a state is no part of the next step

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """What was said and written between epochs is no part of a step."""
        self._since = time.perf_counter()

    def _count(self, step: int) -> dict[str, Any]:
        epoch, within = divmod(step, self._trainer.order.steps)
        if epoch != self._counted:
            self._counted, self._counts = epoch, self._trainer.order.counts(epoch)
        return self._counts[within]

    def _asked(self) -> bool:
        """Whether any process was told to stop: all stop after the same step, or none would ever meet again."""
        trainer = self._trainer
        if trainer.accelerator.num_processes == 1:
            return trainer.stop.asked
        asked = torch.tensor(float(trainer.stop.asked), device=trainer.accelerator.device)
        trainer.stop.asked = bool(trainer.accelerator.reduce(asked, "sum").item())
        return trainer.stop.asked
