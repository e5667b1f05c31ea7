"""A training run looked over before any weight is read: how long, how large, what is learned, and every doubt.

Only the model's config and its tokenizer are needed. All rows become tokens as they would in training, so that
nothing here is an estimate but memory, disk and time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from curate.errors import PipelineError
from curate.keys import seed_for
from curate.report.bins import histogram
from curate.report.excerpts import number
from curate.store import write_text
from curate.train.checks.doubts import SEVERITIES, Known
from curate.train.checks.doubts_recipe import about_recipe
from curate.train.checks.doubts_rows import a_row, about_rows, ends
from curate.train.checks.doubts_served import about_served
from curate.train.checks.room import room_for
from curate.train.recipe import Recipe
from curate.train.rows.joining import UNLEARNED
from curate.train.sets import TrainingSet
from curate.train.steps.order import Order
from curate.train.steps.schedules import warmup

if TYPE_CHECKING:
    from curate.train.rows.templates import Template
    from curate.train.rows.tokens import Tokens

Json = dict[str, Any]

CHECK: Final = "check.json"

_SHOWN: Final = 3  # rows whose mask is shown


@dataclass(frozen=True)
class Checked:
    """What a training run would be, in plain values, with the rows of `tokens` as they would be learned."""

    facts: Json
    findings: list[Json]
    tokens: Mapping[str, Tokens] = field(repr=False)
    template: Template = field(repr=False)

    @property
    def errors(self) -> int:
        """How many findings training would stop at."""
        return sum(found["severity"] == "error" for found in self.findings)

    def plain(self) -> Json:
        """Everything as JSON, as it is stored with a trained model."""
        return {**self.facts, "findings": self.findings}

    def sentences(self) -> list[str]:
        """What was found, the gravest first."""
        return [f"{found['severity']}: {found['sentence']}" for found in self.findings]

    def write(self, folder: Path) -> None:
        """Write `check.json` into a training folder, there or to be."""
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / CHECK, json.dumps(self.plain(), ensure_ascii=False, indent=1) + "\n")

    def mask(self, id: str) -> Json | None:
        """A row as text, in stretches that are learned and stretches that are not; None if no row has the id."""
        for split, tokens in self.tokens.items():
            if id in tokens.ids:
                return _mask(split, tokens, tokens.ids.index(id), self.template)
        return None


def check(
    given: TrainingSet, model: Path, recipe: Recipe, *, processes: int = 1, to: Path | None = None
) -> Checked:
    """Look over what training a model on a set by a recipe would do. `to` is the folder it would go to.

    Raises `CurateError` for what cannot be looked over at all: a model folder that is not one, a template the
    tokenizer has no token for, rows whose mask cannot be proved.
    """
    from curate.train.checks import limits
    from curate.train.rows.templates import template_for
    from curate.train.weights import load_tokenizer, open_model

    folder = open_model(model, weights=False)
    tokenizer = load_tokenizer(folder)
    words, own_jinja = len(tokenizer), tokenizer.chat_template
    template = template_for(recipe.template, tokenizer, pad_token=recipe.pad_token)
    splits = {split: rows.filter(pl.col("response").is_not_null()) for split, rows in given.splits.items()}
    splits = {split: rows for split, rows in splits.items() if rows.height and split != "test"}
    whole = {split: limits.whole(rows, template, recipe) for split, rows in splits.items()}
    tokens = {split: limits.limited(rows, whole[split], template, recipe) for split, rows in splits.items()}
    train = tokens["train"]
    if not len(train):
        raise PipelineError(
            f"no row of train is left under max_tokens = {recipe.max_tokens}",
            next="raise max_tokens, or set too_long = 'cut_turn'",
        )
    padding = _padding(train, recipe, processes)
    steps = _steps(train, recipe, padding, processes)
    known = Known(given, folder, recipe, template, whole, tokens, words, own_jinja, steps, padding, processes)
    room, full = room_for(known, to)
    findings = sorted(
        [*about_rows(known), *about_served(known), *about_recipe(known), *full],
        key=lambda each: SEVERITIES.index(each["severity"]),
    )
    facts = {
        "set": {
            "name": given.name,
            "digest": given.digest,
            "rows": {split: rows.height for split, rows in given.splits.items()},
        },
        "model": {
            "name": folder.path.name,
            "architecture": folder.architecture,
            "parameters": folder.parameters,
            "dtype": folder.dtype,
            "window": known.window,
            "vocabulary": words,
            "embeddings": known.embeddings,
        },
        "recipe": recipe.plain(),
        "template": {"name": template.name, "end": template.end, "added": list(template.added)},
        "processes": processes,
        "steps": steps,
        "tokens": {split: dict(each.table) for split, each in tokens.items()},
        "lengths": [_lengths(split, whole[split], tokens[split], recipe) for split in whole],
        "bins": _bins(whole["train"], recipe.max_tokens),
        "padding": padding,
        "proofs": _proofs(train, template),
        "masks": [_mask("train", train, at, template) for at in _telling(train, splits["train"])],
        "room": room,
    }
    return Checked(facts, findings, tokens, template)


def _padding(train: Tokens, recipe: Recipe, processes: int) -> Json:
    """Shares of padding in what is computed: as the recipe has it, and with rows packed or not.

    `a_pack` are the rows of a pack, `fill` how full packs are, `gain` how many times fewer tokens packs compute.
    """
    from curate.train.rows.packing import packs

    packed = packs(train.lengths, recipe.max_tokens)
    learned = a_row(train.labels != UNLEARNED, train)
    order = Order(
        train.ids,
        np.asarray(train.lengths, dtype=np.int64),
        learned,
        seed_for(recipe.seed, "order"),
        recipe.batch_size,
        recipe.micro_batch_size,
        processes,
    )
    steps = order.counts(0)
    computed = sum(step["tokens"] / (1 - step["padding"]) for step in steps)
    tokens = int(train.lengths.sum())
    share = 1 - tokens / computed
    return {
        "share": 0.0 if recipe.packing else round(share, 4),
        "unpacked": round(share, 4),
        "packs": len(packed),
        "a_pack": round(len(train) / len(packed), 2),
        "fill": round(tokens / (len(packed) * recipe.max_tokens), 4),
        "gain": round(computed / tokens, 2),
    }


def _steps(train: Tokens, recipe: Recipe, padding: Mapping[str, Any], processes: int) -> Json:
    sequences = padding["packs"] if recipe.packing else len(train)
    an_epoch = ceil(sequences / recipe.batch_size)
    steps = an_epoch * recipe.epochs
    return {
        "rows": len(train),
        "sequences": sequences,
        "epochs": recipe.epochs,
        "an_epoch": an_epoch,
        "steps": steps,
        "warmup": warmup(recipe, steps),
        "last_step": sequences - (an_epoch - 1) * recipe.batch_size,
        "accumulation": max(1, recipe.batch_size // (recipe.micro_batch_size * processes)),
        "tokens": int(train.lengths.sum()) * recipe.epochs,
        "kept": list(recipe.kept),
    }


def _lengths(split: str, whole: Tokens, tokens: Tokens, recipe: Recipe) -> Json:
    """Quantiles of the rows as long as they are, and what the recipe leaves of them."""
    lengths = pl.Series(whole.lengths)
    at = {"least": 0.0, "p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "most": 1.0}
    return {
        "split": split,
        "rows": len(whole),
        **{name: number(lengths.quantile(share, interpolation="nearest")) for name, share in at.items()},
        "tokens": whole.table["tokens"],
        "learned": tokens.table["learned"],
        "beyond": int((lengths > recipe.max_tokens).sum()),
        "dropped": len(tokens.table["dropped"]),
        "lost_end": tokens.table["lost_end"],
        "left": tokens.table["tokens"],
    }


def _bins(whole: Tokens, limit: int) -> list[Json]:
    made = histogram(pl.Series(whole.lengths), limit, above=True)
    return made["bins"] if made else []


def _proofs(train: Tokens, template: Template) -> Json:
    """What holds for how many of the rows, counted once more from their tokens alone."""
    bos = template.tokenizer.bos_token_id
    begins = a_row(train.input_ids == bos, train) if bos is not None else None
    return {
        "rows": len(train),
        "learned": int((a_row(train.labels != UNLEARNED, train) > 0).sum()),
        "ended": int(ends(train, template.end_id).sum()),
        # Where the token that begins is the one that ends, as GPT-2's, its number says nothing.
        "one_bos": None if begins is None or bos == template.end_id else int((begins == 1).sum()),
        "no_bos": None if begins is None or bos == template.end_id else int((begins == 0).sum()),
        "same": int(((train.labels == UNLEARNED) | (train.labels == train.input_ids)).all()),
    }


def _telling(train: Tokens, rows: pl.DataFrame) -> Iterator[int]:
    """The rows whose masks tell most: one of middling length, a dialogue if there is one, and short ones."""
    order = np.argsort(train.lengths, kind="stable")
    dialogues = set(rows.filter(pl.col("history").list.len() > 0)["id"])
    wanted = [int(order[len(order) // 2])]
    wanted += [int(at) for at in order if train.ids[at] in dialogues][:1]
    wanted += [int(at) for at in (order[0], order[len(order) // 4])]
    yield from list(dict.fromkeys(wanted))[:_SHOWN]


def _mask(split: str, tokens: Tokens, row: int, template: Template) -> Json:
    from curate.train.rows.masks import segments

    return {
        "id": tokens.ids[row],
        "split": split,
        "tokens": int(tokens.lengths[row]),
        "segments": [[text, learned] for text, learned in segments(tokens, row, template)],
    }
