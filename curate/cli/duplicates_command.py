"""curate duplicates: the groups of a run, the least similar first, and what another threshold would drop."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from curate.cli.diff_command import visible

if TYPE_CHECKING:
    import polars as pl

    from curate.contrast import Piece
    from curate.duplicates import Duplicates, Group, Member

_SIDE_BY_SIDE: Final = 120  # columns from which two texts have room beside each other
_AT_ONCE: Final = 500  # groups whose texts are read at a time, for JSON
_NAMES: Final = {False: ("kept", "dropped"), True: ("reference", "record")}
_BESIDE: Final = 120  # characters of what else a record says
_SAME: Final = 150  # of a text that both have
_GROUPS: Final = 5
_ROWS: Final = 3  # of a group, where it is one of several
_STYLES: Final = {"a": "bold green", "b": "bold red", "shared": "bold yellow"}
# Where there is no colour, as `git diff --word-diff` marks what one side has and the other has not.
_MARKS: Final = {"a": ("{+", "+}"), "b": ("[-", "-]"), "shared": ("[=", "=]")}


@click.command("duplicates")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Groups a page.  [default: 5]")
@click.option("--page", type=click.IntRange(min=1), default=1, show_default=True, metavar="P", help="Which page.")
@click.option("--method", metavar="NAME", help="Those that this method found.")
@click.option("--on", metavar="TEXT", help="Those found on this text.")
@click.option("--source", metavar="NAME", help="Those that came from this source.")
@click.option("--min-similarity", type=float, metavar="S", help="Those at least so similar.")
@click.option("--max-similarity", type=float, metavar="S", help="Those at most so similar.")
@click.option("--group", metavar="ID", help="All of the group of a record, be it kept or dropped.")
@click.option("--largest", is_flag=True, help="The largest groups first, not the least similar.")
@click.option(
    "--chars", type=click.IntRange(min=1), default=500, show_default=True, metavar="N", help="Shown of each text."
)
@click.option("--against", is_flag=True, help="Records that have a reference text in them, instead.")
@click.option("--threshold", type=float, multiple=True, metavar="T", help="What another threshold would drop.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a group a line.")
def command(
    run: Path,
    limit: int | None,
    page: int,
    group: str | None,
    largest: bool,
    chars: int,
    against: bool,
    threshold: tuple[float, ...],
    as_json: bool,
    **asked: Any,
) -> None:
    """Show the duplicates of the run folder RUN in groups, each with the record that stays.

    The least similar come first. What differs is marked: {+in the kept text alone+} and [-in the other alone-], or
    by colours; where runs of words were looked for, [=what is shared=]. With --threshold, say instead what the run
    would drop at another threshold, from the pairs that it stored.
    """
    from curate.duplicates import duplicates_of
    from curate.runs import load

    rows = [asked[name] for name in ("source", "min_similarity", "max_similarity")]
    if threshold and (against or group or largest or any(each is not None for each in rows)):
        raise click.UsageError("--threshold is about whole passes: beside it go --method, --on and --json alone")
    every = duplicates_of(load(run), against=against)
    console = Console(highlight=False)
    if threshold:
        _thresholds(every, threshold, {name: asked[name] for name in ("method", "on")}, console, as_json=as_json)
        return
    narrowed = any(value is not None for value in asked.values())
    found = every.where(**asked) if narrowed else every
    if group is not None:
        found = found.group(group)
    groups = found.groups(largest=largest)
    if as_json:
        _json(found, groups["kept_id"], limit, page)
        return
    if group is None:
        _summary(every, console)
        if every.rows.is_empty():
            return
    shown = _GROUPS if limit is None else limit
    first = (page - 1) * shown
    ids = groups["kept_id"].slice(first, shown).to_list()
    if group is None:
        title = _title(groups, first, len(ids), largest=largest, narrowed=narrowed)
        _print(console, Text(f"\n{title}", style="bold"))
    for number, each in enumerate(found.read(ids, rows=None if group else _ROWS), first + 1):
        _group(each, number, chars, console, against=against)
    if ids and first + len(ids) < groups.height:
        _print(console, Text(f"\n--page {page + 1} shows more.", style="dim"))


def _title(groups: pl.DataFrame, first: int, shown: int, *, largest: bool, narrowed: bool) -> str:
    of = f"{groups.height:,}{' of those asked for' * narrowed}"
    if groups.is_empty():
        return "There are no such records."
    if not shown:
        return f"Groups: {of}, and so there is no such page." if first else f"Groups: {of}"
    return (
        f"Groups {first + 1:,} to {first + shown:,} of {of}, the {'largest' if largest else 'least similar'} first"
    )


def _summary(found: Duplicates, console: Console) -> None:
    _print(console, Text(found.summary()))
    if found.passes.height:
        went = "contaminated" if found.against else "dropped"
        head = ("by", "on", went, "groups", "largest", "least", "5%", "25%", "median")
        _print(console, Text("\nBy pass, and how similar the records are", style="bold"))
        _table(console, head, found.passes.iter_rows(), names=2)
        _print(console, Text("\nBy source", style="bold"))
        rows = ((*row[:3], f"{row[3]:.1%}", *row[4:]) for row in found.sources.iter_rows())
        others = () if found.against else ("for another source",)
        _table(console, ("source", "compared", went, "share", *others), rows, names=1)


def _table(console: Console, head: Iterable[str], rows: Iterable[tuple[Any, ...]], *, names: int) -> None:
    """A table whose first columns, so many, are names, and the others numbers."""
    table = Table(box=None, pad_edge=False)
    for place, name in enumerate(head):
        table.add_column(name, justify="left" if place < names else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(cell)) for cell in row))
    _print(console, table)


def _print(console: Console, shown: RenderableType) -> None:
    """Print on a screen; or into a file, without the white space that fills its lines."""
    if console.is_terminal:
        console.print(shown)
        return
    with console.capture() as printed:
        console.print(shown)
    click.echo("\n".join(line.rstrip() for line in printed.get().split("\n")), nl=False)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return visible(value)
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else f"{value:,}"


def _group(group: Group, number: int, chars: int, console: Console, *, against: bool) -> None:
    found = f"found in {group.size:,} record{'s' * (group.size > 1)}"
    count = found if against else f"{group.size:,} dropped for it"
    sources = {group.kept_source, *(member.source for member in group.members)}
    several = len(sources) > 1 and not against
    kept = visible(f"{group.kept_id} ({group.kept_source})" if several else group.kept_id)
    _print(console, Text.assemble(f"\n── {number:,}. ", (kept, "bold cyan"), f": {count}"))
    for place, member in enumerate(group.members):
        own = visible(f"{member.id} ({member.source})" if several else member.id)
        how = f"  {member.method} on {member.on}"
        _print(console, Text.assemble(f"   {member.similarity:.3f}  ", (own, "cyan"), (how, "dim")))
        _member(member, chars, console, first=place == 0, names=_NAMES[against])
    left = group.size - len(group.members)
    if left:
        _print(console, Text(f"   and {left:,} more: --group {visible(group.kept_id)}", style="dim"))


def _member(member: Member, chars: int, console: Console, *, first: bool, names: tuple[str, str]) -> None:
    """Both texts, and below each what else its record says: of the kept record once."""
    both = member.contrast(chars)
    if not both.differs:
        both = member.contrast(min(chars, _SAME))
    coloured = console.color_system is not None and not console.no_color
    texts = [_marked(both.a, "a", coloured=coloured), _marked(both.b, "b", coloured=coloured)]
    kept, own = (
        [f"{name}: {_line(said[side])}" for name, said in member.beside.items() if said[side]] for side in (0, 1)
    )
    beside = [kept if first else [], own]
    side_by_side = both.differs and console.width >= _SIDE_BY_SIDE
    grid = Table.grid(padding=(0, 1, 0, 0), expand=side_by_side)
    grid.add_column(no_wrap=True, style="dim")
    if side_by_side:
        grid.add_column(ratio=1, overflow="fold")
        grid.add_column(ratio=1, overflow="fold")
        grid.add_row("  ", *(Text(name, style="dim") for name in names))
        grid.add_row("  ", *texts)
        for lines in zip_longest(*beside, fillvalue=""):
            grid.add_row("  ", *(Text(line, style="dim") for line in lines))
    else:
        grid.add_column(overflow="fold")
        for row in _stacked(names, texts, beside) if both.differs else _once(names, texts[0], both.said, beside):
            grid.add_row(*row)
    _print(console, grid)


def _stacked(names: tuple[str, str], texts: list[Text], beside: list[list[str]]) -> Iterator[tuple[str, Text]]:
    for name, text, lines in zip(names, texts, beside, strict=True):
        yield f"   {name}", text
        yield from (("", Text(line, style="dim")) for line in lines)


def _once(names: tuple[str, str], text: Text, said: str, beside: list[list[str]]) -> Iterator[tuple[str, Text]]:
    """What both say, once, and then what each says beside it."""
    yield "   both", text.append(f"  ({said})", "dim")
    for name, lines in zip(names, beside, strict=True):
        yield from ((f"   {name}", Text(line, style="dim")) for line in lines)


def _marked(pieces: tuple[Piece, ...], side: str, *, coloured: bool) -> Text:
    text = Text()
    for place, piece in enumerate(pieces):
        if piece.kind == "cut":
            text.append(" … " if 0 < place < len(pieces) - 1 else "… " if place == 0 else " …", "dim")
            continue
        # The space before a word stays outside of the marks, and an ellipsis has its own.
        bare = piece.text.lstrip(" ")
        if place and pieces[place - 1].kind != "cut":
            text.append(" " * (len(piece.text) - len(bare)))
        if piece.kind == "same":
            text.append(visible(bare))
        else:
            before, after = ("", "") if coloured else _MARKS[side if piece.kind == "differs" else "shared"]
            style = _STYLES[side if piece.kind == "differs" else "shared"]
            text.append(f"{before}{visible(bare)}{after}", style)
    return text


def _line(text: str) -> str:
    line = visible(" ".join(text.split()))
    return line if len(line) <= _BESIDE else f"{line[: _BESIDE - 1]}…"


def _json(found: Duplicates, ids: pl.Series, limit: int | None, page: int) -> None:
    if limit is not None:
        ids = ids.slice((page - 1) * limit, limit)
    for start in range(0, len(ids), _AT_ONCE):
        for group in found.read(ids.slice(start, _AT_ONCE).to_list(), rows=None):
            click.echo(json.dumps(group.plain(), ensure_ascii=False, sort_keys=True))


def _thresholds(
    every: Duplicates,
    thresholds: tuple[float, ...],
    asked: dict[str, Any],
    console: Console,
    *,
    as_json: bool,
) -> None:
    every.where(**asked)  # names a method or text that there is not
    table = every.rethreshold(thresholds)
    rows = [
        row
        for row in table.iter_rows(named=True)
        if all(name is None or row[column] == name for column, name in asked.items())
    ]
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False, sort_keys=True))
        return
    if not rows:
        _print(console, "No pass of this run has a threshold.")
        return
    _print(console, "What the run would drop if one threshold were another, told from stored pairs.\n")
    head = ("pass", "now", "then", "kept", "dropped", "come back", "go too")
    bounded = any(row["unmatched"] for row in rows)
    shown, said = [], dict[str, dict[str, list[str]]]()
    for row in rows:
        name, now, then = f"{row['method']} on {row['on']}", f"{row['run_threshold']:g}", f"{row['threshold']:g}"
        numbers = [_told(row, number) for number in ("kept", "dropped", "gained", "lost")]
        shown.append((name, now, then, *numbers, *([row["unmatched"]] if bounded else [])))
        if row["said"]:
            said.setdefault(row["said"], {}).setdefault(name, []).append(then)
    _table(console, (*head, "unmatched") if bounded else head, shown, names=1)
    for sentence, passes in said.items():
        about = "; ".join(f"{name} at {', '.join(thens)}" for name, thens in passes.items())
        _print(console, Text(f"\n{about}: {sentence}.", style="dim"))


def _told(row: dict[str, Any], number: str) -> str:
    """A number as far as it is known."""
    least, most = row[f"{number}_least"], row[f"{number}_most"]
    if least is None:
        return "?"
    if least == most:
        return f"{least:,}" if row["exact"] else f"about {least:,}"
    return f"{least:,} or more" if number == "gained" else "?"
