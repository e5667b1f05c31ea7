"""A file of TOML whose mistakes are named by key and line."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from curate.errors import PipelineError, nearest
from curate.toml_lines import KeyPath, key_lines

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_M = TypeVar("_M", bound=BaseModel)


class CheckedToml:
    """A pipeline file, read; its tables are checked against models.

    Raises `PipelineError` when the file cannot be read or is not valid TOML.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            text = file.read_bytes().decode("utf-8-sig")
            self.raw = tomllib.loads(text)
        except FileNotFoundError:
            raise PipelineError(
                "the pipeline file does not exist", where=str(file), next="`curate init` writes one to begin from"
            ) from None
        except IsADirectoryError:
            raise PipelineError(
                "a folder is no pipeline file", where=str(file), next="name the .toml in it"
            ) from None
        except UnicodeDecodeError as error:
            raise PipelineError("the pipeline file is not UTF-8", where=f"{file}, byte {error.start}") from None
        except tomllib.TOMLDecodeError as error:
            raise PipelineError(f"the pipeline file is not valid TOML: {error}", where=str(file)) from None
        self.lines = key_lines(text)

    def checked(self, model: type[_M], value: Any, at: KeyPath, *, own: tuple[str, ...] = ()) -> _M:
        """The value as the model, or a `PipelineError` that names the key, its line and the nearest valid one."""
        try:
            # Through JSON, an array is a tuple where one is asked for, even when types are strict.
            return model.model_validate_json(json.dumps(value, default=str))
        except ValidationError as error:
            # A mistyped key is also a missing one; the typo says more.
            first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
            path = (*at, *(_plain_location(first["loc"])))
            key = str(path[-1]) if path else ""
            if first["type"] == "extra_forbidden":
                valid = [*_valid_keys(model, first["loc"]), *own]
                raise self.error(f"there is no key {key!r} here", path, nearest(key, valid)) from None
            if first["type"] == "missing":
                raise self.error(f"the key {key!r} is missing", path) from None
            # An item of an array is named with the array: its number alone says nothing.
            key = _last_name(path)
            said, what_next = _said(first)
            raise self.error(f"{key!r} is {first['input']!r}: {said}", path, what_next) from None

    def error(self, what: str, at: KeyPath, next: str = "") -> PipelineError:
        """The error for what stands at a key."""
        return PipelineError(what, where=self.where(at), next=next)

    def where(self, at: KeyPath) -> str:
        """The file, the line of the nearest key that is known, and the key."""
        dotted = _dotted(at).removeprefix(".")
        known = at
        while known and known not in self.lines:
            known = known[:-1]
        line = f", line {self.lines[known]}" if known else ""
        return f"{self.file}{line}" + (f", key {dotted}" if dotted else "")


def _dotted(at: KeyPath) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at)


def _last_name(path: KeyPath) -> str:
    return re.sub(r".*\.", "", _dotted(path))


def _said(error: ErrorDetails) -> tuple[str, str]:
    """What is wrong with a value, in words of a pipeline, and what to do next where more can be said."""
    given = error["input"]
    match error["type"]:
        case "too_short":
            return f"at least {error['ctx']['min_length']} is needed", ""
        case "literal_error" if isinstance(given, str):
            valid = re.findall("'([^']*)'", error["ctx"]["expected"])
            return error["msg"].lower(), nearest(given, valid)
        case "string_type" if error["loc"][-1:] == ("path",) and isinstance(given, list):
            return error["msg"].lower(), 'a pattern such as "dumps/*.7z" matches several; else one [[source]] each'
        case _:
            return error["msg"].lower(), ""


def _plain_location(location: tuple[str | int, ...]) -> KeyPath:
    # Pydantic adds the branch of a union that failed, which is no key of the file.
    return tuple(
        part
        for part in location
        if isinstance(part, int) or not re.search(r"[\[\(]|^(str|int|float|tuple)$", part)
    )


def _valid_keys(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """The keys that are valid beside the last of a location inside a model."""
    current: Any = model
    for part in location[:-1]:
        if isinstance(part, str) and part in current.model_fields:
            annotation = current.model_fields[part].annotation
            current = next(
                (
                    a
                    for a in (annotation, *getattr(annotation, "__args__", ()))
                    if isinstance(a, type) and issubclass(a, BaseModel)
                ),
                current,
            )
    return [field.alias or name for name, field in current.model_fields.items()]
