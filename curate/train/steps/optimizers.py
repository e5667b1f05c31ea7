"""AdamW as transformers has it, and one whose steps are in proportion to the weights that they change.

The second is for "The False Promise" (arXiv 2305.15717): AdamW, rescaled by the size of the weights, at a learning
rate of 2e-3 that would wreck a model under plain AdamW. The paper gives no formula. The scale here is the one that
its authors' trainer has under `multiply_by_parameter_scale` (young-geng/EasyLM, EasyLM/optimizers.py, by way of
optax): the root mean square of a weight matrix, 1e-3 at least. There it is part of an Adafactor with momentum that
is not factored, and whose moments are not quite Adam's: no bias correction, and a decay that grows with time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from curate.train.recipe import Recipe
from curate.train.stack import load_stack

if TYPE_CHECKING:
    from torch import nn, optim

SMALLEST_SCALE: Final = (
    1e-3  # google-deepmind/optax, scale_by_param_block_rms; Adafactor's ε₂ (arXiv 1804.04235, §8)
)


def optimizer_for(model: nn.Module, recipe: Recipe) -> optim.Optimizer:
    """The recipe's optimizer over those weights of a model that are trained."""
    load_stack()
    from torch import optim

    groups = parameter_groups(model, recipe.weight_decay)
    settings: dict[str, Any] = {
        "lr": recipe.learning_rate,
        "betas": (recipe.beta1, recipe.beta2),
        "eps": recipe.epsilon,
    }
    if not recipe.scale_by_weight:
        # One kernel for all weights, where there is one: transformers' default (`adamw_torch_fused`).
        return optim.AdamW(groups, fused=True, **settings)
    from curate.train.steps._scaled import ScaledAdamW

    return ScaledAdamW(groups, smallest=SMALLEST_SCALE, **settings)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The weights that are trained, in two groups: those that decay, and norms and biases, which do not."""
    load_stack()
    from transformers import Trainer

    # transformers' own rule, by classes and names; it is a method that asks nothing of its trainer.
    decaying = set(Trainer.get_decay_parameter_names(None, model))  # type: ignore[arg-type]
    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    return [
        {"params": [weight for name, weight in trained if name in decaying], "weight_decay": weight_decay},
        {"params": [weight for name, weight in trained if name not in decaying], "weight_decay": 0.0},
    ]
