"""Plug-ins: found by name, checked, and gone when their folder is."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

import curate
from curate import registry
from curate.errors import PluginError

FILTER = '''"""A rule."""
from curate.api import Limit, Verdict, above, rejects, text

@rejects
def shouts(*, max_marks: Limit[int] = {limit}) -> Verdict:
    """Text with more than `max_marks` exclamation marks."""
    return above(text("response").str.count_matches("!"), max_marks{more})
'''
PIPELINE = """name = "p"
[[source]]
use = "jsonl"
name = "s"
path = "a.jsonl"
[filters]
shouts = {}
[[select.quota]]
from = "s"
"""


@pytest.fixture(autouse=True)
def _no_folders_left():
    yield
    registry.use_folders([])


@pytest.fixture
def job(tmp_path, write_jsonl):
    write_jsonl("a.jsonl", [{"prompt": "p", "response": "wow!!!"}, {"prompt": "q", "response": "yes!"}])
    (tmp_path / "p.toml").write_text(PIPELINE)
    (tmp_path / "plug").mkdir()

    def run(code, **options):
        (tmp_path / "plug" / "shouts.py").write_text(code)
        return (
            curate.run(tmp_path / "p.toml", plugins=[tmp_path / "plug"], runs=tmp_path / "runs", **options)
            .split()["response"]
            .to_list()
        )

    return run


def test_an_edited_plug_in_is_read_again_in_the_same_session(job):
    assert job(FILTER.format(limit=2, more="")) == ["yes!"]
    assert job(FILTER.format(limit=0, more="")) == []
    assert sorted(job(FILTER.format(limit=2, more=" + 7"))) == ["wow!!!", "yes!"]


def test_a_folder_is_known_for_one_run_only(job, tmp_path):
    job(FILTER.format(limit=2, more=""))
    with pytest.raises(PluginError, match="no filter is called 'shouts'"):
        curate.run(tmp_path / "p.toml", runs=tmp_path / "runs")


@pytest.mark.parametrize(
    ("code", "phrase"),
    [
        ("def shouts(:", "cannot be imported"),
        ("import nowhere_to_be_found", "pip install nowhere_to_be_found"),
        ("from curate.api import no_such_name", "cannot be imported"),
        (FILTER.format(limit=2, more="").replace("*, max", "max"), "not keyword-only, typed and defaulted"),
        (
            FILTER.format(limit=2, more="").replace(
                '"""Text with more than `max_marks` exclamation marks."""', ""
            ),
            "no docstring",
        ),
    ],
    ids=["syntax", "missing package", "missing name", "positional", "no docstring"],
)
def test_a_broken_plug_in_stops_the_run_that_names_it(job, code, phrase):
    with pytest.raises(PluginError, match=phrase.replace("(", r"\(")):
        job(code)


def test_a_plug_in_with_a_built_in_name_is_refused(tmp_path):
    (tmp_path / "too_short.py").write_text(FILTER.format(limit=1, more="").replace("shouts", "too_short"))
    registry.use_folders([tmp_path])
    with pytest.raises(PluginError, match="two filters are called 'too_short'"):
        registry.get("filters", "too_short")


def test_a_missing_extra_answers_with_its_install_line():
    error = registry.missing(ModuleNotFoundError(name="torch.nn"), wanted_by="semantic dedup")
    assert "pip install 'curate-sft[embed]'" in str(error)


def test_every_listed_plug_in_can_be_had_and_says_what_it_is_for():
    for kind in ("filters", "sources", "measures", "dedups", "exports"):
        names = registry.names(kind)
        assert names
        for name in names:
            assert registry.get(kind, name).summary.endswith(".")
            registry.parameters(registry.get(kind, name))()


@pytest.mark.parametrize("name", ["needs_body", "refers_elsewhere", "placeholder_text", "control_characters"])
def test_a_choice_among_kinds_names_one_at_least(name):
    model = registry.parameters(registry.get("filters", name))
    with pytest.raises(ValidationError, match="at least 1 item"):
        model(kinds=())


def test_a_list_of_anything_may_be_empty():
    assert registry.parameters(registry.get("sources", "reddit"))(bots=()).model_dump()["parameter_bots"] == ()
