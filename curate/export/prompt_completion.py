"""The training set as prompts with their completions, on which alone the loss is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from curate.export import Records, Written, exports
from curate.export.conversation import answered_fault, conversations
from curate.export.loading import files_of, json_splits, longest, note, room
from curate.export.rows import Form, frames_of, write_split

_KEYS: Final = {"prompt", "completion"}


def _loading(folder: Path, written: Written) -> list[Path]:
    text = f"""
{files_of(written)}

```python
{json_splits(written)}
```

**TRL.** `SFTTrainer` knows `prompt` and `completion`, applies the tokenizer's chat template to both, and trains
on the completion alone:

```python
from trl import SFTConfig, SFTTrainer

SFTTrainer(
    model,
    args=SFTConfig(max_length={room(written)}, packing=False),
    train_dataset=data["train"],{_eval(written)}
)
```

Of a dialogue the completion is the last answer; earlier ones are part of the prompt, and not trained on. To
train on all of them, export as `messages`. {longest(written)}
Beyond `max_length` (1,024 unless it is set) TRL cuts a row without a word.
"""
    return note(folder, "prompt_completion", text)


def _eval(written: Written) -> str:
    return '\n    eval_dataset=data["validation"],' if written.rows.get("dev") else ""


@exports(lacks=("no_response",), finish=_loading)
def prompt_completion(records: Records, split: str, folder: Path) -> list[Path]:
    """Prompts and completions as JSON lines, each a list of messages, as TRL reads them.

    `{"prompt": [{"role": "user", "content": …}], "completion": [{"role": "assistant", "content": …}]}`: the form
    that TRL calls conversational prompt-completion (huggingface/trl, docs, Dataset formats). System message and
    history are part of the prompt. A record without a response has no place in it, and is left out of dev and
    test. Writes `<split>.jsonl` and `<split>.ids.jsonl` in the same order.

    Raises `CurateError` when a record is no conversation or there is no room; `ReproducibilityError` when what is
    loaded back is not what was written.
    """
    answered = conversations(frames_of(records), answered=split != "train")
    return write_split(PAIR, ((id, pair(turns)) for id, turns in answered), split, folder)


def pair(turns: list[dict[str, str]]) -> dict[str, Any]:
    """A conversation as all that comes before its last message, and that message."""
    return {"prompt": turns[:-1], "completion": turns[-1:]}


def _fault(row: Any) -> str:
    if not isinstance(row, dict) or row.keys() != _KEYS:
        return "other keys than prompt and completion"
    if not all(isinstance(row[key], list) for key in _KEYS) or len(row["completion"]) != 1:
        return "no lists of messages"
    return answered_fault(row["prompt"] + row["completion"])


PAIR: Final = Form(
    "prompt with its completion",
    _fault,
    "reject them with a rule (`removed` rejects empty texts), or export `messages`",
)
