"""What adapters were trained on: found where it lies now, held against what it was, and merged with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import PipelineError, ReproducibilityError
from curate.train.model_folder import ModelFolder, configuration

if TYPE_CHECKING:
    from curate.train.recipe import Recipe
    from curate.train.rows.templates import Template


def is_adapter(folder: Path) -> bool:
    """Whether a folder has adapters in place of weights."""
    return (folder / "adapter_config.json").is_file()


def base_of(folder: Path, training: Path | None, model: Path | None = None) -> Path:
    """The folder whose weights speak: this one, or of adapters the one that they were trained on.

    `model` is where that lies now, if it was moved. Its weights are read through and held against their digest.

    Raises `PipelineError` when it is not there, or is given for weights that need none, and
    `ReproducibilityError` when it is another model.
    """
    from curate.train.preparing import read_facts, weights_digest

    if not is_adapter(folder):
        if model is not None:
            raise PipelineError("whole weights need no base model", where=str(folder), next="leave out `--model`")
        return folder
    if training is None:
        raise PipelineError(
            "nothing says which model these adapters were trained on",
            where=str(folder),
            next="put them back into their training folder",
        )
    facts = read_facts(training)["model"]
    base = model or Path(facts["path"])
    if not base.is_dir():
        raise PipelineError(
            "the model that these adapters were trained on is not there",
            where=str(base),
            next="say where it is now: --model PATH",
        )
    if not (base / "config.json").is_file() or weights_digest(base) != facts["digest"]:
        raise ReproducibilityError(
            "this is not the model that these adapters were trained on: its weights or its config.json are others",
            where=str(base),
            next="say where that is: --model PATH",
        )
    return base


def check_tokenizer(base: ModelFolder, adapters: Path, template: Template) -> None:
    """Raise `ReproducibilityError` when the base of adapters has another tokenizer than lies beside them."""
    from transformers import AutoTokenizer

    from curate.train.weights import unlike

    own = AutoTokenizer.from_pretrained(
        adapters, config=configuration(base.path), trust_remote_code=False, local_files_only=True
    )
    if what := unlike(own, template.tokenizer):
        raise ReproducibilityError(
            f"the base model's tokenizer is not the one that these adapters were trained with: {what}",
            where=str(base.path),
            next="put back the tokenizer that it had",
        )


def with_adapter(base: ModelFolder, adapters: Path, template: Template, recipe: Recipe) -> Any:
    """The model in a folder with the adapters in another merged into its weights, in float32: rounded once, later.

    Raises `ReproducibilityError` when the base has another tokenizer than lies beside the adapters.
    """
    import torch

    from curate.train.steps.lora import load_adapter, merged
    from curate.train.weights import load_model

    check_tokenizer(base, adapters, template)
    return merged(load_adapter(load_model(base, template, recipe, dtype=torch.float32), adapters))
