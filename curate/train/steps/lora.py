"""Low-rank adapters (arXiv 2106.09685): few weights are trained, and merged into the others at the end.

A template may add tokens. Adapters change no embeddings, so such a token would stay the mean of all others: read
as nothing, and hardly ever said. Its rows are trained beside the adapters, in the input embeddings and in those of
the output, which are one where the model ties them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import PipelineError, nearest
from curate.keys import seed_for
from curate.train.checkpoints import open_to_others
from curate.train.recipe import Recipe
from curate.train.stack import load_stack

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from torch import nn
    from transformers import PreTrainedModel

    from curate.train.rows.templates import Template

ALL_LINEAR = "all-linear"  # PEFT's word for every linear layer but the output embeddings


def with_adapters(model: PreTrainedModel, recipe: Recipe, template: Template) -> PeftModel:
    """The model wrapped with the recipe's adapters, which alone are trained, and the rows of added tokens.

    The embeddings must have those rows. Adapters are drawn by the recipe's seed, and change nothing until they are
    trained.

    Raises `PipelineError` for targets that the model has not, for its embeddings, which cannot be targets, and for
    rows of added tokens that cannot be trained.
    """
    load_stack()
    import torch
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,  # type: ignore[arg-type] # divided by the rank, so a fraction is fine
        lora_dropout=recipe.lora_dropout,
        target_modules=_targets(model, recipe),
        trainable_token_indices=_token_rows(model, template) or None,
    )
    with torch.random.fork_rng(), _old_names():
        torch.manual_seed(seed_for(recipe.seed, "lora"))
        wrapped = get_peft_model(model, config)
    if config.trainable_token_indices:
        # TRL computes the loss from the weight and the bias of the output embeddings; PEFT's wrapper has no bias.
        wrapped.get_output_embeddings().bias = None
    return wrapped


def check_adaptable(model: PreTrainedModel, recipe: Recipe, template: Template) -> None:
    """Raise the `PipelineError` that `with_adapters` would; the model may be one without weights."""
    _targets(model, recipe)
    _token_rows(model, template)


def is_adapted(model: nn.Module) -> bool:
    """Whether the model is wrapped with adapters."""
    return hasattr(model, "merge_and_unload")


def merged(model: PeftModel) -> PreTrainedModel:
    """The plain model with its adapters and trained rows merged into its weights. The adapters are used up."""
    unload: Any = model.merge_and_unload
    plain: PreTrainedModel = unload(safe_merge=True)
    return plain


def save_adapter(model: PeftModel, to: Path, *, state: Mapping[str, torch.Tensor] | None = None) -> None:
    """Write the adapters and the trained rows into a folder, as `adapter_model.safetensors` and its config.

    They fit the model they were trained from once its embeddings are resized to the saved tokenizer's length. The
    config has the name of that model's folder, and not where it lies on this machine.
    `state` has the weights where the model's own are spread over processes.
    """
    for config in model.peft_config.values():
        config.base_model_name_or_path = Path(config.base_model_name_or_path or "").name or None
    # PEFT would copy whole embeddings that were resized. The rows that were trained are in the adapter already.
    whole = None if state is None else dict(state)
    model.save_pretrained(str(to), save_embedding_layers=False, state_dict=whole)
    open_to_others(to, "adapter_config.json")
    (to / "README.md").unlink(missing_ok=True)  # PEFT's, with places for what is not known


def load_adapter(model: PreTrainedModel, folder: Path) -> PeftModel:
    """The model that adapters were trained from, wrapped with those in a folder; it has all rows they have."""
    load_stack()
    from peft import PeftModel

    with _old_names():
        return PeftModel.from_pretrained(model, str(folder))


@contextmanager
def _old_names() -> Iterator[None]:
    """No word of it when peft 0.21 asks a model of transformers 5.23 for something by its old name."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is", category=FutureWarning)
        yield


def _targets(model: PreTrainedModel, recipe: Recipe) -> str | list[str]:
    """The layers that get adapters, as PEFT is told of them."""
    from torch.nn import Linear

    wanted, where = recipe.lora_targets, f"recipe {recipe.name}, lora_targets"
    if wanted == (ALL_LINEAR,):
        return ALL_LINEAR
    names = [name for name, module in model.named_modules() if isinstance(module, Linear)]
    last = {name.rpartition(".")[2] for name in names}
    embeddings = {name.rpartition(".")[2] for name in _embeddings(model)}
    for target in wanted:
        if target.rpartition(".")[2] in embeddings:
            raise PipelineError(
                f"lora_targets names {target!r}, an embedding, past whose adapter TRL would compute the loss",
                where=where,
                next="leave it out; the rows of tokens that the template adds are trained without it",
            )
        if not any(name == target or name.endswith(f".{target}") for name in names):
            raise PipelineError(
                f"lora_targets names {target!r}, and the model has no linear layer of that name",
                where=where,
                next=nearest(target, [ALL_LINEAR, *(last - embeddings)]),
            )
    return list(wanted)


def _embeddings(model: Any) -> list[str]:
    """Names of the input embeddings and, where the model does not tie them, of the output embeddings."""
    put_in, put_out = model.get_input_embeddings(), model.get_output_embeddings()
    return [name for name, module in model.named_modules() if module is put_in or module is put_out]


def _token_rows(model: Any, template: Template) -> dict[str, list[int]]:
    """The rows of the embeddings that are trained, by the embedding's name."""
    ids = sorted(template.tokenizer.convert_tokens_to_ids(list(template.added)))
    if not ids:
        return {}
    put_in, put_out = model.get_input_embeddings(), model.get_output_embeddings()
    if getattr(put_out, "bias", None) is not None:
        raise PipelineError(
            "the template adds tokens, and PEFT cannot train their rows in output embeddings that have a bias",
            next="take a template whose tokens the tokenizer has, or train all weights: lora_rank = 0",
        )
    # Of tied embeddings the input's are named, and PEFT lets the output read the same rows. It goes by the config,
    # which may say so of weights that differ in the files and are not tied.
    tied = put_out.weight is put_in.weight
    model.config.tie_word_embeddings = tied
    named = {id(module): name for name, module in model.named_modules()}
    return {named[id(module)]: ids for module in ([put_in] if tied else [put_in, put_out])}
