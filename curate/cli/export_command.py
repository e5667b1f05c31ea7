"""curate export: a finished run for another trainer, without running it again."""

from __future__ import annotations

from pathlib import Path

import click

from curate.cli.options import PLUGINS


@click.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--for",
    "readers",
    multiple=True,
    required=True,
    metavar="READER",
    help="trl, axolotl, llama-factory, openai, hub, unsloth, litgpt, … or an exporter (`curate list exports`).",
)
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where to write [default: exports/NAME of the run].",
)
@PLUGINS
def command(run: Path, readers: tuple[str, ...], to: Path | None, plugins: tuple[Path, ...]) -> None:
    """Write the splits of RUN for a trainer, with its configuration and a card; RUN itself stays as it is."""
    from curate import registry
    from curate.forms import write_forms
    from curate.runs import load

    registry.use_folders(plugins)
    loaded = load(run)
    target = to or Path("exports") / loaded.name
    done = write_forms(loaded, readers, target)
    for finding in done.findings:
        click.secho(f"note:  {finding['sentence']}", fg="yellow")
    for file in done.files:
        if not file["file"].endswith(".ids.jsonl"):
            rows = "" if file["rows"] is None else f"  {file['rows']:,} rows"
            click.echo(f"  {target / file['file']}{rows}")
    click.echo("\n`LOADING.md` beside each form says how it is read; `README.md` is its card.")
