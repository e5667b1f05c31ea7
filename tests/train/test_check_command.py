"""What `curate train check` prints, and what it ends with."""

import json
from time import perf_counter

import pytest
from click.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("transformers")

import click

from curate.cli import cli
from curate.train.checks.check import check
from curate.train.recipe import read_recipe
from curate.train.sets import read_set
from curate.train.tiny import make


@pytest.fixture
def file(write_jsonl):
    rows = [{"prompt": f"What is {at}?", "completion": f"It is {at}."} for at in range(30)]
    return write_jsonl("mine.jsonl", rows)


def run(*args, **env):
    return CliRunner().invoke(cli, ["train", "check", *map(str, args)], env=env, catch_exceptions=False)


def test_the_command_says_it_all_within_eighty_columns_and_without_colour(file, tiny_model, tmp_path):
    given = ("--model", tiny_model(), "--runs", tmp_path / "runs", "--set", "batch_size=4")
    done = run(file, *given, COLUMNS="80", TERM="dumb")
    assert done.exit_code == 0
    assert max(map(len, done.output.splitlines())) <= 80
    assert "\x1b" not in done.output
    assert "⟦It is" in done.output


def test_the_command_shows_a_row_that_is_asked_for(file, tiny_model, tmp_path):
    given = (file, "--model", tiny_model(), "--runs", tmp_path / "runs", "--set", "batch_size=4")
    ids = [mask["id"] for mask in json.loads(run(*given, "--json").output)["masks"]]
    done = run(*given, "--row", ids[0])
    assert ids[0] in done.output
    assert "⟦It is" in done.output
    with pytest.raises(click.BadParameter, match="no row"):
        cli(["train", "check", *map(str, given), "--row", "x"], standalone_mode=False)


def test_the_command_ends_with_one_where_training_would_stop(file, tiny_model, tmp_path):
    given = (file, "--model", tiny_model(), "--runs", tmp_path / "runs", "--set", "batch_size=4")
    assert run(*given, "--set", "pick=loss").exit_code == 1
    assert run(*given, "--set", "pick=loss", "--json").exit_code == 1


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["alpaca-7b", "lima"])
def test_the_52k_are_checked_in_less_than_a_minute(real_data, tmp_path, recipe):
    given = read_set(real_data / "self_instruct" / "alpaca_data.json", runs=tmp_path)
    texts = given.splits["train"]["response"][:4_000].to_list()
    model = make(tmp_path / "tiny", texts, vocabulary=8_000, layers=2, width=64)
    began = perf_counter()
    checked = check(given, model, read_recipe(recipe))
    assert perf_counter() - began < 60
    assert checked.facts["set"]["rows"]["train"] == 52_002
    found = {each["kind"]: each for each in checked.findings}
    assert found["empty_turn"]["rows"] > 0  # known of the set: some outputs are empty
    assert not checked.errors
