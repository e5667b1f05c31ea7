"""curate train generate: what a trained model answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from curate.cli.train_options import BASE
from curate.errors import CurateError, SourceError
from curate.keys import digest

if TYPE_CHECKING:
    from curate.train.speech.speaking import Speaker

_SAMPLING: Final = (
    click.option(
        "--temperature", type=click.FloatRange(min=0), metavar="T", help="0: always the likeliest token."
    ),
    click.option("--top-p", type=click.FloatRange(min=0, max=1, min_open=True), metavar="P", help="The nucleus."),
    click.option(
        "--repetition-penalty",
        type=click.FloatRange(min=0, min_open=True),
        metavar="X",
        help="On tokens that the answer has already; 1: none.",
    ),
    click.option("--max-new-tokens", type=click.IntRange(min=1), metavar="N", help="The longest answer."),
    click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Other draws."),
    click.option("--epoch", type=click.IntRange(min=1), metavar="N", help="A kept epoch, in place of model/."),
    BASE,
    click.option(
        "--template",
        metavar="NAME",
        help="How a base model without a chat template is asked: alpaca, chatml, lima or vicuna.",
    ),
)


def sampled(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command what changes how a model speaks; by default it is as the recipe has it."""
    for option in reversed(_SAMPLING):
        command = option(command)
    return command


def speaker_of(folder: Path, epoch: int | None, model: Path | None, changes: dict[str, Any]) -> Speaker:
    """The model of a folder, with the values that were given in place of the recipe's."""
    from curate.train.speech.speaking import load_speaker

    given = {name: value for name, value in changes.items() if value is not None}
    return load_speaker(folder, epoch=epoch, changes=given, model=model)


@click.command("generate")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("prompts", nargs=-1, metavar="[PROMPT]...")
@click.option(
    "--prompts",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="JSON lines with a prompt (and id, system, context, history, if any) or messages; or text, one a line.",
)
@click.option("--to", type=click.Path(path_type=Path), metavar="FILE", help="Write JSON lines into a file.")
@sampled
def command(
    folder: Path,
    prompts: tuple[str, ...],
    file: Path | None,
    to: Path | None,
    epoch: int | None,
    model: Path | None,
    **changes: Any,
) -> None:
    """Say what the model in the training folder DIR (or any model's folder) answers to each PROMPT.

    Without a PROMPT, one is read from standard input. Answers are sampled as the recipe says, and drawn by its
    seed and the prompt's id: the same prompt has the same answer, whatever is asked beside it. Several are
    answered together, and written as JSON lines.
    """
    from curate.cli.progress import progress
    from curate.cli.spoken import speak, why_stopped
    from curate.train.speech.speaking import answered, write_lines

    if to is not None and to.exists():
        raise CurateError("the file is there already", where=str(to), next="move it, or give another `--to`")
    asks = [*_given(prompts or (_piped() if file is None else ())), *(_read(file) if file is not None else ())]
    speaker = speaker_of(folder, epoch, model, changes)
    prompt = _tried(asks, speaker)
    rows = [each.record for each in asks]
    if to is None and len(rows) == 1:
        said = speaker.answer(prompt, id=rows[0]["id"], heard=speak)
        if said.stop == "window" and not said.tokens:
            raise CurateError(
                f"the prompt is as long as the model's window of {speaker.window:,} tokens, or longer",
                next="give a shorter one",
            )
        click.echo()
        if why := why_stopped(said.stop, said.tokens):
            click.secho(f"({why})", err=True, dim=True)
        return
    with progress(quiet=to is None and not sys.stderr.isatty()) as watch:
        watch.stage("answers", len(rows), "prompts")
        answers = answered(speaker, rows, done=watch.advance)
    if to is not None:
        write_lines(to, answers)
        click.echo(f"{len(answers):,} answers in {to}")
        return
    for answer in answers:
        click.echo(json.dumps(answer, ensure_ascii=False))


class _Asked(NamedTuple):
    """A record whose answer is asked for, and where it was given."""

    record: dict[str, Any]
    name: str
    where: str = ""


def _piped() -> list[str]:
    """The prompt on standard input."""
    from curate.cli.spoken import typed

    if sys.stdin.isatty():
        click.secho("Type a prompt, then Ctrl-D.", err=True, dim=True)
    asked = "".join(typed())
    if not asked:
        raise click.UsageError("nothing is asked: give a PROMPT, --prompts FILE, or a prompt on standard input")
    return [asked]


def _given(prompts: Iterable[str]) -> list[_Asked]:
    return [_Asked(_record({"prompt": text}), f"prompt {at}") for at, text in enumerate(prompts, start=1)]


def _tried(asks: Iterable[_Asked], speaker: Speaker) -> list[int]:
    """The last prompt's ids, once each was found to be one that the template has a place for.

    Raises `SourceError` that names the first that is none, before anything is answered.
    """
    from curate.train.rows.tokens import prompt_ids

    ids: list[int] = []
    for each in asks:
        try:
            ids = prompt_ids(each.record, speaker.template)
        except CurateError as error:
            raise SourceError(
                f"{each.name} (id {each.record['id']}) cannot be asked: {error.what}",
                where=each.where,
                next=error.next or f"leave out what the template {speaker.template.name} has no place for",
            ) from None
    return ids


def _record(row: dict[str, Any]) -> dict[str, Any]:
    """A record of what a line has, with an id of its own or one made from its words."""
    said: dict[str, Any] = {"system": None, "history": [], "context": None, "response": None}
    said |= {name: row[name] for name in (*said, "prompt") if row.get(name) is not None}
    return {"id": str(row.get("id") or f"prompt:{digest(said)}"), **said}


def _read(file: Path) -> list[_Asked]:
    """The records of a file of prompts.

    Raises `SourceError` for a line that has none, and for a file without lines.
    """
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"the file is no UTF-8: {error}", where=str(file)) from None
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not lines:
        raise SourceError("there is no prompt in the file", where=str(file), next="write one a line")
    if file.suffix not in {".jsonl", ".json", ".ndjson"}:
        return [_Asked(_record({"prompt": line.strip()}), f"line {at}", str(file)) for at, line in lines]
    rows = []
    for number, line in lines:
        try:
            rows.append(_Asked(_record(_understood(json.loads(line))), f"line {number}", str(file)))
        except (ValueError, CurateError) as error:
            raise SourceError(
                f"line {number} cannot be asked: {error}",
                where=str(file),
                next='a line is like {"prompt": "Name a tree."} or {"messages": [{"role": "user", "content": …}]}',
            ) from None
    return rows


def _understood(row: Any) -> dict[str, Any]:
    """A line's fields, those of `messages` in a record's places.

    Raises `CurateError` for what is no question.
    """
    from curate.train.speech.speaking import record_of

    if not isinstance(row, dict):
        raise CurateError("it is no object")
    if "messages" in row:
        _check(row["messages"], "messages", "content")
        return {**record_of(row["messages"]), "id": row.get("id")}
    if not isinstance(row.get("prompt"), str):
        raise CurateError("it has no prompt")
    _check(row.get("history") or [], "history", "text")
    if not all(isinstance(row.get(name) or "", str) for name in ("system", "context")):
        raise CurateError("its system and context have to be texts")
    return row


def _check(turns: Any, name: str, text: str) -> None:
    if not isinstance(turns, list) or not all(
        isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get(text), str)
        for turn in turns
    ):
        raise CurateError(f"its {name} are no list of turns with `role` and `{text}`")
