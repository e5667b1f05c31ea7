"""What training tells whoever watches it, and the file in which each step is noted once."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TextIO

from curate.errors import PluginError
from curate.store import write_text

METRICS: Final = "metrics.jsonl"
TENSORBOARD: Final = "tensorboard"


class Watch:
    """Hears how training goes and says nothing. Subclasses show it."""

    def on_word(self, sentence: str) -> None:
        """Something worth a line."""

    def on_begin(self, steps: int, done: int) -> None:
        """Steps begin: how many there are in all, and how many were done before."""

    def on_step(self, metrics: dict[str, Any]) -> None:
        """A step is done; `metrics` is its line of metrics.jsonl."""

    def on_epoch(self, kept: dict[str, Any]) -> None:
        """The weights of an epoch are kept and were heard; `kept` is its `epochs/epoch-05.json`."""


class Ledger:
    """The lines of metrics.jsonl: one a step, and none twice, however often training was stopped."""

    def __init__(self, folder: Path, done: int, *, tensorboard: bool = False) -> None:
        """Open the file with the lines of the first `done` steps; those of later steps are taken again."""
        self._board = _board(folder / TENSORBOARD, done) if tensorboard else None
        self._file = folder / METRICS
        lines = [json.dumps(line) for line in read_metrics(folder) if line["step"] <= done]
        write_text(self._file, "".join(f"{line}\n" for line in lines))
        self._open: TextIO = self._file.open("a", encoding="utf-8")

    def note(self, metrics: dict[str, Any]) -> None:
        """Add a step's line, which is in the system's hands when this returns."""
        self._open.write(json.dumps(metrics) + "\n")
        self._open.flush()
        if self._board is not None:
            for name, value in metrics.items():
                self._board.add_scalar(name, value, metrics["step"])

    def settle(self) -> None:
        """Have the lines on the disk, as a state that is saved relies on them."""
        os.fsync(self._open.fileno())

    def close(self) -> None:
        """Close the file."""
        self._open.close()
        if self._board is not None:
            self._board.close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of a training folder's metrics.jsonl; a last one that was cut off is left out."""
    file = folder / METRICS
    text = file.read_text("utf-8") if file.exists() else ""
    # What comes after the last line end was being written when the process ended.
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def check_tensorboard() -> None:
    """Raise `PluginError` where TensorBoard is asked for and not installed."""
    if find_spec("tensorboard") is None:
        raise PluginError("TensorBoard is not installed", next="pip install tensorboard")


def _board(folder: Path, done: int) -> Any:
    """A writer for TensorBoard, which forgets what it has of steps after the first `done`."""
    check_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    writer: Any = SummaryWriter
    return writer(str(folder), purge_step=done + 1)
