"""The README's way from the demo's set to a model that is talked with."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import curate
from curate.cli import cli

pytest.importorskip("trl")

ROOT = next(folder for folder in Path(__file__).parents if (folder / "examples/demo.toml").exists())
README = (ROOT / "README.md").read_text("utf-8")
MAKEFILE = ROOT / "Makefile"


def shown():
    """The commands with which the README trains on the demo's set."""
    section = README[README.index("`make train` tries all of it") :]
    return re.search(r"```sh\n(.*?)```", section, re.DOTALL)[1].splitlines()


def test_the_readmes_commands_train_on_the_demo_and_chat(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    curate.run(ROOT / "examples/demo.toml")
    tiny, train, chat = shown()
    for command, typed in ((tiny, None), (f"{train} --set epochs=1", None), (chat, "Who are you?\n/exit\n")):
        done = CliRunner().invoke(cli, shlex.split(command)[1:], input=typed, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    assert Path("trained/demo-small/report.html").is_file()
    assert Path("trained/demo-small/model/model.safetensors").is_file()
    assert done.stdout.strip()


@pytest.mark.skipif(not MAKEFILE.exists(), reason="the Makefile lies beside a checkout alone")
def test_make_train_runs_what_the_readme_shows():
    made = MAKEFILE.read_text("utf-8")
    for command in shown()[:2]:
        assert command.replace("curate ", "$(BIN)/curate ", 1) in made
