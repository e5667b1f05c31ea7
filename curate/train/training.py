"""From a set to a model: tokens, steps, kept epochs, the one that is picked; and on again where it was stopped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import CurateError, PipelineError
from curate.manifest import locked
from curate.train import weights
from curate.train.checkpoints import check_same, compare, newest, set_aside, sweep
from curate.train.preparing import (
    FACTS,
    RECIPE,
    Prepared,
    changed,
    move_base,
    prepare,
    prepared,
    read_facts,
    start,
    told,
    write_facts,
)
from curate.train.recipe import Recipe, read_recipe
from curate.train.report.page import write_report
from curate.train.sets import TrainingSet
from curate.train.speech import picking
from curate.train.stack import load_stack
from curate.train.steps import lora
from curate.train.steps.callbacks import Ledger, Watch, read_metrics
from curate.train.steps.dropout import add_residual_dropout
from curate.train.steps.engine import settings
from curate.train.steps.interrupts import Stop, Stopped, stopping
from curate.train.steps.keeping import FAILED_STEP, Failing, Keeper, heard
from curate.train.steps.launching import World, agreed, check_joined, check_size, check_world, meet

if TYPE_CHECKING:
    from curate.train.steps._trainer import OurTrainer

__all__ = ["Stopped", "Trained", "join", "read_facts", "resume", "train"]


@dataclass(frozen=True)
class Trained:
    """A finished run: its folder, its steps, the loss of the last, the model if one was picked, what was heard of
    each kept epoch, and what was said about states that were passed over.
    """

    folder: Path
    steps: int
    loss: float
    model: Path | None
    epochs: list[dict[str, Any]]
    said: list[str] = field(default_factory=list)


def train(
    given: TrainingSet,
    model: Path,
    recipe: Recipe,
    to: Path,
    *,
    watch: Watch | None = None,
    processes: int = 1,
    tensorboard: bool = False,
) -> Trained:
    """Train a model on a set by a recipe, into a folder that holds no training yet, or one that took no step.

    Where there are several processes, each of them calls this, or `join`. Told to stop, it leaves a state to go on
    from. With `tensorboard`, each step is noted for that too, in the folder's `tensorboard/`.

    Raises `PipelineError` when model, template, recipe and processes do not fit and where the disk has too little
    room, `CurateError` for rows that cannot be learned as the recipe says and for a step that is not finite,
    `BusyError` when another process trains in the folder, and `Stopped` when told to stop.
    """
    load_stack()
    world = check_world(processes, recipe)
    watch = watch if watch is not None and world.first else Watch()
    with _held(to, world):
        same = None
        if world.first:
            began = prepare(given, model, recipe, to, processes, tensorboard=tensorboard)
            same = began["same"]
            for sentence in told(began):
                watch.on_word(sentence)
        agreed(to, world)
        return _go_on(to, world, watch, same)


def join(*, processes: int) -> Trained:
    """Train along with the first process, which alone reads the set and prepares the folder, by `train`.

    Raises what `train` raises.
    """
    load_stack()
    world = check_size(processes)
    if world.first:
        raise PipelineError("the first process has nobody to join: it calls `train`")
    folder: Path = agreed(None, world)
    check_world(processes, read_recipe(str(folder / RECIPE)))
    return _go_on(folder, world, Watch())


def resume(folder: Path, model: Path | None = None, *, watch: Watch | None = None) -> Trained:
    """Go on from the newest whole state in a training folder, or from the start where there is none.

    What comes out is, bit for bit, what would have come out without the stop; with other versions of packages or
    on another device, which is said, it may differ in the last bits. `model` is where the base model lies now, if
    it was moved, which the folder notes.

    Raises `PipelineError` for a folder in which nothing is trained, `CurateError` when it is finished,
    `ReproducibilityError` when tokens, recipe, template, tokenizer, base model, precision or the number of
    processes are not those it began with, and what `train` raises.
    """
    facts = read_facts(folder)
    if facts["state"] == "done":
        raise CurateError(
            "training is finished", where=str(folder), next=f"`curate train pick {folder}` shows the kept epochs"
        )
    load_stack()
    world = check_world(facts["processes"], read_recipe(str(folder / RECIPE)))
    with _held(folder, world):
        if model is not None and world.first:
            move_base(folder, model)
        return _go_on(folder, world, watch if watch is not None and world.first else Watch())


def _go_on(folder: Path, world: World, watch: Watch, same: dict[str, Any] | None = None) -> Trained:
    """All that is left to do in a folder that was prepared.

    `same` is what has to be the same, where it was found out just now: weights are not read through again for it.
    """
    said = _swept(folder) if world.first else []
    meet(world)
    # All files of a state are read through: by one process, for all.
    state, damaged = agreed(newest(folder / "checkpoints") if world.first else None, world)
    given = prepared(folder)
    facts = agreed((same or given.same(world)) if world.first else None, world)
    compare(given.facts.get("same", {}), facts, folder / FACTS)
    if state is not None:
        check_same(state, facts)
    if world.first:
        damaged += set_aside(folder / "checkpoints", state)
    now = start(_step(state))
    if given.facts.get("starts"):
        damaged += changed(given.facts["starts"][-1], now)
    for sentence in (said := [*said, *damaged]):
        watch.on_word(sentence)
    with _noted(folder, world, now) as note:
        steps = _steps(given, facts, state, world, watch)
        note()
        model = None
        if world.first and given.recipe.pick != "manual":
            picking.pick(folder, by=given.recipe.pick, who="recipe")
            model = folder / "model"
    if world.first:
        write_report(folder)
    meet(world)
    return Trained(folder, steps, read_metrics(folder)[-1]["loss"], model, heard(folder), said)


def _steps(given: Prepared, facts: dict[str, Any], state: Path | None, world: World, watch: Watch) -> int:
    """Take all steps that are left, and return how many there are in all.

    Raises `Stopped` when told to stop before the last.
    """
    with stopping(watch.on_word, alone=world.size == 1) as stop, _ledger(given, state, world) as ledger:
        trainer = _trainer(given, facts, stop, world, watch)
        from curate.train.steps._trainer import Steps

        trainer.add_callback(Steps(trainer, ledger, watch, given.recipe))
        trainer.train(resume_from_checkpoint=None if state is None else str(state))
        done = int(trainer.state.global_step)
        if done < trainer.state.max_steps:
            raise Stopped(
                f"stopped after step {done:,} of {trainer.state.max_steps:,}",
                where=str(given.folder),
                next=f"go on by `curate train resume {given.folder}`",
            )
    return done


def _trainer(given: Prepared, facts: dict[str, Any], stop: Stop, world: World, watch: Watch) -> OurTrainer:
    from transformers import PrinterCallback

    from curate.train.steps._trainer import OurTrainer

    recipe, template = given.recipe, given.template
    lessons = given.lessons(world)
    model: Any = weights.load_model(given.base, template, recipe)
    arguments = settings(recipe, model, given.folder / "checkpoints", lessons.order, world)
    if recipe.lora_rank:
        model = lora.with_adapters(model, recipe, template)
    add_residual_dropout(model, recipe.residual_dropout)
    keeper = Keeper(given, world=world, watch=watch)
    trainer = OurTrainer(
        recipe=recipe,
        lessons=lessons,
        world=world,
        facts=facts,
        keep=keeper.keep,
        fail=Failing(given.folder, given.tokens, lessons, world=world).fail,
        stop=stop,
        model=model,
        args=arguments,
        processing_class=template.tokenizer,
    )
    check_joined(trainer.accelerator.num_processes, world)
    trainer.remove_callback(PrinterCallback)
    return trainer


@contextmanager
def _held(folder: Path, world: World) -> Iterator[None]:
    """Hold the folder for this training: by the first process, for all of them."""
    with locked(folder) if world.first else nullcontext():
        yield


@contextmanager
def _noted(folder: Path, world: World, start: dict[str, Any]) -> Iterator[Callable[[], None]]:
    """Note in `train.json` that training goes on, and how it ended; what is yielded notes the time until now."""
    facts, began = read_facts(folder), time.perf_counter()
    facts["starts"] = [*facts.get("starts", []), start]
    meet(world)

    def note(**more: str) -> None:
        if world.first:
            seconds = round(facts.get("seconds", 0.0) + time.perf_counter() - began, 1)
            most = max(facts.get("peak_memory", 0), _peak_bytes())
            write_facts(folder, {**facts, "seconds": seconds, "peak_memory": most, **more})

    if world.first:
        (folder / FAILED_STEP).unlink(missing_ok=True)
    note(state="training")
    ended = {"state": "failed"}
    try:
        yield note
        ended = {"state": "done", "ended": datetime.now(UTC).isoformat(timespec="seconds")}
    except (Stopped, KeyboardInterrupt):
        ended = {"state": "stopped"}
        raise
    finally:
        note(**ended)


@contextmanager
def _ledger(given: Prepared, state: Path | None, world: World) -> Iterator[Ledger | None]:
    """The file of steps, open on the first process, with those that the state has seen."""
    if not world.first:
        yield None
        return
    ledger = Ledger(given.folder, _step(state), tensorboard=given.facts["tensorboard"])
    try:
        yield ledger
    finally:
        ledger.close()


def _step(state: Path | None) -> int:
    """How many steps a state has seen."""
    return int(state.name.rpartition("-")[2]) if state is not None else 0


def _swept(folder: Path) -> list[str]:
    """Remove what a killed process left half-written, and say what it was."""
    return [sentence for inner in ("", "checkpoints", "epochs") for sentence in sweep(folder / inner)]


def _peak_bytes() -> int:
    """The most memory that was held at a time: the GPU's where there is one, else this process's."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    try:
        import resource
    except ImportError:  # Windows has no such count
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
