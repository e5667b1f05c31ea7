"""The training set as a folder of Parquet files that `datasets` and the Hugging Face hub read as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import polars as pl

from curate.errors import CurateError
from curate.export import Records, Written, exports
from curate.export.alpaca import TASK, tasks
from curate.export.conversation import CONVERSATION, conversations
from curate.export.lines import damaged
from curate.export.loading import SPLIT_NAMES, note
from curate.export.prompt_completion import PAIR, pair
from curate.export.rows import Form, frames_of
from curate.store import temporary_name, write_bytes

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

Shape = Literal["chat", "prompt_completion", "alpaca"]
Rows = Iterator[tuple[str, dict[str, Any]]]

# Where push_to_hub of `datasets` puts a configuration: the first under data/, others under their names.
_FOLDERS: Final = {"chat": "data"}
METADATA: Final = "metadata"
_OF_A_ROW: Final = ("id", "source", "domain", "thread", "license")
_OF_A_WORK: Final = ("part", "title", "author", "author_url", "url", "license")

# Of a row group: readers that show a few rows fetch a whole one.
_GROUP_ROWS: Final = 5_000


def _chat(frame: pl.DataFrame, _: bool) -> Rows:
    return ((id, {"messages": turns}) for id, turns in conversations([frame]))


def _pairs(frame: pl.DataFrame, answered: bool) -> Rows:
    return ((id, pair(turns)) for id, turns in conversations([frame], answered=answered))


def _tasks(frame: pl.DataFrame, answered: bool) -> Rows:
    return tasks([frame], answered=answered)


_SHAPES: Final[dict[Shape, tuple[Form, Callable[[pl.DataFrame, bool], Rows]]]] = {
    "chat": (CONVERSATION, _chat),
    "prompt_completion": (PAIR, _pairs),
    "alpaca": (TASK, _tasks),
}


def configurations(folder: Path) -> dict[str, dict[str, list[str]]]:
    """The configurations in an exported folder: of each, the patterns of its files by the split's name on the
    hub.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for name in (*_SHAPES, METADATA):
        own = folder / _FOLDERS.get(name, name)
        for split in SPLIT_NAMES.values():
            if any(own.glob(f"{split}-*-of-*.parquet")):
                found.setdefault(name, {})[split] = [f"{own.name}/{split}-*.parquet"]
    return found


def _loading(folder: Path, written: Written) -> list[Path]:
    named = configurations(folder)
    listed = "\n".join(f"- `{name}`: {', '.join(splits)}" for name, splits in named.items())
    first = next(iter(named), "chat")
    text = f"""
```python
from datasets import load_dataset

data = load_dataset("path/to/this/folder", "{first}")
```

The configurations, which the head of `README.md` names:

{listed}

`metadata` says of each row of `{first}`, in the same order, where it came from, who wrote it, and under which
licence; columns of that kind beside the text would confuse trainers, which go by the names of columns.

```sh
hf upload OWNER/{written.name} . --repo-type dataset    # after reading the licences in README.md
```
"""
    return note(folder, "hugging_face", text)


@exports(lacks=("no_response",), finish=_loading)
def hugging_face(
    records: Records, split: str, folder: Path, *, forms: tuple[Shape, ...] = ("chat", "prompt_completion")
) -> list[Path]:
    """Parquet files in the layout of the Hugging Face hub, each form a configuration of its own.

    `data/train-00000-of-00001.parquet` and its like hold `messages`; `prompt_completion/` and `alpaca/` the other
    `forms`; `metadata/` the id, source, domain, thread, licence and works of each row of the first, with author,
    address and licence of each work. dev is called validation, as everywhere on the hub. A record without a
    response is left out of forms that need one.

    Raises `CurateError` when a record has no place in one of the forms, or there is no room;
    `ReproducibilityError` when what is loaded back is not what was written.
    """
    name = SPLIT_NAMES[split]
    forms = tuple(form for form in _SHAPES if form in forms)  # the first is the default, whatever was named first
    shards: dict[Path, list[Path]] = {folder / _FOLDERS.get(form, form): [] for form in (*forms, METADATA)}
    for own in shards:
        own.mkdir(parents=True, exist_ok=True)
    ends: list[Path] = []
    try:
        for number, frame in enumerate(frames_of(records)):
            for form in forms:
                own = folder / _FOLDERS.get(form, form)
                rows = _sound(form, frame, own / name, answered=split != "train")
                _shard(rows, _schema(form), own / f"{name}-{number:05}", shards[own])
            about = folder / METADATA
            of_first = (
                frame if "chat" in forms or split == "train" else frame.filter(~pl.col("response").is_null())
            )
            _shard(_metadata(of_first), _schema(METADATA), about / f"{name}-{number:05}", shards[about])
        for own, parts in shards.items():
            ends += _named(own, name, parts, keep_empty=split == "train")
    finally:
        for part in (part for parts in shards.values() for part in parts):
            part.unlink(missing_ok=True)
    return ends


def _sound(form: Shape, frame: pl.DataFrame, where: Path, *, answered: bool) -> list[dict[str, Any]]:
    shape, made = _SHAPES[form]
    rows = []
    for id, row in made(frame, answered):
        if found := shape.fault(row):
            what = f"a record is no {shape.noun}: {found} ({id})"
            raise CurateError(
                what, where=f"{where}, as {form}", next=f"leave {form!r} out of `forms`, or {shape.next}"
            )
        rows.append(row)
    return rows


def _metadata(frame: pl.DataFrame) -> list[dict[str, Any]]:
    works = pl.col("works").list.eval(pl.struct(pl.element().struct.field(*_OF_A_WORK)))
    return frame.select(*_OF_A_ROW, works=works).to_dicts()


def _schema(form: str) -> pa.Schema:
    import pyarrow as pa

    messages = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    works = pa.list_(pa.struct([(key, pa.string()) for key in _OF_A_WORK]))
    columns: dict[str, list[tuple[str, pa.DataType]]] = {
        "chat": [("messages", messages)],
        "prompt_completion": [("prompt", messages), ("completion", messages)],
        "alpaca": [(key, pa.string()) for key in ("instruction", "input", "output")],
        METADATA: [*((key, pa.string()) for key in _OF_A_ROW), ("works", works)],
    }
    return pa.schema(columns[form])


def _shard(rows: Iterable[dict[str, Any]], schema: pa.Schema, path: Path, parts: list[Path]) -> None:
    """Write rows into a file whose final name is not known yet, and load it back."""
    import pyarrow as pa
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    table = pa.Table.from_pylist(list(rows), schema)
    sink = pa.BufferOutputStream()
    # The index of pages lets the hub's viewer read a part of a group (huggingface.co/docs/hub/datasets-libraries).
    pq.write_table(table, sink, compression="zstd", row_group_size=_GROUP_ROWS, write_page_index=True)
    file = temporary_name(path)
    write_bytes(file, memoryview(sink.getvalue()))
    parts.append(file)
    if not pq.read_table(file).equals(table):
        raise damaged(f"{table.num_rows:,} rows were to be written, and others are there", path)


def _named(own: Path, name: str, parts: list[Path], *, keep_empty: bool) -> list[Path]:
    """Give a split's files the names that say how many there are. Files of an earlier export go."""
    import pyarrow.parquet as pq

    full = [part for part in parts if pq.read_metadata(part).num_rows]
    kept = full or (parts[:1] if keep_empty else [])
    ends = [own / f"{name}-{number:05}-of-{len(kept):05}.parquet" for number in range(len(kept))]
    for left in set(own.glob(f"{name}-*-of-*.parquet")) - set(ends):
        left.unlink()
    for part, end in zip(kept, ends, strict=True):
        part.replace(end)
    return ends
