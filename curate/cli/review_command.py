"""curate review: look at rows of a run in a spreadsheet, and bring the decisions back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from curate.tables import STATES


@click.command("review")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--to", type=click.Path(path_type=Path), metavar="CSV", help="Write rows into a file, to be filled in."
)
@click.option(
    "--from", "filled", type=click.Path(path_type=Path), metavar="CSV", help="Read a file that is filled in."
)
@click.option(
    "--decisions", type=click.Path(path_type=Path), metavar="JSONL", help="With --from: the file to add to."
)
@click.option("--by", metavar="NAME", help="With --from: who decided, where the file does not say it.")
@click.option("--state", type=click.Choice(STATES), help="Rows that ended so.")
@click.option("--source", metavar="NAME", help="Rows of a source.")
@click.option("--domain", metavar="NAME", help="Rows of a domain.")
@click.option("--reason", metavar="RULE", help="Rows that a rule rejects.")
@click.option("--rule", metavar="RULE", help="Rows in which a rule found something, rejecting or not.")
@click.option("--text", default="", metavar="WORDS", help="Rows that say this, in any case.")
@click.option("--near-cut", is_flag=True, help="With --rule or --reason: those nearest to its limit first.")
@click.option(
    "--count", type=click.IntRange(min=1), default=100, show_default=True, metavar="N", help="At most N rows."
)
def command(
    run: Path,
    to: Path | None,
    filled: Path | None,
    decisions: Path | None,
    by: str | None,
    *,
    near_cut: bool,
    count: int,
    **asked: Any,
) -> None:
    """Write rows of the run folder RUN --to a CSV file, or bring the decisions in it back with --from.

    In the file, say accept, reject, edit or withdraw under `decision`, and `why`; of an edit change the text, too.
    Then `decisions = "decisions.jsonl"` in the pipeline lets the next run replay them.
    """
    from curate.decisions import add_decisions
    from curate.explore import Query
    from curate.review import export_rows, import_rows
    from curate.runs import load

    if (to is None) == (filled is None):
        raise click.UsageError("give --to CSV to write rows, or --from CSV to read them back")
    found = load(run)
    if to is not None:
        query = replace(Query(order="cut" if near_cut else "random"), **asked)
        rows = export_rows(found, to, query, count=count)
        click.echo(f"{rows:,} rows in {to}. Fill in `decision`, `why` and `by`, then:")
        click.echo(f"  curate review {run} --from {to} --decisions decisions.jsonl")
    elif filled is not None:
        if decisions is None:
            raise click.UsageError("say which file to add to: --decisions decisions.jsonl")
        added = add_decisions(decisions, import_rows(found, filled, by=by))
        click.echo(f"{added:,} decisions added to {decisions}.")
