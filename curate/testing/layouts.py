"""Golden cases of sources without Python: an input in its genuine form, and what must come of it.

A layout is a folder with an input and a `case.toml` beside it:

    about = "comments and submissions of one month"
    basis = "genuine files"          or the published description that it was built from
    input = "RS_2013-01"             the file or folder that is read
    pack = "zst"                     where the genuine form is packed: zst, gz or 7z; the name gets that ending
    pack_as = "RS_2013-01.zst"       another name for what is packed
    records = 1                      how many there must be

    [parameters]                     the source's; files are relative to the folder
    min_score = 10

    [intake]                         the books: native rows, and what became of them
    native = 3
    used = 1
    passed_over = {"not the top answer" = 1}
    mended = {"an input that says there is none" = 1}
    unreadable = ["invalid JSON"]    a pattern for the reason of each, in order

    [[record]]                       columns of some records, found by `id` where it is given, else in order
    id = "reddit:t3_abc"
    prompt = "…"
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from curate.files import holds_files, matching
from curate.intake import Counts, Source
from curate.registry import parameters, resolved
from curate.testing.laws import law
from curate.testing.sources import check_source, read_all
from curate.zstd import zstd

_KEYS: Final = {"about", "basis", "input", "pack", "pack_as", "records", "parameters", "intake", "record"}
_BOOKS: Final = {"native", "used", "passed_over", "mended", "unreadable"}


@dataclass(frozen=True)
class Layout:
    """One form of a source's input, with what must come of it."""

    folder: Path
    case: Mapping[str, Any]

    def parameters(self, source: Source) -> dict[str, Any]:
        """The source's parameters, as a pipeline in this folder would give them."""
        given = json.dumps(self.case.get("parameters", {}))
        made = resolved(parameters(source).model_validate_json(given))
        return {name: self._files(value) if holds_files(value) else value for name, value in made.items()}

    def placed(self, scratch: Path) -> Path:
        """The input, packed in `scratch` where its genuine form is."""
        path = self.folder / self.case["input"]
        law(path.exists(), f"{self.folder}: there is no {self.case['input']!r}")
        pack = self.case.get("pack")
        return packed(path, pack, scratch / self.case.get("pack_as", f"{path.name}.{pack}")) if pack else path

    def _files(self, names: tuple[Path, ...]) -> tuple[Path, ...]:
        found = tuple(path for name in names for path in matching(name, self.folder))
        law(bool(found), f"{self.folder}: nothing is called {names}")
        return found


def layouts(folder: Path) -> Iterator[Layout]:
    """The layouts below a folder, by name."""
    for file in sorted(folder.rglob("case.toml")):
        case = tomllib.loads(file.read_text("utf-8"))
        strange = set(case) - _KEYS | set(case.get("intake", {})) - _BOOKS
        law(not strange, f"{file}: keys that mean nothing: {sorted(strange)}")
        for key in ("about", "basis", "input", "records", "intake"):
            law(key in case, f"{file}: no `{key}`")
        yield Layout(file.parent, case)


def check_layout(source: Source, layout: Layout, scratch: Path) -> None:
    """What the layout's case says comes of it, and the laws of sources hold for it."""
    case, where = layout.case, layout.folder
    scratch.mkdir(parents=True, exist_ok=True)
    path, arguments = layout.placed(scratch), layout.parameters(source)
    check_source(source, path, scratch / "laws", native_rows=case["intake"]["native"], **arguments)
    frame, counts = read_all(source, path, scratch / "golden", **arguments)
    _check_books(where, case["intake"], counts)
    law(frame.height == case["records"], f"{where}: {frame.height} records, not {case['records']}")
    made = frame.to_dicts()
    by_id = {row["id"]: row for row in made if row["id"] is not None}
    for number, expected in enumerate(case.get("record", [])):
        if "id" in expected:
            law(expected["id"] in by_id, f"{where}: no record {expected['id']!r}, only {sorted(by_id)}")
            row = by_id[expected["id"]]
        else:
            law(number < len(made), f"{where}: there is no record {number}")
            row = made[number]
        for column, value in expected.items():
            found = row[column]
            if column == "extra":
                found = json.loads(found or "{}")
            law(
                _agrees(value, found),
                f"{where}: {column!r} of {row['id'] or number} is\n{found!r}\nnot\n{value!r}",
            )


def packed(path: Path, pack: str, into: Path) -> Path:
    """The file or folder in a packed form: zst, gz or 7z."""
    if pack == "7z":
        return _archived(path, into)
    law(pack in {"zst", "gz"}, f"{path}: `pack` is {pack!r}, not zst, gz or 7z")
    if path.is_dir():  # each file by itself
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        for file in sorted(path.iterdir()):
            packed(file, pack, into / f"{file.name}.{pack}")
        return into
    content = path.read_bytes()
    into.write_bytes(gzip.compress(content, mtime=0) if pack == "gz" else zstd.compress(content))
    return into


def _archived(path: Path, into: Path) -> Path:
    """A 7z archive of a file or a folder's files, which keeps times and modes: always the same ones."""
    from py7zr import SevenZipFile

    with TemporaryDirectory() as folder, SevenZipFile(into, "w") as archive:
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            copy = Path(shutil.copyfile(file, Path(folder) / file.name))
            copy.chmod(0o644)
            os.utime(copy, (0, 0))
            archive.write(copy, file.name)
    return into


def _check_books(where: Path, expected: Mapping[str, Any], counts: Counts) -> None:
    for name, found in (("native", counts.native), ("used", counts.used)):
        law(found == expected.get(name, 0), f"{where}: {found} {name} rows, not {expected.get(name, 0)}")
    passed_over = {cause: rows for cause, rows in counts.passed_over.items() if rows}
    wanted = expected.get("passed_over", {})
    law(passed_over == wanted, f"{where}: passed over {passed_over}, not {wanted}")
    mended, wanted = dict(counts.mended), expected.get("mended", {})
    law(mended == wanted, f"{where}: mended {mended}, not {wanted}")
    reasons = [row.reason for row in counts.unreadable]
    patterns = expected.get("unreadable", [])
    law(
        len(reasons) == len(patterns) and all(map(re.search, patterns, reasons)),
        f"{where}: unreadable because of {reasons}, not {patterns}",
    )


def _agrees(expected: Any, found: Any) -> bool:
    """Whether what was found is what was expected; of tables and lists of tables, the keys named."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(_agrees(value, found.get(key)) for key, value in expected.items())
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(map(_agrees, expected, found))
    return bool(expected == found)
