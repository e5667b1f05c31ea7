"""The training set for axolotl, with the part of its configuration that concerns data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from curate.export import Records, Written, exports
from curate.export.conversation import EXAMPLE, conversations
from curate.export.loading import files_of, longest, note, room
from curate.export.rows import frames_of, write_split
from curate.export.yaml_lines import yaml_text
from curate.store import write_text


def _configuration(folder: Path, written: Written) -> list[Path]:
    settings: dict[str, Any] = {
        "chat_template": "tokenizer_default",
        "datasets": [_dataset("train") | {"roles_to_train": ["assistant"], "train_on_eos": "turn"}],
    }
    if written.rows.get("dev"):
        settings["test_datasets"] = [_dataset("dev") | {"split": "train"}]
    else:
        settings["val_set_size"] = 0
    settings |= {"sequence_len": room(written), "excess_length_strategy": "raise", "train_on_inputs": False}
    file = folder / "axolotl.yaml"
    head = "# To be added to a configuration that names the model and the folder to write to; start it here.\n"
    write_text(file, head + yaml_text(settings))
    text = f"""
{files_of(written)}

`axolotl.yaml` holds what concerns the data: the assistant's turns are trained on, each with the token that ends
it, under the chat template that the tokenizer brings. Where it brings none, name one: `chat_template: chatml`.
{_dev(written)}
{longest(written)} `sequence_len` leaves room for it; with
`excess_length_strategy: raise` a row that is longer all the same stops axolotl, which would drop it otherwise.
"""
    return [file, *note(folder, "axolotl", text)]


def _dev(written: Written) -> str:
    if not written.rows.get("dev"):
        return "\nThere is no dev split: none of `train.jsonl` is set apart for evaluation (`val_set_size: 0`).\n"
    return """
`test_datasets` is the dev split: what the pipeline set apart is evaluated on, instead of a random part of the rows
(`val_set_size`). Its `split: train` is what axolotl calls the rows of a file of its own.
"""


def _dataset(split: str) -> dict[str, Any]:
    return {
        "path": f"{split}.jsonl",
        "ds_type": "json",
        "type": "chat_template",
        "field_messages": "messages",
        "message_property_mappings": {"role": "role", "content": "content"},
    }


@exports(lacks=("no_response",), finish=_configuration)
def axolotl(records: Records, split: str, folder: Path) -> list[Path]:
    """Conversations for axolotl, with the YAML that makes it read them and train on the answers.

    The rows are those of `messages`, read by `type: chat_template` (axolotl-ai-cloud/axolotl,
    docs/dataset-formats/ conversation.qmd); dev is named under `test_datasets`, so that no row of train is set
    apart. A record without a response is left out of dev and test. Writes `<split>.jsonl` and
    `<split>.ids.jsonl` in the same order.

    Raises `CurateError` when a record is no conversation or there is no room; `ReproducibilityError` when what is
    loaded back is not what was written.
    """
    answered = conversations(frames_of(records), answered=split != "train")
    return write_split(EXAMPLE, ((id, {"messages": turns}) for id, turns in answered), split, folder)
