"""The training set as conversations in the form that ShareGPT's had."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from curate.export import Records, Written, exports
from curate.export.conversation import answered_fault, conversations
from curate.export.loading import files_of, json_splits, note, room
from curate.export.rows import Form, frames_of, write_split
from curate.export.yaml_lines import yaml_text

_NAMES: Final = {"system": "system", "user": "human", "assistant": "gpt"}
_ROLES: Final = {name: role for role, name in _NAMES.items()}


def _loading(folder: Path, written: Written) -> list[Path]:
    axolotl = {
        "datasets": [
            {
                "path": "train.jsonl",
                "ds_type": "json",
                "type": "chat_template",
                "field_messages": "conversations",
                "message_property_mappings": {"role": "from", "content": "value"},
            }
        ],
        "sequence_len": room(written),
    }
    text = f"""
{files_of(written)}

```python
{json_splits(written)}
```

**axolotl** (where `type: sharegpt` is gone; these mappings take its place):

```yaml
{yaml_text(axolotl).strip()}
```

**LLaMA-Factory**, in `dataset_info.json`:
`{{"mine": {{"file_name": "train.jsonl", "formatting": "sharegpt"}}}}`. The key is `formatting`: under any other
name it is passed over, and the data taken for Alpaca's.

**Unsloth.** `standardize_sharegpt` turns these rows into `messages`.

**FastChat** knows `human` and `gpt` alone, and one array instead of lines; a row that begins with `system` it
does not read.
"""
    return note(folder, "sharegpt", text)


@exports(lacks=("tools", "no_response"), finish=_loading)
def sharegpt(records: Records, split: str, folder: Path) -> list[Path]:
    """Conversations as JSON lines in ShareGPT's form: {"conversations": [{"from": "human", "value": …}, …]}.

    `human` and `gpt` take turns (lm-sys/FastChat, fastchat/train/train.py); a
    system message comes first, from `system`, as LLaMA-Factory (data/README.md, system_tag) and axolotl read it.
    What tools said has no agreed name there. A record without a response is left out of dev and test. Writes
    `<split>.jsonl` and `<split>.ids.jsonl` in the same order.

    Raises `CurateError` when a record is no conversation, or a tool speaks in it, or there is no room;
    `ReproducibilityError` when what is loaded back is not what was written.
    """
    answered = conversations(frames_of(records), answered=split != "train")
    return write_split(SHARED, ((id, _shared(turns)) for id, turns in answered), split, folder)


def _shared(turns: list[dict[str, str]]) -> dict[str, Any]:
    named = [{"from": _NAMES.get(turn["role"], turn["role"]), "value": turn["content"]} for turn in turns]
    return {"conversations": named}


def _fault(row: Any) -> str:
    if not isinstance(row, dict) or row.keys() != {"conversations"}:
        return "other keys than conversations"
    turns = row["conversations"]
    if not isinstance(turns, list):
        return "no list of turns"
    for turn in turns:
        if not isinstance(turn, dict) or turn.keys() != {"from", "value"}:
            return "a turn without from and value"
        if turn["from"] not in _ROLES:
            return f"a turn from {turn['from']!r}"
    return answered_fault([{"role": _ROLES[turn["from"]], "content": turn["value"]} for turn in turns])


SHARED: Final = Form(
    "conversation", _fault, "reject them with a rule (`broken_roles`, `removed`), or export them as `messages`"
)
