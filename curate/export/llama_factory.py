"""The training set for LLaMA-Factory, with the entries of dataset_info.json that make it read every row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from curate.export import Records, Written, exports
from curate.export.conversation import EXAMPLE, conversations
from curate.export.loading import files_of, filled, longest, note, room
from curate.export.rows import Form, frames_of, write_split
from curate.export.yaml_lines import yaml_text
from curate.store import write_text

# All tags are named: with `tags` given, LLaMA-Factory takes those that are missing for none (src/llamafactory/
# data/parser.py, DatasetAttr.join), and `formatting` misspelt for Alpaca's form (its issues 7577, 6924 and 2529).
READ_AS: Final = {
    "formatting": "sharegpt",
    "columns": {"messages": "messages"},
    "tags": {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "observation_tag": "tool",
        "function_tag": "function",
        "system_tag": "system",
    },
}


def _configuration(folder: Path, written: Written) -> list[Path]:
    entries = {_name(written, split): {"file_name": f"{split}.jsonl"} | READ_AS for split in written.rows}
    info, settings = folder / "dataset_info.json", folder / "llama_factory.yaml"
    write_text(info, json.dumps(entries, indent=2) + "\n")
    train: dict[str, Any] = {
        "stage": "sft",
        "dataset_dir": ".",
        "dataset": _name(written, "train"),
        "cutoff_len": room(written),
        "train_on_prompt": False,
        "mask_history": False,
    }
    if written.rows.get("dev"):
        train |= {"eval_dataset": _name(written, "dev"), "eval_strategy": "epoch"}
    head = "# To be added to a recipe that names the model, its template and the folder to write to; start here.\n"
    write_text(settings, head + yaml_text(train))
    text = f"""
{files_of(written)}

`dataset_info.json` describes them to LLaMA-Factory as
{", ".join(f"`{_name(written, s)}`" for s in filled(written))}. Point to this folder by `dataset_dir`, or copy
the entries into the `data/dataset_info.json` that you have, and the files beside it. `llama_factory.yaml` holds
the settings that concern the data.

{longest(written)} `cutoff_len` leaves room for it; beyond the limit (2,048 unless
it is set) LLaMA-Factory shortens rows. Rows in which the roles do not
alternate it skips with a warning; here are none, for they were looked at when they were written.
"""
    return [info, settings, *note(folder, "llama_factory", text)]


def _name(written: Written, split: str) -> str:
    return f"{written.name}_{split}"


@exports(lacks=("no_response",), finish=_configuration)
def llama_factory(records: Records, split: str, folder: Path) -> list[Path]:
    """Conversations for LLaMA-Factory, with `dataset_info.json` and the settings that concern the data.

    The rows are those of `messages`; the entries name each column and tag (hiyouga/LLaMA-Factory, data/README.md).
    A record without a response is left out of dev and test, for LLaMA-Factory skips it with no more than a warning
    (src/llamafactory/data/converter.py); what tools said must stand between two turns of the assistant, alone.
    Writes `<split>.jsonl` and `<split>.ids.jsonl` in the same order.

    Raises `CurateError` when a record is none that LLaMA-Factory reads, or there is no room;
    `ReproducibilityError` when what is loaded back is not what was written.
    """
    answered = conversations(frames_of(records), answered=split != "train")
    return write_split(READ, ((id, {"messages": turns}) for id, turns in answered), split, folder)


def _fault(row: Any) -> str:
    if found := EXAMPLE.fault(row):
        return found
    roles = [turn["role"] for turn in row["messages"] if turn["role"] != "system"]
    if any(role == "assistant" for role in roles[::2]) or any(role != "assistant" for role in roles[1::2]):
        return "two tools speak in a row"
    return ""


READ: Final = Form("conversation for LLaMA-Factory", _fault, EXAMPLE.next)
