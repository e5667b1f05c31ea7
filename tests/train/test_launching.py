"""Several processes: as many as were asked for, ended together, and one model in the end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from curate.errors import PipelineError
from curate.train.recipe import Recipe, read_recipe
from curate.train.steps import launching
from curate.train.steps.launching import (
    SHARDING,
    World,
    check_batch,
    check_joined,
    check_world,
    launched,
    on_cpus,
    sharding_settings,
    world,
)

torch = pytest.importorskip("torch")

RECIPE = Recipe(name="mine", batch_size=8, micro_batch_size=2)

# What a worker does in these tests: it tells who it is, and then what it is told to.
WORKER = """
import os, sys, time
from pathlib import Path
from curate.train.steps.launching import check_world, world
from curate.train.recipe import Recipe
me = world()
folder, what = Path(sys.argv[1]), sys.argv[2]
assert check_world(2, Recipe(name="mine", batch_size=8, micro_batch_size=2)) == me
(folder / f"{me.rank}.pid").write_text(f"{os.getpid()} {me.rank} {me.size} {me.local_rank}")
print(f"process {me.rank} speaks", flush=True)
if what == "fail" and me.rank == 1:
    while not (folder / "0.pid").exists():
        time.sleep(0.05)
    sys.exit("the second process is out of luck")
if what == "refuse" and me.first:
    sys.exit(2)
if what in ("fail", "wait", "refuse"):
    try:
        time.sleep(120)
    except KeyboardInterrupt:
        time.sleep(1)
        (folder / f"{me.rank}.written").touch()
        sys.exit(130)
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    """No launcher's word in the environment."""
    for name in (
        "RANK",
        "WORLD_SIZE",
        "LOCAL_RANK",
        "LOCAL_WORLD_SIZE",
        launching._STARTED_BY,
        *launching._FOREIGN,
    ):
        monkeypatch.delenv(name, raising=False)


def as_worker(monkeypatch, rank, size):
    for name, value in (("RANK", rank), ("WORLD_SIZE", size), ("LOCAL_RANK", rank)):
        monkeypatch.setenv(name, str(value))


@pytest.fixture
def start(tmp_path):
    """Start two workers by `launch`, in a process of its own: torch's launcher takes over its signals."""
    (tmp_path / "told_worker.py").write_text(WORKER, "utf-8")
    started = []

    def go(what):
        code = (
            "import sys; from curate.train.steps.launching import launch;"
            f"sys.exit(launch(2, [{str(tmp_path)!r}, {what!r}], module='told_worker'))"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
        child = subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(child)
        return child

    yield go
    for child in started:
        if child.poll() is None:
            child.kill()
        child.communicate()


def waited(what, seconds=60.0):
    """Wait until something is so, and return it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come to pass")


def workers(folder):
    """The ids of both workers' processes, once both are there."""
    files = [folder / f"{rank}.pid" for rank in range(2)]
    return waited(lambda: all(file.exists() and file.stat().st_size for file in files)) and [
        int(file.read_text().split()[0]) for file in files
    ]


def gone(process):
    """Whether a process has ended; one that waits to be buried has."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_workers_know_which_they_are_and_the_first_alone_speaks(start, tmp_path):
    child = start("end")
    out, errors = child.communicate(timeout=60)
    assert (child.returncode, out) == (0, "process 0 speaks\n")
    assert errors == ""
    told = [(tmp_path / f"{rank}.pid").read_text().split()[1:] for rank in range(2)]
    assert told == [["0", "2", "0"], ["1", "2", "1"]]


def test_a_workers_exit_code_is_the_commands(start):
    child = start("refuse")
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 2
    assert errors == ""  # what the worker said is all there is to say


def test_when_one_fails_the_others_end_and_what_it_said_is_shown(start, tmp_path):
    child = start("fail")
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 1
    assert errors == "process 1 failed:\nthe second process is out of luck\n"
    assert all(map(gone, workers(tmp_path)))


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_and_ctrl_c_leaves_them_time_to_write(number, start, tmp_path):
    child = start("wait")
    processes = workers(tmp_path)
    child.send_signal(number)
    out, errors = child.communicate(timeout=60)
    assert child.returncode == 128 + number
    assert all(map(gone, processes))
    assert (out, errors) == ("process 0 speaks\n", "")
    if number == signal.SIGINT:
        assert sorted(file.name for file in tmp_path.glob("*.written")) == ["0.written", "1.written"]


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_workers_do_not_outlive_a_launcher_that_is_killed(start, tmp_path):
    child = start("wait")
    processes = workers(tmp_path)
    child.kill()
    waited(lambda: all(map(gone, processes)), seconds=10)


def test_without_a_launcher_a_process_is_alone():
    assert world({}) == World(0, 1, 0)
    assert world({}).first
    assert not launched({})


def test_a_launchers_word_is_taken():
    found = world({"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"})
    assert found == World(3, 8, 1)
    assert not found.first
    assert launched({"WORLD_SIZE": "8"})


@pytest.mark.parametrize(
    "environment",
    [
        {"WORLD_SIZE": "2"},
        {"RANK": "x", "WORLD_SIZE": "2", "LOCAL_RANK": "0"},
        {"RANK": "2", "WORLD_SIZE": "2", "LOCAL_RANK": "0"},
    ],
    ids=["no rank", "no number", "beyond the last"],
)
def test_what_cannot_be_is_refused(environment):
    with pytest.raises(PipelineError, match="launcher"):
        world(environment)


def test_as_many_processes_as_were_asked_for_are_accepted(monkeypatch):
    assert check_world(1, RECIPE) == World()
    as_worker(monkeypatch, 1, 4)
    assert check_world(4, RECIPE) == World(1, 4, 1)


def test_one_process_where_two_were_asked_for_is_an_error(monkeypatch):
    """What `accelerate launch --cpu --num_processes 2` did: one process, half the batch, and no word."""
    with pytest.raises(PipelineError, match="--processes is 2, and there is one process"):
        check_world(2, RECIPE)
    monkeypatch.setenv(launching._STARTED_BY, "torch.distributed.launcher")  # inside a worker, it starts no others
    assert launched()
    with pytest.raises(PipelineError, match="there is one process"):
        check_world(2, RECIPE)


def test_two_processes_where_one_was_asked_for_are_an_error(monkeypatch):
    as_worker(monkeypatch, 0, 2)
    with pytest.raises(PipelineError, match="--processes is 1, and there are 2"):
        check_world(1, RECIPE)


def test_other_launchers_that_torch_does_not_hear_are_an_error(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    with pytest.raises(PipelineError, match="OMPI_COMM_WORLD_SIZE"):
        check_world(1, RECIPE)
    as_worker(monkeypatch, 0, 2)  # torch's launcher under another one is fine
    assert check_world(2, RECIPE).size == 2


@pytest.mark.parametrize("name", ["ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_FSDP"])
def test_a_launcher_that_would_shard_past_the_recipe_is_an_error(monkeypatch, name):
    monkeypatch.setenv(name, "true")
    with pytest.raises(PipelineError):
        check_world(1, RECIPE)


@pytest.mark.parametrize(("processes", "steps"), [(1, 4), (2, 2), (4, 1)])
def test_processes_share_a_batch_evenly(processes, steps):
    assert check_batch(RECIPE, processes) == steps


@pytest.mark.parametrize("processes", [3, 8])
def test_a_batch_that_cannot_be_shared_evenly_is_refused(monkeypatch, processes):
    as_worker(monkeypatch, 0, processes)
    with pytest.raises(PipelineError, match=f"batch_size 8 cannot be shared out evenly: {processes} processes"):
        check_world(processes, RECIPE)


def test_accelerate_is_told_of_cpus_and_what_it_found_is_checked(monkeypatch):
    """Untold, accelerate 1.15 lets each of several processes on CPUs train alone, on all rows."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert on_cpus(1)
    assert on_cpus(2)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)  # as on a Mac, whose GPU is for one
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert not on_cpus(1)
    assert on_cpus(2)
    check_joined(2, World(0, 2, 0))
    with pytest.raises(RuntimeError, match="1 of 2 processes"):
        check_joined(1, World(0, 2, 0))


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    as_worker(monkeypatch, 0, 4)
    with pytest.raises(PipelineError, match="4 processes cannot train on 2 GPUs"):
        check_world(4, RECIPE)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")  # two machines
    assert check_world(4, RECIPE).size == 4


def test_one_process_on_several_gpus_is_refused_before_anything_is_written(monkeypatch):
    """transformers would use all of them, which TRL refuses when the folder is there already."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(PipelineError, match="2 GPUs, and a single process trains on one") as refused:
        check_world(1, RECIPE)
    assert refused.value.next == "give --processes 2, or set CUDA_VISIBLE_DEVICES=0 in the environment"
    as_worker(monkeypatch, 0, 1)  # a launcher gives it one of them
    assert check_world(1, RECIPE) == World()


# Models that are shared out


def test_without_gpus_fsdp2_is_refused_and_not_left_out(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    as_worker(monkeypatch, 0, 2)
    with pytest.raises(PipelineError, match="needs GPUs"):
        check_world(2, RECIPE.model_copy(update={"sharding": "fsdp2"}))


def test_a_single_process_shares_nothing_out(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(PipelineError, match="several processes"):
        check_world(1, RECIPE.model_copy(update={"sharding": "fsdp2"}))


def test_settings_are_what_transformers_takes_for_fsdp2(tiny_model):
    transformers = pytest.importorskip("transformers")
    from accelerate.utils import FullyShardedDataParallelPlugin

    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model())
    assert sharding_settings(model, RECIPE) == {}
    recipe = read_recipe("vicuna", {"sharding": "fsdp2"})
    given = transformers.TrainingArguments(use_cpu=True, report_to="none", **sharding_settings(model, recipe))
    plugin = FullyShardedDataParallelPlugin(**given.fsdp_plugin_args)
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is True
    assert plugin.transformer_cls_names_to_wrap == ["LlamaDecoderLayer"]
    assert "FULL" in str(plugin.state_dict_type)
    assert not plugin.cpu_ram_efficient_loading
    assert not plugin.activation_checkpointing  # which would drop other places the second time


def test_the_file_for_accelerate_says_what_our_settings_say():
    config_args = pytest.importorskip("accelerate.commands.config.config_args")
    read = config_args.load_config_from_file(str(SHARDING / "accelerate.yaml"))
    said = {name.removeprefix("fsdp_"): value for name, value in read.fsdp_config.items()}
    ours = json.loads((SHARDING / "fsdp2.json").read_text("utf-8"))
    assert {name: said[name] for name in ours} == ours
    assert said.keys() - ours.keys() == {"offload_params"}
    assert read.distributed_type == "FSDP"


def test_a_model_shared_out_learns_what_a_whole_one_does_and_residual_dropout_goes_with_it(tmp_path):
    """On two processes: accelerate's preparation, TRL's loss, our optimizers and hooks, and no GPU."""
    pytest.importorskip("trl")
    found = tmp_path / "found.json"
    code = (
        "import sys; from curate.train.steps.launching import launch;"
        f"sys.exit(launch(2, [{str(found)!r}], module='sharded_worker'))"
    )
    paths = [str(Path(__file__).parent), *filter(None, sys.path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
    told = json.loads(found.read_text("utf-8"))
    assert len(told["distances"]) == 4
    assert all(distance < 1e-5 for distance in told["distances"].values()), told
    assert [round(rate, 6) for rate in told["rates"].values()] == [0.1, 0.1, 0.2, 0.2, 0.3, 0.3]
    assert told["dropped"] > 1e-4
    assert told["again"] == told["checkpointed"] == 0.0
