"""Reads the texts that records are compared with and must not repeat, such as the prompts of evaluation sets.

    {"prompt": "…"}  {"instruction": "…", "input": "…", "output": "…"}  {"question": "…", "answer": "…"}
    {"instruction": "…", "instances": [{"input": "…", "output": "…"}]}      a prompt for each instance
    {"turns": ["…", "…"]}                                                   each turn a prompt of its own
    {"conversations": …}  {"messages": …}                                   the same, as `curate.shapes` has them
    {"text": "…"}                                                           an answer without its prompt

Keys are known in any case: the set of WizardLM has `Instruction`. Files are JSON lines, a JSON array, CSV, TSV or
Parquet, or plain text with a prompt a line. Everything else is said by `fields`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl

from curate.csv_rows import csv_rows
from curate.errors import PipelineError, SourceError, nearest
from curate.intake import Intake
from curate.lines import MisfitError, Row, json_rows, listed
from curate.shapes import turns_of
from curate.streams import decompressed, first_text

SCHEMA: Final = pl.Schema(
    {
        "file": pl.String(),
        "position": pl.UInt64(),
        "id": pl.String(),
        "prompt": pl.String(),
        "response": pl.String(),
        "misfit": pl.String(),
    }
)
# What of a reference is compared with which text of records.
_COMPARED: Final = {
    "message": ("prompt",),
    "messages": ("prompt",),
    "prompt": ("prompt",),
    "first_prompt": ("prompt",),
    "every_prompt": ("prompt",),
    "response": ("response",),
    "every_response": ("response",),
    "pair": ("prompt", "response"),
    "conversation": ("prompt", "response"),
}

_DIALOGUES: Final = ("messages", "conversations", "turns")
_PROMPTS: Final = ("prompt", "instruction", "question", "problem", "query", "input")
_CONTEXTS: Final = ("context", "input")
# AlpacaEval's annotations have two outputs; published answers to Vicuna's questions are `text` alone.
_RESPONSES: Final = ("response", "completion", "output", "answer", "solution", "output_1", "output_2", "text")
_IDS: Final = ("id", "question_id", "task_id", "idx")
_COMPRESSED: Final = (".gz", ".zst", ".zstd", ".bz2", ".xz", ".zip")


class Exchange(NamedTuple):
    """A prompt and its response, of which one may be missing, and what it adds to its row's id."""

    prompt: str | None
    response: str | None
    part: str = ""


def read_references(files: Iterable[Path], *, fields: Sequence[str] = ()) -> pl.DataFrame:
    """Every prompt and response of the files: one row each, in the order of the files' names.

    `file` is a name, with as much of its path as tells it from the others; `position` counts the rows of a file
    from 0; `id` is the row's own, or null, and a row that holds several prompts, as a dialogue does, gives each
    the same position and numbers their ids: `81/1`, `81/2`. A row in which no text is known is there without
    any, so that it can be counted. `misfit` says why a row is no reference though its keys are known, such as a
    dialogue that calls a tool; it is null for all others.

    `fields` names what the prompt is in, where that is not known: the texts of these fields one after another,
    parted by blank lines. A file whose rows have none of them is read as usual.

    Raises `SourceError` when a file cannot be read to its end, when no text is known in any of its rows, and when
    a field is in no file.
    """
    named = dict(sorted(shown_names(list(dict.fromkeys(files))).items()))
    met: set[str] = set()
    frames = [_read(name, path, tuple(fields), met) for name, path in named.items()]
    for field in fields:
        if frames and field not in met:
            raise SourceError(
                f"no reference has a field {field!r}",
                where=", ".join(str(path) for path in named.values()),
                next=nearest(field, met),
            )
    return pl.concat([pl.DataFrame(schema=SCHEMA), *frames])


def text_of(references: pl.DataFrame, on: str) -> pl.Series:
    """What of each reference is compared with a text of records: prompts with prompts, responses with responses.

    With a pair or a whole conversation, prompt and response are compared together. Shape (n,), named `text`; null
    where a reference has none. Raises `PipelineError` for a text of records that is neither.
    """
    if on not in _COMPARED:
        raise PipelineError(
            f"references have nothing to compare with {on!r}",
            where="[[dedup]], key on",
            next=nearest(on, _COMPARED),
        )
    columns = [pl.col(name) for name in _COMPARED[on]]
    some = pl.any_horizontal(column.is_not_null() for column in columns)
    both = pl.concat_str(columns, separator="\n\n", ignore_nulls=True)
    return references.select(text=pl.when(some).then(both)).to_series()


def shown_names(files: list[Path]) -> dict[str, Path]:
    """Each file by the end of its path, as long as it must be to be the only one."""
    named: dict[str, Path] = {}
    for path in files:
        parts = path.absolute().parts
        others = [other.absolute().parts for other in files if other is not path]
        length = 1
        while length < len(parts) and any(other[-length:] == parts[-length:] for other in others):
            length += 1
        named["/".join(parts[-length:])] = path
    return named


def _read(name: str, path: Path, fields: tuple[str, ...], met: set[str]) -> pl.DataFrame:
    intake = Intake(path.parent)
    columns: dict[str, list[Any]] = {column: [] for column in SCHEMA}
    keys: dict[str, None] = {}
    for position, row in _rows(path, intake):
        keys |= dict.fromkeys(row)
        misfit = None
        try:
            found = list(_exchanges(row, fields))
        except MisfitError as reason:
            found, misfit = [], str(reason)
        id = _id(row)
        for prompt, response, part in found or [Exchange(None, None)]:
            given = (name, position, id and id + part, prompt, response, misfit)
            for column, value in zip(columns.values(), given, strict=True):
                column.append(value)
    if unreadable := intake.counts.unreadable:
        raise SourceError(
            f"{len(unreadable):,} of {intake.counts.native:,} rows of a reference cannot be read, and what they "
            f"hold would not be looked for: {unreadable[0].reason}",
            where=f"{path}, the first at byte {unreadable[0].position}",
            next="repair it there, or get the file again",
        )
    met.update(keys)
    frame = pl.DataFrame(columns, schema=SCHEMA)
    if frame["prompt"].is_null().all() and frame["response"].is_null().all():
        first = frame.select("position", "misfit").drop_nulls().head(1).rows()
        why = "".join(f"; row {position}: {misfit}" for position, misfit in first)
        raise SourceError(
            f"no text is known in any of the {frame.height:,} rows: their keys are {listed(keys)}{why}",
            where=str(path),
            next=nearest(fields[0], keys)
            if fields
            else 'say what the prompt is in, such as fields = ["question"], or leave the file out',
        )
    return frame


def _rows(path: Path, intake: Intake) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of a file, whatever its format, each with its number."""
    kind = next((end for end in reversed(path.suffixes) if end.lower() not in _COMPRESSED), "").lower()
    if kind == ".parquet":
        yield from _table_rows(path)
    elif kind == ".txt":
        yield from _text_rows(path)
    else:
        rows: Iterator[Row]
        if kind in {".csv", ".tsv"}:
            rows = csv_rows(path, intake, delimiter="\t" if kind == ".tsv" else ",")
        else:
            rows = json_rows(path, intake)
        for row in rows:
            yield row.ordinal, row.value


def _table_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        table = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SourceError(
            f"the file is no whole table: {str(error).splitlines()[0]}", where=str(path), next="get it again"
        ) from None
    if table.is_empty():
        raise SourceError("the table has no rows", where=str(path), next="check how it was made")
    yield from enumerate(table.iter_rows(named=True))


def _text_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The lines that are not blank."""
    chunks = decompressed(path)
    offset, first = first_text(path, chunks)
    whole = b"".join([first, *chunks])
    try:
        lines = whole.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"invalid UTF-8 at byte {offset + error.start}", where=str(path), next="convert it to UTF-8"
        ) from None
    yield from enumerate({"prompt": line.removesuffix("\r")} for line in lines if line.strip())


def _exchanges(row: Mapping[str, Any], fields: tuple[str, ...]) -> Iterator[Exchange]:
    """What a row says. Raises `MisfitError` for a dialogue or an instance that is none."""
    known = {key.lower(): value for key, value in reversed(list(row.items()))}
    # What is named as the prompt is not the response too.
    taken = {field.lower() for field in fields if field in row}
    responses = [text for key in _RESPONSES if key not in taken and (text := _text(known.get(key)))]
    if fields and any(field in row for field in fields):
        given = "\n\n".join(text for field in fields if (text := _joined(row.get(field))))
        yield from _answered(given or None, responses)
        return
    for key in _DIALOGUES:
        if isinstance(known.get(key), list | str):
            yield from _dialogue(key, known[key], known.get("reference"))
            return
    asked = next(((key, text) for key in _PROMPTS if (text := _text(known.get(key)))), None)
    if asked is None:
        yield from _answered(None, responses)
    elif isinstance(known.get("instances"), list):
        yield from _instances(asked[1], known["instances"])
    else:
        context = next((text for key in _CONTEXTS if key != asked[0] and (text := _text(known.get(key)))), None)
        yield from _answered(_with(asked[1], context), responses)


def _answered(prompt: str | None, responses: list[str]) -> Iterator[Exchange]:
    if prompt is not None or responses:
        yield from _numbered([Exchange(prompt, response) for response in responses or (None,)])


def _dialogue(key: str, value: Any, reference: Any) -> Iterator[Exchange]:
    """Each of the user's turns, with the assistant's after it, or with the answer that is given as a reference."""
    turns = turns_of(key, value)
    found = []
    for turn, following in zip_longest(turns, turns[1:]):
        if turn.role == "user":
            answered = following is not None and following.role == "assistant"
            found.append(Exchange(_text(turn.text), _text(following.text) if answered and following else None))
    if isinstance(reference, list) and len(reference) == len(found):
        found = [
            Exchange(each.prompt, each.response or _text(said))
            for each, said in zip(found, reference, strict=True)
        ]
    yield from _numbered(found)


def _instances(instruction: str, instances: list[Any]) -> Iterator[Exchange]:
    found = []
    for number, instance in enumerate(instances):
        if not isinstance(instance, dict):
            raise MisfitError(f"instance {number} is no object")
        found.append(Exchange(_with(instruction, _text(instance.get("input"))), _text(instance.get("output"))))
    yield from _numbered(found or [Exchange(instruction, None)])


def _numbered(found: list[Exchange]) -> Iterator[Exchange]:
    for number, each in enumerate(found, 1):
        yield each._replace(part=f"/{number}") if len(found) > 1 else each


def _with(prompt: str, context: str | None) -> str:
    """The user's message, as `curate.record.message` makes it of a record."""
    return f"{prompt}\n\n{context}" if context else prompt


def _text(value: Any) -> str | None:
    """The value if it is a text that says something, its line ends made line feeds."""
    if not isinstance(value, str) or not value.strip():
        return None
    return value.replace("\r\n", "\n").replace("\r", "\n")


def _joined(value: Any) -> str | None:
    """The text of a field that somebody named: a list, such as the choices of a question, is a line an item."""
    if isinstance(value, list):
        return "\n".join(text for item in value if (text := _joined(item))) or None
    return _text(value) if isinstance(value, str) or value is None else str(value)


def _id(row: Mapping[str, Any]) -> str | None:
    for key in _IDS:
        if isinstance(value := row.get(key), str | int) and value != "":
            return str(value)
    return None
