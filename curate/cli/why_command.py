"""curate why: the chain of one record."""

from __future__ import annotations

from pathlib import Path

import click

from curate.cli.diff_command import visible
from curate.errors import CurateError


@click.command("why")
@click.argument("run_and_id", nargs=-1, required=True, metavar="[RUN] ID")
def command(run_and_id: tuple[str, ...]) -> None:
    """Say why the record ID (or address) is in or out of the run folder RUN (default: the newest under runs/)."""
    from curate.runs import load

    *folders, id = run_and_id
    if len(folders) > 1:
        raise click.UsageError("too many arguments: give a run folder and an id, or an id")
    run = load(folders[0] if folders else _newest())
    try:
        said = str(run.why(id))
    except CurateError as error:
        # Without RUN, nobody has said which run was looked at.
        raise type(error)(error.what, where=f"{run.path}, {error.where}", next=error.next) from None
    click.echo("\n".join(map(visible, said.split("\n"))))


def _newest() -> Path:
    manifests = sorted(Path("runs").glob("*/manifest.json"), key=lambda file: file.stat().st_mtime)
    if not manifests:
        raise CurateError(
            "there is no finished run here", where="runs/", next="name its folder: curate why RUN ID"
        )
    return manifests[-1].parent
