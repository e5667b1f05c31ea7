"""curate train pick: see the kept epochs, and choose the one that becomes the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from curate.cli.train_options import BASE

if TYPE_CHECKING:
    import polars as pl


@click.command("pick")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--epoch", type=click.IntRange(min=1), metavar="N", help="Make this epoch the model.")
@click.option(
    "--by", type=click.Choice(("loss", "last")), help="The one with the least loss on the dev rows, or the last."
)
@click.option("--why", default="", metavar="TEXT", help="Why it is this one; recorded in picked.json.")
@click.option("--who", default="", metavar="NAME", help="Who chose; recorded as well.")
@click.option(
    "--show", type=click.IntRange(min=1), metavar="N", help="Read what each epoch answers to the first N prompts."
)
@BASE
def command(
    folder: Path, epoch: int | None, by: Any, why: str, who: str, show: int | None, model: Path | None
) -> None:
    """Choose which kept epoch of the training folder DIR becomes its model/; without a choice, show the table.

    Epochs of LIMA's recipe were chosen by hand, on answers to the prompts of the dev set, since the loss on such
    rows rises while answers get better. Another choice may be made at any time.
    """
    from curate.train.report.page import write_report
    from curate.train.speech.picking import epochs, pick, picked

    if epoch is not None and by is not None:
        raise click.UsageError("give --epoch or --by, not both")
    if model is not None and epoch is None and by is None:
        raise click.UsageError("a base model is of use to a choice alone: give --epoch or --by as well")
    if show and (epoch is not None or by is not None):
        raise click.UsageError("--show is for reading before a choice: give it without --epoch and --by")
    if (why or who) and epoch is None and by is None:
        raise click.UsageError("--why and --who are of a choice: give --epoch or --by as well")
    console = Console(highlight=False)
    if epoch is None and by is None:
        table = epochs(folder)
        before = picked(folder)
        _print(table, before, console)
        if show:
            _answers(folder, table, show, console)
        _next(folder, table, before, console)
        return
    note = pick(folder, epoch=epoch, by=by, who=who, why=why, model=model)
    write_report(folder)
    loss = note["dev_per_token"]
    said = "" if loss is None else f", loss {loss:.4f} a token on the dev rows"
    console.print(Text(f"epoch {note['epoch']}{said}, is now {folder / 'model'}"))
    console.print(Text(f"Try: curate train chat {folder}"), style="dim", soft_wrap=True)


def _print(table: pl.DataFrame, before: dict[str, Any] | None, console: Console) -> None:
    """The table of kept epochs."""
    if table.is_empty():
        console.print("No epoch is kept yet.")
        return
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("epoch", "step", "dev loss", "by row", "answers", "ended", "tokens"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("")
    known = table["dev_per_token"].drop_nulls()
    least = known.min() if len(known) else None
    for row in table.iter_rows(named=True):
        loss = row["dev_per_token"]
        marks = ["picked"] if before and before["epoch"] == row["epoch"] else []
        marks += [] if row["whole"] else ["damaged"]
        shown.add_row(
            str(row["epoch"]),
            _number(row["step"], ","),
            Text(_number(loss, ".4f"), style="bold" if loss is not None and loss == least else ""),
            _number(row["dev_per_row"], ".4f"),
            _number(row["answers"], ","),
            _number(row["ended"] / row["answers"] if row["answers"] else None, ".0%"),
            _number(row["mean_tokens"], ",.0f"),
            Text(", ".join(marks), style="red" if not row["whole"] else "green"),
        )
    console.print(shown)
    console.print(
        Text(
            "dev loss: the mean over learned tokens of the dev rows; by row: the mean of rows' means. answers: to"
            " prompts of the dev set; ended: those that the model ended itself; tokens: their mean length.",
            style="dim",
        )
    )


def _answers(folder: Path, table: pl.DataFrame, count: int, console: Console) -> None:
    """What each epoch answers, prompt by prompt."""
    from curate.cli.spoken import spoken
    from curate.train.speech.picking import read_answers

    files = {row["epoch"]: row["file"] for row in table.to_dicts() if row["file"]}
    said = {epoch: {each["id"]: each for each in read_answers(folder / file)} for epoch, file in files.items()}
    first = next(iter(said.values()), {})
    for id, asked in list(first.items())[:count]:
        console.print(Text(f"\n{id}", style="dim"))
        console.print(Text(spoken(asked["prompt"]), style="bold"))
        for epoch, answers in said.items():
            if (answer := answers.get(id)) is None:
                continue
            stop = "" if answer["stop"] == "end" else ", cut off"
            console.print(Text(f"\nepoch {epoch} ({answer['tokens']:,} tokens{stop})", style="cyan"))
            console.print(Text(spoken(answer["answer"])))


def _next(folder: Path, table: pl.DataFrame, before: dict[str, Any] | None, console: Console) -> None:
    """What can be done now."""
    lines = []
    if table.is_empty():
        lines.append(f"Let training go on: curate train resume {folder}")
    if before is not None:
        who = {"": "by hand", "recipe": "by the recipe"}.get(before["who"], f"by {before['who']}")
        how = {"loss": ", for the least loss", "last": ", as the last"}.get(before["by"], "")
        why = f": {before['why']}" if before["why"] else ""
        lines.append(f"Epoch {before['epoch']} was picked {who}{how}{why}.")
    files = table["file"].drop_nulls().to_list()
    if files:
        lines.append(f"Read the answers in {folder / 'generations'}, or: curate train pick {folder} --show 5")
    if table.height > 1 or (before is None and table.height):
        lines.append(f"Choose: curate train pick {folder} --epoch N, or --by loss")
    console.print(Text("\n".join(lines)), soft_wrap=True)


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
