"""The README says what the program says: its tables are generated, its commands exist, its example runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import curate
from curate import registry, resolve
from curate.cli import cli
from curate.dedup import stars
from curate.pipeline import Quota, Reporting
from curate.resolve import read_pipeline

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
GENERATED = re.findall(r"<!-- curate (.+?) -->\n(.*?)<!-- end -->", README, re.DOTALL)
SCRIPTS = re.findall(r"<!-- python (.+?) -->\n(.*?)<!-- end -->", README, re.DOTALL)


def invoked(arguments):
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(("arguments", "shown"), GENERATED, ids=[arguments for arguments, _ in GENERATED])
def test_generated_tables_are_what_the_command_prints(arguments, shown):
    assert shown == invoked(arguments.split())


@pytest.mark.parametrize(("script", "shown"), SCRIPTS, ids=[script for script, _ in SCRIPTS])
def test_figures_are_those_that_were_measured(script, shown):
    printed = subprocess.run([sys.executable, ROOT / script], capture_output=True, text=True, check=True)
    assert shown == printed.stdout


def test_there_are_generated_tables():
    assert len(GENERATED) >= 4


def test_the_shown_chain_is_what_why_prints_of_the_demo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    invoked(["run", str(ROOT / "examples" / "demo.toml"), "--quiet"])
    id, shown = re.search(r"\$ curate why runs/demo (\S+)\n(.*?)```", README, re.DOTALL).groups()
    assert shown == invoked(["why", "runs/demo", id])


def test_the_shown_group_is_what_duplicates_prints_of_the_demo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    invoked(["run", str(ROOT / "examples" / "demo.toml"), "--quiet"])
    arguments, shown = re.search(r"\$ curate (duplicates .*?)\n(.*?)```", README, re.DOTALL).groups()
    assert shown == invoked(arguments.split())


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^(?:\$ )?curate +([a-z]+)", README, re.MULTILINE))))
def test_every_command_that_the_readme_names_exists(command):
    assert command in cli.list_commands(None)


def test_every_command_is_in_the_readme():
    for command in cli.list_commands(None):
        assert f"curate {command}" in README, command


def test_every_key_of_a_pipeline_is_in_the_readme():
    keys = README[README.index("## Keys of a pipeline") : README.index("## Sources")]
    tables = [
        resolve._File,
        resolve._Source,
        resolve._Dedup,
        resolve._Export,
        resolve._Licence,
        resolve._Select,
        Quota,
        Reporting,
    ]
    for table in tables:
        for name, field in table.model_fields.items():
            key = field.alias or name
            assert f"`{key}" in keys or f"[{key}" in keys or f", `{key}`" in keys, key
    for ranking in registry.names("rankings"):
        assert f"`{ranking}`" in keys
    for policy in stars.POLICIES:
        assert f"`{policy}`" in keys


def test_the_shown_pipeline_resolves(tmp_path):
    whole, *more = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "p.toml").write_text(whole + "".join(more))
    (tmp_path / "eval_sets").mkdir()
    (tmp_path / "eval_sets" / "asked.jsonl").write_text("")
    (tmp_path / "site_groups.toml").write_text("stem = []\n")
    assert read_pipeline(tmp_path / "p.toml").name == "lima-1k"


def test_the_shown_filter_obeys_the_laws(tmp_path, write_jsonl):
    (text,) = re.findall(r"```python\n(from curate\.api.*?)```", README, re.DOTALL)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "shouts.py").write_text(text)
    write_jsonl("a.jsonl", [{"prompt": "p", "response": "STOP IT"}, {"prompt": "q", "response": "A quiet word."}])
    (tmp_path / "p.toml").write_text(
        'name = "p"\n[[source]]\nuse = "jsonl"\nname = "s"\npath = "a.jsonl"\n[filters]\nshouts = {}\n'
        '[[select.quota]]\nfrom = "s"\n'
    )
    run = curate.run(tmp_path / "p.toml", plugins=[tmp_path / "plugins"], runs=tmp_path / "runs")
    assert run.split()["response"].to_list() == ["A quiet word."]
