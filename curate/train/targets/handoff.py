"""A set for another trainer: its rows, its configuration with the recipe's values, and what it cannot say.

*Exact* rows are the ids and labels that `curate train run` would learn, so that no mask is made a second time.
*Editable* ones are messages, which the trainer makes tokens of by the template that the tokenizer brings. A folder
is there whole or not at all, and names no path of this machine.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from curate.errors import CurateError, PipelineError, nearest
from curate.export.yaml_lines import yaml_text
from curate.forms import ATTRIBUTION, put
from curate.store import write_text
from curate.train.recipe import Recipe
from curate.train.sets import TrainingSet
from curate.train.targets.messages import write_messages
from curate.train.targets.not_carried import TITLES, Target, markdown
from curate.train.targets.notes import loading
from curate.train.targets.rows import packed_table, plain_table, write_ids, write_table, write_tokenized
from curate.train.targets.settings import TOKENIZED, TOKENIZER, Handed, axolotl, llama_factory, trl
from curate.train.targets.slots import slots

if TYPE_CHECKING:
    from curate.train.rows.templates import Template
    from curate.train.rows.tokens import Tokens

ALIASES: Final[Mapping[str, Target]] = {"llama_factory": "llama-factory", "llamafactory": "llama-factory"}

# Test is for whoever measures the model, and no trainer reads it.
_SPLITS: Final = ("train", "dev")

_SEVERAL: Final = pl.col("history").list.eval(pl.element().struct.field("role") == "assistant").list.any()
_SCRIPTS: Final = Path(__file__).parent
_SETTINGS: Final[dict[Target, tuple[str, Callable[[Handed], dict[str, Any]]]]] = {
    "axolotl": ("axolotl.yaml", axolotl),
    "llama-factory": ("llama_factory.yaml", llama_factory),
    "trl": ("trl.yaml", trl),
}


def target_named(name: str) -> Target:
    """The trainer of a name. Raises `PipelineError` when nothing is handed on to it."""
    lowered = name.lower()
    found = ALIASES.get(lowered, lowered)
    for target in TITLES:
        if target == found:
            return target
    raise PipelineError(f"nothing is handed on to a trainer called {name!r}", next=nearest(lowered, TITLES))


def hand_off(
    given: TrainingSet,
    model: Path,
    recipe: Recipe,
    target: str,
    to: Path,
    *,
    exact: bool = True,
    processes: int = 1,
) -> list[Path]:
    """Write a set for a trainer into the folder `to`, and return the files, named from it.

    `exact` rows are ids and labels, others messages. `processes` is how many the trainer will be started with, by
    which a step's rows are shared out.

    Raises `PipelineError` when trainer, model and recipe do not fit one another, and `CurateError` when a row
    cannot be learned as it is or the folder is there already.
    """
    return hand_offs(given, model, recipe, {target: to}, exact=exact, processes=processes)[target]


def hand_offs(
    given: TrainingSet,
    model: Path,
    recipe: Recipe,
    targets: Mapping[str, Path],
    *,
    exact: bool = True,
    processes: int = 1,
) -> dict[str, list[Path]]:
    """As `hand_off`, for several trainers with a folder of each: all of them, or none."""
    wanted = {name: (target_named(name), to) for name, to in targets.items()}
    _check(given, recipe, [to for _, to in wanted.values()])
    template, tokens, handed = _handed(given, model, recipe, exact=exact, processes=processes)
    unfinished: dict[Path, Path] = {}
    done: dict[str, list[Path]] = {}
    try:
        for name, (target, to) in wanted.items():
            unfinished[to] = to.with_name(f".{to.name}.{os.getpid()}.tmp")
            unfinished[to].mkdir(parents=True)
            _write(given, template, tokens, handed, target, unfinished[to])
            done[name] = sorted(
                file.relative_to(unfinished[to]) for file in unfinished[to].rglob("*") if file.is_file()
            )
        put(unfinished)
    finally:
        for folder in unfinished.values():
            shutil.rmtree(folder, ignore_errors=True)
    return done


def _check(given: TrainingSet, recipe: Recipe, folders: Sequence[Path]) -> None:
    for to in folders:
        if to.exists():
            raise CurateError(
                "the folder is there already", where=str(to), next="move it, or give another by `--into`"
            )
        if given.path.is_dir() and to.resolve().is_relative_to(given.path.resolve()):
            raise CurateError(
                "nothing is written into the run's own folder", where=str(to), next="give another by `--into`"
            )
    if recipe.scale_by_weight:
        raise PipelineError(
            f"no other trainer scales updates by the weights, and without that a learning rate of"
            f" {recipe.learning_rate:g} ruins the model",
            where=f"recipe {recipe.name}",
            next="--set scale_by_weight=false --set learning_rate=2e-5, or train with `curate train run`",
        )


def _handed(
    given: TrainingSet, model: Path, recipe: Recipe, *, exact: bool, processes: int
) -> tuple[Template, dict[str, Tokens], Handed]:
    from curate.train.rows.templates import template_for
    from curate.train.rows.tokens import tokenize_by
    from curate.train.weights import load_tokenizer, open_model

    folder = open_model(model)
    template = template_for(recipe.template, load_tokenizer(folder), pad_token=recipe.pad_token)
    tokens: dict[str, Tokens] = {
        split: tokenize_by(recipe, _answered(given.splits[split]), template)
        for split in _SPLITS
        if split in given.splits
    }
    tokens = {split: rows for split, rows in tokens.items() if len(rows) or split == "train"}
    if not len(tokens["train"]):
        raise CurateError(
            "no row of train is left to learn",
            where=f"max_tokens = {recipe.max_tokens}, too_long = {recipe.too_long!r}",
            next="`curate train check` says what became of them",
        )
    rows = _rows(given, tokens, exact=exact)
    handed = Handed(
        name=given.name,
        base=folder.path.resolve().name,
        layers=_layers(folder.architecture) if recipe.sharding == "fsdp2" else (),
        recipe=recipe,
        template=template,
        tables={split: rows.table for split, rows in tokens.items()},
        rows=rows,
        sequences=_sequences(tokens, rows, recipe),
        contexts=given.splits["train"].filter(pl.col("context").fill_null("") != "").height,
        dialogues=given.splits["train"].filter(_SEVERAL).height,
        exact=exact,
        processes=processes,
    )
    handed.accumulation  # noqa: B018 (raises where processes do not fit the batch)
    return template, tokens, handed


def _answered(records: pl.DataFrame) -> pl.DataFrame:
    """Records that can be learned: prompts that nobody answered are for reading what a model makes of them."""
    return records.filter(pl.col("response").is_not_null())


def _rows(given: TrainingSet, tokens: Mapping[str, Tokens], *, exact: bool) -> dict[str, int]:
    """How many rows there are of each split; editable ones are all there, whatever their length."""
    if exact:
        return {split: len(rows) for split, rows in tokens.items()}
    return {split: _answered(given.splits[split]).height for split in tokens}


def _sequences(tokens: Mapping[str, Tokens], rows: dict[str, int], recipe: Recipe) -> dict[str, int]:
    """How many rows, or packs of them, there are of each split."""
    from curate.train.rows.packing import packs

    if not recipe.packing:
        return rows
    return {split: len(packs(made.lengths, recipe.max_tokens)) for split, made in tokens.items()}


def _layers(architecture: str) -> tuple[str, ...]:
    """The classes of a model's layers, which sharding wraps one by one. Raises `PipelineError` if not known."""
    from curate.train.stack import load_stack

    load_stack()
    import transformers

    layers = getattr(getattr(transformers, architecture, None), "_no_split_modules", None)
    if not layers:
        raise PipelineError(
            f"the layers of {architecture} are not known, and sharding goes by them",
            next="set sharding = 'none', and have the trainer shard as its documentation says",
        )
    return tuple(sorted(layers))


def _write(
    given: TrainingSet,
    template: Template,
    tokens: Mapping[str, Tokens],
    handed: Handed,
    target: Target,
    folder: Path,
) -> None:
    if target == "llama-factory" and not handed.exact:
        write_text(folder / "template.json", json.dumps(slots(template), ensure_ascii=False, indent=2) + "\n")
    if handed.exact:
        _write_exact(template, tokens, handed, target, folder)
    else:
        records = {split: _answered(given.splits[split]) for split in tokens}
        write_messages(records, handed, target, folder)
    _write_tokenizer(template, handed.recipe, folder / TOKENIZER)
    name, settings = _SETTINGS[target]
    write_text(folder / name, yaml_text(settings(handed)))
    script = _SCRIPTS / f"{target.replace('-', '_')}_train.py.txt"
    if target == "trl" or (target == "llama-factory" and not handed.exact):
        write_text(folder / "train.py", script.read_text("utf-8"))
    write_text(folder / "recipe.toml", handed.recipe.toml())
    write_text(folder / "NOT_CARRIED.md", markdown(handed, target))
    beside = [name for name in ATTRIBUTION if (given.path / name).is_file()]
    for attribution in beside:
        shutil.copyfile(given.path / attribution, folder / attribution)
    write_text(folder / "LOADING.md", loading(given, handed, target, beside))


def _write_exact(
    template: Template, tokens: Mapping[str, Tokens], handed: Handed, target: Target, folder: Path
) -> None:
    if target != "llama-factory":
        for split, rows in tokens.items():
            write_table(rows, folder / f"{split}.parquet", mask=target == "axolotl")
        return
    from curate.train.rows.packing import packs

    recipe, tables = handed.recipe, {}
    for split, rows in tokens.items():
        name = "validation" if split == "dev" else split
        if recipe.packing:
            joined = packs(rows.lengths, recipe.max_tokens)
            tables[name] = packed_table(rows, joined, recipe.max_tokens, template.tokenizer.pad_token_id)
            write_ids([" ".join(rows.ids[int(row)] for row in pack) for pack in joined], folder / f"{split}.jsonl")
        else:
            tables[name] = plain_table(rows)
            write_ids(rows.ids, folder / f"{split}.jsonl")
    write_tokenized(tables, folder / TOKENIZED)


def _write_tokenizer(template: Template, recipe: Recipe, folder: Path) -> None:
    """The tokenizer with its template, and how the model is made to speak, to be copied beside trained weights."""
    from curate.train.weights import speaking

    template.tokenizer.save_pretrained(folder)
    speaking(template, recipe).save_pretrained(folder)
    file = folder / "tokenizer_config.json"
    settings = json.loads(file.read_text("utf-8"))
    settings.pop("name_or_path", None)
    write_text(file, json.dumps(settings, ensure_ascii=False, indent=2) + "\n")
