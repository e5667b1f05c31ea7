"""What training needs, written into its folder before the first step: going on reads that and the base model.

`train.json` is written last, and says what is trained on what; its existence means that the rest is there.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate import __version__
from curate.errors import CurateError, PipelineError, ReproducibilityError
from curate.keys import digest, file_digest
from curate.store import read_json, write_parquet, write_text
from curate.train import budget, weights
from curate.train.checks.doubts import counted
from curate.train.model_folder import ModelFolder, open_model
from curate.train.recipe import Recipe, read_recipe
from curate.train.rows.templates import Template, template_for
from curate.train.rows.tokens import Tokens, read_tokens, tokenize_by, write_tokens
from curate.train.sets import TrainingSet
from curate.train.steps.callbacks import METRICS, TENSORBOARD, check_tensorboard, read_metrics
from curate.train.steps.engine import Lessons, lessons
from curate.train.steps.launching import World

FACTS: Final = "train.json"
RECIPE: Final = "recipe.toml"
FORMAT: Final = 1

_PACKAGES: Final = ("torch", "transformers", "trl", "accelerate", "peft", "tokenizers", "safetensors")


@dataclass(frozen=True)
class Prepared:
    """A training folder as steps are taken in it: what `prepare` wrote, read back, and the base model's folder.

    `dev` and `prompts` are the dev rows, as tokens and as records, none without a dev split.
    """

    folder: Path
    facts: dict[str, Any]
    recipe: Recipe
    base: ModelFolder
    template: Template
    tokens: Tokens
    dev: Tokens | None
    prompts: pl.DataFrame | None

    def lessons(self, world: World) -> Lessons:
        """What is learned, for as many processes as there are."""
        return lessons(self.tokens, self.recipe, pad=self.template.tokenizer.pad_token_id, processes=world.size)

    def same(self, world: World) -> dict[str, Any]:
        """All that has to be the same when training goes on, as it is now."""
        return _same(self.tokens, self.recipe, self.template, self.base, world.size)


def prepare(
    given: TrainingSet, model: Path, recipe: Recipe, to: Path, processes: int, *, tensorboard: bool = False
) -> dict[str, Any]:
    """Make the tokens, look for room on the disk, write the folder, and return its facts.

    What a training that failed before its first step left there is replaced.

    Raises `CurateError` when something was trained there before.
    """
    check_new(to)
    if tensorboard:
        check_tensorboard()
    base = open_model(model)
    template = template_for(recipe.template, weights.load_tokenizer(base), pad_token=recipe.pad_token)
    tokens = {split: tokenize_by(recipe, given.splits[split], template) for split in _splits(given)}
    if not len(tokens["train"]):
        raise CurateError(
            "no row is left to learn",
            where=f"max_tokens = {recipe.max_tokens}, too_long = {recipe.too_long!r}",
            next="`curate train check` says what became of them",
        )
    needs = budget.estimate(base, recipe, tokens["train"], processes)
    budget.check_disk(to, needs["disk"]["total"])
    _clear(to)
    (to / "tokens").mkdir(parents=True, exist_ok=True)
    for split, made in tokens.items():
        write_tokens(made, to / "tokens" / f"{split}.parquet")
    if "dev" in tokens:
        write_parquet(to / "tokens" / "dev_records.parquet", given.splits["dev"])
    write_text(to / RECIPE, recipe.toml())
    learned = lessons(tokens["train"], recipe, pad=0, processes=processes)
    same = _same(tokens["train"], recipe, template, base, processes)
    facts = {
        "format": FORMAT,
        "state": "training",
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "set": {
            "name": given.name,
            "path": str(given.path),
            "digest": given.digest,
            "rows": {split: rows.height for split, rows in given.splits.items()},
            "facts": dict(given.facts),
        },
        "model": {
            "name": base.path.resolve().name,
            "path": str(base.path.resolve()),
            "architecture": base.architecture,
            "parameters": base.parameters,
            "dtype": base.dtype,
            "digest": same["weights"],
        },
        "recipe": recipe.plain(),
        "template": {
            "name": template.name,
            "end": template.end,
            "added": list(template.added),
            "digest": same["template"],
        },
        "same": same,
        "tokens": {split: made.table for split, made in tokens.items()},
        "order": {
            "rows": len(tokens["train"]),
            "sequences": len(learned.members),
            "fillers": learned.order.fillers,
            "steps_an_epoch": learned.order.steps,
        },
        "steps": learned.order.steps * recipe.epochs,
        "processes": processes,
        "tensorboard": tensorboard,
        "needs": needs,
        "versions": _versions(),
    }
    write_facts(to, facts)
    return facts


def check_new(to: Path) -> None:
    """Raise `CurateError` when something was trained in a folder before; what took no step is nothing."""
    kept = any(folder.is_dir() and any(folder.iterdir()) for folder in (to / "checkpoints", to / "epochs"))
    if (to / FACTS).exists() and (kept or read_metrics(to)):
        raise CurateError(
            "something was trained here before",
            where=str(to),
            next=f"go on with it by `curate train resume {to}`, or give another folder",
        )


def _clear(to: Path) -> None:
    """Remove what a training that took no step has written; its facts first, which say that the rest is there."""
    for name in (FACTS, RECIPE, METRICS):
        (to / name).unlink(missing_ok=True)
    for name in ("tokens", TENSORBOARD):
        shutil.rmtree(to / name, ignore_errors=True)


def prepared(folder: Path) -> Prepared:
    """What was prepared in a folder.

    Raises `PipelineError` when the base model is not where it was, and `ReproducibilityError` when a file of the
    folder is not what was written.
    """
    facts, recipe = read_facts(folder), read_recipe(str(folder / RECIPE))
    path = Path(facts["model"]["path"])
    if not path.is_dir():
        raise PipelineError(
            "the model that is trained is not where it was",
            where=str(path),
            next=f"say where it is now: `curate train resume {folder} --model PATH`",
        )
    base = open_model(path)
    template = template_for(recipe.template, weights.load_tokenizer(base), pad_token=recipe.pad_token)
    has_dev = "dev" in facts["tokens"]
    return Prepared(
        folder,
        facts,
        recipe,
        base,
        template,
        read_tokens(folder / "tokens" / "train.parquet"),
        read_tokens(folder / "tokens" / "dev.parquet") if has_dev else None,
        pl.read_parquet(folder / "tokens" / "dev_records.parquet") if has_dev else None,
    )


def move_base(folder: Path, model: Path) -> None:
    """Note where the base model of a training folder lies now.

    Raises `PipelineError` where no model lies, and `ReproducibilityError` when it is another one.
    """
    facts, base = read_facts(folder), open_model(model)
    if weights_digest(base.path) != facts["model"]["digest"]:
        raise ReproducibilityError(
            "this is not the model that training began with: its weights or its config.json are others",
            where=str(model),
            next=f"give {facts['model']['name']!r}, which lay in {facts['model']['path']}",
        )
    facts["model"]["path"] = str(base.path.resolve())
    write_facts(folder, facts)


def start(step: int) -> dict[str, Any]:
    """An entry of `starts` in train.json: when, after which step, where and with what training goes on."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"at": now, "step": step, "device": device, "versions": _versions()}


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is worth a word of two entries of `starts`: weights go on bit for bit with the same packages alone."""
    one, other = ({"the device": each["device"], **each["versions"]} for each in (before, now))
    told = [f"{name} was {one.get(name)} and is {other[name]}" for name in other if other[name] != one.get(name)]
    if not told:
        return []
    return [f"{', '.join(told)}: what comes out may differ in its last bits from what would have without the stop"]


def read_facts(folder: Path) -> dict[str, Any]:
    """What a training folder says was trained on what, and how far it is.

    Raises `PipelineError` for another kind of folder, and `ReproducibilityError` when what it says cannot be read.
    """
    try:
        facts = read_json(folder / FACTS)
    except (FileNotFoundError, NotADirectoryError):
        raise PipelineError(
            "nothing was trained here", where=str(folder), next="give a folder that `curate train` wrote"
        ) from None
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        raise ReproducibilityError(
            f"{FACTS} is not what was written", where=str(folder / FACTS), next="train anew, into another folder"
        )
    if facts.get("format") != FORMAT:
        raise ReproducibilityError(
            "the folder was written by another version",
            where=str(folder / FACTS),
            next="go on with that version, or train anew into another folder",
        )
    return facts


def write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write `train.json`."""
    write_text(folder / FACTS, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")


def weights_digest(folder: Path) -> str:
    """A digest of the bytes of a model's weights and configuration."""
    files = sorted([*folder.glob("*.safetensors"), folder / "config.json"])
    return digest([[file.name, file_digest(file)] for file in files])


def told(facts: Mapping[str, Any]) -> list[str]:
    """What is worth a word before the first step."""
    order, steps = facts["order"], facts["steps"]
    packed = f" in {counted(order['sequences'], 'pack')}" if order["sequences"] != order["rows"] else ""
    an_epoch = counted(order["steps_an_epoch"], "step")
    said = [f"{counted(order['rows'], 'row')}{packed}, {an_epoch} an epoch, {steps:,} in all"]
    if order["fillers"]:
        fillers = counted(order["fillers"], "empty row")
        said.append(f"each epoch is filled up with {fillers} of no weight, so that all processes take as many")
    table = facts["tokens"]["train"]
    if table["dropped"]:
        said.append(f"{len(table['dropped']):,} rows were too long or empty and are left out")
    if table["shortened"]:
        said.append(
            f"{table['shortened']:,} rows were too long and are cut, {table['lost_end']:,} of them in an answer"
        )
    return said


def _splits(given: TrainingSet) -> list[str]:
    return [split for split in ("train", "dev") if split in given.splits]


def _same(tokens: Tokens, recipe: Recipe, template: Template, base: ModelFolder, processes: int) -> dict[str, Any]:
    """All that has to be the same when training goes on."""
    return {
        "tokens": tokens.digest,
        "recipe": recipe.plain(),
        "template": digest(template.name, template.jinja, template.end, template.end_id),
        "tokenizer": _tokenizer_digest(template),
        "weights": weights_digest(base.path),
        "precision": weights.precision(recipe),  # `auto` is another on another machine
        "processes": processes,
    }


def _tokenizer_digest(template: Template) -> str:
    """A digest of how texts become ids, which is saved with the model that learned them."""
    tokenizer = template.tokenizer
    written = json.loads(tokenizer.backend_tokenizer.to_str())
    for passing in ("padding", "truncation"):  # which each call sets as it likes
        written.pop(passing, None)
    return digest(written, {name: str(token) for name, token in tokenizer.special_tokens_map.items()})


def _versions() -> dict[str, str]:
    packages = {package: version(package) for package in _PACKAGES}
    return {"curate": __version__, "python": platform.python_version(), **packages}
