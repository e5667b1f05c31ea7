"""Progress of training: a bar with loss and speed on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Final, Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from curate.cli.shown import visible
from curate.train.steps.callbacks import Watch

_LINE_EVERY: Final = 10.0  # seconds between two lines where there is no terminal


class Bar(Watch, AbstractContextManager["Bar"]):
    """A bar of all steps, on a terminal."""

    def __init__(self) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self.task: TaskID | None = None

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def on_word(self, sentence: str) -> None:
        self.progress.console.print(visible(sentence), style="yellow", markup=False, highlight=False)

    def on_begin(self, steps: int, done: int) -> None:
        self.task = self.progress.add_task("steps", total=steps, completed=done, told="")

    def on_step(self, metrics: dict[str, Any]) -> None:
        if self.task is not None:
            self.progress.update(self.task, completed=metrics["step"], told=_told(metrics))

    def on_epoch(self, kept: dict[str, Any]) -> None:
        self.progress.console.print(_heard(kept), markup=False, highlight=False)


class Lines(Watch):
    """A line every ten seconds and for each kept epoch, where there is no terminal."""

    def __init__(self) -> None:
        self.steps, self.said = 0, time.monotonic()

    def on_word(self, sentence: str) -> None:
        click.echo(visible(sentence), err=True)

    def on_begin(self, steps: int, done: int) -> None:
        self.steps = steps
        click.echo(
            f"{steps:,} {'step' if steps == 1 else 'steps'}" + (f", of which {done:,} are done" if done else ""),
            err=True,
        )

    def on_step(self, metrics: dict[str, Any]) -> None:
        now = time.monotonic()
        if now - self.said >= _LINE_EVERY or metrics["step"] == self.steps:
            self.said = now
            click.echo(f"  step {metrics['step']:,} of {self.steps:,}: {_told(metrics)}", err=True)

    def on_epoch(self, kept: dict[str, Any]) -> None:
        click.echo(_heard(kept), err=True)


def progress(*, quiet: bool) -> AbstractContextManager[Watch]:
    """What to show training with: nothing, a bar on a terminal, or lines."""
    if quiet:
        return nullcontext(Watch())
    return Bar() if Console(stderr=True).is_terminal else nullcontext(Lines())


def _told(metrics: dict[str, Any]) -> str:
    return (
        f"epoch {metrics['epoch']:.2f}  loss {metrics['loss']:.4f}  {metrics['tokens_per_second']:,.0f} tokens/s"
    )


def _heard(kept: dict[str, Any]) -> str:
    told = [f"epoch {kept['epoch']} kept"]
    if kept.get("dev_loss"):
        told.append(f"dev loss {kept['dev_loss']['per_token']:.4f} a token")
    if kept.get("spoken"):
        spoken = kept["spoken"]
        told.append(f"{spoken['ended']} of {spoken['answers']} answers ended by themselves")
    return ", ".join(told)
