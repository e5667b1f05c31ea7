"""Models that no training of ours made are asked by a template that is given, others by their own alone."""

import shutil

import pytest
from click.testing import CliRunner

from curate.cli import train_chat_command, train_generate_command
from curate.errors import PipelineError
from curate.train.recipe import read_recipe

pytest.importorskip("torch")
pytest.importorskip("transformers")

from curate.train.speech.speaking import load_speaker


@pytest.fixture(params=[True, False], ids=["pad", "no pad"])
def base(tiny_model, request):
    return tiny_model(pad=request.param)


@pytest.mark.parametrize("command", [train_chat_command.command, train_generate_command.command])
def test_without_a_chat_template_one_can_be_given(base, command):
    given = {"input": "Name a tree.\n", "catch_exceptions": False}
    with pytest.raises(PipelineError, match="no chat template") as told:
        CliRunner().invoke(command, [str(base)], **given)
    assert told.value.where == str(base)
    assert "--template NAME" in told.value.next
    for name in ("alpaca", "chatml", "lima", "vicuna"):
        assert name in told.value.next
        options = ["--template", name, "--max-new-tokens", "3"]
        done = CliRunner().invoke(command, [str(base), *options], **given)
        assert (done.exit_code, done.stdout.endswith("\n")) == (0, True)


def test_of_several_prompts_the_shorter_are_padded(base):
    options = ["a", "Where does the wren live?", "--template", "vicuna", "--max-new-tokens", "3"]
    done = CliRunner().invoke(train_generate_command.command, [str(base), *options], catch_exceptions=False)
    assert len(done.stdout.splitlines()) == 2


def test_a_model_that_was_trained_under_a_template_is_asked_by_no_other(base, tmp_path):
    folder = shutil.copytree(base, tmp_path / "model")
    (folder / "recipe.toml").write_text(read_recipe("lima").toml(), "utf-8")
    with pytest.raises(PipelineError, match="by the template 'lima'") as told:
        load_speaker(folder, changes={"template": "chatml"})
    assert told.value.next == "leave out `--template`"
