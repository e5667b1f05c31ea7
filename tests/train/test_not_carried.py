"""What other trainers do not do of a recipe is told, and nothing else."""

import polars as pl
import pytest

from curate.train.targets.handoff import hand_off
from curate.train.targets.not_carried import TITLES
from tests.train.handed_sets import recipe, set_of, settings_of

pytest.importorskip("torch")
pytest.importorskip("datasets")


@pytest.fixture(scope="module")
def given(records):
    """Twenty-eight questions to learn, and two for dev."""
    return set_of(records[:28], records[28:])


@pytest.fixture(scope="module")
def talks(records, dialogues):
    """Questions, and conversations without a system message."""
    return set_of(pl.concat([records[:5], dialogues.filter(pl.col("system").is_null())]))


def told_in(given, model, made, target, folder, **how):
    hand_off(given, model, made, target, folder, **how)
    return (folder / "NOT_CARRIED.md").read_text("utf-8")


@pytest.mark.parametrize("target", TITLES)
def test_only_what_the_recipe_asks_for_is_mentioned(given, tiny_model, tmp_path, target):
    lima = told_in(given, tiny_model(), recipe("lima"), target, tmp_path / "lima")
    small = told_in(given, tiny_model(), recipe(repetition_penalty=1.0), target, tmp_path / "small")
    for words in ("Residual dropout", "epochs 5 to 10", "repetition penalty of 1.2"):
        assert words in lima
        assert words not in small
    for text in (lima, small):
        assert "The order of rows" in text
        assert text.count("*What to do:*") == text.count("\n## ")


def test_weights_in_16_bits_are_told_of_axolotl_alone_and_only_under_bf16(given, tiny_model, tmp_path):
    words = "Weights in 32 bits"
    made = recipe(precision="bf16")
    assert words in told_in(given, tiny_model(), made, "axolotl", tmp_path / "1")
    assert words not in told_in(given, tiny_model(), made, "trl", tmp_path / "2")
    assert words not in told_in(given, tiny_model(), recipe(), "axolotl", tmp_path / "3")


def test_rows_that_come_twice_are_counted_for_so_many_processes(given, tiny_model, tmp_path):
    made = recipe(batch_size=24, micro_batch_size=4)
    several = told_in(given, tiny_model(), made, "trl", tmp_path / "1", processes=3)
    assert "8 rows are seen twice" in several  # 28 rows, twelve at a time
    assert "seen twice" not in told_in(given, tiny_model(), made, "trl", tmp_path / "2")


def test_an_end_of_epoch_is_named_by_the_step_that_its_checkpoint_bears(given, tiny_model, tmp_path):
    told = told_in(given, tiny_model(), recipe("lima"), "trl", tmp_path / "1")
    assert "epoch 5 ends at 35, epoch 10 at 70" in told  # 28 rows, four at a time
    assert settings_of(tmp_path / "1", "trl.yaml")["save_total_limit"] == 11


def test_earlier_answers_that_trl_would_not_learn_are_counted(talks, tiny_model, tmp_path):
    words = "The loss on every answer of a dialogue"
    editable = told_in(talks, tiny_model(), recipe(), "trl", tmp_path / "1", exact=False)
    assert words in editable
    assert "2 rows have earlier ones" in editable
    assert words not in told_in(talks, tiny_model(), recipe(), "trl", tmp_path / "2")


@pytest.mark.parametrize(
    ("target", "exact", "changes", "words"),
    [
        ("trl", True, {"lora_rank": 4, "lora_alpha": 8.5}, "`lora_alpha` 8.5"),
        ("trl", True, {"packing": True, "max_tokens": 128}, "Which rows share a sequence"),
        ("axolotl", True, {"checkpoint_every": 5}, "A whole state every 5 steps"),
        ("axolotl", True, {"warmup_steps": 1}, "One step of warm-up"),
        ("axolotl", False, {"template": "vicuna"}, "from its very beginning"),
        ("axolotl", False, {"loss": "all"}, "The loss on all tokens"),
        ("llama-factory", True, {"repetition_penalty": 1.2}, "the token that ends a turn among it"),
        ("axolotl", False, {"max_tokens": 28, "too_long": "cut_turn"}, "beyond 28 tokens: `cut_turn`"),
        ("llama-factory", True, {"template": "lima"}, "Where the vectors of new tokens begin"),
        ("llama-factory", True, {"lora_rank": 4}, "the vectors of new tokens beside them"),
        ("llama-factory", False, {}, "What follows the end of a turn is not learned"),
    ],
)
def test_what_a_value_asks_for_is_told_with_it_and_not_without(
    given, tiny_model, tmp_path, target, exact, changes, words
):
    with_it = told_in(given, tiny_model(), recipe(**changes), target, tmp_path / "1", exact=exact)
    plain = recipe(template="alpaca", repetition_penalty=1.0, warmup_share=0.0)
    assert words in with_it
    assert words not in told_in(given, tiny_model(), plain, target, tmp_path / "2", exact=exact)
