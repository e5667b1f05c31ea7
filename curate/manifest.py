"""manifest.json: what went in, what came out, and what made it. It is written last, so it means "finished"."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from filelock import FileLock, Timeout

from curate import __version__
from curate.errors import BusyError, ReproducibilityError
from curate.keys import file_digest
from curate.store import Table, read_json, write_text

FORMAT: Final = 1
_FILE: Final = "manifest.json"
_WITHDRAWN: Final = ".withdrawn.json"


class _DamagedError(ReproducibilityError):
    """The manifest cannot be understood."""


def versions() -> dict[str, str]:
    """The versions that the bytes of a run depend on."""
    return {
        "curate": __version__,
        "numpy": np.__version__,
        "polars": pl.__version__,
        "pyarrow": version("pyarrow"),  # which writes exports in Parquet; its import takes a while
        "python": platform.python_version(),
    }


def described(table: Table) -> dict[str, Any]:
    """A table as the manifest lists it."""
    parts = {part.path.name: part.sha256 for part in table.parts}
    return {"key": table.key, "rows": table.rows, "folder": table.folder.name, "parts": parts}


def write_manifest(run: Path, content: dict[str, Any]) -> None:
    """Write the manifest, stamped with the format and the time."""
    stamped = {"format": FORMAT, "finished": datetime.now(UTC).isoformat(timespec="seconds"), **content}
    write_text(run / _FILE, json.dumps(stamped, indent=1, ensure_ascii=False) + "\n")
    (run / _WITHDRAWN).unlink(missing_ok=True)


def withdraw_manifest(run: Path) -> set[str]:
    """Take the manifest away, because the files that it vouches for are about to change.

    Returns the files that it listed as exported or as reports, and those of runs that were killed since. They stay
    written down until the next manifest: a file that nobody vouches for must not be left behind.
    """
    listed: set[str] = set()
    with suppress(OSError, ValueError):
        listed |= set(read_json(run / _WITHDRAWN))
    with suppress(ReproducibilityError):  # there is none, or it is damaged: then it vouches for nothing
        manifest = read_manifest(run)
        listed |= {export["file"] for export in manifest["facts"]["exports"]} | set(manifest["reports"])
    if listed:
        write_text(run / _WITHDRAWN, json.dumps(sorted(listed)) + "\n")
    (run / _FILE).unlink(missing_ok=True)
    return listed


def read_manifest(run: Path) -> dict[str, Any]:
    """The manifest of a finished run.

    Raises `ReproducibilityError` when there is none, it is damaged, or a newer version wrote it.
    """
    if not run.is_dir():
        raise ReproducibilityError("there is no such run folder", where=str(run), next="runs lie under `runs/`")
    file = run / _FILE
    within = sorted(other.name for other in run.iterdir() if (other / _FILE).exists())
    if not file.exists() and within:
        raise ReproducibilityError(
            "this is no run folder",
            where=str(run),
            next=f"in it are the runs {', '.join(within)}",
        )
    if not file.exists() and not (run / "stages").is_dir():
        raise ReproducibilityError("this is no run folder", where=str(run), next="runs lie in `runs/<name>`")
    if not file.exists():
        raise ReproducibilityError(
            "the run is not finished", where=str(run), next="start it again: it goes on where it was"
        )
    try:
        manifest: dict[str, Any] = read_json(file)
        format = int(manifest["format"])
        writer = "?" if format > FORMAT and "facts" not in manifest else manifest["facts"]["versions"]["curate"]
    except (ValueError, TypeError, KeyError) as error:
        raise _DamagedError(
            f"the manifest is damaged: {error!r}", where=str(file), next="run again: it is written anew"
        ) from None
    if format > FORMAT:
        raise ReproducibilityError(
            f"the run was written by curate {writer}, in format {format};"
            f" this is curate {__version__}, which knows formats up to {FORMAT}",
            where=str(run),
            next="upgrade with `pip install -U curate-sft`, or give the run another name",
        )
    return manifest


def check_format(run: Path) -> None:
    """Raise `ReproducibilityError` when a newer version left the folder: nothing in it is overwritten."""
    with suppress(_DamagedError):  # then it says nothing, and is written anew
        if (run / _FILE).exists():
            read_manifest(run)


def broken(run: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """What differs between the manifest and the disk: a sentence for each file missing or changed."""
    for name, table in sorted(manifest["tables"].items()):
        for part, sha256 in table["parts"].items():
            yield from _differs(run / "stages" / table["folder"] / part, sha256, f"table {name}")
    for export in manifest["facts"]["exports"]:
        yield from _differs(run / export["file"], export["sha256"], "export")
    for name, sha256 in manifest["reports"].items():
        yield from _differs(run / name, sha256, "report")


def check_tables(run: Path, manifest: dict[str, Any], names: Iterable[str]) -> None:
    """Raise `ReproducibilityError` when a table of a finished run is not what its manifest says."""
    for name in names:
        tables = {name: manifest["tables"][name]}
        for wrong in broken(run, {"tables": tables, "facts": {"exports": []}, "reports": {}}):
            raise ReproducibilityError(
                f"the run is not what its manifest says: {wrong}", where=str(run), next="run the pipeline again"
            )


def _differs(file: Path, sha256: str, what: str) -> Iterator[str]:
    if not file.exists():
        yield f"{what}: {file.name} is missing"
    elif file_digest(file) != sha256:
        yield f"{what}: {file.name} has changed"


@contextmanager
def locked(run: Path, *, patience: float = 0) -> Iterator[None]:
    """Hold a run folder for this process. The lock goes with the process, however it ends.

    Whoever has `patience` waits as many seconds for another to let go.

    Raises `BusyError` that says whose the lock is.
    """
    run.mkdir(parents=True, exist_ok=True)
    holder = run / ".lock.json"
    lock = FileLock(run / ".lock")
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        try:
            raw = read_json(holder)
            whose = f"process {raw['process']} on {raw['host']}, since {raw['since']}"
        except (OSError, ValueError):  # it has only just taken the lock
            whose = "another process"
        raise BusyError(
            "another run holds this folder", where=f"{run}, held by {whose}", next="wait for it, or stop it first"
        ) from None
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        write_text(holder, json.dumps({"process": os.getpid(), "host": platform.node(), "since": since}))
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
