"""The recipes: each loads, holds to what its paper says, and is changed by name and value."""

import tomllib

import pytest

from curate.errors import PipelineError
from curate.train.recipe import FOLDER, Recipe, read_recipe, recipe_names

# What is published (arXiv 2305.11206 §3; the READMEs of tatsu-lab/stanford_alpaca and lm-sys/FastChat; arXiv
# 2305.15717), value by value, so that a slip of the pen in a file is found.
PUBLISHED = {
    "lima": {
        "epochs": 15,
        "batch_size": 32,
        "learning_rate": 1e-5,
        "final_learning_rate": 1e-6,
        "schedule": "linear",
        "warmup_share": 0.0,
        "warmup_steps": 0,
        "beta1": 0.9,
        "beta2": 0.95,
        "weight_decay": 0.1,
        "max_tokens": 2048,
        "residual_dropout": 0.3,
        "keep_epochs": (5, 10),
        "temperature": 0.7,
        "top_p": 0.9,
        "repetition_penalty": 1.2,
        "max_new_tokens": 2048,
    },
    "alpaca-7b": {
        "epochs": 3,
        "batch_size": 128,
        "learning_rate": 2e-5,
        "max_tokens": 512,
        "weight_decay": 0.0,
        "warmup_share": 0.03,
        "schedule": "cosine",
    },
    "alpaca-13b": {"epochs": 5, "batch_size": 128, "learning_rate": 1e-5, "max_tokens": 512, "weight_decay": 0.0},
    "vicuna": {"epochs": 3, "batch_size": 128, "learning_rate": 2e-5, "max_tokens": 2048, "warmup_share": 0.03},
    "false-promise": {
        "epochs": 1,
        "batch_size": 32,
        "learning_rate": 2e-3,
        "warmup_steps": 1000,
        "max_tokens": 2048,
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_has_the_values_that_were_published(name):
    recipe = read_recipe(name)
    assert {key: getattr(recipe, key) for key in PUBLISHED[name]} == PUBLISHED[name]
    assert recipe.source


def test_every_file_beside_the_module_is_a_recipe_of_its_name_and_nothing_else_is():
    assert set(recipe_names()) == {*PUBLISHED, "small"} == {file.stem for file in FOLDER.iterdir()}
    assert all(read_recipe(name).name == name for name in recipe_names())


@pytest.mark.parametrize("name", sorted({*PUBLISHED, "small"}))
def test_what_is_stored_reads_back_as_the_same_recipe(name, tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text(read_recipe(name, {"seed": 7}).toml(), "utf-8")
    assert tomllib.loads(file.read_text("utf-8"))["seed"] == 7
    assert read_recipe(str(file)) == read_recipe(name, {"seed": 7})


def test_the_window_of_kept_epochs_ends_with_the_last_epoch():
    assert list(read_recipe("lima").kept) == [5, 6, 7, 8, 9, 10]
    assert list(read_recipe("lima", {"epochs": 7}).kept) == [5, 6, 7]
    assert list(read_recipe("alpaca-7b").kept) == [3]


@pytest.mark.parametrize(
    ("changes", "said", "next"),
    [
        ({"epoch": 3}, "recipes have no value 'epoch'", "did you mean 'epochs'?"),
        ({"epochs": 0}, "epochs is 0: input should be greater than or equal to 1", "--set NAME=VALUE"),
        ({"epochs": "three"}, "epochs is 'three': input should be a valid integer", "--set NAME=VALUE"),
        ({"learning_rate": True}, "learning_rate is True: input should be a valid number", "--set NAME=VALUE"),
        ({"schedule": "step"}, "schedule is 'step': input should be 'linear', 'cosine' or 'constant'", "--set"),
        (
            {"epochs": 3},
            "keep_epochs begins after epoch 3, the last: give the first and the last to keep, such as [1, 3]",
            "--set NAME=VALUE",
        ),
        (
            {"keep_epochs": [2, 4, 6]},
            "keep_epochs is [2, 4, 6]: give the first and the last epoch to keep, such as [5, 10]",
            "--set NAME=VALUE",
        ),
        ({"keep_epochs": [10, 5]}, "keep_epochs [10, 5] is no first and last epoch", "--set NAME=VALUE"),
        ({"micro_batch_size": 5}, "batch_size 32 is no multiple of micro_batch_size", "--set NAME=VALUE"),
        ({"final_learning_rate": 1.0}, "final_learning_rate is above learning_rate", "--set NAME=VALUE"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_to_do(changes, said, next):
    with pytest.raises(PipelineError) as caught:
        read_recipe("lima", changes)
    assert caught.value.what == said
    assert next in caught.value.next
    assert caught.value.where == "recipe lima"


def test_a_recipe_that_is_not_known_is_told_with_the_nearest(tmp_path):
    with pytest.raises(PipelineError, match="no recipe is called 'alpaka-7b'") as caught:
        read_recipe("alpaka-7b")
    assert caught.value.next == "did you mean 'alpaca-7b'?"
    broken = tmp_path / "mine.toml"
    broken.write_text("epochs = ", "utf-8")
    with pytest.raises(PipelineError, match="not valid TOML"):
        read_recipe(str(broken))
    broken.write_bytes(b"\xff")
    with pytest.raises(PipelineError, match="not valid TOML"):
        read_recipe(str(broken))


def test_a_file_of_ones_own_is_named_after_itself(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("epochs = 2\n", "utf-8")
    assert read_recipe(str(file)) == Recipe(name="mine", epochs=2)
