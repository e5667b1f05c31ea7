"""curate report: the whole report on files that no pipeline made, or the page of a run, made anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from curate.cli.options import PARAMETERS, PLUGINS, RUNS, SOURCE
from curate.cli.progress import progress
from curate.cli.shown import visible

if TYPE_CHECKING:
    from curate.reporting import FileSet

_REASONS: Final = 3  # why rows could not be read
_NAMED: Final = 6  # domains and licences
# Keys by which published sets say what a row is about, or where it is from.
_TOPICS: Final = ("category", "source", "subset", "task", "topic", "dataset", "type")


@click.command("report")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...|RUN")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The folder or .html file to write.  [default: here; of a run, its own]",
)
@SOURCE
@PARAMETERS
@PLUGINS
@RUNS
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def command(
    paths: tuple[str, ...],
    out: Path | None,
    source: str | None,
    given: dict[str, Any],
    plugins: tuple[Path, ...],
    runs: Path,
    quiet: bool,
) -> None:
    """Make the report on FILEs that no pipeline made; or make the page of a finished RUN anew.

    Files are JSON lines, JSON arrays, CSV, Parquet or Arrow, of messages, conversations, prompts with completions,
    or instructions; which it is, is found out. No row is left out: those that cannot be read and those that repeat
    others are counted.
    """
    from curate.reporting import is_run, open_files, render, write_report

    if len(paths) == 1 and is_run(paths[0]):
        written = render(paths[0], out)
        if not quiet:
            click.echo(written)
        return
    with progress(quiet=quiet) as watch:
        opened = open_files(*paths, source=source, runs=runs, plugins=plugins, watch=watch, **given)
        made = opened.report()
        files = write_report(made, out or Path(), opened.name)
    if quiet:
        return
    console = Console(highlight=False)
    _facts(opened, made, console)
    for alert in made["alerts"]:
        console.print(Text(f"note:  {visible(alert)}", style="yellow"))
    click.echo()
    for file in files:
        click.echo(f"  {file}")


def _facts(opened: FileSet, made: dict[str, Any], console: Console) -> None:
    summary = made["summary"]
    console.print(Text(visible(f"{summary['outcome']} {summary['rest']}"), style="bold"))
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for found in opened.looks:
        names = ", ".join(path.name for path in found.inputs)
        table.add_row("read as", Text(visible(f"{found.source}: {'; '.join(found.counts.layouts)} ({names})")))
    total = made["intake"]["total"]
    if total["unreadable"]:
        why = ", ".join(f"{row['rows']:,} {row['reason']}" for row in made["unreadable"]["reasons"][:_REASONS])
        table.add_row("unreadable", Text(visible(f"{total['unreadable']:,} of {total['native']:,} rows: {why}")))
    for cause in total["passed_over"]:
        table.add_row("passed over", Text(visible(f"{cause['rows']:,} {cause['cause']}")))
    for field in ("prompt", "response"):
        for row in made["lengths"][field]["splits"]:
            if row["n"] and row["split"] != "all":
                told = f"{row['median']:,} characters in the middle; 9 of 10 have {row['p5']:,} to {row['p95']:,}"
                table.add_row(f"{field}s", told)
    named = [row for row in made["domains"] if row["domain"] is not None]
    if named:
        table.add_row("domains", Text(visible(_most([(row["domain"], row["records"]) for row in named]))))
    elif topic := _topic(opened):
        table.add_row("domains", Text(visible(f"none; --set domain={topic} takes the rows' {topic!r} for one")))
    console.print(table)


def _most(counted: list[tuple[str, int]]) -> str:
    more = f" and {len(counted) - _NAMED:,} more" if len(counted) > _NAMED else ""
    return ", ".join(f"{name} {records:,}" for name, records in counted[:_NAMED]) + more


def _topic(opened: FileSet) -> str | None:
    """A key under which every row that was looked at has a short text, which may say what it is about."""
    return next((key for key in _TOPICS if opened.has(key)), None)
