"""Reads the tasks of Self-Instruct and of its offspring Alpaca, and all files that making them leaves behind.

Alpaca is one JSON array of {"instruction", "input", "output"}; generated instances of Self-Instruct are the
same, one a line. Its seed tasks hold several instances each:

    {"id": "seed_task_7", "instruction": "…", "instances": [{"input": "", "output": "…"}], …}

Each row says by its keys which file it is from, so nothing needs to be declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from curate.api import Intake, MisfitError, Part, json_frames, kind_of, leftovers, listed, reads, text_at

from .completions import task_in
from .instances import instances_in, was_cut

# What the model wrote where a task has no input: the prompt asks for "<noinput>", and of its many spellings
# Alpaca's own code knew one. Extends the pattern of AlpacaDataCleaned, which must match the whole text here,
# as "The boy <noinput> the ball" is a cloze; spellings found in the 52,002 published tasks.
_NO_INPUT: Final = re.compile(
    r"\W*(?:(?i:no[ _-]?input[a-z]?(?: (?:is )?(?:required|needed|necessary|provided|given))?)"
    r"|(?i:ninput|none|n/a)|NA)\W*"
)
_TASK_KEYS: Final = frozenset({"id", "instruction", "input", "output"})
_SEED_KEYS: Final = frozenset({"id", "instruction", "instances"})
_RAW_KEYS: Final = frozenset({"id", "instruction", "raw_instances", "instance_metadata", "instruction_metadata"})
_FLAG_KEYS: Final = frozenset({"id", "instruction", "is_classification"})
_MADE_KEYS: Final = frozenset({"id", "instruction", "metadata"})
_PAIR_KEYS: Final = frozenset({"id", "prompt", "completion"})

_YES: Final = frozenset({"Yes", "yes", "YES"})  # what the published reader takes for a yes

_TASKS: Final = "tasks: alpaca_data.json, all_instances_82K.jsonl: {instruction, input, output}"
_REGEN: Final = "regen.json, as Alpaca's generator writes it: tasks with most_similar_instructions"
_FILLED: Final = "tasks with `text`, the template that they were put into, as Hugging Face has Alpaca"
_SEEDS: Final = "seed_tasks.jsonl, user_oriented_instructions.jsonl: {id, instruction, instances}"
_RAW: Final = "machine_generated_instances.jsonl: {instruction, raw_instances}"
_FLAGS: Final = "is_clf_or_not_….jsonl: {instruction, is_classification}, without responses"
_MADE: Final = "machine_generated_instructions.jsonl: {instruction, most_similar}, without responses"
_PAIRS: Final = "gpt3_finetuning_data.jsonl: {prompt, completion}"


@reads(
    license="CC-BY-NC-4.0",
    home="https://github.com/tatsu-lab/stanford_alpaca",
    layouts=(_TASKS, _REGEN, _FILLED, _SEEDS, _MADE, _FLAGS, _RAW, _PAIRS),
    example='path = "alpaca_data.json"',
)
def self_instruct(
    path: Path, intake: Intake, *, between: str = "", license: str = "CC-BY-NC-4.0", author: str = ""
) -> Iterator[Part]:
    """Tasks of Self-Instruct and Alpaca: an instruction, perhaps an input, and a model's output.

    An input that only says that there is none, such as "<noinput>", becomes null and is counted as mended;
    `extra` keeps what it said.
    An empty output stays: rules judge it. Instances in a model's raw text are told apart by the published rules,
    and of one that used up its tokens the last is dropped; a text without any is passed over. Where a run had
    forms of its own, `between` is what stands between input and output in its raw texts. `license` is the one to
    declare for all of them (Alpaca's README and data sheet disagree about theirs), `author` the model or the
    people who wrote them.
    """
    works = [
        {
            "part": "prompt and response",
            "author": author or None,
            "license": license or None,
            "license_basis": "declared" if license else None,
        }
    ]
    yield from json_frames(path, intake, partial(_records, intake=intake, works=works, between=between))


def _records(
    row: dict[str, Any], *, intake: Intake, works: list[dict[str, Any]], between: str
) -> list[dict[str, Any]]:
    layout, made = _read(row, between)
    intake.found(layout)
    none_given = sum("no_input" in (each.get("extra") or {}) for each in made)
    intake.mended("the input says that there is none", none_given)
    if not made:
        intake.passed_over("cut off in its only instance" if was_cut(row) else "no instance in the model's text")
    return [{"works": works, **fields} for fields in made]


def _read(row: dict[str, Any], between: str) -> tuple[str, list[dict[str, Any]]]:
    """Which file the row is from, and its records without their works."""
    if "completion" in row and "instruction" not in row:
        return _PAIRS, [_of_pair(row)]
    if "instances" in row:
        return _SEEDS, _of_seed(row)
    if "raw_instances" in row:
        return _RAW, _of_raw(row, between)
    if "is_classification" in row and "output" not in row:
        return _FLAGS, [_of_flag(row)]
    if "most_similar" in row and "output" not in row:
        extra = leftovers(row, _MADE_KEYS)
        return _MADE, [{"id": _native_id(row), "prompt": text_at(row, "instruction"), "extra": extra or None}]
    return _of_task(row)


def _of_task(row: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """A task by itself; a `text` that only says instruction and output again is not kept."""
    layout = _REGEN if "most_similar_instructions" in row else _TASKS
    instruction, filled, taken = text_at(row, "instruction"), row.get("text"), _TASK_KEYS
    if isinstance(filled, str) and instruction in filled and filled.endswith(text_at(row, "output")):
        layout, taken = _FILLED, taken | {"text"}
    return layout, [{"id": _native_id(row), **_fields(instruction, row, leftovers(row, taken))}]


def _of_seed(row: dict[str, Any]) -> list[dict[str, Any]]:
    native = _native_id(row)
    instruction, instances = text_at(row, "instruction"), row["instances"]
    if not isinstance(instances, list) or not instances:
        raise MisfitError(
            f"'instances' is {'empty' if instances == [] else kind_of(instances)}, not a list of instances"
        )
    made = []
    for number, instance in enumerate(instances):
        if not isinstance(instance, dict):
            raise MisfitError(f"instance {number} is {kind_of(instance)}, not an object")
        id = native if len(instances) == 1 or native is None else f"{native}/{number}"
        extra = leftovers(row, _SEED_KEYS) | leftovers(instance, _TASK_KEYS)
        made.append({"id": id, "thread": native, **_fields(instruction, instance, extra)})
    return made


def _of_raw(row: dict[str, Any], between: str) -> list[dict[str, Any]]:
    instruction, raw = text_at(row, "instruction"), text_at(row, "raw_instances")
    found = instances_in(raw, between)
    cut = was_cut(row)
    extra = leftovers(row, _RAW_KEYS) | ({"cut": "the last instance was not whole"} if cut else {})
    return [
        {"id": None, **_fields(instruction, {"input": given, "output": output}, extra)}
        for given, output in (found[:-1] if cut else found)
    ]


def _of_flag(row: dict[str, Any]) -> dict[str, Any]:
    said = row["is_classification"]
    flag = said if isinstance(said, bool) else text_at(row, "is_classification").strip() in _YES
    extra = leftovers(row, _FLAG_KEYS) | {"is_classification": flag}
    return {"id": _native_id(row), "prompt": text_at(row, "instruction"), "extra": extra}


def _of_pair(row: dict[str, Any]) -> dict[str, Any]:
    instruction, given, output = task_in(text_at(row, "prompt"), text_at(row, "completion"))
    task = {"input": given, "output": output}
    return {"id": _native_id(row), **_fields(instruction, task, leftovers(row, _PAIR_KEYS))}


def _fields(instruction: str, instance: Mapping[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """Prompt, context, response and extra. The generated files of Self-Instruct leave out no key either."""
    context = text_at(instance, "input")
    if _NO_INPUT.fullmatch(context):
        extra, context = extra | {"no_input": context}, ""
    return {
        "prompt": instruction,
        "context": context if context.strip() else None,
        "response": text_at(instance, "output"),
        "extra": extra or None,
    }


def _native_id(row: dict[str, Any]) -> str | None:
    native = row.get("id")
    if native is None or native == "":
        return None
    if isinstance(native, bool) or not isinstance(native, str | int):
        raise MisfitError(f"'id' is {kind_of(native)}; the keys are {listed(row)}")
    return f"self_instruct:{native}"
