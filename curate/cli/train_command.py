"""curate train: from the set to a fine-tuned model; a group whose default command is `run`."""

from __future__ import annotations

from typing import Final

import click

from curate.cli.late import LateGroup

_COMMANDS: Final = ("run", "check", "resume", "pick", "generate", "chat", "export", "tiny")
_DEFAULT: Final = "run"
_HELP: Final = {"--help", "-h"}


class _Train(LateGroup):
    """What names no command is for `run`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.names, *_HELP}:
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


@click.group("train", cls=_Train, names=_COMMANDS, modules="curate.cli.train_{}_command")
def command() -> None:
    """Fine-tune a model on a run's set: `curate train RUN --model PATH`.

    RUN is the folder of a finished run; a FILE of rows that no pipeline made does as well. What names no command
    below is taken for `run`.
    """
