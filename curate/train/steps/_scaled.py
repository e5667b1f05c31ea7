"""AdamW whose steps are in proportion to the weights that they change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer


class ScaledAdamW(Optimizer):
    """AdamW (arXiv 1711.05101), whose Adam part is multiplied by max(root mean square of the weights, `smallest`).

    The decay is not: w ← w - lr · (max(rms(w), smallest) · m̂ / (√v̂ + eps) + decay · w).
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        smallest: float,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "smallest": smallest, "weight_decay": weight_decay}
        )

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step of all weights that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._step(weight, weight.grad, group)
        return loss

    def _step(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            # Under torch's names for AdamW's, by which FSDP gathers them into a checkpoint.
            state["step"] = torch.tensor(0.0)
            state["exp_avg"] = torch.zeros_like(weight)
            state["exp_avg_sq"] = torch.zeros_like(weight)
        state["step"] += 1
        steps = state["step"].item()
        beta1, beta2 = group["betas"]
        mean = state["exp_avg"].lerp_(gradient, 1 - beta1)
        square = state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        size = square.sqrt().div_((1 - beta2**steps) ** 0.5).add_(group["eps"])
        # Of a weight whose rows are on several GPUs, the mean is over all of them: DTensor gathers it.
        scale = weight.square().mean().sqrt().clamp(min=group["smallest"])
        update = mean.div(1 - beta1**steps).div_(size).mul_(scale)
        weight.add_(update.add_(weight, alpha=group["weight_decay"]), alpha=-group["lr"])
