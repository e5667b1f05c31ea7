"""curate train resume: go on where training was stopped or killed."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from curate.cli.train_options import BASE
from curate.cli.train_progress import progress
from curate.cli.train_run_command import show


@click.command("resume")
@click.argument("folder", type=click.Path(path_type=Path))
@BASE
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def command(folder: Path, model: Path | None, quiet: bool) -> None:
    """Go on with the training in FOLDER from its newest whole state, to the same weights as without the stop.

    It takes as many processes as it began with.
    """
    from curate.train.steps import launching
    from curate.train.training import read_facts, resume

    processes = read_facts(folder)["processes"]
    if processes > 1 and not launching.launched():
        sys.exit(launching.launch(processes, sys.argv[1:]))
    quiet = quiet or not launching.world().first
    with progress(quiet=quiet) as watch:
        done = resume(folder, model, watch=watch)
    if not quiet:
        show(done)
