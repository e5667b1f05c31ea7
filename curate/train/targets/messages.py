"""Editable rows: messages, tasks or prompts with completions, by what a trainer reads under the recipe."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.export.alpaca import TASK, tasks
from curate.export.conversation import EXAMPLE, answered_fault
from curate.export.llama_factory import READ, READ_AS
from curate.export.prompt_completion import pair
from curate.export.rows import Form, write_split
from curate.store import write_text
from curate.train.targets.not_carried import Target
from curate.train.targets.settings import Handed


def write_messages(records: Mapping[str, pl.DataFrame], handed: Handed, target: Target, folder: Path) -> None:
    """Write the records of each split as `<split>.jsonl` with their ids beside them.

    Raises `CurateError` when a record is none that the trainer reads.
    """
    for split, rows in records.items():
        if target == "llama-factory" and handed.template.context:
            write_split(TASK, tasks([rows]), split, folder)
        elif target == "trl" and handed.recipe.loss != "all":
            write_split(_PAIR, ((id, pair(turns)) for id, turns in _messages(rows, handed)), split, folder)
        else:
            form = READ if target == "llama-factory" else _EXAMPLE
            write_split(form, ((id, {"messages": turns}) for id, turns in _messages(rows, handed)), split, folder)
    if target == "llama-factory":
        read_as = {"formatting": "alpaca"} if handed.template.context else READ_AS
        entries = {f"{handed.label}_{split}": {"file_name": f"{split}.jsonl"} | read_as for split in records}
        write_text(folder / "dataset_info.json", json.dumps(entries, indent=2, ensure_ascii=False) + "\n")


def _messages(rows: pl.DataFrame, handed: Handed) -> Iterator[tuple[str, list[dict[str, str]]]]:
    for record in rows.iter_rows(named=True):
        yield record["id"], handed.template.messages(record)


def _without_context(turns: Any) -> Any:
    """Messages without the context that a template of tasks has a place for."""
    if not isinstance(turns, list):
        return turns
    return [
        {key: text for key, text in turn.items() if key != "context"} if isinstance(turn, dict) else turn
        for turn in turns
    ]


def _example_fault(row: Any) -> str:
    messages = _without_context(row.get("messages") if isinstance(row, dict) else None)
    return EXAMPLE.fault({"messages": messages})


def _pair_fault(row: Any) -> str:
    if not isinstance(row, dict) or not all(isinstance(row.get(key), list) for key in ("prompt", "completion")):
        return "no prompt with its completion"
    return answered_fault(_without_context([*row["prompt"], *row["completion"]]))


_EXAMPLE: Final = Form("answered conversation", _example_fault, EXAMPLE.next)
_PAIR: Final = Form("prompt with its completion", _pair_fault, EXAMPLE.next)
