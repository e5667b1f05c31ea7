"""Several processes: started, counted and checked, and the settings by which they share out one model.

torch's own launcher starts them. Another one started a single process where two were asked for, and said nothing,
which halves the batch; so each worker compares the number it finds with the one that was asked for.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from curate.errors import PipelineError
from curate.train.recipe import Recipe
from curate.train.stack import load_stack

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SHARDING: Final = Path(__file__).with_name("sharding")

# Set in every process that `launch` starts, so that none of them starts others.
_STARTED_BY: Final = "CURATE_LAUNCHER"

# How other launchers say how many processes there are; torch reads none of them.
_FOREIGN: Final = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")

# For as long as one process may write hundreds of gigabytes to a slow disk, or speak for the dev prompts, while
# the others wait; torch's own is 30 minutes.
PATIENCE: Final = timedelta(hours=24)

_SHOWN: Final = 4000  # characters of what a silent process wrote last

_HOW: Final = (
    "give --processes N alone, or start with `torchrun --nproc-per-node N -m curate.cli train … --processes N`"
)


@dataclass(frozen=True)
class World:
    """This process among all that train one model: which it is, of how many, and which on this machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.rank == 0


def world(environment: Mapping[str, str] = os.environ) -> World:
    """Which process this is, by what torch's launcher left in the environment; alone without it.

    Raises `PipelineError` where the environment says something that cannot be.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    if "WORLD_SIZE" not in environment:
        return World()
    try:
        found = World(*(int(environment[name]) for name in names))
    except (KeyError, ValueError):
        said = ", ".join(f"{name}={environment.get(name, '')}" for name in names)
        raise PipelineError(f"the launcher of this process says {said}", next=_HOW) from None
    if not 0 <= found.rank < found.size:
        raise PipelineError(f"the launcher says that this is process {found.rank} of {found.size}", next=_HOW)
    return found


def launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a launcher started this process: it is a worker, and starts no others."""
    return "WORLD_SIZE" in environment or _STARTED_BY in environment


def check_world(expected: int, recipe: Recipe) -> World:
    """Which process this is, when there are as many as were asked for, and the recipe fits them.

    Raises `PipelineError` when there are more or fewer, or more than GPUs, when a step's rows cannot be shared out
    evenly among them, and when weights are to be sharded where they cannot be.
    """
    found = check_size(expected)
    check_batch(recipe, found.size)
    if found.size > 1:
        _check_gpus(int(os.environ.get("LOCAL_WORLD_SIZE", found.size)))
    if recipe.sharding != "none":
        _check_sharding(found.size)
    elif os.environ.get("ACCELERATE_USE_FSDP") == "true":
        raise PipelineError(
            "the launcher shares the model out to processes, and the recipe does not",
            next="set sharding = 'fsdp2', or launch without FSDP",
        )
    return found


def check_size(expected: int) -> World:
    """Which process this is, when there are as many as were asked for; it ends when its launcher does.

    Raises `PipelineError` when there are more or fewer, and when one that no launcher started sees several GPUs.
    """
    found = world()
    if found.size != expected:
        raise PipelineError(
            f"--processes is {expected}, and there {_are(found.size)}: batches would not be the recipe's",
            next=_HOW,
        )
    several = {name: os.environ[name] for name in _FOREIGN if os.environ.get(name, "1") != "1"}
    if several and not launched():
        name, value = next(iter(several.items()))
        raise PipelineError(f"{name} is {value}, and each of these would train the model by itself", next=_HOW)
    if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true":
        raise PipelineError("DeepSpeed is not supported", next="set sharding = 'fsdp2' and launch without it")
    if not launched():
        _check_one_gpu()
    if _STARTED_BY in os.environ:
        _end_without(os.getppid())
    return found


def _are(processes: int) -> str:
    return "is one process" if processes == 1 else f"are {processes}"


def check_batch(recipe: Recipe, processes: int) -> int:
    """How many micro-batches each process takes in a step.

    Raises `PipelineError` where a step's rows cannot be shared out evenly.
    """
    at_once = processes * recipe.micro_batch_size
    if recipe.batch_size % at_once:
        raise PipelineError(
            f"batch_size {recipe.batch_size} cannot be shared out evenly: {processes} processes take"
            f" {recipe.micro_batch_size} rows each at a time, {at_once} together",
            next=f"set batch_size to a multiple of {at_once}, or another micro_batch_size, or --processes",
        )
    return recipe.batch_size // at_once


def _check_gpus(here: int) -> None:
    """Raise `PipelineError` when there are fewer GPUs than processes on this machine; none at all is fine."""
    import torch  # which is there: its launcher started these

    if torch.cuda.is_available() and torch.cuda.device_count() < here:
        gpus = torch.cuda.device_count()
        raise PipelineError(
            f"{here} processes cannot train on {gpus} GPU{'s' if gpus > 1 else ''}: each takes one",
            next=f"give --processes {gpus}",
        )


def _check_one_gpu() -> None:
    """Raise `PipelineError` when a single process sees several GPUs.

    transformers would copy the model to all of them and share each batch out, which TRL refuses, but only once
    the folder is prepared.
    """
    import torch  # which is there: who trains has loaded the stack

    gpus = torch.cuda.device_count()
    if gpus > 1:
        raise PipelineError(
            f"there are {gpus} GPUs, and a single process trains on one",
            next=f"give --processes {gpus}, or set CUDA_VISIBLE_DEVICES=0 in the environment",
        )


def _check_sharding(processes: int) -> None:
    load_stack()
    import torch

    if not torch.cuda.is_available():
        # transformers 5.23 puts a whole copy into each process instead, and does not say so.
        raise PipelineError(
            "sharding = 'fsdp2' needs GPUs: without them each process would hold the whole model",
            next="set sharding = 'none'",
        )
    if processes == 1:
        raise PipelineError(
            "sharding = 'fsdp2' needs several processes to share the model out to",
            next="give --processes N, or set sharding = 'none'",
        )


def on_cpus(processes: int) -> bool:
    """Whether they train on CPUs, which accelerate must be told: else each of several would train by itself."""
    load_stack()
    import torch

    return not torch.accelerator.is_available() or (processes > 1 and not torch.cuda.is_available())


def meet(world: World) -> None:
    """Wait until all processes are here."""
    if world.size > 1:
        from accelerate import PartialState

        PartialState(cpu=on_cpus(world.size), timeout=PATIENCE).wait_for_everyone()


def agreed(known: Any, world: World) -> Any:
    """What the first process knows, known to all. Each of them calls this; what the others know is not heard."""
    if world.size == 1:
        return known
    import torch

    meet(world)
    sent = [known]
    torch.distributed.broadcast_object_list(sent)
    return sent[0]


def check_joined(found: int, world: World) -> None:
    """Raise `RuntimeError` when accelerate has found another number of processes than were started.

    `found` is `accelerator.num_processes`. It would train on, each process for itself, and say nothing.
    """
    if found != world.size:
        raise RuntimeError(f"accelerate trains with {found} of {world.size} processes")


def sharding_settings(model: PreTrainedModel, recipe: Recipe) -> dict[str, Any]:
    """The arguments of transformers' TrainingArguments by which processes share out a model, if they are to.

    Each of the model's layers is a unit. Activation checkpointing stays the Trainer's: FSDP's own, as accelerate
    1.15 sets it up, does not keep the random state, so that with dropout its second pass drops other places, and
    no error tells.
    """
    if recipe.sharding == "none":
        return {}
    settings = json.loads((SHARDING / "fsdp2.json").read_text("utf-8"))
    settings["transformer_layer_cls_to_wrap"] = sorted(model._no_split_modules or ())  # noqa: SLF001 (meant for this)
    return {"fsdp": True, "fsdp_config": settings}


def launch(processes: int, arguments: Sequence[str], *, module: str = "curate.cli") -> int:
    """Run a module in several processes on this machine, wait for all, and return the exit code they ended with.

    Ctrl-C and SIGTERM reach all of them, and they have as long as they need to finish a step and write a state; a
    second one ends them at once. The first process alone speaks. Of another one that fails by itself, what it
    wrote last is shown, and the others are ended.
    """
    if find_spec("torch") is None:
        load_stack()  # which says how it is installed; here the rest of it would only take time
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ[_STARTED_BY] = "torch.distributed.launcher"
    # As torchrun has it. On shared cores, more threads wait for one another: steps took up to ten times as long.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed.elastic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what it would say is said here, and shorter
    with tempfile.TemporaryDirectory(prefix="curate-workers-") as logs:
        silent = {rank: Std.ALL if rank else Std.NONE for rank in range(processes)}
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=Path(logs).name,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=logs, redirects=silent),
            # Only for those that were told to stop: where one has failed, the others get 30 seconds.
            shutdown_timeout=int(PATIENCE.total_seconds()),
        )
        try:
            elastic_launch(config, sys.executable)("-m", module, *arguments)
        except SignalException as stopped:
            return 128 + stopped.sigval
        except ChildFailedError as failed:
            rank, code = _cause({rank: one.exitcode for rank, one in failed.failures.items()})
            if rank:
                _show(rank, Path(logs))
            return code
    return 0


def _cause(codes: Mapping[int, int]) -> tuple[int, int]:
    """The process to blame, and its exit code: rather one that ended by itself than one that a signal ended."""
    rank = min(codes, key=lambda rank: (codes[rank] < 0, rank))
    code = codes[rank]
    return rank, code if code > 0 else 128 - code


def _show(rank: int, logs: Path) -> None:
    """Write what a silent process said last to the standard error."""
    for file in sorted(logs.glob(f"*/attempt_0/{rank}/stderr.log")):
        said = file.read_text("utf-8", "replace")[-_SHOWN:]
        sys.stderr.write(f"process {rank} failed:\n{said or 'it said nothing'}")


def _end_without(launcher: int) -> None:
    """End this process when its launcher is killed: it would train on, and nobody could stop it."""

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(1)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, name="launcher", daemon=True).start()
