"""curate train chat: talk with a trained model."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from curate.cli.spoken import speak, typed, why_stopped
from curate.cli.train_generate_command import sampled, speaker_of
from curate.errors import CurateError

if TYPE_CHECKING:
    from curate.train.speech.talking import Conversation

_COMMAND: Final = re.compile(r"/[a-z]+")
_COMMANDS: Final = {"/new": "forget what was said", "/exit": "end (as Ctrl-D does)"}


@click.command("chat")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--system", default="", metavar="TEXT", help="What the model is told first.")
@sampled
def command(
    folder: Path, system: str, epoch: int | None, seed: int | None, model: Path | None, **changes: Any
) -> None:
    """Talk with the model in the training folder DIR, or in any model's folder.

    /new begins anew, /exit or Ctrl-D ends, and Ctrl-C stops an answer. Lines from a pipe are messages of one
    conversation, whose answers alone are written; it ends with 1 if one could not be answered.
    """
    from curate.train.speech.talking import Conversation

    if _typing():
        _tell("Loading …")
    talk = Conversation(speaker_of(folder, epoch, model, changes), system, seed)
    try:
        talk.check()
    except CurateError as error:
        raise CurateError(f"--system cannot be said: {error.what}", next="leave it out") from None
    if not talk.several_turns:
        name = talk.speaker.template.name
        _tell(f"The template {name} has room for one exchange: each message begins anew.")
    if _typing():
        _tell("Ctrl-C stops an answer. " + ", ".join(f"{name}: {does}" for name, does in _COMMANDS.items()) + ".")
    if not _talked(talk) and not _typing():
        sys.exit(1)


def _talked(talk: Conversation) -> bool:
    """Hold the conversation to its end; whether every message could be answered."""
    answered = True
    for line in _lines():
        text = line.strip()
        if text == "/exit":
            break
        if text == "/new":
            talk.forget()
            _tell("Forgotten.")
        elif _COMMAND.fullmatch(text):
            _tell(f"There is no {text}. " + ", ".join(f"{name}: {does}" for name, does in _COMMANDS.items()) + ".")
        elif text:
            answered &= _answer(talk, text)
    return answered


def _answer(talk: Conversation, text: str) -> bool:
    """Say what the model answers; whether it could be asked."""
    before = talk.left_out
    try:
        said = talk.say(text, speak)
    except KeyboardInterrupt:
        if not _typing():
            raise
        click.echo()
        _tell("(stopped)")
        return True
    except CurateError as error:  # of this message, after which another can be said
        _tell(str(error))
        return False
    click.echo()
    if why := why_stopped(said.stop, said.tokens):
        _tell(f"({why})")
    if talk.left_out > before:
        _tell(f"(for lack of room the model was not told the first {talk.left_out} exchanges any more)")
    return bool(said.tokens) or said.stop != "window"


def _lines() -> Iterator[str]:
    """What is typed, line by line, or what comes through a pipe."""
    if not _typing():
        yield from typed()
        return
    with suppress(ImportError):
        import readline  # noqa: F401 (the arrows move in a line and among earlier ones)
    while True:
        try:
            # A terminal that sends no UTF-8 sends what no tokenizer takes.
            yield input("> ").encode("utf-8", "replace").decode()
        except EOFError:
            click.echo()
            return
        except KeyboardInterrupt:
            click.echo()
            _tell("Ctrl-D or /exit ends.")


def _typing() -> bool:
    """Whether a person types, rather than a pipe sends."""
    return sys.stdin.isatty()


def _tell(sentence: str) -> None:
    click.secho(sentence, err=True, dim=True)
