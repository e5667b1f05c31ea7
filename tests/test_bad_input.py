"""Bad input gets a clear error or a counted row: never a traceback, never silence."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import curate
from curate.errors import CurateError, PluginError, ReproducibilityError, ShortageError, SourceError
from tests.walk import PIPELINE, in_process, lay_out

HEAD = 'name = "p"\n[[source]]\nuse = "jsonl"\nname = "s"\npath = "a.jsonl"\n'
QUOTA = '[[select.quota]]\nfrom = "s"\n'


@pytest.fixture
def run(tmp_path):
    def run(text, **options):
        (tmp_path / "p.toml").write_text(text, "utf-8")
        return curate.run(tmp_path / "p.toml", runs=tmp_path / "runs", **options)

    return run


def test_a_path_that_matches_nothing_names_what_is_there(run, write_jsonl):
    write_jsonl("b.jsonl", [{"prompt": "p", "response": "r"}])
    with pytest.raises(SourceError) as caught:
        run(HEAD + QUOTA)
    assert "nothing matches the path of the source 's'" in str(caught.value)
    assert "b.jsonl" in str(caught.value)


def test_an_empty_file_is_named(run, tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"")
    with pytest.raises(SourceError, match="empty"):
        run(HEAD + QUOTA)


def test_zero_survivors_leave_an_empty_set_and_say_so(run, write_jsonl):
    write_jsonl("a.jsonl", [{"prompt": "p", "response": "r"}])
    done = run(HEAD + "[filters]\ntoo_short = {}\n" + QUOTA)
    assert (done.path / "train.jsonl").read_bytes() == b""
    assert done.numbers["alerts"]
    assert done.ledger.collect()["state"].to_list() == ["rejected"]


def test_a_quota_nobody_can_fill_is_reported_and_fails_only_when_strict(run, write_jsonl):
    write_jsonl("a.jsonl", [{"prompt": "p", "response": "r" * 2000}, {"prompt": "q", "response": "r"}])
    text = HEAD + "[filters]\ntoo_short = {}\n" + QUOTA + "take = 5\n"
    (shortage,) = run(text).manifest["facts"]["shortages"]
    assert (shortage["wanted"], shortage["drawn"]) == (5, 1)
    assert shortage["rules"][0]["rule"] == "too_short"
    assert shortage["rules"][0]["alone"] == 1
    with pytest.raises(ShortageError, match="stayed short"):
        run("strict = true\n" + text)


def test_a_run_of_a_newer_version_is_left_alone(tmp_path):
    file = lay_out(tmp_path)
    done = curate.run(file, runs=tmp_path / "runs")
    manifest = json.loads((done.path / "manifest.json").read_text())
    manifest["format"] = 99
    manifest["facts"]["versions"]["curate"] = "9.0"
    (done.path / "manifest.json").write_text(json.dumps(manifest))
    for call in (lambda: curate.run(file, runs=tmp_path / "runs"), lambda: curate.load(done.path)):
        with pytest.raises(ReproducibilityError, match=r"written by curate 9\.0"):
            call()


def test_a_folder_of_runs_is_answered_with_the_runs_in_it(tmp_path):
    done = curate.run(lay_out(tmp_path), runs=tmp_path / "runs")
    with pytest.raises(ReproducibilityError, match="this is no run folder") as caught:
        curate.load(tmp_path / "runs")
    assert caught.value.next == f"in it are the runs {done.name}"


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"format": 1}', ""])
def test_a_damaged_manifest_is_said_and_written_anew(tmp_path, damage):
    file = lay_out(tmp_path)
    done = curate.run(file, runs=tmp_path / "runs")
    (done.path / "manifest.json").write_text(damage)
    with pytest.raises(ReproducibilityError, match="damaged"):
        curate.load(done.path)
    assert curate.run(file, runs=tmp_path / "runs").verify() == []


@pytest.mark.parametrize("table", ["read", "records", "evidence", "verdicts", "duplicates", "ledger"])
@pytest.mark.parametrize("damage", ["deleted", "cut off"])
def test_a_part_that_is_damaged_is_made_again(tmp_path, table, damage):
    file = lay_out(tmp_path)
    done = curate.run(file, runs=tmp_path / "runs")
    train = (done.path / "train.jsonl").read_bytes()
    (part, *_) = sorted((done.path / "stages").glob(f"{table}-*/part-*.parquet"))
    content = part.read_bytes()
    part.unlink()
    if damage == "cut off":
        part.write_bytes(content[:100])
    again = curate.run(file, runs=tmp_path / "runs")
    assert again.verify() == []
    assert (again.path / "train.jsonl").read_bytes() == train


LOSSY = '''"""A source."""
from curate.api import Intake, Part, reads, records

@reads(license="CC0-1.0", home="here", layouts=("lines",))
def lossy(path, intake):
    """Lines of a file, of which it loses count."""
    lines = path.read_text().splitlines()
    intake.met(len(lines))
    intake.used(len(lines) - 1)
    yield records([{"prompt": line, "response": "r"} for line in lines[1:]])
'''


def test_a_source_that_loses_count_is_stopped(tmp_path):
    (tmp_path / "plug").mkdir()
    (tmp_path / "plug" / "lossy.py").write_text(LOSSY)
    (tmp_path / "a.txt").write_text("a\nb\nc\n")
    (tmp_path / "p.toml").write_text('name = "p"\n[[source]]\nuse = "lossy"\npath = "a.txt"\n')
    with pytest.raises(SourceError, match="met 3 native rows, and says what became of 2"):
        curate.run(tmp_path / "p.toml", plugins=[tmp_path / "plug"], runs=tmp_path / "runs")


RAISING = {
    "raises": ("1 / 0", "raised ZeroDivisionError"),
    "returns nothing": ("None", "returned NoneType"),
    "names no column": ("above(pl.col('gone'), 1)", "cannot be computed"),
}


@pytest.mark.parametrize("case", RAISING)
def test_a_filter_that_fails_is_named(tmp_path, write_jsonl, case):
    body, phrase = RAISING[case]
    (tmp_path / "plug").mkdir()
    (tmp_path / "plug" / "odd.py").write_text(
        '"""A rule."""\nimport polars as pl\nfrom curate.api import Verdict, above, rejects\n\n@rejects\n'
        f'def odd() -> Verdict:\n    """Odd."""\n    return {body}\n'
    )
    write_jsonl("a.jsonl", [{"prompt": "p", "response": "r"}])
    (tmp_path / "p.toml").write_text(HEAD + "[filters]\nodd = {}\n")
    with pytest.raises(PluginError, match=phrase) as caught:
        curate.run(tmp_path / "p.toml", plugins=[tmp_path / "plug"], runs=tmp_path / "runs")
    assert "odd" in str(caught.value)


def test_brackets_in_the_pipelines_folder_are_no_pattern(tmp_path):
    folder = tmp_path / "proj [2024]"
    folder.mkdir()
    assert curate.run(lay_out(folder), runs=tmp_path / "runs").split().height > 0


def test_without_the_report_extra_the_set_is_made_and_the_install_line_is_said(tmp_path):
    lay_out(tmp_path)
    program = (
        "import sys\nsys.modules['jinja2'] = None\nfrom curate.cli import main\n"
        "sys.argv = ['curate', 'run', 'walk.toml']\nmain()"
    )
    shown = in_process(tmp_path, program, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "pip install 'curate-sft[report]'" in shown.stderr
    done = curate.load(tmp_path / "runs" / "walk")
    assert done.verify() == []
    assert done.split().height > 0
    assert not (done.path / "report.html").exists()


def test_an_unfinished_run_says_how_to_finish_it(tmp_path):
    (tmp_path / "runs" / "x" / "stages").mkdir(parents=True)
    with pytest.raises(ReproducibilityError, match="not finished"):
        curate.load(tmp_path / "runs" / "x")


def test_an_id_that_is_not_there_is_answered_with_a_near_one(tmp_path):
    done = curate.run(lay_out(tmp_path), runs=tmp_path / "runs")
    with pytest.raises(CurateError, match="no record has the id") as caught:
        done.why("jsonl:105")
    assert "jsonl:105" in caught.value.next


FULL = """
import resource, sys, curate
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from curate.cli import main
sys.argv = ["curate", "run", "walk.toml", "--quiet"]
main()
"""


@pytest.mark.parametrize("limit", [500, 3_000, 9_000])
def test_a_disk_that_is_full_leaves_a_run_that_goes_on(tmp_path, limit):
    # A limit on file sizes stops writes as a full disk does, with an error of its own number.
    lay_out(tmp_path)
    program = FULL.format(limit=limit).replace(
        "main()", "import errno, curate.cli as c; c._FULL = {*c._FULL, errno.EFBIG}; main()"
    )
    full = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert full.returncode == 1
    assert "full" in full.stderr
    assert "Traceback" not in full.stderr
    done = curate.run(tmp_path / "walk.toml", runs=tmp_path / "runs")
    assert done.verify() == []


CLI = {
    "a typo": (["run", "typo.toml"], 2, "did you mean 'too_short'"),
    "no pipeline": (["run", "gone.toml"], 2, "does not exist"),
    "no input": (["run", "noinput.toml"], 3, "nothing matches"),
    "no plug-in": (["run", "noplugin.toml"], 4, "no filter is called"),
    "no run": (["why", "runs/gone", "x"], 5, "no such run folder"),
    "no preset": (["init", "lima"], 2, "lima-1k"),
}


@pytest.mark.parametrize("case", CLI)
def test_the_command_line_answers_without_a_traceback_and_with_its_exit_code(tmp_path, case):
    lay_out(tmp_path)
    (tmp_path / "typo.toml").write_text(PIPELINE.replace("too_short =", "too_shor = {}\ntoo_short ="))
    (tmp_path / "noinput.toml").write_text(PIPELINE.replace("data/*", "nothing/*"))
    (tmp_path / "noplugin.toml").write_text(PIPELINE.replace("removed =", "xyz ="))
    arguments, code, phrase = CLI[case]
    if case == "a typo":
        code = 4  # an unknown rule is an unknown plug-in
    shown = subprocess.run(
        [sys.executable, "-m", "curate.cli", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert shown.returncode == code
    assert phrase in shown.stderr
    assert "Traceback" not in shown.stderr
