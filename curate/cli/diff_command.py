"""curate diff: what differs between two runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from curate.diff import Difference

_NOT_THERE: Final = "not there"
_PATH_WIDTH: Final = 42
_UNSAID: Final = {"use", "name", "rules", "unknown", "then", "lifted", "language"}
_KINDS: Final = {
    "lost": "Kept in A and not in B",
    "gained": "Kept in B and not in A",
    "others": "Kept in both or in neither, and yet not the same",
}


@click.command("diff")
@click.argument("run_a", type=click.Path(path_type=Path))
@click.argument("run_b", type=click.Path(path_type=Path))
@click.option(
    "--rows", type=click.IntRange(min=0), default=3, show_default=True, metavar="N", help="Examples of each kind."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(run_a: Path, run_b: Path, rows: int, as_json: bool) -> None:
    """Say what differs between the run folders RUN_A and RUN_B: settings, and records by state and reason."""
    from curate.runs import load

    found = load(run_a).diff(load(run_b))
    if as_json:
        click.echo(json.dumps(found.plain(rows), ensure_ascii=False, indent=1, sort_keys=True))
        return
    console = Console(highlight=False)
    console.print(Text.assemble(("A  ", "bold"), run_a.as_posix()))
    console.print(Text.assemble(("B  ", "bold"), run_b.as_posix()))
    _settings(found, console)
    _counts(found, console)
    if found.rows.is_empty():
        return
    _states(found, console)
    _reasons(found, console)
    for kind, title in _KINDS.items() if rows else ():
        frame = getattr(found, kind)
        if not frame.is_empty():
            console.print(Text(f"\n{title}: {min(rows, frame.height):,} of {frame.height:,}", style="bold"))
            for example in found.examples(frame.head(rows)):
                _example(example, console)


def _settings(found: Difference, console: Console) -> None:
    if found.settings.is_empty():
        console.print("\nNo setting, input, version or code differs.")
        return
    console.print(Text("\nWhat differs", style="bold"))
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for setting, a, b in found.settings.iter_rows():
        table.add_row(Text(_end_of(setting)), Text(_change(a, b)))
    console.print(table)


def _end_of(setting: str) -> str:
    """A setting's path, of which the end says most."""
    return setting if len(setting) <= _PATH_WIDTH else f"…{setting[1 - _PATH_WIDTH :]}"


def _change(a: str, b: str) -> str:
    if not a or not b:
        return f"{'A' if a else 'B'} only: {_value(a or b)}"
    return f"{_value(a)} → {_value(b)}"


def _value(value: str) -> str:
    """A setting as a person reads it: of a table, the plug-in and its parameters."""
    if not value.startswith("{"):
        return value
    table = json.loads(value)
    given = ", ".join(f"{key} = {json.dumps(table[key])}" for key in sorted(table.keys() - _UNSAID))
    return f"{table.get('use', '')}({given})"


def _counts(found: Difference, console: Console) -> None:
    n = found.counts()
    apart = "".join(f", {n[f'only_{side}']:,} in {side.upper()} only" for side in "ab" if n[f"only_{side}"])
    console.print(f"\n{n['both']:,} records in both{apart}; {n['differing']:,} do not end the same.")
    console.print(
        f"A keeps {n['kept_a']:,}, B {n['kept_b']:,}: {n['lost']:,} lost from A to B, {n['gained']:,} gained."
    )
    if n["other_text"]:
        console.print(f"{n['other_text']:,} have another text.")


def _states(found: Difference, console: Console) -> None:
    rows = [(a or _NOT_THERE, b or _NOT_THERE, count) for a, b, count in found.states.iter_rows() if a != b]
    if rows:
        _table(console, "Records by state", ("in A", "in B", "records"), rows)


def _reasons(found: Difference, console: Console) -> None:
    rows = [row for row in found.reasons.iter_rows() if row[3] or row[4]]
    if rows:
        _table(
            console, "Records by reason, where they differ", ("rejected by", "A", "B", "A only", "B only"), rows
        )


def _table(console: Console, title: str, head: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> None:
    console.print(Text(f"\n{title}", style="bold"))
    table = Table(box=None, pad_edge=False)
    rows = list(rows)
    for place, name in enumerate(head):
        table.add_column(name, justify="right" if isinstance(rows[0][place], int) else "left")
    for row in rows:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else Text(cell) for cell in row))
    console.print(table)


def _example(row: Mapping[str, Any], console: Console) -> None:
    console.print(Text.assemble((row["id"], "cyan"), f"  A: {_end(row, 'a')}; B: {_end(row, 'b')}"))
    for field in ("prompt", "response"):
        if row[field] is not None:
            quote = " ".join(row[field]["text"].split())
            line = Text.assemble((f"  {field:<9} ", "dim"), visible(quote))
            line.truncate(console.width, overflow="ellipsis")
            console.print(line)


def _end(row: Mapping[str, Any], side: str) -> str:
    state = row[f"state_{side}"]
    detail = row[f"detail_{side}"]
    if state is None:
        return _NOT_THERE
    return f"{state} ({detail})" if detail else str(state)


def visible(text: str) -> str:
    """The text without what moves a terminal's cursor or changes its colours."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
