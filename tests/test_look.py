"""A first look: what it finds, how little it reads for that, and what it says of what it did not look at."""

from __future__ import annotations

import json
import tempfile
import tomllib

import pytest
from click.testing import CliRunner

import curate
from curate import registry
from curate.cli import cli
from curate.errors import CurateError, PluginError, SourceError
from curate.intake import Counts, Intake
from curate.looking import Look, look
from curate.resolve import read_pipeline

ROWS = [
    {"id": "a", "prompt": "one?", "response": "first", "domain": "x"},
    {"id": "b", "prompt": "three?", "response": "second!", "domain": "y"},
    {"id": "c", "prompt": "five?!", "response": None, "domain": "x"},
]

# A source that has to go through all lines before it makes a record, in parts that are functions.
SPOOLS = '''
"""A source."""
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from curate.api import Files, Intake, Part, reads, records

@reads(license="CC0-1.0", home="https://example.org", layouts=("numbers",))
def spools(path: Path, intake: Intake, *, more: Files = (), loud: bool = False) -> Iterator[Part]:
    """Lines of numbers."""
    intake.found("numbers, a line each")
    lines = intake.once("spool", partial(_spool, path=path))
    for first in range(0, len(lines), 5_000):
        yield partial(_make, lines=lines[first : first + 5_000])

def _spool(intake, *, path):
    lines = []
    for line in path.read_text().split():
        if intake.enough():
            break
        intake.met()
        lines.append(line)
    return lines

def _make(intake, *, lines):
    intake.used(len(lines))
    return records({"id": f"spools:{line}", "prompt": line, "position": int(line)} for line in lines)
'''


@pytest.fixture
def rows(write_jsonl):
    return write_jsonl("rows.jsonl", ROWS)


@pytest.fixture
def spools(tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "spools.py").write_text(SPOOLS, "utf-8")
    registry.use_folders([tmp_path / "plugins"])
    yield tmp_path / "plugins"
    registry.use_folders([])


def shown(*arguments):
    result = CliRunner().invoke(cli, ["look", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_small_input_is_looked_at_whole(rows):
    found = look("jsonl", rows)
    assert found.whole
    assert found.records["id"].to_list() == ["jsonl:a", "jsonl:b", "jsonl:c"]
    assert (found.counts.native, found.counts.used, found.prompts_alone, found.dialogues) == (3, 3, 1, 0)
    assert (found.prompts, found.responses) == ((4, 6, 6), (5, 5, 7))
    assert (found.domains, found.licenses) == ({"x": 2, "y": 1}, {"LicenseRef-unknown": 3})


def test_it_can_be_had_from_the_package_again_and_again(rows):
    assert curate.look("jsonl", rows).made == curate.look("jsonl", str(rows)).made == 3


def test_of_a_large_input_only_the_beginning_is_read_unless_the_whole_is_wanted(write_jsonl):
    large = write_jsonl("large.jsonl", [{"prompt": f"{number:05}?"} for number in range(35_000)])
    first = look("jsonl", large)
    assert not first.whole
    assert first.counts.native <= 20_000
    assert first.records.height == 1_000
    whole = look("jsonl", large, whole=True)
    assert (whole.whole, whole.made, whole.counts.used) == (True, 35_000, 35_000)
    assert whole.records.equals(first.records, null_equal=True)


@pytest.mark.usefixtures("spools")
def test_a_source_that_spools_first_is_told_when_it_is_enough(tmp_path):
    (tmp_path / "numbers").write_text("\n".join(map(str, range(30_000))))
    first = look("spools", tmp_path / "numbers")
    assert (first.whole, first.counts.native, first.made) == (False, 10_000, 5_000)
    assert "5,000 not followed yet" in first.facts["native rows"]
    whole = look("spools", tmp_path / "numbers", whole=True)
    assert (whole.whole, whole.counts.native, whole.counts.accounted) == (True, 30_000, 30_000)


@pytest.mark.usefixtures("spools")
def test_of_exactly_as_many_rows_as_are_wanted_the_whole_is_seen(tmp_path):
    (tmp_path / "numbers").write_text("1")
    assert look("spools", tmp_path / "numbers").whole


@pytest.mark.usefixtures("spools")
def test_the_layout_is_told_once_and_not_made_up(tmp_path):
    (tmp_path / "numbers").write_text("1\n2\n3")
    assert look("spools", tmp_path / "numbers", whole=True).counts.layouts == ("numbers, a line each",)
    intake = Intake(tmp_path)
    for layout in ("b", "a", "b"):
        intake.found(layout)
    assert intake.take().layouts == ("b", "a")


def test_counts_keep_their_layouts_on_disk_and_in_sums():
    both = Counts(1, 1, layouts=("a", "b")) + Counts(1, 1, layouts=("b", "c"))
    assert both.layouts == ("a", "b", "c")
    assert Counts.from_json(json.loads(json.dumps(both.to_json()))) == both


def test_a_pattern_is_looked_at_input_by_input(write_jsonl, tmp_path):
    for name in "abc":
        write_jsonl(f"{name}.jsonl", [{"id": name, "prompt": name}])
    first, whole = (look("jsonl", tmp_path / "*.jsonl", whole=whole) for whole in (False, True))
    assert (first.made, first.looked_at, len(first.inputs), first.whole) == (1, 1, 3, False)
    assert first.facts["looked at"] == "the beginning of 1 of 3 inputs"
    assert (whole.made, whole.looked_at, whole.whole) == (3, 3, True)
    assert whole.facts["looked at"] == "all 3 inputs"


@pytest.mark.usefixtures("spools")
def test_what_is_read_beside_an_input_is_none_of_its_own(tmp_path):
    for name in ("1.txt", "2.txt"):
        (tmp_path / name).write_text("7")
    found = look("spools", tmp_path / "*.txt", more=str(tmp_path / "2.txt"))
    assert [path.name for path in found.inputs] == ["1.txt"]
    with pytest.raises(PluginError, match="no file is called"):
        look("spools", tmp_path / "*.txt", more="nothing.txt")


def test_unreadable_rows_are_shown_with_the_first_reasons(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a?"}\n{broken\n[]\n{"prompt": 3}\n{"prompt": 4}\n')
    output = shown("jsonl", tmp_path / "rows.jsonl")
    assert "native rows  5: 1 used, 4 unreadable" in output
    assert output.count("unreadable   rows.jsonl at ") == 3


def test_the_shown_lines_make_a_pipeline(rows, tmp_path):
    found = look("jsonl", rows, domain="domain", license="MIT")
    assert found.lines == (
        f'[[source]]\nuse = "jsonl"\npath = {json.dumps(str(rows))}\ndomain = "domain"\nlicense = "MIT"\n'
    )
    (tmp_path / "p.toml").write_text(f'name = "p"\n{found.lines}', "utf-8")
    [source] = read_pipeline(tmp_path / "p.toml").sources
    assert (source.parameters["domain"], source.parameters["license"]) == ("domain", "MIT")


@pytest.mark.parametrize("value", [True, 3, 0.35, 'a"b\\c\n', ["a", "b"], {"a": 1, "b": [True]}])
def test_every_value_is_shown_as_toml(value):
    found = Look("s", "p", (), {"key": value})
    assert tomllib.loads(found.lines)["source"][0]["key"] == value


def test_a_record_is_shown_as_a_chat(write_jsonl):
    turns = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Is it late?"},
        {"role": "assistant", "content": "It is nine."},
        {"role": "user", "content": "And now?"},
        {"role": "assistant", "content": "Ten."},
    ]
    output = shown("jsonl", write_jsonl("chat.jsonl", [{"id": 7, "messages": turns}]))
    chat = output[output.index("── 1 of 1: jsonl:7") :].split("\n\nIn a pipeline")[0]
    assert chat.split("\n")[1:] == [
        *("system:", "Be kind.", "user:", "Is it late?", "assistant:", "It is nine."),
        *("user:", "And now?", "assistant:", "Ten."),
    ]


def test_a_long_text_is_cut_and_its_length_told(write_jsonl):
    output = shown("jsonl", write_jsonl("long.jsonl", [{"prompt": "a" * 5_000}]))
    assert "a" * 1_200 + " … (5,000 characters)\n" in output
    assert "a" * 1_201 not in output


def test_what_would_move_a_terminal_is_shown_and_does_nothing(write_jsonl):
    output = shown(
        "jsonl", write_jsonl("rows.jsonl", [{"prompt": "a\x1b[2Jb\x9b2J[bold]c", "domain": "\x1b]0;d\x07"}])
    )
    assert not {"\x1b", "\x07", "\x9b"} & set(output)
    assert "a␛[2Jb\ufffd2J[bold]c" in output


@pytest.mark.parametrize(("asked", "seen"), [("0", 0), ("2", 2), ("99", 3)])
def test_as_many_records_are_shown_as_are_asked_for(rows, asked, seen):
    assert shown("jsonl", rows, "--records", asked).count("── ") == seen


def test_what_was_not_looked_at_is_said(write_jsonl):
    large = write_jsonl("large.jsonl", [{"prompt": f"{number}?"} for number in range(25_000)])
    assert "The rest was not looked at" in shown("jsonl", large)
    whole = shown("jsonl", large, "--all")
    assert "25,000 used" in whole
    assert "not looked at" not in whole


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("key=title", "title"),
        ("key='title'", "title"),
        ("key=0.5", 0.5),
        ("key=true", True),
        ('key=["a", "b"]', ["a", "b"]),
        ("key=a=b", "a=b"),
        ("key=", ""),
        ("key=1\nother=2", "1\nother=2"),
    ],
)
def test_a_value_is_toml_or_else_a_text(given, value):
    from curate.cli.options import parameter

    assert parameter(given) == ("key", value)


def test_parameters_are_those_of_the_source(rows):
    assert "domains      a 1, b 1, c 1" in shown("jsonl", rows, "--set", "domain=id", "--set", 'license="MIT"')


@pytest.mark.parametrize(
    ("source", "name", "parameters", "what", "next"),
    [
        ("jsonk", "rows.jsonl", {}, "no source is called 'jsonk'", "did you mean 'jsonl'?"),
        ("jsonl", "row.jsonl", {}, "there is no such file", "did you mean 'rows.jsonl'?"),
        ("jsonl", "rows.jsonl", {"promt": "a"}, "there is no parameter 'promt'", "did you mean 'prompt'?"),
        ("jsonl", "rows.jsonl", {"prompt": 3}, "'prompt' is 3", "input should be a valid string"),
        ("jsonl", "rows.jsonl", {"prompt": "titel"}, "the rows have no key 'titel'", "valid names"),
    ],
)
def test_a_mistake_is_named_with_what_may_have_been_meant(rows, source, name, parameters, what, next):
    with pytest.raises(CurateError, match=what) as raised:
        look(source, rows.parent / name, **parameters)
    assert next in str(raised.value)


def test_several_paths_are_refused_with_the_way_out(rows):
    result = CliRunner().invoke(cli, ["look", "jsonl", str(rows), str(rows)])
    assert result.exit_code == 2
    assert "a pattern stands in quotes" in result.output


@pytest.mark.usefixtures("spools")
def test_nothing_is_left_behind_even_by_an_error(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "numbers").write_text("1\n2\n3")
    look("spools", tmp_path / "numbers")
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(SourceError):
        look("jsonl", tmp_path / "bad.jsonl")
    assert list((tmp_path / "temporary").iterdir()) == []


def test_it_shows_itself_in_a_console_and_in_a_notebook(rows):
    found = look("jsonl", rows)
    assert repr(found).startswith(f"jsonl: {rows}\n  ")
    assert "  native rows  3: 3 used\n  records      3, 1 of them without a response\n" in repr(found)
    assert "<td" in found._repr_html_()
    assert "use = &quot;jsonl&quot;" in found._repr_html_()


@pytest.mark.real
def test_a_published_archive_is_looked_at(real_data):
    found = look("stackexchange", real_data / "stackexchange" / "beer.stackexchange.com.7z", whole=True)
    assert (found.counts.native, found.counts.accounted) == (3_471, 3_471)


def test_an_input_of_which_no_record_comes_says_where_to_look(spools, tmp_path):
    (tmp_path / "numbers.txt").write_text("\n", "utf-8")
    told = shown("spools", tmp_path / "numbers.txt", "--plugins", spools)
    assert "No record comes of it so. `curate list sources spools` says what its parameters change" in told
