"""The training set as tasks, in the form of Alpaca's data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.export import Records, Written, exports
from curate.export.loading import files_of, json_splits, note
from curate.export.rows import Form, frames_of, write_split

_KEYS: Final = ("instruction", "input", "output")


def _loading(folder: Path, written: Written) -> list[Path]:
    text = f"""
{files_of(written)}

```python
{json_splits(written)}
```

**stanford_alpaca's `train.py`** reads one JSON array, and cuts at 512 tokens unless `--model_max_length` says
otherwise:

```python
import json

json.dump([json.loads(line) for line in open("train.jsonl")], open("alpaca_data.json", "w"))
```

**axolotl:** `{{path: train.jsonl, ds_type: json, type: alpaca}}` under `datasets`.

**LLaMA-Factory**, in `dataset_info.json`: `{{"mine": {{"file_name": "train.jsonl", "formatting": "alpaca"}}}}`.
It joins instruction and input by one line break, under the template of the model, not Alpaca's.

**litgpt**, whose prompts are part of the loss unless they are masked, and which asks for the dev split as
`val.jsonl`:

```sh
cp dev.jsonl val.jsonl
litgpt finetune MODEL --data JSON --data.json_path . --data.mask_prompt true
```

**TRL** does not know these columns: export as `prompt_completion` or `messages`.
"""
    return note(folder, "alpaca", text)


@exports(lacks=("system", "history", "tools", "no_response"), finish=_loading)
def alpaca(records: Records, split: str, folder: Path) -> list[Path]:
    """Tasks as JSON lines: {"instruction": …, "input": …, "output": …}, with the ids beside them.

    The keys are those of Alpaca's data (tatsu-lab/stanford_alpaca, alpaca_data.json): exactly these, all texts. A
    record without context has the empty input, by which Alpaca's trainer chooses its template. A record without a
    response is left out of dev and test. Writes `<split>.jsonl` and `<split>.ids.jsonl` in the same order; a split
    without records leaves no files, but train leaves empty ones.

    Raises `CurateError` when a record is no task, being a dialogue, or having a system message or no response, or
    there is no room; `ReproducibilityError` when what is loaded back is not what was written.
    """
    return write_split(TASK, tasks(frames_of(records), answered=split != "train"), split, folder)


def fault(task: Any) -> str:
    """What keeps a JSON value from being a task; empty when nothing does."""
    if not isinstance(task, dict) or tuple(task) != _KEYS:
        if isinstance(task, dict) and set(_KEYS) < set(task):
            return f"it has {', '.join(sorted(set(task) - set(_KEYS)))}"
        return "other keys"
    for key in _KEYS:
        if not isinstance(task[key], str):
            return f"no {key}"
        if key != "input" and not task[key].strip():
            return f"an empty {key}"
    return ""


TASK: Final = Form(
    "task", fault, "export it as `messages`, or reject it with a rule (`removed` rejects empty texts)"
)


def tasks(frames: Iterable[pl.DataFrame], *, answered: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each record as a task with its id; where all must be `answered`, one without a response is left out."""
    for frame in frames:
        columns = frame.select("id", "system", "history", "prompt", "context", "response")
        for id, system, history, prompt, context, response in columns.iter_rows():
            if answered and response is None:
                continue
            task = {"instruction": prompt, "input": context or "", "output": response}
            # Kept, so that it is seen that the form has no place for them.
            more = {"earlier turns": history, "a system message": system}
            yield id, task | {name: value for name, value in more.items() if value}
