"""The training set as tasks, in the form of Alpaca's data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.export import Records, exports
from curate.export.rows import Form, frames_of, write_split

_KEYS: Final = ("instruction", "input", "output")


@exports
def alpaca(records: Records, split: str, folder: Path) -> list[Path]:
    """Tasks as JSON lines: {"instruction": …, "input": …, "output": …}, with the ids beside them.

    The keys are those of Alpaca's data (tatsu-lab/stanford_alpaca, alpaca_data.json): exactly these, all texts. A
    record without context has the empty input, by which Alpaca's trainer chooses its template. Writes
    `<split>.jsonl` and `<split>.ids.jsonl` in the same order; a split without records leaves no files, but train
    leaves empty ones.

    Raises `CurateError` when a record is no task, being a dialogue, or having a system message or no response, or
    there is no room; `ReproducibilityError` when what is loaded back is not what was written.
    """
    return write_split(TASK, _tasks(frames_of(records)), split, folder)


def fault(task: Any) -> str:
    """What keeps a JSON value from being a task; empty when nothing does."""
    if not isinstance(task, dict) or tuple(task) != _KEYS:
        if isinstance(task, dict) and set(_KEYS) < set(task):
            return f"it has {', '.join(sorted(set(task) - set(_KEYS)))}"
        return "other keys"
    for key in _KEYS:
        if not isinstance(task[key], str):
            return f"no {key}"
        if key != "input" and not task[key].strip():
            return f"an empty {key}"
    return ""


TASK: Final = Form(
    "task", fault, "export it as `messages`, or reject it with a rule (`removed` rejects empty texts)"
)


def _tasks(frames: Iterable[pl.DataFrame]) -> Iterator[tuple[str, dict[str, Any]]]:
    for frame in frames:
        columns = frame.select("id", "system", "history", "prompt", "context", "response")
        for id, system, history, prompt, context, response in columns.iter_rows():
            task = {"instruction": prompt, "input": context or "", "output": response}
            # Kept, so that it is seen that the form has no place for them.
            more = {"earlier turns": history, "a system message": system}
            yield id, task | {name: value for name, value in more.items() if value}
