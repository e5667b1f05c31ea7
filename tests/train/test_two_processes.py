"""Two processes learn what one does: the same rows in the same steps, each once, and the same weights."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("trl")

from safetensors.torch import load_file

from curate.train.rows.tokens import read_tokens
from curate.train.steps.callbacks import read_metrics
from curate.train.training import read_facts

# 30 rows in steps of 8 leave 6 for the last; two processes that take 2 rows at a time lack 2 more.
CHANGES = {
    "epochs": 2,
    "batch_size": 8,
    "micro_batch_size": 2,
    "learning_rate": 1e-3,
    "max_grad_norm": 0.5,
    "weight_decay": 0.1,
    "checkpoint_every": 3,
    "max_new_tokens": 4,
}
FILLER = 2  # tokens of a row that fills the last step up, none of which is learned


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_model, records):
    """Train on some number of processes, and return the folder and the rows of each process."""
    root = tmp_path_factory.mktemp("trained")
    rows = root / "rows.jsonl"
    columns = records.select("id", "prompt", "context", "response")
    rows.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in columns.to_dicts()), "utf-8")

    def go(name, processes, *, happens="", code=0, **others):
        to = root / name
        if not to.exists():
            changes = [f"--set={key}={value}" for key, value in {**CHANGES, **others}.items()]
            command = ["train", rows, "--model", tiny_model(), "--recipe", "small", "--to", to, *changes]
            launch = (
                "import sys; from curate.train.steps.launching import launch;"
                f"sys.exit(launch({processes}, sys.argv[1:], module='training_worker'))"
            )
            paths = [str(Path(__file__).parent), *filter(None, sys.path)]
            done = subprocess.run(
                [sys.executable, "-c", launch, *map(str, [to, *command, "--processes", processes])],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "CURATE_TEST": happens},
                cwd=root,
                check=False,
                timeout=240,
                capture_output=True,
                text=True,
            )
            assert done.returncode == code, done.stderr
        return to, [json.loads(Path(f"{to}-{rank}.json").read_text("utf-8")) for rank in range(processes)]

    return go


def taken(ranks):
    """How often each row was taken in each step, by its tokens and labels; and how many fillers."""
    rows, fillers = {}, Counter()
    for rank in ranks:
        for step, ids, labels in rank[0]:
            if len(ids) == FILLER and set(labels) == {-100}:
                fillers[step] += 1
            else:
                rows.setdefault(step, Counter())[tuple(ids), tuple(labels)] += 1
    return rows, fillers


def test_each_step_has_the_same_rows_and_each_epoch_every_row_once(trained):
    one, alone = trained("one", 1)
    two, ranks = trained("two", 2)
    rows, fillers = taken(alone)
    shared, filled = taken(ranks)
    assert shared == rows
    assert not fillers
    assert filled == {3: 2, 7: 2}  # the last step of each epoch, where no row is taken twice to fill it
    tokens = read_tokens(two / "tokens" / "train.parquet")
    every = Counter((tuple(ids.tolist()), tuple(labels.tolist())) for ids, labels in map(tokens.row, range(30)))
    for epoch in range(2):
        assert sum((shared[step] for step in range(4 * epoch, 4 * epoch + 4)), Counter()) == every
    assert read_facts(one)["order"]["fillers"] == 0
    assert read_facts(two)["order"]["fillers"] == 2


def assert_same(one, two, *, steps=8):
    """Losses, norms of gradients, learning rates, rows and weights of two training folders are the same."""
    lines, others = read_metrics(one), read_metrics(two)
    assert len(lines) == len(others) == steps
    for line, other in zip(lines, others, strict=True):
        assert other["loss"] == pytest.approx(line["loss"], abs=1e-5)
        assert other["grad_norm"] == pytest.approx(line["grad_norm"], rel=1e-4)
        counted = ("step", "lr", "rows", "tokens", "learned")
        assert [other[name] for name in counted] == [line[name] for name in counted]
    mine, theirs = (load_file(folder / "model" / "model.safetensors") for folder in (one, two))
    assert mine.keys() == theirs.keys()
    assert max((mine[name] - theirs[name]).abs().max().item() for name in mine) < 1e-5


def test_losses_gradients_and_weights_are_those_of_one_process(trained):
    assert_same(trained("one", 1)[0], trained("two", 2)[0])


def test_a_model_that_is_shared_out_learns_what_a_whole_one_does(trained):
    """From the command to the saved model: states, kept epochs and what is picked are gathered from both."""
    assert_same(trained("two", 2)[0], trained("shared", 2, sharding="fsdp2")[0])


def test_processes_that_are_late_where_an_epoch_is_kept_do_as_the_first_does(trained):
    """By then the first has written the epoch, and waits for them."""
    assert_same(trained("two", 2)[0], trained("late", 2, happens="late")[0])


def test_of_a_step_that_is_not_finite_all_fail_once_the_first_has_said_why(trained):
    to, told = trained("poisoned", 2, happens="poisoned", code=1)
    assert told == [True, True]
    assert read_facts(to)["state"] == "failed"
    failed = json.loads((to / "failed-step.json").read_text("utf-8"))
    assert sum(row["loss"] == "nan" for row in failed["rows"]) == 1


@pytest.mark.slow
def test_adapters_dropout_and_recomputed_layers_go_with_a_model_that_is_shared_out(trained):
    others = {"lora_rank": 4, "residual_dropout": 0.1, "activation_checkpointing": "true"}
    whole, _ = trained("adapted", 2, **others)
    shared, _ = trained("shared and adapted", 2, sharding="fsdp2", **others)
    assert_same(whole, shared)
    kept = sorted(file.name for file in (shared / "epochs" / "epoch-02").iterdir())
    assert "adapter_model.safetensors" in kept


def test_processes_drop_different_places_and_the_first_those_of_one(trained):
    """With all seeded alike, each would drop of its rows just what the first drops of its own."""
    _, ((_, alone),) = trained("one", 1)
    _, ((_, first), (_, second)) = trained("two", 2)
    assert first[0] == alone[0] != second[0]


@pytest.mark.slow
def test_ctrl_c_stops_both_after_a_step_and_they_go_on_to_the_same_weights(tiny_model, records, tmp_path):
    """Residual dropout and all: each process goes on with the chance that it had come to."""
    rows = tmp_path / "rows.jsonl"
    columns = records.select("id", "prompt", "context", "response")
    rows.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in columns.to_dicts()), "utf-8")
    values = {**CHANGES, "epochs": 12, "checkpoint_every": 0, "residual_dropout": 0.1}
    changes = [f"--set={key}={value}" for key, value in values.items()]
    trained = ["train", str(rows), "--model", str(tiny_model()), "--recipe", "small", *changes, "--quiet"]

    def curate(*arguments):
        command = [sys.executable, "-m", "curate.cli", *map(str, arguments)]
        return subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)

    def ended(child, code):
        said = child.communicate(timeout=240)[1]
        assert child.returncode == code, said
        return said

    ended(curate(*trained, "--processes", 2, "--to", "straight"), 0)
    stopped = curate(*trained, "--processes", 2, "--to", "stopped")
    metrics = tmp_path / "stopped" / "metrics.jsonl"
    until = time.monotonic() + 120
    while not metrics.exists() or metrics.read_text("utf-8").count("\n") < 6:
        assert time.monotonic() < until
        time.sleep(0.02)
    stopped.send_signal(signal.SIGINT)
    said = ended(stopped, 130)
    done = len(read_metrics(tmp_path / "stopped"))
    assert done < 48
    assert f"stopped after step {done} of 48" in said
    assert read_facts(tmp_path / "stopped")["state"] == "stopped"
    ended(curate("train", "resume", "stopped", "--quiet"), 0)
    one, other = (tmp_path / name / "model" / "model.safetensors" for name in ("straight", "stopped"))
    assert one.read_bytes() == other.read_bytes()
    losses = [[line["loss"] for line in read_metrics(tmp_path / name)] for name in ("straight", "stopped")]
    assert losses[0] == losses[1]
