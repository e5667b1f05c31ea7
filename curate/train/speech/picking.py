"""Which epoch becomes the model: a table of what was heard of each kept one, and the one that is picked.

LIMA's checkpoint was chosen by hand among those of epochs 5 to 10, on answers to 50 prompts of the dev set, since
the loss on held-out rows rises while answers get better (arXiv 2305.11206, §3 and appendix B). So the loss on the
dev rows stands in the table beside the answers, and picks only when it is told to.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl

from curate.errors import PipelineError, ReproducibilityError
from curate.store import read_json, write_text
from curate.train.checkpoints import aside, damage, sized
from curate.train.recipe import Recipe, read_recipe
from curate.train.speech.adapters import base_of, is_adapter, with_adapter
from curate.train.speech.hearing import name_of
from curate.train.speech.speaking import load_speaker

By = Literal["loss", "last"]

PICKED: Final = "picked.json"
_NAME: Final = re.compile(r"epoch-(\d+)")

TABLE: Final = pl.Schema(
    {
        "epoch": pl.Int64(),
        "step": pl.Int64(),
        "dev_per_token": pl.Float64(),
        "dev_per_row": pl.Float64(),
        "answers": pl.Int64(),
        "ended": pl.Int64(),
        "mean_tokens": pl.Float64(),
        "file": pl.String(),
        "whole": pl.Boolean(),
    }
)
_SAID: Final = ("prompt", "text", "stop", "tokens")
_HEARD: Final = ("step", "dev_per_token", "dev_per_row", "answers", "ended", "mean_tokens")


def epochs(folder: Path) -> pl.DataFrame:
    """What was heard of each kept epoch of a training folder, in order; see `TABLE` for the columns.

    `dev_per_token` and `dev_per_row` are losses, null without dev rows. Of so many `answers` (in `file`, relative
    to the folder), `ended` are those that the model ended itself, and `mean_tokens` is their mean length. Not
    `whole` are weights that are gone, or not of the sizes that were written.

    Raises `PipelineError` for a folder that is no training folder.
    """
    _recipe(folder)
    rows = []
    for epoch in _kept(folder):
        note = folder / "epochs" / f"{name_of(epoch)}.json"
        heard = read_json(note) if note.is_file() else {}
        loss, spoken = heard.get("dev_loss") or {}, heard.get("spoken") or {}
        rows.append(
            {
                "epoch": epoch,
                "step": heard.get("step"),
                "dev_per_token": loss.get("per_token"),
                "dev_per_row": loss.get("per_row"),
                "answers": spoken.get("answers"),
                "ended": spoken.get("ended"),
                "mean_tokens": spoken.get("mean_tokens"),
                "file": heard.get("generations"),
                "whole": sized(folder / "epochs" / name_of(epoch)),
            }
        )
    return pl.DataFrame(rows, TABLE)


def picked(folder: Path) -> dict[str, Any] | None:
    """The note of the epoch that was picked, none where none was."""
    file = folder / PICKED
    note: dict[str, Any] | None = read_json(file) if file.is_file() else None
    return note


def read_answers(file: Path) -> list[dict[str, Any]]:
    """The answers that an epoch gave; see `speaking.answered`."""
    return [json.loads(line) for line in file.read_text("utf-8").split("\n") if line]


def epoch_folder(folder: Path, epoch: int) -> Path:
    """The folder with the weights of a kept epoch.

    Raises `PipelineError` for one that is not kept, naming the nearest that is.
    """
    kept = _kept(folder)
    if epoch in kept:
        return folder / "epochs" / name_of(epoch)
    if not kept:
        raise none_kept(folder)
    near = min(kept, key=lambda each: (abs(each - epoch), -each))
    raise PipelineError(
        f"epoch {epoch} is not kept",
        where=str(folder),
        next=f"the nearest is {near}; kept are {', '.join(map(str, kept))}",
    )


def none_kept(folder: Path) -> PipelineError:
    """That a training has come to no epoch that is kept, and what to do."""
    return PipelineError(
        "no epoch is kept yet", where=str(folder), next=f"let training go on: curate train resume {folder}"
    )


def pick(
    folder: Path,
    *,
    epoch: int | None = None,
    by: By | None = None,
    who: str = "",
    why: str = "",
    model: Path | None = None,
) -> dict[str, Any]:
    """Make a kept epoch the model of a training folder: `model/` with its card, and `picked.json`, which is
    returned.

    Give an `epoch`, or choose it `by` the `loss` (the least per token on the dev rows, the earliest of equals) or
    as the `last`. `who` chose and `why` are recorded. What was picked before is replaced; the epochs stay as they
    are. `model` is where the base of adapters lies now, if it was moved since they were trained.

    Raises `PipelineError` for an epoch that is not kept and where there are no dev rows to choose by, and
    `ReproducibilityError` for one whose weights are not what was written, or whose adapters have another base.
    """
    from curate.train.report.card import write_card

    recipe = _recipe(folder)
    table = epochs(folder)
    if epoch is not None:
        chosen, how = epoch, "epoch"
    elif by == "loss":
        chosen, how = _least(folder, table), by
    else:
        chosen, how = (table["epoch"].to_list() or [recipe.epochs])[-1], "last"
    source = epoch_folder(folder, chosen)
    if fault := damage(source):
        others = table.filter(pl.col("whole") & (pl.col("epoch") != chosen))["epoch"].to_list()
        raise ReproducibilityError(
            f"the weights of epoch {chosen} are not what was written: {fault}",
            where=str(source),
            next=f"whole are {', '.join(map(str, others))}" if others else "train again",
        )
    base = base_of(source, folder, model)
    row = table.row(by_predicate=pl.col("epoch") == chosen, named=True)
    note = {"epoch": chosen, "by": how, "who": who, "why": why, **{name: row[name] for name in _HEARD}}
    before = picked(folder)
    # While the model changes, no note says which epoch it is of.
    (folder / PICKED).unlink(missing_ok=True)
    try:
        adapted = is_adapter(source)
        note["said"] = _merge(folder, source, base, recipe) if adapted else _link(source, folder / "model")
    except BaseException:  # the model before is there still
        if before is not None:
            _note(folder, before)
        raise
    _note(folder, note)
    write_card(folder)
    return note


def _note(folder: Path, note: dict[str, Any]) -> None:
    write_text(folder / PICKED, json.dumps(note, indent=2, ensure_ascii=False) + "\n")


def _least(folder: Path, table: pl.DataFrame) -> int:
    """The epoch with the least loss on the dev rows."""
    known = table.filter(pl.col("dev_per_token").is_not_null() & pl.col("dev_per_token").is_not_nan())
    if known.is_empty():
        raise PipelineError(
            "there is no loss on dev rows to pick by", where=str(folder), next="pick by hand: --epoch N"
        )
    if known.height < table.height:
        left = table.join(known, on="epoch", how="anti")["epoch"].to_list()
        raise PipelineError(
            f"epoch {left[0]} has no loss on the dev rows",
            where=str(folder),
            next=f"let training end: curate train resume {folder}; or pick by hand: --epoch N",
        )
    return int(known.sort("dev_per_token", "epoch")["epoch"][0])


def _merge(folder: Path, source: Path, base: Path, recipe: Recipe) -> dict[str, Any]:
    """Save the model that adapters were trained on, with them merged into it; return what it said."""
    from curate.train.stack import load_stack

    load_stack()
    from curate.train.rows.templates import template_for
    from curate.train.weights import load_tokenizer, open_model, save_model

    opened = open_model(base)
    template = template_for(recipe.template, load_tokenizer(opened), pad_token=recipe.pad_token)
    saved = save_model(with_adapter(opened, source, template, recipe), template, recipe, folder / "model")
    return {name: saved[name] for name in _SAID}


def _link(source: Path, to: Path) -> dict[str, Any]:
    """The epoch's folder under a second name, once it was heard to speak; return what it said.

    Weights are second names of the same bytes, so that they take no room; what a person may edit is a copy.
    """
    from curate.train.weights import GREETING

    # On the CPU, since at the end of training the GPU is full; an answer of a few tokens shows that one comes.
    changes = {"temperature": 0.0, "repetition_penalty": 1.0, "max_new_tokens": 32}
    said = load_speaker(source, changes=changes, device="cpu").answer(
        [{"role": "user", "content": GREETING["prompt"]}]
    )
    with aside(to) as folder:
        for file in sorted(path for path in source.rglob("*") if path.is_file()):
            target = folder / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.suffix == ".safetensors":
                _linked(file, target)
            else:
                shutil.copyfile(file, target)
    return {"prompt": GREETING["prompt"], "text": said.text, "stop": said.stop, "tokens": said.tokens}


def _linked(file: Path, target: Path) -> None:
    try:
        os.link(file, target)
    except OSError:  # a file system without links
        shutil.copyfile(file, target)


def _kept(folder: Path) -> list[int]:
    """The epochs whose weights are kept, in order."""
    found = [_NAME.fullmatch(path.name) for path in (folder / "epochs").glob("epoch-*") if path.is_dir()]
    return sorted(int(match[1]) for match in found if match)


def _recipe(folder: Path) -> Recipe:
    file = folder / "recipe.toml"
    if not file.is_file():
        raise PipelineError(
            "this is no training folder", where=str(folder), next="give the one that `curate train` wrote"
        )
    return read_recipe(str(file))
