"""Rows as other trainers read them: exact, as ids and labels that they take as they are, or editable, as messages.

Exact rows are what `tokens` made and proved. A table has the columns `input_ids`, `attention_mask` and `labels`,
by which axolotl knows rows that are tokens already (its utils/data/wrappers.py). TRL takes ids and labels alone:
an all-ones mask beside packed rows would let them see one another (huggingface/transformers, issue 46634).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from curate import registry
from curate.errors import ReproducibilityError
from curate.export.lines import write_lines
from curate.keys import file_digest
from curate.store import write_parquet, write_text
from curate.train.rows.joining import UNLEARNED

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]
    from numpy.typing import NDArray

    from curate.train.rows.tokens import Tokens

_AT_ONCE: Final = 1000  # rows of a record batch, as `datasets` writes them
_MAX_OFFSET: Final = 2**31 - 1
_EVEN: Final = 8  # LLaMA-Factory pads batches to multiples of this, but not their positions (data/collator.py)


def write_table(tokens: Tokens, file: Path, *, mask: bool) -> None:
    """Write rows as a Parquet file with their ids beside it, read them back, and compare them.

    Raises `ReproducibilityError` when they are not what was to be written.
    """
    import polars as pl

    table = _columns(tokens.offsets, _plain(tokens, mask=mask))
    write_parquet(file, pl.DataFrame(pl.from_arrow(table)))
    read = pl.read_parquet(file, glob=False)
    same = all(
        np.array_equal(read[name].explode().to_numpy(), getattr(tokens, name)) for name in ("input_ids", "labels")
    )
    if not same or not np.array_equal(read["labels"].list.len().to_numpy(), np.diff(tokens.offsets)):
        raise ReproducibilityError("the rows read back are not those that were written", where=file.name)
    write_ids(tokens.ids, file)


def write_ids(ids: Sequence[str], file: Path) -> None:
    """Write the ids of a file's rows beside it, in their order."""
    write_lines(file.with_name(f"{file.stem}.ids.jsonl"), ({"id": id} for id in ids))


def write_tokenized(splits: dict[str, pa.Table], folder: Path) -> None:
    """Write tables as `datasets.load_from_disk` reads them.

    The features are left to be read off the columns: what `datasets` 4 and later write of them, those before
    cannot read, and LLaMA-Factory allows both.
    """
    import pyarrow as pa

    folder.mkdir()
    write_text(folder / "dataset_dict.json", json.dumps({"splits": list(splits)}))
    for split, table in splits.items():
        inner = folder / split
        inner.mkdir()
        name = "data-00000-of-00001.arrow"
        with pa.OSFile(str(inner / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=_AT_ONCE)
        state: dict[str, Any] = {
            "_data_files": [{"filename": name}],
            "_fingerprint": file_digest(inner / name)[:16],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": split,
        }
        write_text(inner / "state.json", json.dumps(state, indent=2) + "\n")
        write_text(inner / "dataset_info.json", "{}\n")


def plain_table(tokens: Tokens) -> pa.Table:
    """Rows as an Arrow table, one row a sequence."""
    return _columns(tokens.offsets, _plain(tokens, mask=True))


def packed_table(tokens: Tokens, packs: Sequence[NDArray[np.int64]], max_tokens: int, pad: int) -> pa.Table:
    """Packs of rows as LLaMA-Factory's `neat_packing` reads them, one pack a sequence of the same length.

    The mask numbers the rows of a pack from 1, so that none sees another, and positions begin anew with each row
    (LLaMA-Factory, data/processor/supervised.py).
    """
    length = -(-(max_tokens + 1) // _EVEN) * _EVEN
    shape = (len(packs), length)
    columns = {
        "input_ids": np.full(shape, pad, np.int32),
        "attention_mask": np.zeros(shape, np.int32),
        "position_ids": np.zeros(shape, np.int32),
        "labels": np.full(shape, UNLEARNED, np.int32),
    }
    for at, pack in enumerate(packs):
        start = 0
        for number, row in enumerate(pack, 1):
            input_ids, labels = tokens.row(int(row))
            end = start + len(input_ids)
            columns["input_ids"][at, start:end] = input_ids
            columns["labels"][at, start:end] = labels
            columns["attention_mask"][at, start:end] = number
            columns["position_ids"][at, start:end] = np.arange(len(input_ids))
            start = end
    offsets = np.arange(0, (len(packs) + 1) * length, length)
    return _columns(offsets, {name: values.ravel() for name, values in columns.items()})


def _plain(tokens: Tokens, *, mask: bool) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {"input_ids": tokens.input_ids}
    if mask:
        columns["attention_mask"] = np.ones(len(tokens.input_ids), np.int32)
    return columns | {"labels": tokens.labels}


def _columns(offsets: NDArray[Any], columns: dict[str, NDArray[Any]]) -> pa.Table:
    """A table whose columns are lists of values between the offsets."""
    try:
        import pyarrow as pa
    except ModuleNotFoundError as error:
        raise registry.missing(error, wanted_by="training") from None
    # Of 32 bits while they suffice: lists with longer offsets are of another type, which not every reader knows.
    kind, bits = (pa.LargeListArray, np.int64) if offsets[-1] > _MAX_OFFSET else (pa.ListArray, np.int32)
    starts = pa.array(offsets.astype(bits))
    return pa.table({name: kind.from_arrays(starts, pa.array(values)) for name, values in columns.items()})
