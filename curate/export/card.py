"""The data set card: what the set is, how it was made, and how it is loaded, for the Hugging Face hub and for
people.

The keys of its head are those of https://github.com/huggingface/hub-docs/blob/main/datasetcard.md; through
`configs`, `datasets` and the hub's viewer read the folder in which it lies.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from curate.export.card_text import body
from curate.export.loading import SPLIT_NAMES
from curate.export.yaml_lines import yaml_text
from curate.licenses.card import card_license

Json = dict[str, Any]

# The hub's own names of sizes; below the first number is "n<1K".
_SIZES: Final = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")

# Forms whose rows are those of `messages`: named again, they would only be loaded twice.
_SAME_ROWS: Final = {"llama_factory", "axolotl", "openai"}

ON_THE_HUB: Final = re.compile(r"https://huggingface\.co/datasets/([\w.-]+(?:/[\w.-]+)?)/(?:resolve|blob)/")


def card(
    numbers: Json,
    exports: Sequence[Json],
    *,
    languages: Sequence[str] = (),
    findings: Sequence[Json] = (),
    beside: Collection[str] = (),
) -> str:
    """The card of a set as Markdown with a head in YAML.

    `numbers` are those of the report, `exports` the files with their form, split and rows, named from the folder
    in which the card is to lie; `languages` are ISO 639-1 codes, `findings` those of the export, and `beside`
    the names of other files in the folder that the card may point to.
    """
    found = configs(exports)
    return f"---\n{yaml_text(head(numbers, found, languages))}---\n\n" + body(
        numbers, exports, list(found), languages=languages, findings=findings, beside=beside
    )


def head(numbers: Json, found: Mapping[str, Mapping[str, str]], languages: Sequence[str] = ()) -> Json:
    """What the hub reads of a card."""
    kept = numbers["summary"]["kept"]
    made: Json = {"pretty_name": numbers["name"]}
    if languages:
        made["language"] = list(languages)
    made |= card_license(_licenses(numbers))
    made |= {
        "size_categories": [size_category(kept)],
        "task_categories": ["text-generation"],
        "source_datasets": _sources(numbers),
        "tags": ["instruction-tuning", "supervised-fine-tuning", "curate"],
    }
    if found:
        made["configs"] = [
            {"config_name": name}
            | ({"default": True} if not at else {})
            | {"data_files": [{"split": split, "path": path} for split, path in splits.items()]}
            for at, (name, splits) in enumerate(found.items())
        ]
    return made


def _licenses(numbers: Json) -> dict[str | None, int]:
    """How many records each licence binds, by their works: a question may be under another one than its answer."""
    works = (numbers.get("licensing") or {}).get("works")
    return {row["license"]: row["records"] for row in works or ()} or {
        row["license"]: row["kept"] for row in numbers["licenses"]
    }


def size_category(rows: int) -> str:
    """The hub's name for a number of rows, such as 1K<n<10K."""
    if rows < 1000:
        return f"n<{_SIZES[0]}"
    at = min((len(str(rows)) - 4), len(_SIZES) - 1)
    return f"{_SIZES[at]}<n<{_SIZES[at + 1]}" if at + 1 < len(_SIZES) else f"n>{_SIZES[at]}"


def configs(exports: Sequence[Json]) -> dict[str, dict[str, str]]:
    """The ways in which the files can be loaded: of each the pattern of its files, by the hub's name of the split.

    Splits without rows are left out, since nothing says which columns they would have.
    """
    found: dict[str, dict[str, str]] = {}
    first = exports[0]["form"] if exports else ""
    for export in exports:
        path = PurePosixPath(export["file"])
        if not export["split"] or not export["rows"] or path.name.endswith(".ids.jsonl"):
            continue
        if export["form"] in _SAME_ROWS and export["form"] != first:
            continue
        if path.suffix == ".parquet":
            if len(path.parts) > 2:  # in a folder that has a card of its own, which the hub reads
                continue
            name = "chat" if path.parent.name == "data" else path.parent.name
            pattern = (path.parent / f"{path.name.partition('-')[0]}-*.parquet").as_posix()
        else:
            name, pattern = export["form"], path.as_posix()
        found.setdefault(name, {}).setdefault(SPLIT_NAMES[export["split"]], pattern)
    return found


def _sources(numbers: Json) -> list[str]:
    """The data sets that this one was made from, by their names on the hub where they came from there."""
    kept = {row["source"] for row in numbers["ledger"]["sources"] if row["kept"]}
    named = []
    for given in numbers["made_by"].get("inputs", ()):
        if given["source"] in kept:
            hub = ON_THE_HUB.match((given.get("origin") or {}).get("url") or "")
            named.append(hub[1] if hub else f"extended|other-{given['source']}")
    return list(dict.fromkeys(named)) or ["original"]
