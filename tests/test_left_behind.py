"""A finished run stands until another takes its place, and no file of an earlier one is left behind."""

import pytest

import curate
from curate.errors import CurateError

PIPELINE = 'name = "p"\n[[source]]\nuse = "jsonl"\npath = "a.jsonl"\nlicense = "CC0-1.0"\n'
SHAREGPT = '[[export]]\nuse = "messages"\n[[export]]\nuse = "sharegpt"\n'


@pytest.fixture
def run(tmp_path, write_jsonl):
    rows = [
        {"id": "1", "prompt": "Say one.", "response": "One."},
        {"id": "2", "prompt": "Say two.", "response": "Two.", "system": "Be brief."},
    ]
    write_jsonl("a.jsonl", rows)

    def go(more=""):
        (tmp_path / "p.toml").write_text(PIPELINE + more)
        return curate.run(tmp_path / "p.toml", runs=tmp_path / "runs")

    return go


def files(run):
    return {file.relative_to(run.path): file.read_bytes() for file in run.path.rglob("*") if file.is_file()}


def test_a_form_that_has_no_place_for_the_set_is_refused_before_a_finished_run_is_touched(run):
    finished = run()
    before = files(finished)
    with pytest.raises(CurateError, match="no place for records with a system message"):
        run('[[export]]\nuse = "messages"\n[[export]]\nuse = "alpaca"\n')
    assert before.items() <= files(finished).items()
    assert curate.load(finished.path).verify() == []


def test_a_form_that_is_asked_for_no_more_goes(run):
    first = run(SHAREGPT)
    assert (first.path / "formats" / "sharegpt" / "train.jsonl").exists()
    assert not list((run().path / "formats").rglob("*.jsonl"))


def test_a_run_that_was_killed_while_it_wrote_leaves_nothing_of_the_one_before(run, monkeypatch):
    first = run(SHAREGPT)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("curate.work.export_all", killed)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert (first.path / "formats" / "sharegpt" / "train.jsonl").exists()
    last = run()
    assert not list((last.path / "formats").rglob("*.jsonl"))
    assert not (last.path / ".withdrawn.json").exists()
