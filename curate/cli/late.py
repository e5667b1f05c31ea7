"""A group of commands whose modules are imported when they are asked for, so that `--help` is quick."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click


class LateGroup(click.Group):
    """Commands by name; that of `run` is `command` in a module such as `curate.cli.run_command`.

    `modules` is that name with `{}` for the command's.
    """

    def __init__(self, *args: Any, names: tuple[str, ...], modules: str, **given: Any) -> None:
        super().__init__(*args, **given)
        self.names, self._modules = names, modules

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return list(self.names)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 (click's signature)
        if name not in self.names:
            return None
        command: click.Command = import_module(self._modules.format(name)).command
        return command
