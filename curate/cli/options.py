"""Options that several commands have."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

import click

PLUGINS: Final = click.option(
    "--plugins", multiple=True, type=click.Path(path_type=Path), metavar="DIR", help="A folder of plug-ins."
)
WITHOUT: Final = click.option("--without", multiple=True, metavar="RULE", help="Lift a rule: it rejects nothing.")
RUNS: Final = click.option(
    "--runs", type=click.Path(path_type=Path), default="runs", show_default=True, help="Where run folders lie."
)
SOURCE: Final = click.option(
    "--source", metavar="NAME", help="What files are read as, see `curate list sources`; by default, found out."
)


def parameters(context: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> dict[str, Any]:  # noqa: ARG001 (click's signature)
    """Names and values of an option that may stand several times."""
    return dict(map(parameter, texts))


def parameter(text: str) -> tuple[str, Any]:
    """Name and value of `name=value`. A value that is no TOML is a text as it stands."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--set")
    try:
        read = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return name.strip(), value
    return name.strip(), read["value"] if set(read) == {"value"} else value


PARAMETERS: Final = click.option(
    "--set",
    "given",
    multiple=True,
    callback=parameters,
    metavar="NAME=VALUE",
    help="A parameter of the source, such as prompt=title.",
)
