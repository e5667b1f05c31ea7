"""What stands beside an exported form: how its reader is told to read it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from curate.export import Written
from curate.store import write_text

# What `datasets` and the Hugging Face hub call the splits (huggingface.co/docs/datasets/repository_structure).
SPLIT_NAMES: Final = {"train": "train", "dev": "validation", "test": "test"}

# "1 token ~= 4 chars in English" (help.openai.com, article 4936856). In bytes it is less far off for other
# scripts.
BYTES_PER_TOKEN: Final = 4
_LEAST_ROOM: Final = 512


def note(folder: Path, form: str, text: str) -> list[Path]:
    """Write `LOADING.md` about a form into its folder, and return its path as a list."""
    file = folder / "LOADING.md"
    write_text(file, f"# Loading `{form}`\n\n{text.strip()}\n")
    return [file]


def files_of(written: Written) -> str:
    """The files of a form of JSON lines with their rows, as a sentence."""
    named = ", ".join(f"`{split}.jsonl` ({rows:,} rows)" for split, rows in written.rows.items())
    return f"{named}. The ids of the rows stand in `*.ids.jsonl`, in the same order."


def json_splits(written: Written) -> str:
    """The lines of Python that load a form of JSON lines by `datasets`, split by split."""
    named = ", ".join(f'"{SPLIT_NAMES[split]}": "{split}.jsonl"' for split in filled(written))
    return f'from datasets import load_dataset\n\ndata = load_dataset("json", data_files={{{named}}})'


def filled(written: Written) -> list[str]:
    """The splits that have rows: `datasets` cannot tell the columns of an empty file."""
    return [split for split, rows in written.rows.items() if rows]


def longest(written: Written) -> str:
    """How long the longest row is, as a sentence."""
    tokens = written.longest // BYTES_PER_TOKEN
    return f"The longest row has {written.longest:,} bytes, about {tokens:,} tokens."


def room(written: Written) -> int:
    """A length in tokens, a power of two, that no row should exceed under a usual tokenizer."""
    longest = written.longest * 5 // (4 * BYTES_PER_TOKEN)  # a quarter more than the estimate
    return int(max(_LEAST_ROOM, 1 << max(0, longest - 1).bit_length()))
