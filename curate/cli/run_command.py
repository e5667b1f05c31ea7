"""curate run: from pipeline.toml to the training set."""

from __future__ import annotations

from pathlib import Path

import click

from curate.cli.options import PLUGINS, RUNS, WITHOUT
from curate.cli.progress import progress


@click.command("run")
@click.argument("pipeline", type=click.Path(path_type=Path))
@click.option(
    "--sample", type=click.IntRange(min=1), metavar="N", help="A first look: about N records of each source."
)
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Processes for Python-bound work [default: cores]."
)
@PLUGINS
@WITHOUT
@RUNS
@click.option("--rehash", is_flag=True, help="Digest every input again, whatever its times say.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def command(
    pipeline: Path,
    sample: int | None,
    workers: int | None,
    plugins: tuple[Path, ...],
    without: tuple[str, ...],
    runs: Path,
    rehash: bool,
    quiet: bool,
) -> None:
    """Run PIPELINE to its end, doing only what is not done yet."""
    from curate.runs import run

    with progress(quiet=quiet) as watch:
        done = run(
            pipeline,
            sample=sample,
            workers=workers,
            plugins=plugins,
            without=without,
            runs=runs,
            rehash=rehash,
            watch=watch,
        )
    if quiet:
        return
    numbers = done.numbers
    click.echo(f"\n{numbers['summary']['outcome']} {numbers['summary']['rest']}".rstrip())
    for alert in numbers["alerts"]:
        click.secho(f"note:  {alert}", fg="yellow")
    click.echo()
    for export in done.manifest["facts"]["exports"]:
        rows = "" if export["rows"] is None else f"  {export['rows']:,} rows"
        click.echo(f"  {done.path / export['file']}{rows}")
    for name in done.manifest["reports"]:
        click.echo(f"  {done.path / name}")
