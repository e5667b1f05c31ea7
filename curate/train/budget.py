"""What a training run takes, in bytes, told before it begins: memory of each process, and disk.

Memory is that of the weights and what AdamW keeps of each, of what the backward pass needs of every layer, and of
the scores of the vocabulary. All of it is an upper estimate of what torch allocates; what it holds in reserve, and
CUDA's own some hundred MiB, come on top.
"""

from __future__ import annotations

import math
import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from curate.errors import PipelineError
from curate.train.checkpoints import KEPT
from curate.train.model_folder import ModelFolder
from curate.train.recipe import Recipe
from curate.train.weights import precision

if TYPE_CHECKING:
    from curate.train.rows.tokens import Tokens

Json = dict[str, Any]

_UNITS: Final = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))

_FLOAT: Final = 4  # bytes of a float32
_HALF: Final = 2  # of a bfloat16

# The pieces in which TRL 1.16 computes scores, in tokens and in words of the vocabulary (trl/kernels/
# chunked_logprob.py, TOKEN_CHUNK_SIZE; trl/trainer/utils.py, _CHUNKED_LOGPROB_CHUNK_SIZE).
_PIECE_TOKENS: Final = 4_096
_PIECE_WORDS: Final = 32_768


def estimate(folder: ModelFolder, recipe: Recipe, tokens: Tokens, processes: int) -> Json:
    """The bytes that training takes: `memory` of each process, and `disk`, both with their `total`.

    Weights, gradients and two moments are 16 bytes a parameter in float32: the 112 GB of 7B that stanford_alpaca's
    README has. Under bf16 autocast keeps a copy of 2 bytes, and several processes copy gradients into buckets of 4
    more (PyTorch, DistributedDataParallel, `gradient_as_bucket_view`). FSDP2 spreads it over the processes, and
    gathers a layer when its turn comes.

    Under LoRA only the adapters have gradients and moments, and the weights are in what is computed in.
    """
    memory = _weights(folder, recipe, processes)
    rows, length = _batch(recipe, tokens)
    memory["activations"] = rows * length * _activations(folder, recipe, length)
    memory["scores"] = _scores(folder, recipe, rows * length)
    disk = _disk(folder, recipe, tokens)
    return {
        "memory": {**memory, "total": sum(memory.values())},
        "disk": {**disk, "total": sum(disk.values())},
        "precision": precision(recipe),
        "parameters": folder.parameters,
        "trained": trained(folder, recipe),
        "batch": {"rows": rows, "tokens": length},
    }


def check_disk(to: Path, needed: int) -> None:
    """Raise `PipelineError` when the disk of a folder, there or to be, has less room than is needed, in bytes."""
    there = to.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < needed:
        raise PipelineError(
            f"the disk has {said(free)} left, and training keeps {said(needed)}",
            where=str(to),
            next="make room, write to another disk by --to, or keep fewer epochs by `keep_epochs`",
        )


def said(size: int) -> str:
    """A number of bytes as people say it."""
    unit, amount = next(((unit, size / of) for unit, of in _UNITS if size >= of), ("bytes", size))
    return f"{amount:,.0f} {unit}" if amount >= 100 or unit == "bytes" else f"{amount:.1f} {unit}"


def trained(folder: ModelFolder, recipe: Recipe) -> int:
    """How many numbers are trained: all weights, or under LoRA rank x (in + out) of each target."""
    if not recipe.lora_rank:
        return folder.parameters
    return sum(recipe.lora_rank * sum(shape) for shape in _targets(folder, recipe))


def _targets(folder: ModelFolder, recipe: Recipe) -> list[tuple[int, ...]]:
    """The shapes of the matrices that get adapters."""
    matrices = {
        name.removesuffix(".weight"): shape
        for name, shape in folder.shapes.items()
        if len(shape) == 2 and name.endswith(".weight")
    }
    if recipe.lora_targets == ("all-linear",):  # PEFT leaves the embeddings out
        return [shape for shape in matrices.values() if folder.rows not in shape]
    names = tuple(f".{target}" for target in recipe.lora_targets)
    return [shape for name, shape in matrices.items() if f".{name}".endswith(names)]


def _weights(folder: ModelFolder, recipe: Recipe, processes: int) -> dict[str, int]:
    half, lora = precision(recipe) == "bf16", bool(recipe.lora_rank)
    learned = trained(folder, recipe)
    vocabulary = sum(math.prod(shape) for shape in folder.shapes.values() if folder.rows in shape)
    layers = folder.parameters - vocabulary
    found = {
        "weights": folder.parameters * (_HALF if lora and half else _FLOAT) + lora * learned * _FLOAT,
        "gradients": learned * _FLOAT,
        "moments": learned * 2 * _FLOAT,
        "copies": (learned if lora else layers) * _HALF if half else 0,
    }
    if processes > 1 and recipe.sharding == "fsdp2":
        found = {name: -(-size // processes) for name, size in found.items()}
        # Whole are the layer that is computed, the next one, and the vocabulary for TRL's scores.
        layer = layers // max(1, _first(folder.config, "num_hidden_layers", "n_layer"))
        return {**found, "gathered": 2 * layer * (_HALF if half else _FLOAT) + vocabulary * _FLOAT}
    return {**found, "buckets": learned * _FLOAT if processes > 1 else 0}


def _has_gpu() -> bool:
    if find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def _batch(recipe: Recipe, tokens: Tokens) -> tuple[int, int]:
    """How many rows, of how many tokens, a process takes at a time at most."""
    lengths = tokens.lengths
    longest = int(lengths.max()) if len(lengths) else 0
    if recipe.packing:
        longest = max(longest, min(recipe.max_tokens, int(lengths.sum())))
    return recipe.micro_batch_size, longest


def _activations(folder: ModelFolder, recipe: Recipe, length: int) -> int:
    """Bytes a token that layers keep for the backward pass.

    Counted as by Korthikanti et al. (arXiv 2205.05198, §4), who find 34h + 5as bytes in a layer of GPT's, h wide
    with a heads over s tokens; here for what transformers 5.23 keeps of Llama's, with an inner width of i, queries
    and keys of q and k. In float32 that is 24h + 8q + 8k + 16i. Under autocast the norms stay in float32, the rest
    has half, and each matrix has a copy of its own of what it is applied to: 26h + 4q + 4k + 8i. Attention that is
    not fused keeps its weights too. Checkpointing keeps 4h of each layer, and one layer whole as it is made anew.
    """
    config = folder.config
    width, layers = _first(config, "hidden_size", "n_embd"), _first(config, "num_hidden_layers", "n_layer")
    inner = _first(config, "intermediate_size", "n_inner") or 4 * width
    heads = _first(config, "num_attention_heads", "n_head")
    queries = heads * (_first(config, "head_dim") or width // max(1, heads))
    keys = queries  # each query has its copy of grouped keys, where a mask is given with them
    half = precision(recipe) == "bf16"
    layer = 24 * width + 8 * queries + 8 * keys + 16 * inner
    if half:
        layer = 26 * width + 4 * queries + 4 * keys + 8 * inner
    if recipe.attention == "eager":
        layer += heads * length * (_FLOAT + (_HALF if half else 0))
    if recipe.residual_dropout:
        layer += 2 * width  # where it dropped, a byte each
    if recipe.lora_rank and recipe.lora_dropout:  # what each adapter is applied to, and where it was dropped
        layer += sum(shape[1] for shape in _targets(folder, recipe)) * ((_HALF if half else _FLOAT) + 1) // layers
    last = 2 * _FLOAT * width  # the norm after the last layer
    if recipe.activation_checkpointing:
        return layers * _FLOAT * width + layer + last
    return layers * layer + last


def _scores(folder: ModelFolder, recipe: Recipe, tokens: int) -> int:
    """Bytes of the scores of the vocabulary and of their gradients.

    TRL computes them in pieces, in place on a GPU; elsewhere with seven copies in float32 (trl/kernels/
    chunked_logprob.py, `_backward_tile`). Where LoRA trains rows of added tokens, the model's own loss is taken,
    which has all scores at once, and in float32 those, their logarithms and their gradients.
    """
    size, words = _HALF if precision(recipe) == "bf16" else _FLOAT, folder.rows
    width = _first(folder.config, "hidden_size", "n_embd")
    if recipe.lora_rank:
        return tokens * words * (size + 3 * _FLOAT)
    at_once, head = min(tokens, _PIECE_TOKENS), words * width * _FLOAT
    copies = 0 if _has_gpu() else 7 * at_once * min(words, _PIECE_WORDS) * _FLOAT + head * (size == _HALF)
    return at_once * _PIECE_WORDS * size + copies + head + tokens * width * _FLOAT


def _disk(folder: ModelFolder, recipe: Recipe, tokens: Tokens) -> dict[str, int]:
    """Bytes on disk: rows as they are learned, epochs that are kept, whole states, and the model."""
    beside = sum(
        file.stat().st_size for file in folder.path.iterdir() if file.is_file() and not _is_weights(file.name)
    )
    model = folder.parameters * (_HALF if precision(recipe) == "bf16" else _FLOAT) + beside
    learned = trained(folder, recipe)
    epoch = learned * _FLOAT + beside if recipe.lora_rank else model
    return {
        "tokens": int(tokens.input_ids.nbytes),
        "epochs": len(recipe.kept) * epoch,
        "states": KEPT * (learned * 3 * _FLOAT + beside),
        "model": model,
    }


def _is_weights(name: str) -> bool:
    return re.search(r"\.(?:safetensors|bin|pth?|gguf|h5|msgpack)$", name) is not None


def _first(config: Json, *names: str) -> int:
    """A number of a configuration, under the first of the names that architectures have for it."""
    return next((int(config[name]) for name in names if config.get(name)), 0)
