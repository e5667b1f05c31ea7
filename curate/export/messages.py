"""The training set as conversations, in the form that chat templates take."""

from __future__ import annotations

from pathlib import Path

from curate.export import Records, Written, exports
from curate.export.conversation import CONVERSATION, conversations
from curate.export.loading import files_of, json_splits, longest, note, room
from curate.export.rows import frames_of, write_split


def _loading(folder: Path, written: Written) -> list[Path]:
    text = f"""
{files_of(written)}

```python
{json_splits(written)}
```

**TRL.** `SFTTrainer` knows the column `messages`, and trains on every token of it, the user's too, unless it is
told otherwise. Tell it so:

```python
from trl import SFTConfig

SFTConfig(assistant_only_loss=True, max_length={room(written)})
```

That needs a chat template with `{{% generation %}}` in it; TRL brings such templates for the model families it
knows. Where there is none, export as `prompt_completion`: its loss is on the completion by default.
{longest(written)}
Beyond `max_length` (1,024 unless it is set) TRL cuts a row without a word.
"""
    return note(folder, "messages", text)


@exports(finish=_loading)
def messages(records: Records, split: str, folder: Path) -> list[Path]:
    """Conversations as JSON lines: {"messages": [{"role": …, "content": …}, …]}, with the ids beside them.

    Writes `<split>.jsonl` and `<split>.ids.jsonl` (one `{"id": …}` a line, same order). The system message
    comes first where there is one, then the history, the user's message and the response; a prompt-only
    record ends with the user. A split without records leaves no files, but train leaves empty ones.

    Raises `CurateError` when a record is no conversation (see `curate.export.conversation.fault`) or there is no
    room, and `ReproducibilityError` when what is loaded back is not what was written.
    """
    rows = ((id, {"messages": turns}) for id, turns in conversations(frames_of(records)))
    return write_split(CONVERSATION, rows, split, folder)
