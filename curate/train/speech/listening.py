"""A model asked something while it is trained: what is around it is seen through, and it is left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from curate.train.recipe import Recipe


@contextmanager
def as_it_was(model: Any, recipe: Recipe) -> Iterator[None]:
    """Within, the model is one to be asked; afterwards its modes, settings and the state of chance are as before.

    Passes are made in the recipe's precision. Nothing here draws from torch's generators; they are put back all
    the same, since a resumed run is compared with one that was not stopped bit by bit.
    """
    import torch
    from transformers import GenerationConfig

    modes = [(module, module.training) for module in model.modules()]
    settings, device = model.generation_config, model.device
    chance = torch.get_rng_state()
    on_device = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    try:
        model.eval()
        # What a model's own settings say of sampling would fill whatever ours leave open.
        model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
        with torch.no_grad(), _precision(model, recipe):
            yield
    finally:
        model.generation_config = settings
        for module, training in modes:
            module.training = training
        torch.set_rng_state(chance)
        if on_device is not None:
            torch.cuda.set_rng_state(on_device, device)


def _precision(model: Any, recipe: Recipe) -> Any:
    """What passes of weights in float32 are made in: the recipe's precision."""
    import torch

    from curate.train.weights import precision

    full = any(weight.dtype == torch.float32 for weight in model.parameters())
    if full and precision(recipe) == "bf16":
        return torch.autocast(model.device.type, dtype=torch.bfloat16)
    return nullcontext()


def is_sharded(model: Any) -> bool:
    """Whether the model's weights are spread over processes, so that a pass needs all of them."""
    return any(hasattr(weight, "device_mesh") for weight in model.parameters())


def unwrapped(model: Any) -> Any:
    """The model without what DDP, torch.compile and PEFT put around it. Adapters stay at work inside it."""
    while True:
        inner = getattr(model, "module", None) or getattr(model, "_orig_mod", None)
        # Under FSDP2 the wrapper of adapters is the root that gathers weights: it is what has to be called.
        if inner is None and hasattr(model, "get_base_model") and not hasattr(model, "unshard"):
            inner = model.get_base_model()
        if inner is None:
            return model
        model = inner
