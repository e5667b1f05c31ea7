"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

PLUGINS: Final = click.option(
    "--plugins", multiple=True, type=click.Path(path_type=Path), metavar="DIR", help="A folder of plug-ins."
)
WITHOUT: Final = click.option("--without", multiple=True, metavar="RULE", help="Lift a rule: it rejects nothing.")
RUNS: Final = click.option(
    "--runs", type=click.Path(path_type=Path), default="runs", show_default=True, help="Where run folders lie."
)
