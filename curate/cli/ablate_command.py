"""curate ablate: what each rule does, by leaving it out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from curate.cli.diff_command import visible
from curate.cli.options import PLUGINS, RUNS
from curate.cli.progress import progress

if TYPE_CHECKING:
    from curate.ablation import Ablation

# Heads of columns, short enough for a terminal of 80 characters.
_HEADS: Final = {
    "judged": "judged",
    "rejected": "rejects",
    "alone": "alone",
    "then_rejected": "→rej.",
    "then_duplicate": "→dup.",
    "then_contaminated": "→contam.",
    "then_not_drawn": "→undrawn",
    "then_kept": "→kept",
    "gained": "gain",
    "lost": "loss",
    "masked": "masks",
}
_WHERE_ANY: Final = (
    "then_rejected",
    "then_duplicate",
    "then_contaminated",
    "then_not_drawn",
    "masked",
)  # columns shown only where they count something


@click.command("ablate")
@click.argument("pipeline", type=click.Path(path_type=Path))
@click.option("--rule", "rules", multiple=True, metavar="RULE", help="Leave out this one [default: each in turn].")
@click.option("--examples", is_flag=True, help="Show a few of the records that each rule alone rejects.")
@click.option(
    "--sample", type=click.IntRange(min=1), metavar="N", help="A first look: about N records of each source."
)
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Processes for Python-bound work [default: cores]."
)
@PLUGINS
@RUNS
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def command(
    pipeline: Path,
    rules: tuple[str, ...],
    examples: bool,
    sample: int | None,
    workers: int | None,
    plugins: tuple[Path, ...],
    runs: Path,
    quiet: bool,
) -> None:
    """Run PIPELINE, then leave out one rule at a time, and say what each does to the set.

    What only one rule rejects is measured, deduplicated and drawn as if the rule were not there. The table and
    examples are written to ablation.md and ablation.json in the run's folder.
    """
    from curate.ablation import ablate

    with progress(quiet=quiet) as watch:
        made = ablate(
            pipeline, rules=rules, sample=sample, workers=workers, plugins=plugins, runs=runs, watch=watch
        )
    if quiet:
        return
    console = Console(highlight=False)
    kept = made.run.numbers["summary"]["kept"]
    console.print(f"\n[bold]{made.run.name}[/], leaving one rule out; with all rules {kept:,} records are kept\n")
    console.print(_table(made))
    console.print(
        "\nalone: what no other rule rejects; → what becomes of it without the rule: rejected by a rule on"
        " measures, a duplicate, not drawn, or kept, as far as there is any. gain, loss: what the set gains and"
        " loses without the rule. Was it right? ablation.md has examples for each rule.",
        style="dim",
    )
    if examples:
        _examples(made, console)
    click.echo()
    for name in ("ablation.md", "ablation.json"):
        click.echo(f"  {made.run.path / name}")


def _table(made: Ablation) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("rule", overflow="fold")
    columns = [name for name in _HEADS if name not in _WHERE_ANY or made.table[name].sum()]
    for name in columns:
        table.add_column(_HEADS[name], justify="right", no_wrap=True)
    for row in made.table.to_dicts():
        table.add_row(row["rule"], *(f"{row[name]:,}" if row[name] else "[dim]0[/]" for name in columns))
    return table


def _examples(made: Ablation, console: Console) -> None:
    rule = None
    for row in made.examples.to_dicts():
        if row["rule"] != rule:
            rule = row["rule"]
            console.print(Text(f"\n{rule} alone rejects, for example", style="bold"))
        console.print(Text.assemble((row["id"], "cyan"), f"  without the rule: {_end(row)}"))
        for field in ("evidence", "prompt", "response"):
            if row[field] is not None:
                line = Text.assemble((f"  {field:<9} ", "dim"), visible(row[field]))
                line.truncate(console.width, overflow="ellipsis")
                console.print(line)


def _end(row: dict[str, Any]) -> str:
    return f"{row['state']} ({row['detail']})" if row["detail"] else str(row["state"])
