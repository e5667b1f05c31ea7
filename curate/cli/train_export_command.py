"""curate train export: a set for another trainer, as ids and labels that it takes as they are, or as messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from curate.cli.train_options import PROCESSES, asked, trains


@click.command("export")
@trains
@click.option(
    "--to",
    "--for",
    "targets",
    multiple=True,
    required=True,
    metavar="TRAINER",
    help="axolotl, llama-factory or trl; more than once for several.",
)
@click.option("--editable", is_flag=True, help="Messages to be edited, instead of exact ids and labels.")
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the trainers' folders are made.  [default: exports/NAME of the set]",
)
@PROCESSES
def command(
    model: Path, targets: tuple[str, ...], *, editable: bool, into: Path | None, processes: int, **subject: Any
) -> None:
    """Write RUN or FILE for another trainer: rows, its configuration, and what it cannot do of the recipe."""
    from curate.train.targets.handoff import hand_offs, target_named

    named = dict.fromkeys(map(target_named, targets))
    given, recipe = asked(model=model, **subject)
    folder = into or Path("exports") / given.name
    folders: dict[str, Path] = {
        target: folder / (f"{target}-editable" if editable else target) for target in named
    }
    done = hand_offs(given, model, recipe, folders, exact=not editable, processes=processes)
    for target, files in done.items():
        click.echo(f"{target}:")
        for file in files:
            click.echo(f"  {folders[target] / file}")
    click.echo("\n`LOADING.md` says how each is started; `NOT_CARRIED.md`, what is not done of the recipe.")
