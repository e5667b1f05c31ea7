"""The inputs that a pipeline reads: found, in one order, and known by their content's digest."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock

from curate.errors import SourceError, nearest
from curate.files import is_data, matching
from curate.keys import digest, file_digest
from curate.pipeline import Pipeline, SourceCall
from curate.store import read_json, write_text


@dataclass(frozen=True)
class Input:
    """One file or folder that a source reads: the folder it lies in, its name, its content's digest, its size.

    Names are in the key, because a source may take more from them than the content says, as Stack Exchange's
    takes the site. `shown` is in no key: it is the name before people, with as much of the path as tells the input
    from its source's others.
    """

    source: SourceCall
    path: Path
    folder: str
    name: str
    digest: str
    bytes: int
    shown: str = ""


class DigestCache:
    """Remembers the sha256 of files by path, size, time of change and inode.

    A convenience: `rehash` forgets it, for whoever does not trust times.
    """

    def __init__(self, file: Path, *, rehash: bool = False) -> None:
        self.file = file
        self.known = {} if rehash else self._kept()

    def digest(self, path: Path) -> str:
        """The sha256 of a file's bytes."""
        stat = path.stat()
        key = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{stat.st_ino}"
        if key not in self.known:
            self.known[key] = file_digest(path)
        return self.known[key]

    def save(self) -> None:
        """Write what is remembered."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.file.with_suffix(".lock")):
            write_text(self.file, json.dumps(self._kept() | self.known, sort_keys=True, indent=0))

    def _kept(self) -> dict[str, str]:
        try:
            kept: dict[str, str] = read_json(self.file)
        except (FileNotFoundError, ValueError):  # damaged or not there: it is only a cache
            return {}
        return kept


def find_inputs(pipeline: Pipeline, cache: DigestCache) -> list[Input]:
    """All inputs of all sources: sources in the pipeline's order, a source's inputs by name.

    Raises `SourceError` when a source's path matches nothing.
    """
    inputs = [
        input
        for source in pipeline.sources
        for input in _told_apart([_input(source, path, cache) for path in _matches(source)])
    ]
    cache.save()
    return inputs


def _told_apart(inputs: list[Input]) -> list[Input]:
    """The inputs of a source with the name that each is shown by."""
    paths = [input.path.absolute().parts for input in inputs]
    names = [input.name for input in inputs]
    for depth in range(2, max(map(len, paths)) + 1):
        count = Counter(names)
        longer = ["/".join(parts[-depth:]) for parts in paths]
        names = [
            longer[at] if count[name] > 1 and len(longer[at]) > len(name) else name
            for at, name in enumerate(names)
        ]
    return [replace(input, shown=name) for input, name in zip(inputs, names, strict=True)]


def _matches(source: SourceCall) -> list[Path]:
    """The inputs of a source. What it reads beside another of them is no input of its own."""
    found = matching(source.path, source.folder)
    if not found:
        path = source.folder / Path(source.path).expanduser()
        parent = next(parent for parent in path.parents if parent.is_dir())
        beside = [path.name for path in parent.iterdir()]
        raise SourceError(
            f"nothing matches the path of the source {source.name!r}",
            where=str(path),
            next=f"in {parent}: {nearest(path.name, beside)}" if beside else f"{parent} is empty",
        )
    with_others = {other for path in found for other in _beside(source, path) if other != path}
    return [path for path in found if path not in with_others] or found


def _beside(source: SourceCall, path: Path) -> list[Path]:
    """The files outside an input that the source reads with it."""
    return [*source.plugin.beside(path), *source.files]


def _input(source: SourceCall, path: Path, cache: DigestCache) -> Input:
    wanted = source.plugin.files
    if path.is_file():
        # A bare member of a folder is that folder's: its name may say what the member does not.
        folder = path.absolute().parent.name
        name = f"{folder}/{path.name}" if path.name in wanted else path.name
        digests = [[path.name, cache.digest(path)]]
        size = path.stat().st_size
    else:
        folder, name = "", path.absolute().name
        digests, size = _members(path, wanted, cache)
    beside = _beside(source, path)
    digests += [[other.name, cache.digest(other)] for other in beside]
    # What `sha256sum` prints, where one file is all that is read. Of a folder, the names of members count too.
    content = digests[0][1] if len(digests) == 1 and path.is_file() else digest(digests)
    return Input(source, path, folder, name, content, size + sum(other.stat().st_size for other in beside))


def _members(path: Path, wanted: tuple[str, ...], cache: DigestCache) -> tuple[list[list[str]], int]:
    """Name and digest of each member of a folder that matters, and their size together."""
    members = [path / name for name in wanted] if wanted else filter(is_data, path.rglob("*"))
    members = sorted(member for member in members if member.is_file())
    digests = [[member.relative_to(path).as_posix(), cache.digest(member)] for member in members]
    return digests, sum(member.stat().st_size for member in members)
