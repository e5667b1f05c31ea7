"""Whole states of a training run, to go on from: written aside, sealed, renamed, and looked over before use.

A state that was sealed has a manifest of its files' sizes and digests, and of what was being trained on what. The
manifest is written last and bears its own digest, so that a state torn at any byte is known as such.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from curate.errors import CurateError, ReproducibilityError
from curate.keys import canonical, digest, file_digest
from curate.store import read_json, write_text

MANIFEST: Final = "manifest.json"

# How many states are kept: where the newest turns out damaged, there is one before it.
KEPT: Final = 2

_NAME: Final = re.compile(r"checkpoint-(\d+)")
_UNFINISHED: Final = ".unfinished"
_REPLACED: Final = ".replaced"
_DAMAGED: Final = ".damaged"

# What a run goes on from, in the files that transformers writes (transformers/trainer.py, `_save_checkpoint`;
# accelerate/utils/fsdp_utils.py for shards). Without the first three, transformers would begin afresh in silence.
_PARTS: Final = {
    "its optimizer": r"optimizer\.(?:pt|bin)|optimizer_\d+/.+",
    "its schedule": r"scheduler\.pt",
    "its state of chance": r"rng_state(?:_\d+)?\.pth",
    "the trainer's state": r"trainer_state\.json",
    "weights": r"(?:adapter_)?model.*\.safetensors|pytorch_model_fsdp(?:\.bin|_\d+/.+)",
}


def unfinished(to: Path) -> Path:
    """An empty folder beside `to`, to write it in before it is whole, under a name that `sweep` knows."""
    folder = to.with_name(f".{to.name}.{os.getpid()}{_UNFINISHED}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@contextmanager
def disk_errors(to: Path) -> Iterator[None]:
    """Tell what a full or failing disk makes of writing `to` as a `CurateError`.

    safetensors and torch have errors of their own for it; torch's is a `RuntimeError` of the file that it cannot
    go on with (caffe2/serialize/inline_container.cc).
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if isinstance(error, RuntimeError) and "inline_container" not in str(error):
            raise
        said = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        if isinstance(error, RuntimeError):
            said = "torch could not write all of a file"
        raise CurateError(
            f"{to.name} cannot be written: {said}",
            where=str(to),
            next="make room on the disk; nothing half is kept",
        ) from error


def open_to_others(folder: Path, like: str) -> None:
    """Give a folder's weights the mode of another of its files, such as `config.json`.

    safetensors 0.8 makes them for their owner's eyes only.
    """
    for file in folder.glob("*.safetensors"):
        file.chmod((folder / like).stat().st_mode)


def seal(folder: Path, facts: Mapping[str, Any] | None = None) -> None:
    """Bring all files of a folder to the disk, and write their sizes and digests, and the facts, as its manifest.

    `facts` say what is trained on what, as plain JSON values; `check_same` compares them.
    """
    files = {}
    for path in _files(folder):
        _to_disk(path)
        files[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": file_digest(path)}
    for inner in [path for path in folder.rglob("*") if path.is_dir()]:
        _to_disk(inner)
    content = {"files": files, "facts": dict(facts or {})}
    write_text(folder / MANIFEST, canonical({**content, "digest": digest(content)}))
    _to_disk(folder)


def settle(unfinished: Path, to: Path) -> None:
    """Give a whole folder its name. What bore the name before is there until it does, and gone after."""
    before = to.with_name(f".{to.name}.{os.getpid()}{_REPLACED}")
    if to.exists():
        to.replace(before)
    unfinished.replace(to)
    _to_disk(to.parent)
    shutil.rmtree(before, ignore_errors=True)


@contextmanager
def aside(to: Path) -> Iterator[Path]:
    """A folder to write `to` in. It gets that name once all is done, and nothing of it stays when that fails."""
    folder = unfinished(to)
    try:
        yield folder
        settle(folder, to)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path) -> list[str]:
    """Remove what killed processes left unfinished in a folder that nobody else writes to; say what was done."""
    said = []
    for left in sorted(folder.glob(f".*{_REPLACED}")):
        whole = folder / left.name.removesuffix(_REPLACED)[1:].rpartition(".")[0]
        if whole.exists():
            shutil.rmtree(left)
        else:
            left.replace(whole)
            said.append(f"{whole.name} is as it was: the one to replace it was not finished")
    for left in sorted(folder.glob(f".*{_UNFINISHED}")):
        shutil.rmtree(left)
        said.append(
            f"{left.name.removesuffix(_UNFINISHED)[1:].rpartition('.')[0]} was not finished, and is removed"
        )
    return said


def newest(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest whole state in a folder, none where there are no states; and a sentence of each that is damaged.

    Raises `ReproducibilityError` when there are states but none is whole, and when one was saved without its
    optimizer, schedule, state of chance, trainer's state or weights: what goes on from it would be another run.
    """
    said: list[str] = []
    for state in reversed(_states(folder)):
        fault = damage(state)
        if not fault:
            _complete(state)
            return state, said
        said.append(f"{state.name} is damaged and was passed over: {fault}")
    if said:
        raise ReproducibilityError(
            f"no checkpoint is whole: {said[0]}", where=str(folder), next="train anew, into another folder"
        )
    return None, said


def set_aside(folder: Path, whole: Path | None) -> list[str]:
    """Rename the states that `newest` passed over for `whole`, and say what they are called now.

    Whoever has an eye for sizes alone would take them for whole, and the whole one for too many.
    """
    states, said = _states(folder), []
    for state in states[states.index(whole) + 1 :] if whole is not None else []:
        to = state.with_name(f".{state.name}{_DAMAGED}")
        shutil.rmtree(to, ignore_errors=True)
        state.replace(to)
        said.append(f"{state.name} is called {to.name} from now on, and may be removed")
    return said


def damage(folder: Path) -> str:
    """What is wrong with a sealed folder, as a phrase; empty when every file is as its manifest says."""
    try:
        files = _manifest(folder)["files"]
    except ReproducibilityError as error:
        return error.what
    for name, noted in files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if (size := path.stat().st_size) != noted["bytes"]:
            return f"{name} has {size:,} bytes of {noted['bytes']:,}"
    for name, noted in files.items():
        try:
            found = file_digest(folder / name)
        except OSError as error:  # a disk that fails is not to end the search for a whole state
            return f"{name} cannot be read: {error.strerror}"
        if found != noted["sha256"]:
            return f"{name} is not what was written"
    return ""


def sized(folder: Path) -> bool:
    """Whether a sealed folder's files have the sizes they had: seen at once, where digests take minutes."""
    try:
        files = _manifest(folder)["files"]
    except ReproducibilityError:
        return False
    return all(
        (folder / name).is_file() and (folder / name).stat().st_size == noted["bytes"]
        for name, noted in files.items()
    )


def rotate(folder: Path, keep: int) -> list[Path]:
    """Remove all states but the newest `keep`, and return those removed. One that is damaged is none to keep.

    Call it with `KEPT - 1` before a state is written: there are never more than `KEPT`, nor less than one whole.
    """
    whole = [state for state in _states(folder) if sized(state)]
    kept = set(whole[max(0, len(whole) - keep) :])
    # Nothing is removed while nothing is whole: a person may know what to do with the pieces.
    removed = [state for state in _states(folder) if state not in kept] if kept else []
    for state in removed:
        shutil.rmtree(state)
    return removed


def check_same(folder: Path, facts: Mapping[str, Any]) -> None:
    """Raise `ReproducibilityError` when a sealed folder's facts are others than those given; it names them."""
    compare(_manifest(folder)["facts"], facts, folder)


def compare(before: Mapping[str, Any], now: Mapping[str, Any], where: Path) -> None:
    """Raise `ReproducibilityError` when what is trained on what, as it was read from JSON, is another now."""
    different = [*_differences("", before, json.loads(canonical(now)))]
    if different:
        more = f", and {len(different) - 3} more" if len(different) > 3 else ""
        raise ReproducibilityError(
            f"this is not the training that was begun: {'; '.join(different[:3])}{more}",
            where=str(where),
            next="give what it was begun with, or train anew into another folder",
        )


def _differences(name: str, before: Any, now: Any) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            yield from _differences(f"{name}.{key}" if name else key, before.get(key), now.get(key))
    elif before != now:
        yield f"{name} was {canonical(before)}, and is {canonical(now)}"


def _complete(state: Path) -> None:
    files = _manifest(state)["files"]
    lacking = [what for what, name in _PARTS.items() if not any(re.fullmatch(name, file) for file in files)]
    if lacking:
        raise ReproducibilityError(
            f"{state.name} was saved without {' and '.join(lacking)}, and is nothing to go on from",
            where=str(state),
            next="remove that folder to go on from the one before it",
        )


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a sealed folder.

    Raises `ReproducibilityError` when it is missing, or is not what was written.
    """
    try:
        read = read_json(folder / MANIFEST)
    except FileNotFoundError:
        raise ReproducibilityError(f"{MANIFEST} is missing", where=str(folder)) from None
    except OSError as error:
        raise ReproducibilityError(f"{MANIFEST} cannot be read: {error.strerror}", where=str(folder)) from error
    except ValueError:
        read = None
    if not isinstance(read, dict) or read.pop("digest", None) != digest(read):
        raise ReproducibilityError(f"{MANIFEST} is not what was written", where=str(folder))
    return read


def _states(folder: Path) -> list[Path]:
    """The states in a folder, the oldest first."""
    found = [(_NAME.fullmatch(path.name), path) for path in folder.glob("checkpoint-*") if path.is_dir()]
    return [path for _, path in sorted((int(match[1]), path) for match, path in found if match)]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)


def _to_disk(path: Path) -> None:
    """Have the system write a file or folder out; without it a rename may outlive what was renamed."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
