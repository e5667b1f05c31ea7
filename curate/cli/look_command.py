"""curate look: a first look at an input, before any pipeline exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from curate.cli.options import PARAMETERS, PLUGINS
from curate.cli.progress import progress

_SHOWN_CHARS: Final = 1_200  # of a turn
_SHOWN_REASONS: Final = 3
# What moves a terminal's cursor or changes its colours is shown as a picture of itself.
_VISIBLE: Final = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}
_STYLES: Final = {"system": "magenta", "user": "cyan", "assistant": "green", "tool": "yellow"}


@click.command("look")
@click.argument("source")
@click.argument("paths", nargs=-1, required=True, metavar="PATH")
@PARAMETERS
@click.option(
    "--records", type=click.IntRange(min=0), default=3, show_default=True, metavar="N", help="How many to show."
)
@click.option("--all", "whole", is_flag=True, help="Count everything, not only where the first records are.")
@PLUGINS
def command(
    source: str,
    paths: tuple[str, ...],
    given: dict[str, Any],
    records: int,
    whole: bool,
    plugins: tuple[Path, ...],
) -> None:
    """Show what SOURCE (see `curate list sources`) makes of PATH: a file, a folder, or a pattern in quotes."""
    from curate import registry
    from curate.looking import look

    if len(paths) > 1:
        raise click.UsageError("give one path; a pattern stands in quotes, so that the shell leaves it as it is")
    registry.use_folders(plugins)
    with progress(quiet=not whole) as watch:
        found = look(source, paths[0], whole=whole, watch=watch, **given)
    console = Console(soft_wrap=True)
    console.print(Text(f"{found.source}: {found.path}", style="bold"))
    for name, value in found.facts.items():
        console.print(Text.assemble((f"  {name:<11}  ", "dim"), _harmless(value)))
    for row in found.counts.unreadable[:_SHOWN_REASONS]:
        console.print(
            Text(_harmless(f"  unreadable   {row.file} at {row.position:,}: {row.reason}"), style="yellow")
        )
    for number, record in enumerate(found.records.head(records).to_dicts(), start=1):
        of = f"{min(records, found.records.height)}"
        console.print(Text(_harmless(f"\n── {number} of {of}: {record['id']}"), style="bold"))
        for role, text in _turns(record):
            console.print(Text(f"{role}:", style=_STYLES.get(role, "bold")))
            console.print(Text(_harmless(_cut(text))))
    if not found.made:
        known = f"`curate list sources {found.source}` says what its parameters change"
        console.print(
            Text(f"\nNo record comes of it so. {known}; try them with `--set NAME=VALUE`.", style="yellow")
        )
    console.print(Text("\nIn a pipeline:", style="bold"))
    click.echo(f"\n{found.lines}", nl=False)
    if not found.whole:
        click.echo("\nThe rest was not looked at; `--all` counts everything.")


def _turns(record: dict[str, Any]) -> list[tuple[str, str]]:
    """A record as a chat. The context follows the prompt, as it does in what is exported."""
    turns = [("system", record["system"])] if record["system"] else []
    turns += [(turn["role"], turn["text"]) for turn in record["history"]]
    prompt = record["prompt"]
    turns.append(("user", f"{prompt}\n\n{record['context']}" if record["context"] else prompt))
    return turns if record["response"] is None else [*turns, ("assistant", record["response"])]


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS].rstrip()} … ({len(text):,} characters)"


def _harmless(text: str) -> str:
    return text.translate(_VISIBLE)
