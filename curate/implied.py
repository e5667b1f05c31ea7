"""The pipeline that files imply which no pipeline made: each is a source, nothing is judged, and all is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from curate.errors import CurateError, SourceError
from curate.files import is_data
from curate.looking import Look, look

# Sources that a file may be for, the plainest first. None of them takes a text for another than it is.
_OF_TABLES: Final = ("table",)
_OF_ROWS: Final = ("jsonl", "self_instruct", "oasst", "natural_instructions")
TABLES: Final = frozenset({".csv", ".tsv", ".tab", ".parquet", ".arrow", ".arrows", ".feather", ".ipc"})
_PACKED: Final = frozenset({".gz", ".zst", ".bz2", ".xz", ".zip"})
_MAGIC: Final = (b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")
_NAME_CHARS: Final = 60
# JSON has these as they are, and TOML may not (toml.io/en/v1.0.0, "String"), or no screen shows them.
_ESCAPED: Final = re.compile("[\x7f-\x9f]")

# Everything is kept whatever share repeats: the passes count, and the guard would stop them.
COUNTING: Final = """
[[dedup]]
use = "exact"
on = "conversation"

[[dedup]]
use = "exact"
on = "prompt"

[[dedup]]
use = "minhash"
on = "conversation"

[guard]
source_share = 1.0
group_size = 1000000000
"""


def looked(path: Path, source: str | None, parameters: Mapping[str, Any]) -> Look:
    """A first look by the first source that makes records of a file.

    Raises `SourceError` with what the plainest source says when none does, and for names that are not UTF-8.
    """
    _check_written("the name of the file", path)
    for name, value in parameters.items():
        _check_written(f"the value of {name}", value)
    candidates = (source,) if source else _OF_TABLES if _is_table(path) else _OF_ROWS
    refused: list[CurateError] = []
    for each in candidates:
        try:
            found = look(each, path, **parameters)
        except SourceError as error:
            refused.append(error)
            continue
        if found.made:
            for input in found.inputs:
                for file in (input, *filter(is_data, input.rglob("*"))):
                    _check_written("the name of the file", file)
            return found
        tried = f"tried as {', '.join(candidates)}; name another with --source, see `curate list sources`"
        refused.append(SourceError("no record comes of it", where=str(path), next=tried))
    raise _told(refused[0])  # what the plainest source says is nearest to what the file seems to be


def _check_written(what: str, value: Any) -> None:
    """Raise `SourceError` for what neither a pipeline nor a report can hold, since it is not UTF-8."""
    written = str(value.absolute() if isinstance(value, Path) else value)
    try:
        written.encode()
    except UnicodeEncodeError:
        shown = written.encode("utf-8", "backslashreplace").decode()  # an error has to be shown, too
        next = "give the file, or its folder, another name" if isinstance(value, Path) else "write it in UTF-8"
        raise SourceError(f"{what} is not UTF-8", where=shown, next=next) from None


def _told(error: CurateError) -> CurateError:
    """The error with what to do next where there is no pipeline to write in."""
    if "prompt =" not in error.next:
        return error
    next = "say which key is which, such as --set prompt=NAME, or what the file is read as, with --source NAME"
    return SourceError(error.what, where=error.where, next=next)


def _is_table(path: Path) -> bool:
    if path.is_dir():
        return True
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _PACKED]
    if suffixes and suffixes[-1] in TABLES:
        return True
    try:
        with path.open("rb") as file:
            return file.read(6).startswith(_MAGIC)
    except OSError:
        return False


def name_of(files: Sequence[Path]) -> str:
    """A name of letters, digits, points and lines for files, after the first of them."""
    first = re.sub(r"[^A-Za-z0-9._-]+", "-", files[0].name.split(".")[0])[:_NAME_CHARS].strip("._-") or "set"
    return first if len(files) == 1 else f"{first}-and-{len(files) - 1}-more"


def implied(name: str, looks: Sequence[Look]) -> str:
    """The pipeline that reads files and keeps all, as TOML."""
    tables, quotas, names = [], [], dict[str, int]()
    for found in looks:
        own = name_of(found.inputs)
        names[own] = names.get(own, 0) + 1
        own = own if names[own] == 1 else f"{own}-{names[own]}"
        keys = {"use": found.source, "name": own, "path": str(Path(found.path).expanduser().absolute())}
        tables.append(_table("source", keys | dict(found.given)))
        # Prompts without any response are there to test with.
        alone = found.made == found.prompts_alone
        quotas.append(_table("select.quota", {"from": own, "split": "test" if alone else "train"}))
    return f'name = "{name}"\n\n' + "\n".join(tables + quotas)


def _table(name: str, keys: Mapping[str, Any]) -> str:
    return f"[[{name}]]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in keys.items())


def _value(value: Any) -> str:
    quoted = json.dumps(value, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
