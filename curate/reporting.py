"""Sets that no pipeline made, read as runs that keep every row: what reports on files and differences start from.

A pipeline is implied: each file is a source, no rule judges, nothing is left out as a duplicate, and every row
that has a response is trained on. Rows that repeat others are counted beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from shlex import join
from typing import Any, Final

import polars as pl

from curate import registry
from curate.diff import Difference
from curate.diff_files import FilesDifference, files_difference
from curate.engine import cores
from curate.errors import PipelineError, ReproducibilityError
from curate.implied import COUNTING, TABLES, implied, looked, name_of
from curate.inputs import DigestCache
from curate.keys import canonical, digest, file_digest
from curate.looking import Look
from curate.manifest import described, locked, write_manifest
from curate.pipeline import Pipeline
from curate.report import groups, kept
from curate.report.excerpts import quoted
from curate.report.page import page
from curate.runs import RUNS, Run, load, prepare
from curate.store import Store, Table, sweep, write_text
from curate.watch import Clock, Watch
from curate.work import Work

FOLDER: Final = ".reports"  # beside the runs, since parts that are made once are found again
_DIGITS: Final = 12
_PATIENCE: Final = 300.0  # seconds to wait for another command that reads the same file, and finds the same
_TOPIC_CHARS: Final = 60  # what is longer says something, and names nothing
_SAID: Final = {
    ("exact", "conversation"): "say what another says",
    ("exact", "prompt"): "ask what another asks",
    ("minhash", "conversation"): "say nearly what another says",
}


@dataclass(frozen=True)
class FileSet:
    """Files that no pipeline made, as the tables of a run that keeps every row of them which has a response."""

    files: tuple[Path, ...]
    looks: tuple[Look, ...]
    pipeline: Pipeline
    watch: Watch

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """The tables of the run, which are made when they are first asked for."""
        with _work(self.pipeline, watch=self.watch) as (work, cache, store):
            return work.decided(cache, store)[0]

    @property
    def path(self) -> Path:
        """The folder in which the tables lie."""
        return self.pipeline.file.with_suffix("")

    @property
    def manifest(self) -> dict[str, Any]:
        """What a manifest says of tables and inputs."""
        inputs = [{"input": file.name} for file in self.files]
        tables = {name: described(table) for name, table in self.tables.items()}
        return {"tables": tables, "facts": {"inputs": inputs, "rules": []}}

    def table(self, name: str) -> pl.LazyFrame:
        """A table of the run; see `curate.tables` and `curate.record` for the columns."""
        return self.tables[name].scan()

    @property
    def records(self) -> pl.LazyFrame:
        """All records."""
        return self.table("records")

    @property
    def title(self) -> str:
        """The names of the files."""
        return ", ".join(dict.fromkeys(file.name for file in self.files))

    @property
    def name(self) -> str:
        """A name for what is made of the files."""
        return name_of(self.files)

    def has(self, key: str) -> bool:
        """Whether each record that was looked at has a short text under a key that means nothing yet."""
        extra = pl.concat([found.records["extra"] for found in self.looks])
        if extra.is_empty() or extra.null_count():
            return False
        under = [json.loads(each).get(key) for each in extra]
        return all(isinstance(value, str) and 0 < len(value) <= _TOPIC_CHARS for value in under)

    def diff(self, other: FileSet) -> FilesDifference:
        """What differs between these files and others: rows lost, gained and changed, and all distributions."""
        return files_difference(self, other)

    def __repr__(self) -> str:
        return f"Files {self.title!r}: {self.tables['records'].rows:,} records"

    def _repr_html_(self) -> str:
        return "".join(found._repr_html_() for found in self.looks)

    def run(self) -> Run:
        """The run that keeps all, finished: with the numbers of its report, and nothing exported."""
        command = join(["curate", "report", *(file.name for file in self.files)])
        with _work(self.pipeline, command, self.watch) as (work, cache, _):
            work.done(cache)
        return load(self.path)

    def report(self) -> dict[str, Any]:
        """Every number of the report on these files."""
        made = deepcopy(self.run().numbers)
        made["dedup"] = self._repeated() | {"counted": True}
        # Nothing judges these rows and nothing leaves any out: there is no before and after, and no rule.
        made |= {"before_after": None, "rules": None}
        repeats = sum(row["records"] for row in made["dedup"]["dropped"])
        made["name"] = self.title
        made["summary"] |= self._outcome(made, repeats)
        made["alerts"] += self._counted(made)
        return made

    def _outcome(self, made: Mapping[str, Any], repeats: int) -> dict[str, str]:
        records = made["summary"]["records"]
        unanswered = records - made["summary"]["kept"]
        rest = [
            f"{unanswered:,} have no response, and no split takes them." if unanswered else "",
            f"{repeats:,} repeat others, wholly or nearly." if repeats else "No record repeats another.",
        ]
        return {"outcome": f"{records:,} records in {self.title}.", "rest": " ".join(filter(None, rest))}

    def _counted(self, made: Mapping[str, Any]) -> list[str]:
        rows = {(row["method"], row["on"]): row["records"] for row in made["dedup"]["dropped"]}
        told = [f"{rows[how]:,} {said}" for how, said in _SAID.items() if rows.get(how)]
        return [f"Of all records {', '.join(told)}. They are counted here, and none is left out."] if told else []

    def _repeated(self) -> dict[str, Any]:
        """Which rows repeat others: the section of a report on duplicates, made without leaving any out."""
        implied = self.pipeline.file
        counting = implied.with_name(f"{implied.stem}-distinct.toml")
        write_text(counting, implied.read_text("utf-8") + COUNTING)
        resolved = prepare(counting)
        self.watch.stage("repeated rows", None, "rows")
        with _work(resolved) as (work, cache, store):
            tables, _ = work.decided(cache, store)
        return _duplicates(tables, resolved.plain()["dedup"])


def _duplicates(tables: Mapping[str, Table], passes: list[dict[str, Any]]) -> dict[str, Any]:
    scans = {name: tables[name].scan() for name in ("records", "pairs", "duplicates", "passes")}
    section = kept.duplicates(scans, {"dedup": passes}) | {"groups_shown": groups.groups(scans)}
    ids = {pair[key] for pair in section["least_similar"] for key in ("id", "kept_id")}
    texts = quoted(scans["records"], ids | groups.named(section["groups_shown"]))
    kept.with_both_texts(section, texts)
    groups.with_members(section["groups_shown"], texts)
    return section


def open_files(
    *paths: str | Path,
    source: str | None = None,
    runs: str | Path = RUNS,
    plugins: Iterable[str | Path] = (),
    watch: Watch | None = None,
    **parameters: Any,
) -> FileSet:
    """Files of prompts and responses, or of dialogues, opened as a run that keeps them all.

    The layout of each is told by its beginning, unless a `source` is named (see `curate list sources`), of which
    `parameters` may be given, such as `domain="category"`. What is read lies under `runs/.reports`, and is found
    again; it may be deleted.

    Raises `SourceError` for what cannot be read, and another `CurateError` for anything else that is wrong.
    """
    registry.use_folders([Path(folder) for folder in plugins])
    looks = [looked(Path(path).expanduser(), source, parameters) for path in paths]
    files = tuple(dict.fromkeys(file for found in looks for file in found.inputs))
    name = name_of(files)
    text = implied(name, looks)
    folder = Path(runs) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    pipeline = folder / f"{name}-{digest(text)[:_DIGITS]}.toml"
    write_text(pipeline, text)
    # Nothing is exported: an export refuses rows that no trainer takes, and a report is there to tell of them.
    resolved = replace(prepare(pipeline, plugins=plugins), exports=())
    return FileSet(files, tuple(looks), resolved, watch or Watch())


@contextmanager
def _work(
    resolved: Pipeline, command: str = "", watch: Watch | None = None
) -> Iterator[tuple[Work, DigestCache, Store]]:
    folder = resolved.file.with_suffix("")
    with locked(folder, patience=_PATIENCE):
        sweep(folder)
        # The page is drawn from numbers of which some are counted later.
        work = Work(resolved, folder, Clock(watch or Watch()), cores(), None, command, draws_page=False)
        yield work, DigestCache(folder.parent / ".cache" / "digests.json"), Store(folder)


def write_report(made: Mapping[str, Any], out: Path, name: str) -> list[Path]:
    """Write the page and the numbers of a report where `targets` says, and return both files."""
    written = targets(out, name)
    written[0].parent.mkdir(parents=True, exist_ok=True)
    write_text(written[0], page(made))
    write_text(written[1], canonical(made) + "\n")
    return written


def targets(out: Path, name: str) -> list[Path]:
    """Where page and numbers go: `<name>.report.html` and `.json` in a folder, or a file and one beside it."""
    if out.suffix.lower() in (".html", ".htm"):
        return [out, out.with_suffix(".json")]
    return [out / f"{name}.report.{kind}" for kind in ("html", "json")]


def is_run(path: str | Path) -> bool:
    """Whether a path is meant as a run's folder, and not as a file, a pattern or a folder of tables."""
    folder = Path(path)
    if not folder.is_dir():
        return not folder.exists() and not folder.suffix and not {"*", "?", "["} & set(str(path))
    if (folder / "stages").is_dir() or (folder / "manifest.json").is_file():
        return True
    return not any(file.suffix.lower() in TABLES for file in folder.rglob("*"))


def compared(a: str, b: str, *, runs: str | Path = RUNS, **options: Any) -> Difference | FilesDifference:
    """What differs between two runs, by their folders, or between two files; `options` as of `open_files`.

    Raises `PipelineError` when one is a run and the other is not.
    """
    kinds = [is_run(path) for path in (a, b)]
    if all(kinds):
        return load(a).diff(load(b))
    if any(kinds):
        one, other = (a, b) if kinds[0] else (b, a)
        raise PipelineError(
            f"{one!r} is a run, and {other!r} is not",
            where="curate diff",
            next=f"compare what the run left: {(Path(one) / 'train.jsonl').as_posix()}",
        )
    opened = [open_files(path, runs=runs, **options) for path in (a, b)]
    return opened[0].diff(opened[1])


def render(path: str | Path, out: Path | None = None) -> Path:
    """Make the page of a finished run anew, from the numbers that it stored; in its folder, or in another.

    Raises `ReproducibilityError` when the run is not finished, has another file for its numbers, or has numbers of
    a version whose report had other parts.
    """
    done = load(path)
    if out is not None:
        file = targets(out, done.name)[0]
        made = _page_of(done)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, made)
        return file
    with locked(done.path):
        # Whoever held the folder until now may have finished the run anew.
        done = load(path)
        file = done.path / "report.html"
        write_text(file, _page_of(done))
        reports = done.manifest["reports"] | {file.name: file_digest(file)}
        write_manifest(done.path, done.manifest | {"reports": reports})
    return file


def _page_of(run: Run) -> str:
    numbers = run.path / "report.json"
    if not numbers.exists() or file_digest(numbers) != run.manifest["reports"]["report.json"]:
        raise ReproducibilityError(
            "the numbers of the report are not those that the run left",
            where=str(numbers),
            next="run the pipeline again: only what has changed is made",
        )
    if find_spec("jinja2") is None:
        return page(run.numbers)  # which says what is missing
    from jinja2 import UndefinedError

    try:
        return page(run.numbers)
    except (KeyError, UndefinedError) as error:
        raise ReproducibilityError(
            f"the numbers of this run are not those that a page shows now: {error}",
            where=str(run.path / "report.json"),
            next="another version wrote them; run the pipeline again with this one",
        ) from None
