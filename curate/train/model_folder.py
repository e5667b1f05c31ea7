"""Whether a folder holds a model that can be trained: read off its configuration and the heads of its weights.

No weights are read, and neither torch nor transformers is imported where there are weights, so that a wrong folder
is told in a moment.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from curate.errors import PipelineError
from curate.train.stack import load_stack

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

Json = dict[str, Any]

# Weights that are no safetensors: pickles, and the formats of other programs.
_PICKLES: Final = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_FOREIGN: Final = ("*.h5", "*.msgpack", "*.gguf", "*.npz")

# Any of these is a tokenizer that transformers reads: its own file, SentencePiece's, GPT-2's and tiktoken's.
_TOKENIZERS: Final = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "tekken.json")

# Of the types that safetensors knows, those that weights are trained from: torch's names, and bytes of a number.
_TYPES: Final = {"F64": ("float64", 8), "F32": ("float32", 4), "BF16": ("bfloat16", 2), "F16": ("float16", 2)}

_MAX_HEAD: Final = 100_000_000  # bytes; what safetensors reads at most (safetensors/src/tensor.rs)

# OWNER/NAME, as models are called on the hub.
_HUB: Final = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)

_CAUSAL: Final = re.compile(r"\w+(?:ForCausalLM|LMHeadModel)")


@dataclass(frozen=True)
class ModelFolder:
    """A folder with a causal language model: its configuration, how many weights it has, and of what type.

    `parameters` counts tied weights once; `bytes` is the size of the weights' files; `dtype` is the type that most
    bytes are of, by torch's name; `shapes` has the shape of every tensor by its name.
    """

    path: Path
    config: Json
    architecture: str
    parameters: int
    bytes: int
    dtype: str
    shapes: dict[str, tuple[int, ...]] = field(repr=False, default_factory=dict)

    @property
    def rows(self) -> int:
        """How many tokens the model has weights for."""
        return int(self.config["vocab_size"])


class _Tensor(NamedTuple):
    kind: str
    shape: tuple[int, ...]
    bytes: int


def open_model(path: Path, *, weights: bool = True) -> ModelFolder:
    """What a model's folder holds, by `config.json` and the heads of its safetensors.

    Where `weights` are not asked for and none are there, the shapes are what transformers would make of the
    configuration, and the sizes follow from them.

    Raises `PipelineError` when it is no model that can be trained, saying what it is in its stead.
    """
    path = Path(path)
    _folder(path)
    config = _json(path / "config.json")
    architecture = _architecture(path, config)
    heads = [] if not weights and _bare(path) else _heads(path)
    tokenizer = _json(path / "tokenizer_config.json") if (path / "tokenizer_config.json").exists() else {}
    if "auto_map" in tokenizer:
        raise _remote(path / "tokenizer_config.json")
    if not any((path / name).is_file() for name in _TOKENIZERS):
        raise PipelineError(
            "the folder has no tokenizer",
            where=str(path),
            next=f"put {_TOKENIZERS[0]} or its like beside the weights",
        )
    if not heads:
        return _imagined(path, config, architecture)
    shapes: dict[str, tuple[int, ...]] = {}
    sizes: Counter[str] = Counter()
    for name, tensor in [each for head in heads for each in head.items()]:
        shapes[name] = tensor.shape
        sizes[tensor.kind] += tensor.bytes
    dtype = sizes.most_common(1)[0][0]
    if dtype not in _TYPES:
        raise _quantized(path, f"weights of type {dtype}")
    parameters = sum(math.prod(shape) for shape in shapes.values())
    return ModelFolder(path, config, architecture, parameters, sizes.total(), _TYPES[dtype][0], shapes)


def configuration(path: Path) -> PreTrainedConfig:
    """A model's configuration as transformers reads it.

    Raises `PipelineError` when it does not know the kind of model, or a value does not fit.
    """
    load_stack(training=False)
    from transformers import AutoConfig

    try:
        read: PreTrainedConfig = AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # the checks of values have errors of many kinds
        raise PipelineError(
            f"transformers cannot read the configuration: {told(error)}", where=str(path / "config.json")
        ) from error
    return read


def without_weights(path: Path) -> PreTrainedModel:
    """What transformers makes of a model's configuration: all its layers, and nothing in them.

    Raises `PipelineError` when it makes no model of it, and `PluginError` without torch.
    """
    load_stack()
    import torch
    from transformers import AutoModelForCausalLM

    read = configuration(path)
    try:
        with torch.device("meta"):
            model: PreTrainedModel = AutoModelForCausalLM.from_config(read)  # type: ignore[no-untyped-call]
    except Exception as error:  # whatever a model's class makes of odd values
        raise PipelineError(
            f"transformers makes no model of the configuration: {told(error)}", where=str(path / "config.json")
        ) from error
    return model


def told(error: Exception) -> str:
    """What an error of another package says, in the first two of its lines: often the second says what it is."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = " ".join(lines[:2]) or type(error).__name__
    return f"there is no {said}" if isinstance(error, KeyError) else said


def _folder(path: Path) -> None:
    if not path.exists():
        raise PipelineError("the model's folder does not exist", where=str(path), next=_fetched(path))
    if not path.is_dir():
        raise PipelineError(
            "a model is a folder with config.json, weights and tokenizer, and this is a file",
            where=str(path),
            next="give the folder that it lies in, with all that belongs to the model",
        )
    if (path / "adapter_config.json").exists():
        raise PipelineError(
            "the folder holds an adapter, and no model",
            where=str(path),
            next="give the model that it belongs to, or merge the two first",
        )
    if not (path / "config.json").is_file():
        inside = sorted(each.name for each in path.iterdir())
        held = f"it holds {', '.join(inside[:5])}{' …' if len(inside) > 5 else ''}" if inside else "it is empty"
        raise PipelineError(
            f"the folder is no model: there is no config.json, {held}",
            where=str(path),
            next="give a folder with config.json, tokenizer and weights as safetensors, or fetch the model again",
        )


def _fetched(path: Path) -> str:
    """What to do where there is no such folder: a name as the hub's is fetched first."""
    if _HUB.fullmatch(str(path)) and not path.parent.exists():
        return f"give a folder; a model of the hub is fetched first: hf download {path} --local-dir {path.name}"
    return "give the folder of a model"


def _architecture(path: Path, config: Json) -> str:
    if "auto_map" in config:
        raise _remote(path / "config.json")
    if "quantization_config" in config:
        raise _quantized(path, "quantized weights")
    named = config.get("architectures") or []
    architecture = str(named[0]) if isinstance(named, list) and named else ""
    if config.get("is_encoder_decoder") or not _CAUSAL.fullmatch(architecture):
        raise PipelineError(
            f"the model is no causal language model: its architecture is {architecture or 'not named'}",
            where=str(path / "config.json"),
            next="give one whose architecture ends in ForCausalLM",
        )
    size = config.get("vocab_size")
    if type(size) is not int or size < 1:
        raise PipelineError("the configuration has no vocab_size", where=str(path / "config.json"))
    return architecture


def _heads(path: Path) -> list[dict[str, _Tensor]]:
    """The tensors of each file of weights, those that an index names all there."""
    index = path / "model.safetensors.index.json"
    if (whole := path / "model.safetensors").is_file():
        return [_head(path, whole)]
    if index.is_file():
        named = _json(index).get("weight_map")
        if not isinstance(named, dict) or not named:
            raise PipelineError("the index of the weights names none", where=str(index))
        names = {str(name) for name in named.values()}
        if abroad := sorted(each for each in names if Path(each).name != each):
            raise PipelineError(f"the index leads outside of the folder, to {abroad[0]}", where=str(index))
        files = sorted(path / name for name in names)
        if lacking := [file.name for file in files if not file.is_file()]:
            raise PipelineError(
                f"{len(lacking)} of {len(files)} files of weights are missing, such as {lacking[0]}",
                where=str(path),
                next="fetch the model again",
            )
        heads = {file.name: _head(path, file) for file in files}
        if astray := sorted(name for name, file in named.items() if name not in heads[Path(file).name]):
            raise PipelineError(
                f"{len(astray):,} weights are not where the index says, such as {astray[0]}",
                where=str(index),
                next="fetch the model again",
            )
        return [*heads.values()]
    for patterns, why in ((_PICKLES, ", and pickles run code when they are read"), (_FOREIGN, "")):
        if others := sorted({file.name for pattern in patterns for file in path.glob(pattern)}):
            raise PipelineError(
                f"the weights are not in safetensors, but in {others[0]}{why}",
                where=str(path),
                next="convert them with `save_pretrained` of transformers, where you trust them",
            )
    shards = len([*path.glob("*.safetensors")])
    absent = f"no {index.name} for its {shards:,} safetensors" if shards else "no model.safetensors"
    raise PipelineError(f"the folder has no weights: there is {absent}", where=str(path))


def _bare(path: Path) -> bool:
    """Whether a folder has no weights at all, of any format."""
    return not any(file for pattern in ("*.safetensors*", *_PICKLES, *_FOREIGN) for file in path.glob(pattern))


def _imagined(path: Path, config: Json, architecture: str) -> ModelFolder:
    """A model's folder as it will be with its weights, of the type that the configuration names."""
    model = without_weights(path)
    shapes = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
    parameters = sum(math.prod(shape) for shape in shapes.values())
    named = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    size = dict(_TYPES.values()).get(named, 4)
    return ModelFolder(path, config, architecture, parameters, parameters * size, named, shapes)


def _head(path: Path, file: Path) -> dict[str, _Tensor]:
    """The tensors of a safetensors file by name, which fill it to its end."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        raw = opened.read(length) if length <= min(_MAX_HEAD, size - 8) else b""
    try:
        read = json.loads(raw)
        head = {name: _tensor(entry) for name, entry in read.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        head = {}
    # Between the head and the end there is nothing but tensors (huggingface/safetensors, README, "Format").
    if not head or 8 + length + sum(tensor.bytes for tensor in head.values()) != size:
        raise PipelineError(
            f"{file.name} is torn or no safetensors file", where=str(path), next="fetch the model again"
        )
    return head


def _tensor(entry: Json) -> _Tensor:
    kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    numbers = [*shape, begin, end]
    if type(kind) is not str or any(type(number) is not int or number < 0 for number in numbers) or end < begin:
        raise ValueError(entry)
    if kind in _TYPES and math.prod(shape) * _TYPES[kind][1] != end - begin:
        raise ValueError(entry)
    return _Tensor(kind, tuple(shape), end - begin)


def _json(file: Path) -> Json:
    try:
        read = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise PipelineError(f"{file.name} is no JSON object", where=str(file))
    return read


def _remote(file: Path) -> PipelineError:
    return PipelineError(
        "the model brings code of its own, which is not run",
        where=f"{file}, auto_map",
        next="remove `auto_map` if transformers knows the architecture itself, or take another model",
    )


def _quantized(path: Path, what: str) -> PipelineError:
    return PipelineError(
        f"the model has {what}, from which nothing is trained",
        where=str(path),
        next="give the model it was made of",
    )
