"""Which settings two runs differ in: of pipelines, inputs, versions, code and files, each by its path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from curate.keys import canonical

# Of a plug-in's table, what is not its parameters.
_UNSAID: Final = {"use", "name", "rules", "unknown", "then", "lifted", "language"}
_DIGITS: Final = 12  # of a digest: enough to see that two differ


def differing_settings(a: dict[str, Any], b: dict[str, Any]) -> pl.DataFrame:
    """The innermost settings that differ between two manifests, by path, as `setting`, `a` and `b`.

    A value is empty where a run has no such setting.
    """
    rows = list(_settings(_shaping(a, b), _shaping(b, a), ""))
    return pl.DataFrame(rows, schema=dict.fromkeys(("setting", "a", "b"), pl.String), orient="row").sort("setting")


def readable(value: str) -> str:
    """A setting as a person reads it: of a table, the plug-in and its parameters."""
    if not value.startswith("{"):
        return value
    table = json.loads(value)
    given = ", ".join(f"{key} = {json.dumps(table[key])}" for key in sorted(table.keys() - _UNSAID))
    return f"{table.get('use', '')}({given})"


def _shaping(manifest: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What a manifest says of all that shaped a run. Code that the other run has not called says nothing."""
    facts = manifest["facts"]
    inputs = {f"{each['source']}/{each['input']}": each["sha256"][:_DIGITS] for each in facts["inputs"]}
    code = {module: key[:_DIGITS] for module, key in manifest["code"].items() if module in other["code"]}
    shaping = {**manifest["pipeline"], "input": inputs, "version": facts["versions"], "code": code}
    if "files" in manifest and "files" in other:  # runs of before say nothing of them
        shaping["file"] = {name: key[:_DIGITS] for name, key in manifest["files"].items()}
        shaping |= {} if manifest["sample"] is None else {"sample": manifest["sample"]}
    return shaping


def _settings(a: Any, b: Any, at: str) -> Iterator[tuple[str, str, str]]:
    """The innermost settings that differ, by their path, with both values: empty where there is none."""
    tables = isinstance(a, list) and isinstance(b, list)
    a, b = _by_name(a), _by_name(b)
    if tables and isinstance(a, dict) and isinstance(b, dict):
        one, other = ([name for name in names if name in a and name in b] for names in (a, b))
        if one != other:
            yield f"{at} in order", ", ".join(one), ", ".join(other)
    if a == b:
        return
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted({*a, *b}):
            yield from _settings(a.get(key, _NONE), b.get(key, _NONE), f"{at}.{key}" if at else key)
    else:
        yield at, _written(a), _written(b)


_NONE: Final = object()


def _written(value: Any) -> str:
    if value is _NONE:
        return ""
    return value if isinstance(value, str) else canonical(value)


def _by_name(value: Any) -> Any:
    """A list of tables as a mapping by name, or by plug-in and place, so that equal ones are compared."""
    if not isinstance(value, list) or not value or not all(isinstance(each, dict) for each in value):
        return value
    named: dict[str, Any] = {}
    for each in value:
        name = each.get("name") or each.get("use", "?")
        unique = name
        while unique in named:
            unique = f"{unique}+"
        named[unique] = each
    return named
