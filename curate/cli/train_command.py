"""curate train: from the set to a fine-tuned model; a group whose default command is `run`."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

_COMMANDS: Final = ("run", "check", "resume", "pick", "generate", "chat", "export", "tiny")
_DEFAULT: Final = "run"
_HELP: Final = {"--help", "-h"}


class _Train(click.Group):
    """Imports a command's module when it is asked for; what names no command is for `run`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 (click's signature)
        if name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"curate.cli.train_{name}_command").command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in {*_COMMANDS, *_HELP}:
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


@click.group("train", cls=_Train)
def command() -> None:
    """Fine-tune a model on a run's set: `curate train RUN --model PATH`.

    RUN is the folder of a finished run; a FILE of rows that no pipeline made does as well. What names no command
    below is taken for `run`.
    """
