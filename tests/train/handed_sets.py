"""Sets that are handed to other trainers, and the rows as training would learn them."""

from pathlib import Path

import yaml

from curate.train.recipe import read_recipe
from curate.train.sets import TrainingSet

NOWHERE = Path("no-such-run")


def set_of(train, dev=None, path=None):
    splits = {"train": train} | ({} if dev is None else {"dev": dev})
    licences = {split: dict(rows["license"].value_counts().rows()) for split, rows in splits.items()}
    facts = {"kind": "run", "train": {}, "manifest": {}, "licences": licences}
    return TrainingSet("invented", path or NOWHERE, splits, facts)


def recipe(name="small", **changes):
    return read_recipe(name, {"batch_size": 4, "micro_batch_size": 2, "precision": "fp32", **changes})


def tokens_of(given, model, made, split="train"):
    """The rows as training would learn them, and their template."""
    from curate.train.model_folder import open_model
    from curate.train.rows.templates import template_for
    from curate.train.rows.tokens import tokenize
    from curate.train.weights import load_tokenizer

    template = template_for(made.template, load_tokenizer(open_model(model)), pad_token=made.pad_token)
    rows = tokenize(
        given.splits[split],
        template,
        loss=made.loss,
        max_tokens=made.max_tokens,
        too_long=made.too_long,
        markers=made.markers,
    )
    return rows, template


def pairs(tokens):
    return [tuple(part.tolist() for part in tokens.row(at)) for at in range(len(tokens))]


def settings_of(folder, name):
    return yaml.safe_load((folder / name).read_text("utf-8"))
