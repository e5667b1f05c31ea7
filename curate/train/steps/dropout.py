"""Dropout on what each sub-layer adds to the residual stream, as LIMA was trained with (arXiv 2305.11206, §3).

The rate grows over depth, from 0 at the first layer to the recipe's at the last. The paper does not say where in a
layer it is; here it is where residual dropout stands in Vaswani et al. (arXiv 1706.03762, §5.4): on the output of
attention and of the feed-forward part, before each is added. Hooks do it, so that no class of a model is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from curate.errors import PipelineError

if TYPE_CHECKING:
    from torch import nn

# Decoders whose layers add what `self_attn` and `mlp` put out to the residual stream, one after the other, with
# norms before them and no dropout of their own. Elsewhere a norm would scale away what a hook did (Gemma 2 and
# OLMo 2), or a second dropout would stand beside the model's own (Phi-3, GPT-NeoX, OPT).
ARCHITECTURES: Final = (
    "GemmaForCausalLM",
    "GraniteForCausalLM",
    "LlamaForCausalLM",
    "MistralForCausalLM",
    "OlmoForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
    "SmolLM3ForCausalLM",
)


@dataclass(frozen=True)
class _Dropout:
    """A hook that drops a share of a sub-layer's output while it is trained, and scales up what is left."""

    rate: float
    drop: Callable[..., Any]

    def __call__(self, module: nn.Module, _given: Any, output: Any) -> Any:
        if not module.training:
            return None
        if isinstance(output, tuple):  # attention returns its weights too
            return self.drop(output[0], self.rate), *output[1:]
        return self.drop(output, self.rate)


def check_architecture(architecture: str) -> None:
    """Raise `PipelineError` where residual dropout is not known to be right."""
    if architecture not in ARCHITECTURES:
        raise PipelineError(
            f"residual_dropout is not known to be right in {architecture}: where its layers have norms after them,"
            " or a dropout of their own, ours would do another thing than the recipe says",
            next=f"set residual_dropout = 0, or take one of: {', '.join(ARCHITECTURES)}",
        )


def rates_for(layers: int, p_last: float) -> list[float]:
    """The rate of each layer: 0 at the first, `p_last` at the last, linear between."""
    if layers == 1:
        raise PipelineError(
            "residual_dropout grows from the first layer to the last, and the model has one layer",
            next="set residual_dropout = 0",
        )
    return [p_last * layer / (layers - 1) for layer in range(layers)]


def add_residual_dropout(model: nn.Module, p_last: float) -> list[float]:
    """Add dropout to the layers of a model, in place, and return the rate of each layer. Nothing is done at 0.

    The model may be wrapped by PEFT. Keys of its state, and what it answers in evaluation, stay as they are.

    Raises `PipelineError` for architectures that are not in `ARCHITECTURES`, and for a model that has it already.
    """
    if not p_last:
        return []
    from torch.nn.functional import dropout

    decoder = _decoder(model)
    check_architecture(type(decoder).__name__)
    if residual_dropout(model):
        raise PipelineError("the model has residual dropout already: a second would add to the first")
    layers = decoder.model.layers
    rates = rates_for(len(layers), p_last)
    for layer, rate in zip(layers, rates, strict=True):
        if rate:
            hook = _Dropout(rate, dropout)
            layer.self_attn.register_forward_hook(hook)
            layer.mlp.register_forward_hook(hook)
    return rates


def residual_dropout(model: nn.Module) -> dict[str, float]:
    """The rate of each module that has residual dropout, by the module's name in the model as it is wrapped."""
    return {
        name: hook.rate
        for name, module in model.named_modules()
        for hook in module._forward_hooks.values()  # noqa: SLF001 (torch lists them nowhere else)
        if isinstance(hook, _Dropout)
    }


def _decoder(model: nn.Module) -> Any:
    """The causal language model itself, out of PEFT's wrapper if it has one."""
    unwrap = getattr(model, "get_base_model", None)
    return unwrap() if unwrap is not None else model
