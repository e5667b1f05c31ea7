"""Weights: taken from a folder that holds a model to train, and saved as one that was heard to speak.

Safetensors only, since pickles run code when they are read, and no code that a folder brings. Embeddings grow by
the template's tokens; what is saved is loaded back, compared bit for bit, and made to answer before it is named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from curate.errors import PipelineError, ReproducibilityError
from curate.store import read_json, write_text
from curate.train.checkpoints import aside, disk_errors, open_to_others, seal
from curate.train.model_folder import ModelFolder, configuration, open_model, told
from curate.train.recipe import Recipe
from curate.train.stack import load_stack

if TYPE_CHECKING:
    import torch
    from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

    from curate.train.rows.templates import Template

__all__ = ["ModelFolder", "load_model", "load_tokenizer", "open_model", "precision", "save_model"]

# What a model is asked before it gets its name; a row of its own set may be asked instead.
GREETING: Final = {"id": "greeting", "prompt": "Who are you?"}

# As long an answer as it takes to see that one comes.
_SAID_TOKENS: Final = 32

# Spaces, line ends, digits and scripts: where one tokenizer reads otherwise than another of the same tokens.
_TEXT: Final = "Wo? \n\n  In 1999,\tdéjà vu's  長江 — 👩‍🚀</s> end."

_SHARD: Final = "5GB"  # as published models are cut (huggingface_hub, MAX_SHARD_SIZE)


def precision(recipe: Recipe) -> Literal["bf16", "fp32"]:
    """What a recipe computes in on this machine: `auto` is bf16 where a GPU has it."""
    if recipe.precision != "auto":
        return recipe.precision
    if find_spec("torch") is None:
        return "fp32"
    import torch

    has = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if has else "fp32"


def load_tokenizer(folder: ModelFolder) -> PreTrainedTokenizerBase:
    """The tokenizer of a model's folder.

    Raises `PipelineError` when it cannot be read, and when it has tokens of its own that the weights have no rows
    for: then it is another model's.
    """
    config = configuration(folder.path)
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder.path, config=config, trust_remote_code=False, local_files_only=True
        )
    except Exception as error:  # tokenizers raises just that
        raise PipelineError(
            f"the tokenizer cannot be read: {told(error)}",
            where=str(folder.path),
            next="save it anew with a tokenizer.json: AutoTokenizer.from_pretrained(…).save_pretrained(…)",
        ) from error
    rows = folder.rows
    known = [id for token, id in tokenizer.get_vocab().items() if token not in tokenizer.get_added_vocab()]
    if known and max(known) >= rows:
        raise PipelineError(
            f"the tokenizer has tokens up to {max(known):,}, and the model has weights for {rows:,} of them",
            where=str(folder.path),
            next="give the model the tokenizer that it was trained with",
        )
    return tokenizer


def load_model(
    folder: ModelFolder, template: Template, recipe: Recipe, *, dtype: torch.dtype | None = None
) -> PreTrainedModel:
    """The model of a folder, to be trained under a template: its weights in float32, with rows for added tokens.

    Added tokens start as the mean of the rows that are there, in and out, as in stanford_alpaca's train.py; rows
    beyond the tokenizer's own, which pad a vocabulary to a round number, are no part of the mean. Weights that are
    not trained, as under LoRA, are in bfloat16 where bf16 is computed in. Who does not train asks for a `dtype`.

    Raises `PipelineError` when transformers does not know the architecture, weights are missing or of other
    shapes, or the attention cannot be had.
    """
    load_stack()
    import torch
    from transformers import AutoModelForCausalLM

    if dtype is None:
        frozen = bool(recipe.lora_rank) and precision(recipe) == "bf16"
        dtype = torch.bfloat16 if frozen else torch.float32
    config = configuration(folder.path)
    try:
        with _quietly():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder.path,
                config=config,
                dtype=dtype,
                attn_implementation=recipe.attention,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                ignore_mismatched_sizes=True,  # they are told below
                output_loading_info=True,
            )
    except ImportError as error:
        raise PipelineError(
            f"attention {recipe.attention!r} cannot be had: {told(error)}", next='set attention = "sdpa"'
        ) from error
    except Exception as error:  # whatever a model's class makes of odd values
        raise PipelineError(f"the model cannot be loaded: {told(error)}", where=str(folder.path)) from error
    model, found = loaded
    _refuse_misfits(found, folder)
    _grow(model, template, folder)
    # What speaks after training is what the recipe says, and not what the base model's makers preferred.
    model.generation_config = speaking(template, recipe)
    model.config.pad_token_id = template.tokenizer.pad_token_id
    trained: PreTrainedModel = model
    return trained


def _refuse_misfits(found: Mapping[str, Any], folder: ModelFolder) -> None:
    """Raise `PipelineError` when files and configuration are not of one model: what lacks is drawn at random."""
    missing, left = sorted(found["missing_keys"]), sorted(found["unexpected_keys"])
    other = sorted(found["mismatched_keys"])
    what = ""
    if other:
        name, here, wanted = other[0]
        what = f"{len(other):,} weights have other shapes, such as {name}: {[*here]} for {[*wanted]}"
    elif missing:
        what = f"{len(missing):,} weights are not in the files, such as {missing[0]}"
    elif left:
        what = f"{len(left):,} weights have no place in the model, such as {left[0]}"
    if what:
        raise PipelineError(
            f"weights and configuration are not of one model: {what}",
            where=str(folder.path),
            next="fetch the model again, with the config.json that it came with",
        )


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what transformers prints of weights that do not fit: it is said as an error."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(before)


def speaking(template: Template, recipe: Recipe) -> GenerationConfig:
    """How a trained model is made to speak: it ends at the end of a turn, or where the base model ended.

    The recipe's repetition penalty is on the answer. That of transformers is on the prompt too, in which templates
    of LIMA's and ChatML's kind end each turn: ending the answer would be punished. So there is none.
    """
    from transformers import GenerationConfig

    tokenizer = template.tokenizer
    sampling: dict[str, Any] = {"do_sample": False}
    if recipe.temperature:
        # By default, transformers samples from the 50 likeliest tokens, which no recipe speaks of.
        sampling = {"do_sample": True, "temperature": recipe.temperature, "top_p": recipe.top_p, "top_k": 0}
    return GenerationConfig(  # type: ignore[no-untyped-call]
        **sampling,
        repetition_penalty=1.0,
        max_new_tokens=recipe.max_new_tokens,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=_ends(template),
        pad_token_id=tokenizer.pad_token_id,
    )


def save_model(
    model: PreTrainedModel,
    template: Template,
    recipe: Recipe,
    to: Path,
    *,
    say: Mapping[str, Any] | None = GREETING,
    state: Mapping[str, torch.Tensor] | None = None,
) -> dict[str, Any]:
    """Save a model with its tokenizer, chat template and manner of speaking; load it back, and have it speak.

    `to` is replaced whole, or not at all. Weights are in the type that they were computed in: bfloat16 under bf16.
    `state` has the weights where the model's own are spread over processes. `say` is the record that it answers,
    none for a model that is not to speak. Main memory holds what is saved twice: as it is, and as loaded back.

    Returns plain values: `dtype`, `parameters`, `bytes`, and of what was said `prompt`, `text`, `stop` ("end" or
    "length"), and `tokens`. Raises `ReproducibilityError` when what is loaded back is not what was saved, and
    `CurateError` when it cannot be written.
    """
    load_stack()
    import torch

    kind = torch.bfloat16 if precision(recipe) == "bf16" else torch.float32
    weights = _cast(model.state_dict() if state is None else state, kind)
    with aside(to) as folder, disk_errors(to):
        _write(model, weights, template, recipe, folder)
        back = _loaded_back(folder, weights, template)
        said = _said(back, template, say) if say is not None else {}
        seal(folder)
    saved = open_model(to)
    return {"dtype": saved.dtype, "parameters": saved.parameters, "bytes": saved.bytes, **said}


def _grow(model: Any, template: Template, folder: ModelFolder) -> None:
    """Rows for tokens that the folder's own tokenizer does not know: the mean of those it knows, in and out."""
    import torch

    known = load_tokenizer(folder).get_vocab()
    vocabulary = template.tokenizer.get_vocab()
    rows = model.get_input_embeddings().weight.shape[0]
    old = sorted({id for id in known.values() if id < rows})
    new = sorted({id for token, id in vocabulary.items() if token not in known or id >= rows})
    if not new:
        return
    model.resize_token_embeddings(max(rows, new[-1] + 1), mean_resizing=False)
    new = sorted({*new, *range(rows, model.get_input_embeddings().weight.shape[0])})
    layers = [model.get_input_embeddings(), model.get_output_embeddings()]
    tensors = {id(tensor): tensor for layer in layers if layer is not None for tensor in layer.parameters()}
    with torch.no_grad():
        for tensor in tensors.values():
            tensor[new] = tensor[old].mean(dim=0, dtype=torch.float64).to(tensor.dtype)


def _cast(state: Mapping[str, torch.Tensor], kind: torch.dtype) -> dict[str, torch.Tensor]:
    """Weights in another type, in main memory. Those that were tied are tied still."""
    made: dict[tuple[int, tuple[int, ...]], torch.Tensor] = {}
    cast = {}
    for name, tensor in state.items():
        key = (tensor.data_ptr(), tuple(tensor.shape))
        if key not in made:
            made[key] = tensor.detach().to("cpu", kind if tensor.is_floating_point() else tensor.dtype)
        cast[name] = made[key]
    return cast


def _write(
    model: PreTrainedModel, weights: Mapping[str, torch.Tensor], template: Template, recipe: Recipe, folder: Path
) -> None:
    generation, model.generation_config = model.generation_config, speaking(template, recipe)
    dtype = model.config.dtype
    try:
        model.save_pretrained(folder, state_dict=dict(weights), max_shard_size=_SHARD)
        template.tokenizer.save_pretrained(folder)
    finally:
        model.generation_config, model.config.dtype = generation, dtype
    open_to_others(folder, "config.json")
    config = read_json(folder / "config.json")
    config |= {
        "dtype": str(next(iter(weights.values())).dtype).removeprefix("torch."),
        "eos_token_id": _ends(template),
        "pad_token_id": template.tokenizer.pad_token_id,
        "use_cache": True,
    }
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
    write_text(folder / "recipe.toml", recipe.toml())


def _loaded_back(folder: Path, weights: Mapping[str, torch.Tensor], template: Template) -> PreTrainedModel:
    """The model as others will load it, once it was found to be what was saved."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype="auto", use_safetensors=True, trust_remote_code=False, local_files_only=True
    )
    back = model.state_dict()
    for name, tensor in weights.items():
        if name not in back or not _same(back[name], tensor):
            raise ReproducibilityError(f"the model as loaded back is not what was saved: {name} differs")
    if what := unlike(load_tokenizer(open_model(folder)), template.tokenizer):
        raise ReproducibilityError(f"the tokenizer as loaded back is not what was saved: {what}")
    if model.generation_config.eos_token_id != _ends(template):
        raise ReproducibilityError("the model as loaded back does not end where a turn ends")
    return model


def unlike(one: Any, other: Any) -> str:
    """In what tokenizers differ, if they do."""
    looks: dict[str, Callable[[Any], Any]] = {
        "other tokens": lambda each: each.get_vocab(),
        "another chat template": lambda each: each.chat_template,
        "other special tokens": lambda each: each.special_tokens_map,
        "it reads a text otherwise": lambda each: each(_TEXT).input_ids,
    }
    return next((what for what, look in looks.items() if look(one) != look(other)), "")


def _said(model: Any, template: Template, record: Mapping[str, Any]) -> dict[str, Any]:
    """What a model answers to a record, always the likeliest token."""
    import torch

    from curate.train.rows.tokens import prompt_ids, text_of

    given = torch.tensor([prompt_ids(record, template)])
    with torch.no_grad():
        made = model.eval().generate(
            given,
            attention_mask=torch.ones_like(given),
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            max_new_tokens=_SAID_TOKENS,
        )
    answer = made[0, given.shape[1] :].tolist()
    ended = bool(answer) and answer[-1] in _ends(template)
    return {
        "prompt": record.get("prompt"),
        "text": text_of(answer if answer[-1:] == [template.end_id] else answer[: len(answer) - ended], template),
        "stop": "end" if ended else "length",
        "tokens": len(answer) - ended,
    }


def _ends(template: Template) -> list[int]:
    """What ends an answer: the end of a turn, and what the base model ends a text with."""
    return [*dict.fromkeys(id for id in (template.end_id, template.tokenizer.eos_token_id) if id is not None)]


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors are of the same type, shape and bits; a zero has not those of a negative zero."""
    import torch

    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    bits = [each.detach().contiguous().reshape(-1).view(torch.uint8) for each in (one, other)]
    return torch.equal(*bits)
