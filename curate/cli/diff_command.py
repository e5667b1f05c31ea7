"""curate diff: what differs between two runs, or between two sets of files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from curate.cli.options import PARAMETERS, PLUGINS, RUNS, SOURCE
from curate.cli.progress import progress
from curate.cli.shifts_table import print_shifts
from curate.cli.shown import visible

if TYPE_CHECKING:
    from curate.diff import Difference
    from curate.diff_files import FilesDifference

__all__ = ["command", "visible"]

_ROWS: Final = 3  # examples of each kind in a terminal
_ROWS_OF_PAGE: Final = 20
_NOT_THERE: Final = "not there"
_PATH_WIDTH: Final = 42
_KINDS: Final = {
    "lost": "Kept in A and not in B",
    "gained": "Kept in B and not in A",
    "others": "Kept in both or in neither, and yet not the same",
}
_KINDS_OF_FILES: Final = {"changed": "In both, and not the same", "lost": "Only in A", "gained": "Only in B"}
_MARKS: Final = {"a": "bold red", "b": "bold green"}


@click.command("diff")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--rows", type=click.IntRange(min=0), metavar="N", help="Examples of each kind.  [default: 3; in a page 20]"
)
@click.option(
    "--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page that needs no network."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@SOURCE
@PARAMETERS
@PLUGINS
@RUNS
def command(
    a: str,
    b: str,
    rows: int | None,
    html: Path | None,
    as_json: bool,
    source: str | None,
    given: dict[str, Any],
    plugins: tuple[Path, ...],
    runs: Path,
) -> None:
    """Say what differs between A and B: two run folders, or two sets that no pipeline made.

    Of runs: settings, records by state and reason, and the rows lost and gained. Of files, such as JSON lines or
    Parquet: the rows that only one has, and those that both have and that changed. Of either: how far each
    distribution is apart.
    """
    from curate.diff import Difference
    from curate.reporting import compared

    with progress(quiet=as_json) as watch:
        found = compared(a, b, source=source, runs=runs, plugins=plugins, watch=watch, **given)
    if html is not None:
        from curate.report.diff_page import diff_page
        from curate.store import write_text

        html.parent.mkdir(parents=True, exist_ok=True)
        write_text(html, diff_page(found.plain(_ROWS_OF_PAGE if rows is None else rows)))
    rows = _ROWS if rows is None else rows
    if as_json:
        click.echo(json.dumps(found.plain(rows), ensure_ascii=False, indent=1, sort_keys=True))
        return
    console = Console(highlight=False)
    names = found.plain(0)
    console.print(Text.assemble(("A  ", "bold"), visible(names["a"])))
    console.print(Text.assemble(("B  ", "bold"), visible(names["b"])))
    if isinstance(found, Difference):
        _runs(found, rows, console)
    else:
        _files(found, rows, console)
    if html is not None:
        console.print(Text(f"\n{html}", style="bold"))


def _runs(found: Difference, rows: int, console: Console) -> None:
    _settings(found, console)
    _counts(found, console)
    print_shifts(found.shifts, console)
    if found.rows.is_empty():
        return
    _states(found, console)
    _reasons(found, console)
    for kind, title in _KINDS.items() if rows else ():
        frame = getattr(found, kind)
        if not frame.is_empty():
            console.print(Text(f"\n{title}: {min(rows, frame.height):,} of {frame.height:,}", style="bold"))
            for example in found.examples(frame.head(rows)):
                _example(example, f"A: {_end(example, 'a')}; B: {_end(example, 'b')}", console)


def _files(found: FilesDifference, rows: int, console: Console) -> None:
    from curate.diff_files import not_compared

    n = found.counts()
    same = ("the same in both", n["same"], _share(n["same"], n["rows_a"]), _share(n["same"], n["rows_b"]))
    table = [
        same,
        ("changed", n["changed"], _share(n["changed"], n["rows_a"]), _share(n["changed"], n["rows_b"])),
        ("only in A", n["lost"], _share(n["lost"], n["rows_a"]), ""),
        ("only in B", n["gained"], "", _share(n["gained"], n["rows_b"])),
    ]
    _table(console, f"Rows: {n['rows_a']:,} in A, {n['rows_b']:,} in B", ("", "rows", "of A", "of B"), table)
    for sentence in not_compared(n):
        console.print(Text(sentence, style="yellow"))
    if not found.ids_told:
        console.print(Text("Rows that say the same mostly bear other ids, so ids were not gone by.", style="dim"))
    print_shifts(found.shifts, console)
    for kind, title in _KINDS_OF_FILES.items() if rows else ():
        frame = found.drawn(kind, rows)
        if not frame.is_empty():
            console.print(Text(f"\n{title}: {frame.height:,} of {n[kind]:,}", style="bold"))
            for example in found.examples(frame):
                said = f"same {example['by']}, another {example['differs']}" if kind == "changed" else ""
                _example(example, said, console)


def _share(part: int, whole: int) -> str:
    from curate.report.page import percent

    return percent(part, whole)


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
    from curate.diff_settings import readable

    if not a or not b:
        return f"{'A' if a else 'B'} only: {readable(a or b)}"
    return f"{readable(a)} → {readable(b)}"


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


def _example(row: Mapping[str, Any], said: str, console: Console) -> None:
    console.print(Text.assemble((visible(row["id"]), "cyan"), f"  {said}" if said else ""))
    for field in ("prompt", "response"):
        if field in row["apart"]:
            for side in "ab":
                _print_line(console, f"{field} {side.upper()}", _pieces(row["apart"][field][side], _MARKS[side]))
        elif row[field] is not None:
            _print_line(console, field, Text(visible(" ".join(row[field]["text"].split()))))


def _print_line(console: Console, name: str, text: Text) -> None:
    line = Text.assemble((f"  {name:<10} ", "dim"), text)
    line.truncate(console.width, overflow="ellipsis")
    console.print(line)


def _pieces(pieces: Iterable[tuple[str, str]], style: str) -> Text:
    """What of a text differs from the other, with what is around it."""
    text = Text()
    for piece, kind in pieces:
        text.append(" … " if kind == "cut" else visible(piece), style if kind == "differs" else "")
    return text


def _end(row: Mapping[str, Any], side: str) -> str:
    state = row[f"state_{side}"]
    detail = row[f"detail_{side}"]
    if state is None:
        return _NOT_THERE
    return f"{state} ({detail})" if detail else str(state)
