"""curate train RUN: fine-tune a model on a set by a recipe."""

from __future__ import annotations

import sys
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from curate.cli.progress import progress as bars
from curate.cli.shown import visible
from curate.cli.train_options import PROCESSES, asked, trains
from curate.cli.train_progress import progress
from curate.errors import PipelineError

if TYPE_CHECKING:
    from curate.train.recipe import Recipe
    from curate.train.sets import TrainingSet
    from curate.train.training import Trained

TRAINED: Final = Path("trained")


@click.command("run")
@trains
@PROCESSES
@click.option(
    "--to", type=click.Path(path_type=Path), metavar="DIR", help="Where to write  [default: trained/SET-RECIPE]."
)
@click.option("--tensorboard", is_flag=True, help="Write DIR/tensorboard too.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def command(
    subject: Path, model: Path, processes: int, to: Path | None, tensorboard: bool, quiet: bool, **given: Any
) -> None:
    """Train the model in PATH on a finished RUN's set, or on a FILE of rows.

    The folder that is written holds the recipe with every value, tokens and labels of each row, a line for each
    step, whole states to go on from, the epochs that were kept, and the model that was picked. Stopped or killed,
    it goes on with `curate train resume`.
    """
    from curate.train.steps import launching

    if processes > 1 and not launching.launched():
        sys.exit(launching.launch(processes, sys.argv[1:]))
    from curate.train.training import join, train

    if not launching.world().first:
        join(processes=processes)  # the first process reads the set, and tells the others when it is prepared
        return
    with bars(quiet=quiet) as watch:
        set_, recipe = asked(subject, model=model, watch=watch, **given)
    target = to or TRAINED / f"{set_.name}-{recipe.name}"
    if not quiet:
        show_recipe(recipe)
    _check(set_, model, recipe, target, processes=processes, quiet=quiet)
    with progress(quiet=quiet) as watch:
        done = train(set_, model, recipe, target, watch=watch, processes=processes, tensorboard=tensorboard)
    if not quiet:
        show(done)


def _check(given: TrainingSet, model: Path, recipe: Recipe, to: Path, *, processes: int, quiet: bool) -> None:
    """Look the training over before it begins, and note in its folder what was found.

    Raises `PipelineError` when something was found that training would stop at.
    """
    from curate.train.checks.check import check
    from curate.train.preparing import check_new

    check_new(to)
    found = check(given, model, recipe, processes=processes, to=to)
    if found.errors:
        first, *more = (each for each in found.findings if each["severity"] == "error")
        also = f", and {len(more)} faults more" if more else ""
        raise PipelineError(
            f"this training would not get far: {first['sentence']}{also}",
            where=f"{given.path}, by the recipe {recipe.name}",
            next="`curate train check` with the same arguments shows all of it",
        )
    if not quiet:
        for sentence in found.sentences():
            click.secho(visible(sentence), fg="yellow", err=True)
    found.write(to)


def show_recipe(recipe: Recipe) -> None:
    """Print every value of the recipe; those that are not its file's in bold."""
    from curate.train.recipe import read_recipe, recipe_names

    published = read_recipe(recipe.name).plain() if recipe.name in recipe_names() else recipe.plain()
    values = {name: value for name, value in recipe.plain().items() if name not in {"name", "source", "version"}}
    source = f" ({recipe.source})" if recipe.source else ""
    click.echo(f"recipe {recipe.name}, version {recipe.version}{source}", err=True)
    table = Table.grid(padding=(0, 2, 0, 0))
    cells = [
        (Text(f"  {name}", style="dim"), Text(_said(value), style="bold" if value != published[name] else ""))
        for name, value in values.items()
    ]
    half = (len(cells) + 1) // 2
    for left, right in zip_longest(cells[:half], cells[half:], fillvalue=(Text(), Text())):
        table.add_row(*left, *right)
    Console(stderr=True, highlight=False).print(table)
    changed = [f"{name} = {_said(value)}" for name, value in values.items() if value != published[name]]
    if changed:
        click.echo(f"  changed: {', '.join(changed)}", err=True)


def _said(value: Any) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case [int(first), int(last)]:
            return f"{first} to {last}"  # the epochs that are kept
        case list():
            return ", ".join(map(str, value))
        case "":
            return "–"
    return str(value)


def show(done: Trained) -> None:
    """Print what came of training and what can be done with it."""
    click.echo(f"\n{done.steps:,} {'step' if done.steps == 1 else 'steps'}, last loss {done.loss:.4f}")
    for sentence in done.said:
        click.echo(f"  {sentence}")
    click.echo(f"  {done.folder / 'report.html'}")
    if done.model is None:
        click.echo(f"\nNo epoch is picked yet: curate train pick {done.folder}")
    else:
        click.echo(f"  {done.model}\n\nTalk to it: curate train chat {done.folder}")
