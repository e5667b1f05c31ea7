"""Files that no pipeline made get the report that a run gets: no row is left out, and none is lost in silence."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

import curate
from curate.cli import cli
from curate.errors import BusyError, CurateError, ReproducibilityError, SourceError
from curate.manifest import locked, write_manifest
from curate.reporting import is_run, open_files, render, write_report
from tests.walk import lay_out, prose

PAIRS = [{"instruction": f"Say {prose(n, 4)}", "input": "", "output": prose(n, 30)} for n in range(12)]
REPEATED = [*PAIRS, PAIRS[3], PAIRS[4] | {"output": prose(77, 30)}]

LAYOUTS = {
    "alpaca.json": json.dumps,
    "completion.jsonl": lambda rows: lines({"prompt": r["instruction"], "completion": r["output"]} for r in rows),
    "messages.jsonl": lambda rows: lines(
        {
            "messages": [
                {"role": "user", "content": r["instruction"]},
                {"role": "assistant", "content": r["output"]},
            ]
        }
        for r in rows
    ),
    "sharegpt.json": lambda rows: json.dumps(
        [
            {
                "conversations": [
                    {"from": "human", "value": r["instruction"]},
                    {"from": "gpt", "value": r["output"]},
                ]
            }
            for r in rows
        ]
    ),
}


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture(scope="module", autouse=True)
def drawn():
    """Pages are drawn elsewhere, and take their time."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("curate.work", "curate.reporting"):
            patch.setattr(f"{module}.page", lambda numbers: f"<title>{numbers['summary']['outcome']}</title>")
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The set of repeated pairs, its report, and the folder."""
    folder = tmp_path_factory.mktemp("reported")
    (folder / "mine.json").write_text(json.dumps([*REPEATED, "no row"]))
    opened = open_files(folder / "mine.json", runs=folder / "runs")
    return opened, opened.report(), folder


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_layout_is_found_out(tmp_path, name):
    (tmp_path / name).write_text(LAYOUTS[name](PAIRS))
    records = open_files(tmp_path / name, runs=tmp_path).records.collect().sort("position")
    assert records["prompt"].to_list() == [row["instruction"] for row in PAIRS]
    assert records["response"].to_list() == [row["output"] for row in PAIRS]


def test_a_parquet_file_is_told_by_its_bytes_and_its_name(tmp_path):
    pl.DataFrame(PAIRS).write_parquet(tmp_path / "mine.parquet")
    (tmp_path / "mine.parquet").rename(tmp_path / "data")
    assert [found.source for found in open_files(tmp_path / "data", runs=tmp_path).looks] == ["table"]
    pl.DataFrame(PAIRS).write_csv(tmp_path / "mine.csv")
    assert open_files(tmp_path / "mine.csv", runs=tmp_path).tables["records"].rows == len(PAIRS)


def test_tasks_with_instances_are_read_as_what_they_are(tmp_path):
    task = {"id": "seed_1", "instruction": "Add.", "instances": [{"input": "1 and 2", "output": "3"}]}
    (tmp_path / "seeds.jsonl").write_text(lines([task]))
    opened = open_files(tmp_path / "seeds.jsonl", runs=tmp_path)
    assert [found.source for found in opened.looks] == ["self_instruct"]


def test_every_row_is_kept_and_repeats_are_counted_beside(made):
    _, numbers, _ = made
    total = numbers["ledger"]["total"]
    assert (total["records"], total["kept"], total["duplicate"]) == (14, 14, 0)
    assert numbers["intake"]["total"]["unreadable"] == 1
    dropped = {(row["method"], row["on"]): row["records"] for row in numbers["dedup"]["dropped"]}
    assert dropped == {("exact", "conversation"): 1, ("exact", "prompt"): 1}
    assert len(numbers["dedup"]["passes"]) == 3
    assert "1 say what another says, 1 ask what another asks" in " ".join(numbers["alerts"])
    assert numbers["summary"]["outcome"] == "14 records in mine.json."
    assert numbers["made_by"]["command"] == "curate report mine.json"


def test_the_report_has_the_sections_of_a_runs_report(made):
    opened, numbers, _ = made
    assert numbers.keys() == opened.run().numbers.keys()
    assert numbers["lengths"]["response"]["splits"][0]["n"] == 14
    assert numbers["rules"] is numbers["before_after"] is None


def test_the_same_files_give_the_same_bytes_anywhere(made, tmp_path):
    opened, numbers, folder = made
    (tmp_path / "mine.json").write_bytes((folder / "mine.json").read_bytes())
    again = open_files(tmp_path / "mine.json", runs=tmp_path / "other")
    written = [
        write_report(each, tmp_path / at, opened.name) for each, at in ((numbers, "one"), (again.report(), "two"))
    ]
    for one, other in zip(*written, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_a_report_goes_where_one_asks(made, tmp_path):
    _, numbers, _ = made
    assert [file.name for file in write_report(numbers, tmp_path / "new" / "page.html", "x")] == [
        "page.html",
        "page.json",
    ]
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["page.html", "page.json"]


def test_several_files_are_reported_together(tmp_path):
    for name, rows in (("one.jsonl", PAIRS[:5]), ("two.jsonl", PAIRS[5:])):
        (tmp_path / name).write_text(lines(rows))
    opened = open_files(tmp_path / "one.jsonl", tmp_path / "two.jsonl", runs=tmp_path / "runs")
    assert opened.records.collect()["source"].value_counts().sort("source").rows() == [("one", 5), ("two", 7)]
    assert (opened.title, opened.name) == ("one.jsonl, two.jsonl", "one-and-1-more")


def test_prompts_alone_are_a_set_to_test_with(tmp_path, write_jsonl):
    file = write_jsonl("asks.jsonl", [{"prompt": f"What is {n}?"} for n in range(4)])
    opened = open_files(file, runs=tmp_path)
    assert opened.table("ledger").collect()["detail"].to_list() == ["test"] * 4


def test_names_of_files_may_hold_anything(tmp_path):
    odd = tmp_path / 'ein "Satz" [1] – ünï.v2.jsonl'
    odd.write_text(lines(PAIRS))
    opened = open_files(odd, runs=tmp_path / "runs")
    assert opened.tables["records"].rows == len(PAIRS)
    assert opened.title == odd.name


@pytest.mark.parametrize("mark", ["\x01", "\x1b", "\x7f", "\x85", "\x9f", "\u2028", "\\", "\U0001f35e"])
def test_names_of_files_may_hold_what_no_screen_shows(tmp_path, mark):
    odd = tmp_path / f"my{mark}rows" / f"train{mark}.jsonl"
    odd.parent.mkdir()
    odd.write_text(lines(PAIRS))
    opened = open_files(odd, runs=tmp_path / "runs")
    assert opened.tables["records"].rows == len(PAIRS)
    assert opened.title == odd.name


@pytest.mark.parametrize("asked", ["file", "folder", "pattern"])
def test_a_name_that_is_not_utf_8_is_an_error_that_can_be_shown(tmp_path, asked):
    odd = tmp_path / "rows" / os.fsdecode(b"tr\xe4in.csv")
    odd.parent.mkdir()
    try:
        odd.write_text("instruction,output\nSay one.,One.\n")
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    path = {"file": odd, "folder": odd.parent, "pattern": odd.parent / "*.csv"}[asked]
    with pytest.raises(SourceError, match="not UTF-8") as error:
        open_files(path, source="table", runs=tmp_path / "runs")
    assert "in.csv" in error.value.where
    assert error.value.next
    str(error.value).encode()
    assert not Path(tmp_path / "runs").exists()


def test_a_parameter_that_is_not_utf_8_is_an_error_that_names_it(tmp_path, write_jsonl):
    with pytest.raises(SourceError, match="the value of domain is not UTF-8") as error:
        open_files(write_jsonl("a.jsonl", PAIRS), runs=tmp_path, domain=os.fsdecode(b"\xe4"))
    str(error.value).encode()


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("keys.jsonl", '{"colour": "red"}\n', "the rows are in no shape that is known"),
        ("empty.jsonl", "", ""),
        ("words.jsonl", "these are words\n", ""),
        ("cut.parquet", "PAR1", ""),
    ],
)
def test_what_cannot_be_read_is_an_error_that_names_the_file(tmp_path, name, content, what):
    (tmp_path / name).write_text(content)
    with pytest.raises(SourceError) as error:
        open_files(tmp_path / name, runs=tmp_path / "runs")
    assert what in str(error.value)
    assert name in str(error.value)
    assert error.value.next


def test_a_file_that_is_not_there_is_an_error_that_names_the_nearest(tmp_path):
    (tmp_path / "train.jsonl").write_text(lines(PAIRS))
    with pytest.raises(SourceError, match=r"did you mean 'train.jsonl'") as error:
        open_files(tmp_path / "trian.jsonl", runs=tmp_path)
    assert "no such file" in error.value.what


def invoked(*arguments, exit_code=0):
    result = CliRunner().invoke(cli, ["report", *map(str, arguments)])
    assert result.exit_code == exit_code, result.output
    return result.stdout


@pytest.mark.parametrize("width", ["80", "120"])
def test_the_command_writes_page_and_numbers_and_says_what_it_found(made, tmp_path, monkeypatch, width):
    _, numbers, folder = made
    monkeypatch.setenv("COLUMNS", width)
    monkeypatch.chdir(folder)
    shown = invoked("mine.json", "--out", tmp_path / "out")
    for part in ("14 records in mine.json.", "unreadable", "1 of 15 rows", "instruction and output", "note:"):
        assert part in shown
    assert max(len(line) for line in shown.split("\n") if "/" not in line) <= int(width)
    assert json.loads((tmp_path / "out" / "mine.report.json").read_text()) == numbers
    assert "14 records in mine.json." in (tmp_path / "out" / "mine.report.html").read_text("utf-8")


def test_the_command_names_a_key_that_may_be_the_domain(tmp_path, write_jsonl, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_jsonl("rows.jsonl", [row | {"category": f"c{n % 2}"} for n, row in enumerate(PAIRS)])
    assert "--set domain=category" in invoked("rows.jsonl")
    assert "c0 6, c1 6" in invoked("rows.jsonl", "--set", "domain=category")


def test_the_page_of_a_run_is_made_anew_from_its_numbers(tmp_path):
    run = curate.run(lay_out(tmp_path), runs=tmp_path / "runs")
    before = (run.path / "report.html").read_bytes()
    finished = run.manifest["finished"]
    (run.path / "report.html").write_text("lost")
    assert invoked(run.path).strip() == str(run.path / "report.html")
    assert (run.path / "report.html").read_bytes() == before
    again = curate.load(run.path)
    assert again.verify() == []
    assert again.manifest["finished"] == finished
    assert render(run.path, tmp_path / "elsewhere").read_bytes() == before
    (run.path / "report.json").write_text("{}")
    with pytest.raises(ReproducibilityError, match="not those that the run left"):
        render(run.path)


def test_a_run_that_ends_while_the_folder_is_waited_for_keeps_its_manifest(tmp_path, monkeypatch):
    run = curate.run(lay_out(tmp_path, files=("a",)), runs=tmp_path / "runs")

    @contextmanager
    def ended_meanwhile(folder):
        with locked(folder):
            write_manifest(folder, run.manifest | {"name": "the later run"})
            yield

    monkeypatch.setattr("curate.reporting.locked", ended_meanwhile)
    render(run.path)
    assert curate.load(run.path).manifest["name"] == "the later run"


def test_the_folder_is_held_while_its_page_is_drawn(tmp_path, monkeypatch):
    run = curate.run(lay_out(tmp_path, files=("a",)), runs=tmp_path / "runs")

    def drawn(numbers):
        with pytest.raises(BusyError), locked(run.path):
            pass
        return numbers["summary"]["outcome"]

    monkeypatch.setattr("curate.reporting.page", drawn)
    assert render(run.path).read_text() == run.numbers["summary"]["outcome"]
    with pytest.raises(CurateError, match="there is no such run folder"):
        render(tmp_path / "runs" / "nothing")
    assert not (tmp_path / "runs" / "nothing").exists()


def test_numbers_of_another_version_are_an_error_that_says_so(tmp_path, monkeypatch):
    run = curate.run(lay_out(tmp_path, files=("a",)), runs=tmp_path / "runs")
    jinja2 = pytest.importorskip("jinja2")

    def lacks(_):
        raise jinja2.UndefinedError("'dict object' has no attribute 'new'")

    monkeypatch.setattr("curate.reporting.page", lacks)
    with pytest.raises(ReproducibilityError, match="has no attribute 'new'") as error:
        render(run.path)
    assert "run the pipeline again" in error.value.next
    assert run.verify() == []


def test_a_folder_is_a_run_unless_tables_lie_in_it(tmp_path):
    (tmp_path / "ran" / "stages").mkdir(parents=True)
    (tmp_path / "hub" / "data").mkdir(parents=True)
    pl.DataFrame(PAIRS).write_parquet(tmp_path / "hub" / "data" / "train-00000-of-00001.parquet")
    assert is_run(tmp_path / "ran")
    assert not is_run(tmp_path / "hub")
    assert is_run(tmp_path / "nothing")
    assert not is_run(tmp_path / "nothing.jsonl")
    assert open_files(tmp_path / "hub", runs=tmp_path / "runs").tables["records"].rows == len(PAIRS)
    with pytest.raises(CurateError, match="there is no such run folder"):
        render(tmp_path / "nothing")


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "records"),
    [
        ("eval_sets/lima_test_300.jsonl", 300),
        ("self_instruct/alpaca_data_cleaned_1000.json", 1_000),
        ("self_instruct/seed_tasks.jsonl", 175),
        ("sharegpt/sharegpt_sample.json", 50),
        ("eval_sets/alpaca_eval_gpt4_outputs.json", 805),
    ],
)
def test_published_files_are_reported_whole(real_data, tmp_path, file, records):
    made = open_files(real_data / file, runs=tmp_path / "runs").report()
    assert made["summary"]["kept"] == made["summary"]["records"] == records
