"""The training set for OpenAI's fine-tuning, which refuses a file for one row that it does not like."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from curate.export import Records, Written, exports
from curate.export.conversation import EXAMPLE, conversations
from curate.export.loading import files_of, longest, note
from curate.export.rows import frames_of, write_split

# platform.openai.com/docs/guides/supervised-fine-tuning: "the minimum number of examples … is 10".
_FEWEST: Final = 10


def _loading(folder: Path, written: Written) -> list[Path]:
    dev = bool(written.rows.get("dev"))
    validation = '\nheld = client.files.create(file=open("dev.jsonl", "rb"), purpose="fine-tune")' if dev else ""
    also = "\n    validation_file=held.id," if dev else ""
    text = f"""
{files_of(written)}
Upload the rows, not the ids.

```python
from openai import OpenAI

client = OpenAI()
rows = client.files.create(file=open("train.jsonl", "rb"), purpose="fine-tune"){validation}
client.fine_tuning.jobs.create(
    model="…",
    training_file=rows.id,{also}
)
```

Each line holds `messages` and nothing besides, each message `role` and `content`; the assistant speaks last. A
job asks for {_FEWEST} rows at least, a file may have 512 MB, and a row more tokens than the model allows is cut.
{longest(written)} Every answer of a dialogue is trained on.
"""
    return note(folder, "openai", text)


@exports(lacks=("tools", "no_response"), fewest=_FEWEST, finish=_loading)
def openai(records: Records, split: str, folder: Path) -> list[Path]:
    """Conversations for OpenAI's fine-tuning: `messages` with role and content, and no other key.

    The rules are those of the check that OpenAI publishes (openai/openai-cookbook, examples/
    Chat_finetuning_data_prep.ipynb): known roles, a text in every message, an assistant's message, no unknown key.
    What tools said would need the calls that asked for it, which records do not have. A record without a response
    is left out of dev and test. Writes `<split>.jsonl` and `<split>.ids.jsonl` in the same order.

    Raises `CurateError` when a record is no conversation, or a tool speaks in it, or there is no room;
    `ReproducibilityError` when what is loaded back is not what was written.
    """
    answered = conversations(frames_of(records), answered=split != "train")
    return write_split(EXAMPLE, ((id, {"messages": turns}) for id, turns in answered), split, folder)
