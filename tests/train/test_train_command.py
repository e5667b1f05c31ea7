"""`curate train` as it is typed: what is for `run`, what is told before a set is read, what is seen meanwhile."""

import pytest
from click.testing import CliRunner

from curate.cli import cli, train_command, train_progress
from curate.cli.train_run_command import show_recipe
from curate.errors import PipelineError
from curate.train.recipe import read_recipe

STEP = {"step": 3, "epoch": 1.5, "loss": 2.25, "tokens_per_second": 1234.5}
KEPT = {
    "epoch": 5,
    "dev_loss": {"per_token": 1.75, "per_row": 1.5, "rows": 6, "tokens": 60},
    "spoken": {"answers": 6, "ended": 4, "mean_tokens": 31.0},
}


def invoked(*arguments):
    return CliRunner().invoke(cli, ["train", *map(str, arguments)])


def test_every_command_is_listed_with_what_it_does():
    shown = invoked("--help").output
    assert all(f"\n  {name} " in shown for name in train_command._COMMANDS)


@pytest.mark.parametrize("arguments", [["SET"], ["--model", "M", "SET"], ["run", "SET"]])
def test_what_names_no_command_is_for_run(arguments, tmp_path, tiny_model):
    places = {"SET": tmp_path / "none", "M": tiny_model()}
    shown = invoked(*[places.get(each, each) for each in arguments], "--recipe", "limo")
    if "--model" in arguments:
        assert isinstance(shown.exception, PipelineError)
        assert shown.exception.next == "did you mean 'lima'?"
    else:
        assert "Missing option '--model'" in shown.output


def test_a_slip_in_recipe_or_model_is_told_before_the_set_is_read(tmp_path, tiny_model):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("no JSON\n", "utf-8")
    shown = invoked(rows, "--model", tmp_path / "none")
    assert "the model's folder does not exist" in shown.exception.what
    for recipe in ([], ["--recipe", "lima"]):
        shown = invoked(rows, "--model", tiny_model(), *recipe, "--set", "epoch=3")
        assert shown.exception.what == "recipes have no value 'epoch'"


def test_every_value_of_the_recipe_is_shown_and_what_is_changed_is_said(capsys):
    show_recipe(read_recipe("lima", {"epochs": 7, "seed": 4}))
    shown = capsys.readouterr().err
    values = read_recipe("lima").plain().keys() - {"name", "version", "source"}
    assert [name for name in values if f"  {name} " not in shown] == []
    assert "recipe lima, version 1 (arXiv 2305.11206)" in shown
    assert "changed: epochs = 7, seed = 4" in shown


def test_lines_tell_loss_speed_and_what_a_kept_epoch_answered(capsys):
    lines = train_progress.Lines()
    lines.on_begin(3, 1)
    lines.on_step(STEP)
    lines.on_epoch(KEPT)
    lines.on_word("a word\x1b[2J")
    assert capsys.readouterr().err.splitlines() == [
        "3 steps, of which 1 are done",
        "  step 3 of 3: epoch 1.50  loss 2.2500  1,234 tokens/s",
        "epoch 5 kept, dev loss 1.7500 a token, 4 of 6 answers ended by themselves",
        "a word�[2J",
    ]


def test_a_bar_shows_the_same_and_an_epoch_without_dev_says_only_that(capsys):
    with train_progress.Bar() as bar:
        bar.on_begin(3, 0)
        bar.on_step(STEP)
        bar.on_epoch(KEPT | {"dev_loss": None, "spoken": None})
    shown = capsys.readouterr().err
    assert "epoch 5 kept\n" in shown
    assert "3/3" in shown
    assert "loss 2.2500" in shown
