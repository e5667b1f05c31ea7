"""curate init: a pipeline to begin from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from curate.cli.list_command import presets
from curate.errors import PipelineError, nearest


@click.command("init")
@click.argument("preset", default="alpaca-1k", metavar="[PRESET]")
@click.option("--force", is_flag=True, help="Write over files that are there.")
def command(preset: str, force: bool) -> None:
    """Write the pipeline PRESET, and the files it names, into this folder.

    `curate list presets` shows them; without a name it is alpaca-1k.
    """
    names = [name for name, _ in presets()]
    if preset not in names:
        raise PipelineError(f"no preset is called {preset!r}", next=nearest(preset, names))
    shipped = {
        file.name: file.read_text("utf-8")
        for file in resources.files("curate.presets").iterdir()
        if file.name.endswith(".toml")
    }
    pipeline = f"{preset}.toml"
    wanted = [pipeline, *(name for name in shipped if f'"{name}"' in shipped[pipeline])]
    for name in wanted:
        if Path(name).exists() and not force:
            raise PipelineError(
                "the file is there already", where=name, next="use `--force` to write over it, or another folder"
            )
    for name in wanted:
        Path(name).write_text(shipped[name], "utf-8")
        click.echo(f"wrote {name}")
    click.echo(f"next: put your own paths where {pipeline} has a `←`, then")
    click.echo(f"      `curate plan {pipeline}` and `curate run {pipeline}`")
