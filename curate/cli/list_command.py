"""curate list: what a pipeline can name."""

from __future__ import annotations

import inspect
import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from curate.cli.options import PLUGINS

_PLUGINS: Final = ("filters", "sources", "measures", "dedups", "rankings", "exports")


@click.command("list")
@click.argument("what", type=click.Choice([*_PLUGINS, "presets", "recipes"]), default="filters")
@click.argument("name", required=False)
@PLUGINS
@click.option("--markdown", is_flag=True, help="Print a Markdown table, as the README shows.")
def command(what: str, name: str | None, plugins: tuple[Path, ...], markdown: bool) -> None:
    """List filters, sources, measures, dedups, rankings, exports, presets or recipes; all about one by NAME."""
    from curate import registry

    registry.use_folders(plugins)
    if name is not None:
        if what == "presets":
            raise click.UsageError(f"{what} have no more to say than `curate list {what}` does")
        (_show_recipe(name) if what == "recipes" else _show_one(what, name))
        return
    header, rows = _listed(what)
    if markdown:
        for row in (header, ("---",) * len(header), *rows):
            click.echo("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
        return
    if what == "sources":
        _show_sources()
    else:
        _show_table(header, rows)
    if what != "presets":
        Console(highlight=False).print(f"All about one of them: `curate list {what} NAME`.", soft_wrap=True)


def _show_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(header):
        table.add_column(column, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(escape(cell.replace("`", "")) for cell in row))
    Console().print(table)


def _show_sources() -> None:
    """Each source as a block: a table of so much text is not read."""
    from curate import registry

    console = Console(highlight=False)
    for name in registry.names("sources"):
        source = registry.get("sources", name)
        _show_layouts(console, source)
        body = Table.grid(padding=(0, 1))
        body.add_row("   ", f"[dim]{escape(_parameters(source).replace('`', ''))}[/]")
        console.print(body)
        console.print()
    console.print("What a source makes of your file: `curate look`.")


def _show_layouts(console: Console, source: Any) -> None:
    console.print(f"[bold]{source.name}[/]  [dim]{escape(source.license)} · {escape(source.home)}[/]")
    body = Table.grid(padding=(0, 1))
    body.add_row("  ", escape(source.summary.replace("`", "")))
    for layout in source.layouts:
        body.add_row("  ·", escape(layout))
    console.print(body)
    for line in (f'use = "{source.name}"', *source.example.split("\n")):
        # Never wrapped: it is there to be copied.
        console.print(f"     [cyan]{escape(line)}[/]", soft_wrap=True)


def _show_one(what: str, name: str) -> None:
    """All that there is to say about one plug-in: its own words, and each parameter with what it may be."""
    from curate import registry

    kind: Any = what
    plugin: Any = registry.get(kind, name)
    console = Console(highlight=False)
    if what == "sources":
        _show_layouts(console, plugin)
    else:
        console.print(f"[bold]{name}[/]")
    told = inspect.getdoc(plugin.function) or ""
    if what == "sources":
        told = told.partition("\n\n")[2]
    console.print()
    console.print(escape(told.partition("\n\nRaises ")[0]), soft_wrap=True)
    console.print()
    for parameter in registry.parameters(plugin).model_fields.values():
        default = _default(parameter.default) or " (not set)"
        if parameter.is_required():
            default = " (must be given)"
        console.print(
            f"  [cyan]{parameter.alias}[/]{escape(default)}[dim]{escape(_others(parameter))}[/]", soft_wrap=True
        )


def _others(parameter: Any) -> str:
    """What a parameter may be besides its default, where that is one of a few, or some of them."""
    annotation, default = parameter.annotation, (parameter.default,)
    if get_origin(annotation) is tuple:
        annotation, default = get_args(annotation)[0], parameter.default
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    others = [json.dumps(choice) for choice in choices if choice not in default]
    return f"   or {', '.join(others)}" if others else ""


def presets() -> list[tuple[str, str]]:
    """The names of the shipped pipelines, and the first line of comment in each."""
    found = []
    for file in resources.files("curate.presets").iterdir():
        text = file.read_text("utf-8") if file.name.endswith(".toml") else ""
        if "[[source]]" in text:
            found.append((file.name.removesuffix(".toml"), text.splitlines()[0].lstrip("# ").strip()))
    return sorted(found)


def _show_recipe(name: str) -> None:
    """A recipe as it is written, for one's own to begin from."""
    from curate.train.recipe import FOLDER, read_recipe

    read_recipe(name)
    file = FOLDER / f"{name}.toml"
    click.echo((file if file.exists() else Path(name)).read_text("utf-8"), nl=False)


def _recipes() -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """What tells the recipes apart, a row each."""
    from curate.train.recipe import read_recipe, recipe_names

    rows: list[tuple[str, ...]] = []
    for name in recipe_names():
        recipe = read_recipe(name)
        rate = f"{recipe.learning_rate:g} {recipe.schedule}"
        steps = (recipe.template, str(recipe.epochs), str(recipe.batch_size), rate, str(recipe.max_tokens))
        rows.append((f"`{name}`", recipe.source or "–", *steps))
    return ("recipe", "from", "template", "epochs", "batch", "learning rate", "tokens"), rows


def _listed(what: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    from curate import registry

    if what == "presets":
        return ("preset", "what it makes"), [(f"`{name}`", line) for name, line in presets()]
    if what == "recipes":
        return _recipes()
    kind: Any = what
    found = [(name, registry.get(kind, name)) for name in registry.names(kind)]
    if what == "sources":
        header = ("source", "what it reads", "in which layouts", "usual licence", "in a pipeline")
        return header, [
            (
                f"[`{name}`]({plugin.home})",
                plugin.summary,
                "; ".join(plugin.layouts),
                plugin.license,
                _example(plugin),
            )
            for name, plugin in found
        ]
    return (what.removesuffix("s"), "what it does", "parameters"), [
        (f"`{name}`", plugin.summary, _parameters(plugin)) for name, plugin in found
    ]


def _example(source: Any) -> str:
    """The example's lines as one, without their comments."""
    keys = {"use": source.name} | tomllib.loads(source.example)
    return "`" + ", ".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()) + "`"


def _parameters(plugin: Any) -> str:
    from curate import registry

    fields = registry.parameters(plugin).model_fields.values()
    return ", ".join(f"`{field.alias}{_default(field.default)}`" for field in fields)


def _default(value: Any) -> str:
    """A default as a pipeline would write it; nothing where there is none to write."""
    return "" if value is None else f" = {json.dumps(value)}"
