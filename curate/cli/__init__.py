"""The command line: one small module a command, each of which parses, calls and prints."""

from __future__ import annotations

import errno
import sys
from typing import Final

import click

from curate import __version__
from curate.cli.late import LateGroup
from curate.errors import CurateError

_COMMANDS: Final = (
    "ablate",
    "diff",
    "duplicates",
    "export",
    "init",
    "lint",
    "list",
    "look",
    "plan",
    "pull",
    "report",
    "review",
    "run",
    "train",
    "verify",
    "why",
)

_FULL: Final = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows has no quota error
_INTERRUPTED: Final = 130  # what shells report for Ctrl-C


@click.group(cls=LateGroup, names=_COMMANDS, modules="curate.cli.{}_command")
@click.version_option(__version__, prog_name="curate")
def cli() -> None:
    """Turn raw dumps into a small, excellent instruction-tuning set, and prove how."""


def main() -> None:
    """Run the command line. Errors of ours are shown without a traceback, each kind with its exit code."""
    try:
        cli(standalone_mode=False)
    except CurateError as error:
        _fail(str(error), error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("stopped; run the same command again and it goes on where it was", _INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone; there is nobody to tell
        sys.exit(1)
    except OSError as error:
        if error.filename is None and error.errno not in _FULL:
            raise
        where = f"\n  where: {error.filename}" if error.filename else ""
        if error.errno in _FULL:
            _fail(f"the disk is full{where}\n  next:  make room and run again; what is finished is kept", 1)
        _fail(
            f"{(error.strerror or str(error)).lower()}{where}\n  next:  check that it is there and yours to use", 1
        )


def _fail(message: str, code: int) -> None:
    click.echo(f"error: {message}", err=True)
    sys.exit(code)
