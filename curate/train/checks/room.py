"""Whether there is room for a training run on this machine: memory, disk, and time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from curate.errors import PipelineError
from curate.train.checks.doubts import Known, doubt

Json = dict[str, Any]

# Operations a parameter and token: 2 forward and 4 backward (arXiv 2001.08361, §2.1). Activation checkpointing
# goes forward once more; LoRA spares the gradients of most weights, which are half of the way back.
_FORWARD: Final = 2
_ON_CPU: Final = 1e12  # operations a second that some 16 cores do in matrices of float32


def room_for(known: Known, to: Path | None) -> tuple[Json, list[Json]]:
    """The memory, disk and work that training takes, and doubts about what of it is lacking here.

    `work` is in floating point operations, without those of attention itself.
    """
    from curate.train.budget import check_disk, estimate, said

    made = estimate(known.model, known.recipe, known.tokens["train"], known.processes)
    memory, disk = made["memory"]["total"], made["disk"]["total"]
    lacking = []
    try:
        check_disk(to or Path(), disk)
    except PipelineError as error:
        lacking.append(doubt("disk", "warning" if to is None else "error", error.what, error.next))
    there, what = _memory(known.processes)
    if memory > there:
        lacking.append(
            doubt(
                "memory",
                "warning",
                f"each process takes about {said(memory)} of memory, and {what} has {said(there)}",
                "set micro_batch_size = 1 and activation_checkpointing = true, or train adapters: lora_rank = 16",
            )
        )
    work = _work(known)
    days = work / _ON_CPU / 86_400
    if days > 1 and not _gpus():
        lacking.append(
            doubt(
                "no_gpu",
                "warning",
                f"there is no GPU here, and training takes {work:.0e} operations: some {days:,.0f} days of a CPU"
                f" that does {_ON_CPU:.0e} a second",
                "train where there is one: what was checked here holds there too",
            )
        )
    return {**made, "work": work}, lacking


def _memory(processes: int) -> tuple[int, str]:
    """The bytes of memory that each process can have here, and what has them."""
    if gpus := _gpus():
        return min(gpus), "a GPU here"
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**63
    return whole // processes, "this machine" if processes == 1 else "this machine for each"


def _gpus() -> list[int]:
    """The bytes of memory of each GPU here."""
    import torch

    devices = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    return [torch.cuda.get_device_properties(each).total_memory for each in devices]


def _work(known: Known) -> float:
    """Floating point operations of the whole training."""
    passes = 3 + known.recipe.activation_checkpointing - (known.recipe.lora_rank > 0)
    return float(_FORWARD * passes * known.model.parameters * known.steps["tokens"])
