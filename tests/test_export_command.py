"""`curate export`: a finished run for another trainer, beside the run and not in it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import curate
from curate.cli.export_command import command
from curate.errors import CurateError, PluginError, ReproducibilityError
from curate.forms import READERS, form_for, write_forms

PIPELINE = """
name = "again"

[[source]]
use = "jsonl"
name = "mine"
path = "rows.jsonl"
license = "CC0-1.0"

[[select.quota]]
from = "mine"
split = "dev"
take = 2

[[select.quota]]
from = "mine"
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of twelve rows."""
    folder = tmp_path_factory.mktemp("again")
    rows = [{"id": str(n), "prompt": f"What is {n}?", "response": f"A number, {n}."} for n in range(12)]
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    (folder / "again.toml").write_text(PIPELINE, "utf-8")
    return curate.run(folder / "again.toml", runs=folder / "runs")


def test_a_finished_run_is_written_for_trainers_and_stays_as_it_is(run, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    to = tmp_path / "out"
    given = [str(run.path), "--for", "trl", "--for", "llama-factory", "--for", "hub", "--to", str(to)]
    shown = CliRunner().invoke(command, given, catch_exceptions=False)
    assert shown.exit_code == 0
    assert "train.jsonl  10 rows" in shown.output
    assert sorted(path.name for path in to.iterdir()) == ["hugging_face", "llama_factory", "prompt_completion"]
    entries = json.loads((to / "llama_factory" / "dataset_info.json").read_text("utf-8"))
    assert list(entries) == ["again_train", "again_dev"]
    for form in ("hugging_face", "llama_factory", "prompt_completion"):
        assert (to / form / "README.md").read_text("utf-8").startswith("---\npretty_name: again\n")
        for name in ("ATTRIBUTION.jsonl", "ATTRIBUTION.html"):
            assert (to / form / name).read_bytes() == (run.path / name).read_bytes()
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before
    assert run.verify() == []


def test_its_rows_are_those_that_the_run_wrote(run, tmp_path):
    write_forms(run, ["messages"], tmp_path)
    for name in ("train.jsonl", "train.ids.jsonl", "dev.jsonl"):
        assert (tmp_path / "messages" / name).read_bytes() == (run.path / name).read_bytes()


def test_a_reader_is_known_by_its_own_name_or_that_of_its_form():
    assert {form_for(reader) for reader in READERS} <= {
        form_for("TRL"),
        "messages",
        "llama_factory",
        "alpaca",
        "hugging_face",
    }
    assert form_for("sharegpt") == "sharegpt"
    with pytest.raises(PluginError, match=r"(?s)no reader or exporter is called 'axolot'.*did you mean 'axolotl'"):
        form_for("axolot")


def test_a_folder_that_is_there_is_not_overwritten(run, tmp_path):
    (tmp_path / "openai").mkdir()
    with pytest.raises(CurateError, match="the folder is there already"):
        write_forms(run, ["openai"], tmp_path)
    with pytest.raises(CurateError, match="not written into the run's own folder"):
        write_forms(run, ["openai"], run.path / "formats")


def test_a_disk_that_fills_up_leaves_no_folder(run, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("curate.forms.write_cards", full)
    with pytest.raises(OSError, match="No space"):
        write_forms(run, ["axolotl"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_when_one_folder_cannot_be_put_in_its_place_none_is(run, tmp_path, monkeypatch):
    rename = Path.rename

    def refused(self, target):
        if Path(target) == tmp_path / "sharegpt":
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(PermissionError):
        write_forms(run, ["messages", "openai", "sharegpt", "axolotl"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_tables_that_have_changed_are_not_exported(run, tmp_path):
    listed = run.manifest["tables"]["picks"]
    manifest = {**run.manifest, "tables": {**run.manifest["tables"], "picks": {**listed, "parts": {"gone": "0"}}}}
    with pytest.raises(
        ReproducibilityError, match="the run is not what its manifest says: table picks: gone is missing"
    ):
        write_forms(type(run)(run.path, manifest), ["messages"], tmp_path)
