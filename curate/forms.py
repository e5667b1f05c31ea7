"""A finished run in other forms than its pipeline asked for, written beside it and not into it.

Nothing is run again: the records and the picks lie in the run's tables. The run's own folder is left alone, since
its manifest vouches for what is in it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from curate import registry
from curate.errors import CurateError, PluginError, nearest
from curate.exporting import Exported, check, export, frames_of, write_cards
from curate.manifest import check_tables
from curate.pipeline import Call
from curate.runs import Run

# The form that a reader is best served by, where it does not bear the reader's name.
READERS: Final = {
    "trl": "prompt_completion",  # of `messages`, TRL trains on every token unless it is told otherwise
    "unsloth": "messages",
    "llama-factory": "llama_factory",
    "llamafactory": "llama_factory",
    "litgpt": "alpaca",  # litgpt/data/json_data.py: instruction, input and output, one a line
    "stanford-alpaca": "alpaca",
    "hub": "hugging_face",
    "parquet": "hugging_face",
}

ATTRIBUTION: Final = ("ATTRIBUTION.jsonl", "ATTRIBUTION.html")  # of a run, where it has them


def write_forms(run: Run, wanted: Sequence[str], to: Path) -> Exported:
    """Write a run's splits in the forms of the wanted readers (or exporters), each into a folder below `to`.

    In each folder lie the data, what its reader is configured by, a card, and the run's attribution. A folder is
    there whole, or not at all; when something fails, none is. Only a process that is killed while it puts them in
    their places may leave some of them, each whole. Files are named from `to`.

    Raises `PluginError` for a reader that is not known, `ReproducibilityError` when the run's tables have changed,
    and `CurateError` when a folder is there already, lies in the run, or a form has no place for the set.
    """
    forms = list(dict.fromkeys(map(form_for, wanted)))
    check_tables(run.path, run.manifest, ("records", "picks"))
    if to.resolve().is_relative_to(run.path.resolve()):
        raise CurateError(
            "forms are not written into the run's own folder", where=str(to), next="give another folder by `--to`"
        )
    for form in forms:
        if (to / form).exists():
            raise CurateError(
                "the folder is there already", where=str(to / form), next="move it, or give another `--to`"
            )
    unfinished = to / f".{os.getpid()}.tmp"
    try:
        unfinished.mkdir(parents=True)
        done = _write(run, forms, unfinished)
        put({to / form: unfinished / form for form in forms})
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return done


def put(unfinished: Mapping[Path, Path]) -> None:
    """Give finished folders, the values, their names; when one cannot have it, take back those that had."""
    done: list[Path] = []
    try:
        for to, folder in unfinished.items():
            folder.rename(to)
            done.append(to)
    except OSError:
        for to in done:
            to.rename(unfinished[to])
        raise


def form_for(reader: str) -> str:
    """The exporter that serves a reader best; an exporter's own name stands for itself.

    Raises `PluginError` when neither is known.
    """
    known = registry.names("exports")
    form = READERS.get(reader.lower(), reader)
    if form not in known:
        raise PluginError(f"no reader or exporter is called {reader!r}", next=nearest(reader, {*READERS, *known}))
    return form


def _write(run: Run, forms: Sequence[str], folder: Path) -> Exported:
    plugins = [registry.get("exports", form) for form in forms]
    asked = [
        (Call(plugin.name, plugin, registry.resolved(registry.parameters(plugin)())), folder / plugin.name)
        for plugin in plugins
    ]
    pipeline = run.manifest["pipeline"]
    frames = frames_of(run.records, run.table("picks"), pipeline["quotas"])
    done = export(asked, frames, folder, name=pipeline["name"], sound=check([call for call, _ in asked], frames))
    beside = [name for name in ATTRIBUTION if (run.path / name).exists()]
    for form in forms:
        for name in beside:
            shutil.copyfile(run.path / name, folder / form / name)
        own = [
            each | {"file": each["file"].removeprefix(f"{form}/")} for each in done.files if each["form"] == form
        ]
        write_cards(folder / form, run.numbers, pipeline, Exported(own, done.findings), beside=beside)
    return done
