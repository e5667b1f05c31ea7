"""What every run promises, whatever its input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import polars as pl
import psutil
import pytest

import curate
from tests.walk import PIPELINE, contents, in_process, lay_out

RUN = "import curate; curate.run('walk.toml'{options})"


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """One finished run of the walk, shared by tests that only look."""
    folder = tmp_path_factory.mktemp("walked")
    lay_out(folder)
    return curate.run(folder / "walk.toml", runs=folder / "runs")


def lines(file):
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def parts(run):
    return run.manifest["parts"]


def test_intake_balances(walked):
    for row in walked.table("intake").collect().to_dicts():
        passed_over = sum(cause["rows"] for cause in row["passed_over"])
        assert row["native"] == row["used"] + passed_over + row["unreadable"]
        assert row["read"] == row["records"] + row["repeated"] + row["superseded"]
    assert walked.table("unreadable").collect().height == 1


def test_ledger_has_every_record_once_and_in_one_state(walked):
    ledger, records = walked.ledger.collect(), walked.records.select("id").collect()
    assert ledger["id"].sort().equals(records["id"].sort())
    assert ledger["id"].is_unique().all()
    assert set(ledger["state"]) <= {"kept", "rejected", "duplicate", "not drawn", "excluded", "contaminated"}
    assert {"kept", "rejected", "duplicate", "not drawn"} <= set(ledger["state"])


def test_what_is_exported_is_what_the_ledger_calls_kept(walked):
    kept = walked.ledger.filter(pl.col("state") == "kept").collect()
    for split in ("train", "dev", "test"):
        ids = [row["id"] for row in lines(walked.path / f"{split}.ids.jsonl")]
        assert sorted(ids) == kept.filter(pl.col("detail") == split)["id"].sort().to_list()
        assert walked.split(split)["id"].to_list() == ids


def test_prompt_only_record_reaches_the_test_split(walked):
    rows = lines(walked.path / "test.jsonl")
    assert len(rows) == 3
    assert all([turn["role"] for turn in row["messages"]] == ["user"] for row in rows)


def test_nothing_rejected_is_exported(walked):
    texts = [row["messages"][-1]["content"] for row in lines(walked.path / "train.jsonl")]
    assert texts
    assert all(len(text) >= 100 and "I think" not in text for text in texts)
    assert len(set(texts)) == len(texts)


def test_why_tells_the_chain_of_every_kind_of_end(walked):
    said = set()
    for id, state in (
        walked.ledger.select("id", "state").unique("state", maintain_order=True).collect().iter_rows()
    ):
        explanation = walked.why(id)
        assert explanation.state == state
        said.add(str(explanation).partition("\n")[2])
    assert len(said) >= 4
    rejected = walked.ledger.filter(pl.col("detail") == "too_short").select("id").head(1).collect().item()
    assert "too_short: 10 against at least 100 → rejects" in str(walked.why(rejected))
    assert "too_short with a limit of 10" in str(walked.why(rejected))
    assert "wrong_language: not judged, being out already" in str(walked.why(rejected))


def test_a_run_shows_itself_in_a_notebook_and_verifies(walked):
    assert "kept" in walked._repr_html_()
    assert "kept" in repr(walked)
    assert curate.load(walked.path).verify() == []


def test_a_changed_byte_is_noticed(tmp_path):
    run = curate.run(lay_out(tmp_path), runs=tmp_path / "runs")
    file = run.path / "train.jsonl"
    file.write_bytes(file.read_bytes().replace(b"water", b"waten", 1))
    assert run.verify() == ["export: train.jsonl has changed"]


@pytest.mark.parametrize(
    ("options", "environment"),
    [
        (", workers=1", {"PYTHONHASHSEED": "0", "POLARS_MAX_THREADS": "1"}),
        (", workers=3", {"PYTHONHASHSEED": "99", "POLARS_MAX_THREADS": "7"}),
    ],
    ids=["one worker", "three workers"],
)
def test_same_input_gives_same_bytes(walked, tmp_path, options, environment):
    lay_out(tmp_path, files=("c", "b", "a"))  # written in another order than the first time
    program = "import curate.read, curate.measuring as m\ncurate.read.WORTH_WORKERS_BYTES = m._WORTH_WORKERS = 0\n"
    in_process(tmp_path, program + RUN.format(options=options), **environment)
    first, second = contents(walked.path), contents(tmp_path / "runs" / "walk")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_changing_one_threshold_reads_no_text(tmp_path):
    file = lay_out(tmp_path)
    curate.run(file, runs=tmp_path / "runs")
    file.write_text(PIPELINE.replace("min_chars = 100", "min_chars = 130"))
    run = curate.run(file, runs=tmp_path / "runs")
    made = {name for name, tally in parts(run).items() if tally["made"]}
    assert "verdicts" in made
    assert not made & {"read", "records", "evidence"}


def test_a_tightened_threshold_measures_nothing_again(tmp_path, monkeypatch):
    import curate.measuring

    file = lay_out(tmp_path)
    curate.run(file, runs=tmp_path / "runs")
    file.write_text(PIPELINE.replace("min_chars = 100", "min_chars = 300"))
    monkeypatch.setattr(curate.measuring, "_measure_batch", None)
    monkeypatch.setattr(curate.measuring, "text_digests", None)  # no text is looked at, let alone measured
    curate.run(file, runs=tmp_path / "runs")


def test_adding_an_input_reads_that_input_only(tmp_path):
    file = lay_out(tmp_path, files=("a", "b"))
    curate.run(file, runs=tmp_path / "runs")
    lay_out(tmp_path, files=("a", "b", "c"))
    run = curate.run(file, runs=tmp_path / "runs")
    assert parts(run)["read"] == {"made": 1, "found": 2}
    assert parts(run)["evidence"] == {"made": 1, "found": 2}
    assert parts(run)["evidence_measured"] == {"made": 1, "found": 2}
    assert parts(run)["language_response"] == {"made": 1, "found": 2}


def test_another_run_over_the_same_input_links_the_parts(tmp_path):
    file = lay_out(tmp_path)
    first = curate.run(file, runs=tmp_path / "runs")
    file.write_text(PIPELINE.replace('"walk"', '"other"'))
    second = curate.run(file, runs=tmp_path / "runs")
    assert parts(second)["read"]["made"] == 0
    (one, *_) = (first.path / "stages").glob("read-*/part-*.parquet")
    (two,) = (second.path / "stages").glob(f"read-*/{one.name}")
    assert one.samefile(two)


STAGES = ["read", "amend", "judge", "language_response", "judge again", "dedup", "select", "settle"]
STAGES += ["controls", "export", "report"]

KILLED = """
import os, signal, psutil, curate, curate.read, curate.registry, curate.measuring as measuring
from curate.watch import Watch
curate.read.WORTH_WORKERS_BYTES = measuring._WORTH_WORKERS = 0
object.__setattr__(curate.registry.get("measures", "language"), "batch", 16)

class Deadly(Watch):
    def stage(self, name, total, unit):
        self.name, self.steps = name, 0
        if name == {stage!r} and name not in {long}:
            self.die()

    def advance(self, units=1):
        self.steps += 1
        if self.name == {stage!r} and self.steps == 2:
            self.die()

    def die(self):
        children = psutil.Process().children(recursive=True)
        print(*[child.pid for child in children], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

curate.run("walk.toml", workers=2, watch=Deadly())
print("was not killed")
"""
LONG = ("read", "judge", "language_response")


@pytest.mark.parametrize("stage", STAGES)
def test_killed_in_any_stage_it_ends_with_the_same_bytes_and_leaves_no_orphan(walked, tmp_path, stage):
    lay_out(tmp_path)
    killed = in_process(tmp_path, KILLED.format(stage=stage, long=LONG), check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    deadline = time.monotonic() + 10
    children = [int(pid) for pid in killed.stdout.split()]
    while (left := [pid for pid in children if psutil.pid_exists(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []
    finished = set((tmp_path / "runs" / "walk" / "stages").glob("*/part-*.parquet"))
    before = {file: file.stat().st_mtime_ns for file in finished}
    in_process(tmp_path, RUN.format(options=", workers=2"))
    # None was made again, but what either worker had written and not yet noted when it was killed.
    assert sum(file.stat().st_mtime_ns != before[file] for file in finished) <= 2
    again = contents(tmp_path / "runs" / "walk")
    first = contents(walked.path)
    assert first.keys() == again.keys()
    assert [name for name in first if first[name] != again[name]] == []


DIES = """
import os, signal, curate, curate.store as store, curate.read, curate.intake
step = {{"left": {writes}}}

def dying(before):
    def call(*arguments, **options):
        step["left"] -= 1
        if step["left"] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return before(*arguments, **options)
    return call

os.replace = dying(os.replace)
os.link = dying(os.link)
os.fsync = dying(os.fsync)
curate.run("walk.toml", workers=1)
"""


@pytest.mark.parametrize("writes", [1, 2, 3, 8, 21, 34, 55, 70, 89, 100])
def test_killed_between_any_two_writes_nothing_half_made_is_left(walked, tmp_path, writes):
    lay_out(tmp_path)
    assert in_process(tmp_path, DIES.format(writes=writes), check=False).returncode == -signal.SIGKILL
    in_process(tmp_path, RUN.format(options=""))
    first, again = contents(walked.path), contents(tmp_path / "runs" / "walk")
    assert first.keys() == again.keys()
    assert [name for name in first if first[name] != again[name]] == []


def test_three_runs_at_once_share_what_they_can_and_break_nothing(walked, tmp_path):
    for name in ("x", "y", "z"):
        lay_out(tmp_path, pipeline=PIPELINE.replace('"walk"', f'"{name}"'))
        (tmp_path / "walk.toml").rename(tmp_path / f"{name}.toml")
    command = [sys.executable, "-m", "curate.cli", "run", "--quiet"]
    running = [
        subprocess.Popen([*command, f"{name}.toml"], cwd=tmp_path, stderr=subprocess.PIPE)
        for name in ("x", "y", "z")
    ]
    errors = [run.communicate()[1] for run in running]
    assert [run.returncode for run in running] == [0, 0, 0], errors
    train = {(tmp_path / "runs" / name / "train.jsonl").read_bytes() for name in ("x", "y", "z")}
    assert train == {(walked.path / "train.jsonl").read_bytes()}


def test_a_second_run_is_told_whose_the_folder_is(tmp_path):
    lay_out(tmp_path)
    program = (
        "import time, curate\nfrom curate.watch import Watch\n"
        "class Slow(Watch):\n"
        "    def stage(self, name, total, unit):\n"
        "        print(name, flush=True)\n"
        "        time.sleep(60)\n"
        "curate.run('walk.toml', watch=Slow())"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        second = in_process(tmp_path, RUN.format(options=""), check=False)
        os.kill(holder.pid, signal.SIGKILL)
    assert f"process {holder.pid}" in second.stderr
    assert "another run holds this folder" in second.stderr
    in_process(tmp_path, RUN.format(options=""))  # the lock went with its holder


def test_ctrl_c_leaves_a_run_that_goes_on(tmp_path):
    lay_out(tmp_path)
    program = (
        "import os, signal, curate\nfrom curate.watch import Watch\n"
        "class Stop(Watch):\n"
        "    def stage(self, name, total, unit):\n"
        "        if name == 'dedup':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "curate.run('walk.toml', watch=Stop())"
    )
    assert in_process(tmp_path, program, check=False).returncode != 0
    run = curate.run(tmp_path / "walk.toml", runs=tmp_path / "runs")
    assert parts(run)["read"]["made"] == 0


def test_a_sample_is_a_run_of_its_own_and_balances(tmp_path):
    file = lay_out(tmp_path)
    run = curate.run(file, runs=tmp_path / "runs", sample=20)
    assert run.name == "walk-sample"
    ledger = run.ledger.collect()
    assert ledger.filter(pl.col("state") != "excluded").height == 20
    assert ledger.height == run.records.collect().height


def test_a_sample_does_not_depend_on_the_number_of_workers(tmp_path):
    kept = []
    for workers in (1, 3):
        folder = tmp_path / str(workers)
        lay_out(folder)
        program = (
            "import curate.read, curate.measuring as m\ncurate.read.WORTH_WORKERS_BYTES = m._WORTH_WORKERS = 0\n"
        )
        in_process(folder, program + RUN.format(options=f", workers={workers}, sample=20"))
        kept.append(contents(folder / "runs" / "walk-sample"))
    assert kept[0] == kept[1]


def test_without_a_rule_nothing_is_read_again(tmp_path):
    file = lay_out(tmp_path)
    curate.run(file, runs=tmp_path / "runs")
    run = curate.run(file, runs=tmp_path / "runs", without=["first_person"])
    assert parts(run)["read"]["made"] == 0
    assert "first_person" not in run.verdicts.collect()["reasons"].explode()
