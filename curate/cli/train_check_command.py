"""curate train check: what a training run would do, before any weight is read."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from curate.cli.progress import progress
from curate.cli.shown import visible
from curate.cli.train_options import PROCESSES, asked, trains

if TYPE_CHECKING:
    from curate.train.checks.check import Checked

_HEAD, _TAIL = 240, 120  # characters of a stretch of a row that are shown, unless the row was asked for
_STYLES: Final = {"error": "bold red", "warning": "yellow", "note": "dim"}
_LEARNED: Final = "bold green"
_INDENT: Final = "  "
_OPEN, _CLOSE = "⟦", "⟧"
_PARTS: Final = 4  # of memory and disk
_H100: Final = 989e12  # operations a second in bfloat16 (NVIDIA's data sheet of the H100 SXM)
_SHARE: Final = 0.4
_MUCH: Final = 1e16  # operations: half a minute of an H100
_CODE: Final = re.compile(r"(`+)(.+?)\1")


@click.command("check")
@trains
@PROCESSES
@click.option("--to", type=click.Path(path_type=Path), metavar="DIR", help="The training folder, for its disk.")
@click.option("--row", "ids", multiple=True, metavar="ID", help="Show which tokens of this row are learned.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, and nothing else.")
def command(
    subject: Path,
    model: Path,
    processes: int,
    to: Path | None,
    ids: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> None:
    """Look over a training run before it begins; no weights are read.

    Steps, epochs, tokens, padding, memory and disk; rows with what is learned of them; and every doubt, with the
    rows it is about and what to do. Ends with 1 where training would stop.
    """
    from curate.cli.train_run_command import show_recipe
    from curate.train.checks.check import check

    with progress(quiet=as_json) as watch:
        chosen, recipe = asked(subject, model=model, watch=watch, **given)
        checked = check(chosen, model, recipe, processes=processes, to=to)
    if as_json:
        click.echo(json.dumps(checked.plain(), ensure_ascii=False, indent=1))
    else:
        console = Console(highlight=False)
        if ids:
            _rows(checked, ids, console)
        else:
            show_recipe(recipe)
            _facts(checked.facts, console)
            _lengths(checked.facts["lengths"], recipe.max_tokens, console)
            _masks(checked.facts["masks"], console)
        _findings(checked, console)
    if checked.errors:
        sys.exit(1)


def _facts(facts: Mapping[str, Any], console: Console) -> None:
    model, recipe = facts["model"], facts["recipe"]
    source = f" ({recipe['source']})" if recipe["source"] else ""
    console.print(
        Text(visible(f"{facts['set']['name']} · {model['name']} · {recipe['name']}{source}"), style="bold")
    )
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, said in _said(facts):
        table.add_row(name, Text(visible(said)))
    console.print(table)


def _said(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The facts of a training run, each with its name."""
    from curate.report.words import percent
    from curate.train.checks.doubts import rate

    model, recipe, steps, padding = (facts[name] for name in ("model", "recipe", "steps", "padding"))
    how = f"LoRA of rank {recipe['lora_rank']}" if recipe["lora_rank"] else "all weights are trained"
    yield "model", f"{model['architecture']}, {_short(model['parameters'])} parameters; {how}"
    of = "packs" if recipe["packing"] else "rows"
    warm = f"{steps['warmup']:,} of them warm-up" if steps["warmup"] else "no warm-up"
    batch = f"{recipe['batch_size']:,} {of} a step, {steps['last_step']:,} in an epoch's last"
    yield "steps", f"{steps['steps']:,}: {steps['epochs']:,} epochs of {steps['an_epoch']:,}, {warm}; {batch}"
    end = "" if recipe["schedule"] == "constant" else f" to {rate(recipe['final_learning_rate'])}"
    yield "rate", f"{rate(recipe['learning_rate'])}, {recipe['schedule']}{end}"
    train = facts["tokens"]["train"]
    learned = percent(train["learned"], train["tokens"])
    yield "tokens", f"{train['tokens']:,} an epoch, of which {learned} are learned; {steps['tokens']:,} in all"
    yield "padding", _padding(recipe, padding)
    yield from _room(facts["room"])
    template = facts["template"]
    added = f", added to the tokenizer: {', '.join(template['added'])}" if template["added"] else ""
    yield "template", f"{template['name']}; {template['end']!r} ends an answer{added}"
    yield "kept", f"{_epochs(steps['kept'])}; picked by {recipe['pick']}"
    yield "proved", _proved(facts["proofs"])


def _room(room: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Memory, disk and work, with the largest parts of each."""
    from curate.train.budget import said

    for name, of in (("memory", " a process"), ("disk", "")):
        parts = {part: size for part, size in room[name].items() if part != "total" and size}
        most = sorted(parts.items(), key=lambda each: -each[1])[:_PARTS]
        yield name, f"{said(room[name]['total'])}{of}: {', '.join(f'{part} {said(size)}' for part, size in most)}"
    if room["work"] > _MUCH:
        seconds = room["work"] / (_SHARE * _H100)
        time = f"{seconds / 60:,.0f} minutes" if seconds < 2 * 3600 else f"{seconds / 3600:,.0f} hours"
        yield "work", f"{room['work']:.1e} operations: {time} on one H100 at {_SHARE:.0%} of its peak"


def _padding(recipe: Mapping[str, Any], padding: Mapping[str, Any]) -> str:
    from curate.report.words import percent

    packs = f"{padding['packs']:,} packs of {padding['a_pack']:g} rows, {percent(padding['fill'])} full"
    if recipe["packing"]:
        return f"none: {packs}; unpacked {percent(padding['unpacked'])} of what is computed"
    now = f"{percent(padding['share'])} of what is computed" if padding["share"] else "none"
    return f"{now}; packed it would be {packs}"


def _proved(proofs: Mapping[str, Any]) -> str:
    rows, begun = proofs["rows"], proofs["one_bos"]
    begins = ["begin once"] if begun else [] if begun is None else ["have no token that begins"]
    counts = [(proofs["learned"], "have something to learn"), (proofs["ended"], "learn their end")]
    if all(count == rows for count, _ in counts) and begun in (None, 0, rows):
        return f"all {rows:,} rows {', '.join([*(said for _, said in counts), *begins])}"
    counts += [(begun, said) for said in begins if begun]
    return f"of {rows:,} rows " + ", ".join(f"{count:,} {said}" for count, said in counts)


def _epochs(kept: Sequence[int]) -> str:
    return f"epoch {kept[0]}" if len(kept) == 1 else f"epochs {kept[0]} to {kept[-1]}"


def _short(number: int) -> str:
    for power, letter in ((9, "B"), (6, "M"), (3, "K")):
        if number >= 10**power:
            return f"{number / 10**power:.3g}{letter}"
    return f"{number:,}"


def _lengths(rows: Sequence[Mapping[str, Any]], limit: int, console: Console) -> None:
    console.print(Text("\nLengths in tokens", style="bold"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("split", no_wrap=True)
    keys = ("rows", "least", "p5", "median", "p95", "most", "beyond", "dropped", "lost_end")
    heads = {"p5": "5%", "p95": "95%", "beyond": f">{limit:,}", "lost_end": "no end"}
    shown = [key for key in keys if key not in ("dropped", "lost_end") or any(row[key] for row in rows)]
    for key in shown:
        table.add_column(heads.get(key, key), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row["split"], *(Text(f"{row[key]:,}", style="" if row[key] else "dim") for key in shown))
    console.print(table)


def _masks(masks: Sequence[Mapping[str, Any]], console: Console) -> None:
    how = f"within {_OPEN}{_CLOSE}" if _plain(console) else "in green"
    console.print(Text.assemble(("\nWhat is learned", "bold"), f" ({how}; ↵ is a new line)"))
    for mask in masks:
        _mask(mask, console, whole=False)


def _rows(checked: Checked, ids: Sequence[str], console: Console) -> None:
    for id in ids:
        mask = checked.mask(id)
        if mask is None:
            raise click.BadParameter(f"no row of train or dev is called {id!r}", param_hint="--row")
        _mask(mask, console, whole=True)


def _mask(mask: Mapping[str, Any], console: Console, *, whole: bool) -> None:
    head = Text.assemble((visible(mask["id"]), "cyan"), (f"  {mask['split']}, {mask['tokens']:,} tokens", "dim"))
    console.print(head)
    body = Text()
    for text, learned in mask["segments"]:
        style = _LEARNED if learned else "dim"
        if learned and _plain(console):
            body.append(_OPEN)
        for piece, own in _cut(text, whole=whole):
            body.append(piece, style=style if own else "italic dim")
        if learned and _plain(console):
            body.append(_CLOSE)
    for line in body.wrap(console, console.width - len(_INDENT)):
        line.rstrip()
        console.print(Text(_INDENT) + line)
    console.print()


def _cut(text: str, *, whole: bool) -> Iterator[tuple[str, bool]]:
    """A stretch as it is shown, in pieces, each with whether it is of the text."""
    if whole or len(text) <= _HEAD + _TAIL + 40:
        yield _lines(text), True
        return
    yield _lines(text[:_HEAD]), True
    yield f" … {len(text) - _HEAD - _TAIL:,} characters … ", False
    yield _lines(text[-_TAIL:]), True


def _lines(text: str) -> str:
    """The text with its line ends marked, and nothing that moves a cursor."""
    return "↵\n".join(map(visible, text.split("\n")))


def _plain(console: Console) -> bool:
    return console.no_color or console.color_system is None


def _findings(checked: Checked, console: Console) -> None:
    if not checked.findings:
        console.print(Text("No doubts.", style="bold green"))
        return
    counts = [
        f"{n:,} {kind}{'s' if n > 1 else ''}"
        for kind in _STYLES
        if (n := sum(found["severity"] == kind for found in checked.findings))
    ]
    console.print(Text.assemble(("Doubts", "bold"), f": {', '.join(counts)}"))
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for found in checked.findings:
        table.add_row(Text(found["severity"], style=_STYLES[found["severity"]]), _sentence(found["sentence"]))
    console.print(table)


def _sentence(sentence: str) -> Text:
    """A sentence with what stands between backticks in the colour of ids."""
    made, at = Text(), 0
    for code in _CODE.finditer(sentence):
        made.append(visible(sentence[at : code.start()]))
        made.append(visible(code[2].strip()), style="cyan")
        at = code.end()
    made.append(visible(sentence[at:]))
    return made
