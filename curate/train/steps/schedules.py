"""How the learning rate rises and falls, in transformers' words: for our engine and for other trainers alike."""

from __future__ import annotations

from math import ceil
from typing import Any

from curate.train.recipe import Recipe


def schedule(recipe: Recipe) -> dict[str, Any]:
    """The name of transformers' schedule, and its floor, which is the recipe's final learning rate.

    A rate that falls to itself is a constant one: transformers refuses a floor that is not lower.
    """
    floor = recipe.final_learning_rate
    if recipe.schedule == "constant" or floor == recipe.learning_rate:
        return {"lr_scheduler_type": "constant_with_warmup"}
    if not floor:
        return {"lr_scheduler_type": recipe.schedule}
    if recipe.schedule == "linear":
        return {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"lr_end": floor, "power": 1.0}}
    return {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": floor}}


def warmup(recipe: Recipe, steps: int) -> int:
    """The steps over which the learning rate rises, of `steps` in all."""
    return recipe.warmup_steps or ceil(recipe.warmup_share * steps)
