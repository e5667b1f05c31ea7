"""Whole states: known as damaged at any byte, never half there, and nothing to go on from for another run."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import CurateError, ReproducibilityError
from curate.train import checkpoints
from curate.train.checkpoints import (
    MANIFEST,
    check_same,
    damage,
    disk_errors,
    newest,
    rotate,
    seal,
    set_aside,
    settle,
    sized,
    sweep,
    unfinished,
)

# What transformers writes of a state (transformers/trainer.py, `_save_checkpoint`), with other bytes in it.
FILES = {
    "config.json": b'{"model_type": "llama"}',
    "model.safetensors": bytes(range(256)),
    "optimizer.pt": b"moments" * 9,
    "rng_state.pth": b"dice",
    "scheduler.pt": b"steps",
    "trainer_state.json": b'{"global_step": 40}',
    "empty.txt": b"",
}
FACTS = {"data": "d1", "template": "lima", "recipe": {"epochs": 15, "learning_rate": 1e-05}, "processes": 1}


def state(folder, step, *, without=(), facts=FACTS):
    """Write a whole state as the engine does."""
    to = folder / f"checkpoint-{step}"
    at = unfinished(to)
    for name, content in FILES.items():
        if name not in without:
            (at / name).write_bytes(content)
    seal(at, facts)
    settle(at, to)
    return to


def fingerprint(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_sealed_folder_is_whole_and_a_state_has_its_name_alone(tmp_path):
    made = state(tmp_path, 40)
    assert damage(made) == ""
    assert newest(tmp_path) == (made, [])
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-40"]


SEALED = sorted([*FILES, MANIFEST])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return state(tmp_path_factory.mktemp("states"), 40)


@given(data=st.data())
@settings(max_examples=150)
def test_a_state_torn_at_any_byte_of_any_file_is_known_as_damaged(whole, data):
    name = data.draw(st.sampled_from([name for name in SEALED if (whole / name).stat().st_size]))
    content = (whole / name).read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    how = data.draw(st.sampled_from(["cut", "flipped", "zeroed"]))
    torn = {
        "cut": content[:at],
        "flipped": content[:at] + bytes([content[at] ^ (1 << data.draw(st.integers(0, 7)))]) + content[at + 1 :],
        "zeroed": content[:at] + bytes(len(content) - at),
    }[how]
    if torn == content:
        return
    with TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(whole, Path(folder) / "checkpoint-40"))
        (copy / name).write_bytes(torn)
        assert name in damage(copy)


def test_every_cut_of_the_manifest_is_known(tmp_path, whole):
    copy = Path(shutil.copytree(whole, tmp_path / "checkpoint-40"))
    content = (copy / MANIFEST).read_bytes()
    for at in range(len(content)):
        (copy / MANIFEST).write_bytes(content[:at])
        assert MANIFEST in damage(copy), at
        assert not sized(copy)


@pytest.mark.parametrize("name", SEALED)
def test_a_state_that_lost_any_file_is_passed_over_for_the_one_before_it(tmp_path, name):
    before, last = state(tmp_path, 40), state(tmp_path, 80)
    (last / name).unlink()
    found, said = newest(tmp_path)
    assert found == before
    assert said == [f"checkpoint-80 is damaged and was passed over: {name} is missing"]


def test_the_newest_is_that_of_the_most_steps_and_not_of_the_last_letter(tmp_path):
    for step in (1000, 90, 200):
        state(tmp_path, step)
    assert newest(tmp_path)[0].name == "checkpoint-1000"


def test_no_states_are_no_error_but_nothing_whole_is(tmp_path):
    assert newest(tmp_path) == (None, [])
    assert newest(tmp_path / "not there") == (None, [])
    for step in (40, 80):
        (state(tmp_path, step) / "optimizer.pt").write_bytes(b"")
    with pytest.raises(
        ReproducibilityError, match=r"no checkpoint is whole: checkpoint-80 is damaged .* 0 bytes of 63"
    ):
        newest(tmp_path)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("optimizer.pt", "its optimizer"),
        ("scheduler.pt", "its schedule"),
        ("rng_state.pth", "its state of chance"),
        ("trainer_state.json", "the trainer's state"),
        ("model.safetensors", "weights"),
    ],
)
def test_a_state_saved_without_a_part_is_refused_though_an_older_one_is_whole(tmp_path, name, what):
    state(tmp_path, 40)
    state(tmp_path, 80, without=[name])
    with pytest.raises(
        ReproducibilityError, match=f"checkpoint-80 was saved without {what}, and is nothing to go on"
    ):
        newest(tmp_path)


def test_a_state_of_shards_is_complete(tmp_path):
    at = unfinished(tmp_path / "checkpoint-8")
    names = ("pytorch_model_fsdp_0/__0_0.distcp", "optimizer_0/.metadata", "scheduler.pt", "trainer_state.json")
    for name in (*names, "rng_state_0.pth", "rng_state_1.pth"):
        (at / name).parent.mkdir(exist_ok=True)
        (at / name).write_bytes(b"shard")
    seal(at)
    settle(at, tmp_path / "checkpoint-8")
    assert newest(tmp_path)[0].name == "checkpoint-8"


def test_what_a_killed_process_left_is_no_state_and_is_swept(tmp_path):
    whole = state(tmp_path, 40)
    left = unfinished(tmp_path / "checkpoint-80")  # killed while writing
    (left / "model.safetensors").write_bytes(b"half")
    sealed = unfinished(tmp_path / "model")  # killed between the seal and the rename
    seal(sealed)
    assert newest(tmp_path) == (whole, [])
    assert sweep(tmp_path) == [
        "checkpoint-80 was not finished, and is removed",
        "model was not finished, and is removed",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-40"]
    assert sweep(tmp_path) == []
    assert sweep(tmp_path / "not there") == []


@pytest.mark.parametrize("renames", [0, 1])
def test_a_process_killed_while_it_replaces_a_folder_leaves_the_old_one(tmp_path, monkeypatch, renames):
    class Killed(BaseException):
        pass

    before = fingerprint(state(tmp_path, 40))
    rename, done = Path.replace, []

    def dying(self, target):
        if ".checkpoint" in self.name + Path(target).name and not self.name.endswith("tmp"):
            if len(done) == renames:
                raise Killed
            done.append(target)
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", dying)
    with pytest.raises(Killed):
        state(tmp_path, 40, facts={"data": "d2"})
    monkeypatch.undo()
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-40"]
    assert fingerprint(tmp_path / "checkpoint-40") == before


def test_a_folder_is_replaced_whole(tmp_path):
    state(tmp_path, 40)
    made = state(tmp_path, 40, without=["config.json"], facts={"data": "d2"})
    assert not (made / "config.json").exists()
    assert damage(made) == ""
    assert len([*tmp_path.iterdir()]) == 1


def test_the_oldest_states_go_and_one_stays_whole(tmp_path):
    made = [state(tmp_path, step) for step in (9, 40, 80, 120)]
    assert rotate(tmp_path, 2) == made[:2]
    assert rotate(tmp_path, 2) == []
    assert rotate(tmp_path, 5) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-120", "checkpoint-80"]


def test_a_damaged_state_does_not_take_the_place_of_a_whole_one(tmp_path):
    before, last = state(tmp_path, 40), state(tmp_path, 80)
    (last / "model.safetensors").write_bytes(b"torn")
    assert rotate(tmp_path, 1) == [last]
    assert newest(tmp_path) == (before, [])


def test_states_that_were_passed_over_are_none_any_more(tmp_path):
    before, whole, last = (state(tmp_path, step) for step in (40, 80, 120))
    (last / "model.safetensors").write_bytes(bytes(256))  # of the size that it had
    assert newest(tmp_path)[0] == whole
    assert set_aside(tmp_path, whole) == [
        "checkpoint-120 is called .checkpoint-120.damaged from now on, and may be removed"
    ]
    assert rotate(tmp_path, 1) == [before]
    assert newest(tmp_path) == (whole, [])
    assert sweep(tmp_path) == set_aside(tmp_path, whole) == set_aside(tmp_path / "not there", None) == []
    assert (tmp_path / ".checkpoint-120.damaged").exists()


def test_nothing_is_removed_while_nothing_is_whole(tmp_path):
    torn = [state(tmp_path, step) for step in (40, 80)]
    for each in torn:
        (each / MANIFEST).unlink()
    assert rotate(tmp_path, 1) == []
    assert all(each.exists() for each in torn)


def test_other_folders_and_files_are_no_states(tmp_path):
    made = state(tmp_path, 40)
    for name in ("checkpoint-best", "checkpoint-41.bak", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint-99").write_text("a file")
    assert newest(tmp_path) == (made, [])
    rotate(tmp_path, 1)
    assert len([*tmp_path.iterdir()]) == 5


def test_going_on_with_the_same_is_no_error(tmp_path):
    check_same(state(tmp_path, 40), json.loads(json.dumps(FACTS)))
    check_same(state(tmp_path, 80, facts={"kept": (5, 10)}), {"kept": (5, 10)})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"data": "d2"}, 'data was "d1", and is "d2"'),
        ({"recipe": {"epochs": 15, "learning_rate": 2e-05}}, "recipe.learning_rate was 1e-05, and is 2e-05"),
        ({"recipe": {"epochs": 15, "learning_rate": 1e-05, "seed": 4}}, "recipe.seed was null, and is 4"),
        ({"processes": 2}, "processes was 1, and is 2"),
        ({"template": None}, 'template was "lima", and is null'),
    ],
)
def test_going_on_with_anything_else_is_refused_and_named(tmp_path, changed, said):
    made = state(tmp_path, 40)
    with pytest.raises(ReproducibilityError, match="this is not the training that was begun") as caught:
        check_same(made, {**FACTS, **changed})
    assert said in str(caught.value)
    assert "more" not in caught.value.what


def test_many_differences_are_counted(tmp_path):
    with pytest.raises(ReproducibilityError, match="and 1 more"):
        check_same(state(tmp_path, 40), {})


def test_a_disk_that_fills_leaves_no_state_and_the_older_one_whole(tmp_path, monkeypatch):
    before = state(tmp_path, 40)
    monkeypatch.setattr(checkpoints, "write_text", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space left"):
        state(tmp_path, 80)
    monkeypatch.undo()
    assert newest(tmp_path) == (before, [])
    assert len(sweep(tmp_path)) == 1


def test_everything_is_on_the_disk_before_the_manifest_and_the_manifest_before_the_name(tmp_path, monkeypatch):
    order = []
    fsync, rename = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda at: (order.append(os.fstat(at).st_ino), fsync(at)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (order.append(Path(to).name), rename(self, to))[1])
    made = state(tmp_path, 40)
    sealed, named = order.index(MANIFEST), order.index("checkpoint-40")
    assert {(made / name).stat().st_ino for name in FILES} <= {*order[:sealed]}
    assert made.stat().st_ino in order[sealed:named]
    assert order[named + 1 :] == [tmp_path.stat().st_ino]


def test_a_file_that_the_disk_cannot_give_is_damaged(tmp_path, monkeypatch):
    before, last = state(tmp_path, 40), state(tmp_path, 80)
    digest = checkpoints.file_digest

    def failing(path):
        if path == last / "optimizer.pt":
            raise OSError(5, "Input/output error")
        return digest(path)

    monkeypatch.setattr(checkpoints, "file_digest", failing)
    assert newest(tmp_path) == (
        before,
        ["checkpoint-80 is damaged and was passed over: optimizer.pt cannot be read: Input/output error"],
    )


def test_what_writers_make_of_a_full_disk_is_told_in_words(tmp_path):
    torch, safetensors = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    many = {"a": torch.zeros(100_000)}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        for write, said in (
            (lambda to: torch.save(many, to), "torch could not write all of a file"),
            (lambda to: safetensors.save_file(many, to), "File too large"),
            (lambda to: to.write_bytes(bytes(100_000)), "File too large"),
        ):
            told = pytest.raises(CurateError, match=f"optimizer.pt cannot be written: .*{said}")
            with told, disk_errors(tmp_path / "optimizer.pt"):
                write(tmp_path / "optimizer.pt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_errors_that_are_not_of_the_disk_are_left_as_they_are(tmp_path):
    pytest.importorskip("safetensors")
    with pytest.raises(RuntimeError, match="sizes do not match"), disk_errors(tmp_path):
        raise RuntimeError("sizes do not match")


SAVING = """
import sys
from pathlib import Path
from curate.train.checkpoints import KEPT, rotate, seal, settle, unfinished
folder = Path(sys.argv[1])
for step in range(1, 10**6):
    rotate(folder, KEPT - 1)
    at = unfinished(folder / f"checkpoint-{step}")
    for name in ("model.safetensors", "optimizer.pt", "rng_state.pth", "scheduler.pt", "trainer_state.json"):
        (at / name).write_bytes(bytes([step % 256]) * 100_000)
    seal(at)
    settle(at, folder / f"checkpoint-{step}")
    print(step, flush=True)
"""


def test_a_process_killed_at_any_moment_leaves_a_whole_state(tmp_path):
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", SAVING, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as saving:
            for _ in range(4):
                saving.stdout.readline()
            time.sleep(random.random() / 50)  # within the writing of one of the next few states
            saving.send_signal(signal.SIGKILL)
            said = saving.stdout.read().split()
        sweep(tmp_path)
        found, damaged = newest(tmp_path)
        assert damaged == []
        assert not said or int(found.name.partition("-")[2]) >= int(said[-1])
        assert len([*tmp_path.iterdir()]) <= 2
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
