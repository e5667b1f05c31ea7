"""Models at hand for tests of their weights: made on the spot, changed, and loaded under a template."""

import json

import pytest

from curate.train.model_folder import open_model
from curate.train.recipe import read_recipe
from curate.train.weights import load_model, load_tokenizer

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def recipe(name="lima", **changes):
    return read_recipe(name, {"precision": "fp32", "max_new_tokens": 64, **changes})


def prepared(folder, name="lima", pad_token="<unk>"):
    """The folder's tokenizer, made ready for a template."""
    from curate.train.rows.templates import template_for

    return template_for(name, load_tokenizer(open_model(folder)), pad_token=pad_token)


def loaded(folder, name="lima", **changes):
    """The folder's model under a template and a recipe, and these two."""
    template, wanted = prepared(folder, name), recipe(**changes)
    return load_model(open_model(folder), template, wanted), template, wanted


def remade(folder, **changes):
    """The folder's model made anew with other values in its configuration, its weights drawn by a fixed seed."""
    config = transformers.LlamaConfig(**{**json.loads((folder / "config.json").read_text()), **changes})
    torch.manual_seed(5)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder
