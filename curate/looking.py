"""A first look at an input, before any pipeline exists: its layout, its first records, and what is counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import polars as pl
from pydantic import ValidationError

from curate import registry
from curate.complete import with_ids
from curate.errors import PluginError, SourceError, nearest
from curate.files import holds_files, matching
from curate.intake import Counts, Intake, Source
from curate.record import SCHEMA, message
from curate.watch import Watch

_HELD: Final = 1_000  # records that a look keeps
_FIRST_ROWS: Final = (
    10_000  # native rows that a source may go through before its first record, unless all are wanted
)
_NAMED: Final = 8  # domains and licences that are named


class Spread(NamedTuple):
    """The shortest, the median and the longest of some texts, in characters."""

    shortest: int
    median: int
    longest: int


@dataclass(repr=False)
class Look:
    """What a first look found.

    `records` are the first records, at most 1,000 of them; `counts`, `domains`, `licenses` and the spreads are of
    all that was looked at. `whole` says whether that is all there is.
    """

    source: str
    path: str
    inputs: tuple[Path, ...]
    given: Mapping[str, Any]
    records: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SCHEMA))
    made: int = 0
    looked_at: int = 0
    whole: bool = False
    counts: Counts = field(default_factory=Counts)
    domains: Counter[str] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)
    prompts_alone: int = 0
    dialogues: int = 0
    prompt_lengths: Counter[int] = field(default_factory=Counter)
    response_lengths: Counter[int] = field(default_factory=Counter)
    ordinals: Counter[str] = field(default_factory=Counter)  # of records without an id, by their content

    @property
    def prompts(self) -> Spread | None:
        """How long the users' messages are."""
        return _spread(self.prompt_lengths)

    @property
    def responses(self) -> Spread | None:
        """How long the responses are."""
        return _spread(self.response_lengths)

    @property
    def lines(self) -> str:
        """What a pipeline says to read this input."""
        keys = {"use": self.source, "path": self.path, **self.given}
        return "[[source]]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in keys.items())

    @property
    def facts(self) -> dict[str, str]:
        """All that was found, in words, by what it is about."""
        counts, told = self.counts, {}
        told["layout"] = "; ".join(counts.layouts)
        told["looked at"] = self._extent()
        causes = [("used", counts.used), *counts.passed_over.most_common(), ("unreadable", len(counts.unreadable))]
        told["native rows"] = f"{counts.native:,}: " + ", ".join(
            f"{rows:,} {cause}" for cause, rows in causes if rows
        )
        followed = counts.native - counts.accounted
        if followed and not self.whole:
            told["native rows"] += f", {followed:,} not followed yet"
        if counts.mended:
            told["mended"] = ", ".join(f"{rows:,} rows: {what}" for what, rows in counts.mended.most_common())
        kinds = [(self.dialogues, "dialogues"), (self.prompts_alone, "without a response")]
        told["records"] = f"{self.made:,}" + "".join(
            f", {count:,} of them {kind}" for count, kind in kinds if count
        )
        for name, spread in (("prompts", self.prompts), ("responses", self.responses)):
            told[name] = (
                f"{spread.shortest:,} … {spread.median:,} … {spread.longest:,} characters" if spread else ""
            )
        told["domains"], told["licences"] = _most(self.domains), _most(self.licenses)
        return {name: value for name, value in told.items() if value}

    def _extent(self) -> str:
        of = f"{self.looked_at:,} of {len(self.inputs):,} inputs" if len(self.inputs) > 1 else ""
        if self.whole:
            return of and f"all {of.partition(' of ')[2]}"
        return f"the beginning{' of ' + of if of else ''}"

    def __repr__(self) -> str:
        facts = "".join(f"\n  {name:<11}  {value}" for name, value in self.facts.items())
        return f"{self.source}: {self.path}{facts}"

    def _repr_html_(self) -> str:
        left = "style='text-align:left'"
        rows = "".join(
            f"<tr><th {left}>{escape(name)}</th><td {left}>{escape(value)}</td></tr>"
            for name, value in self.facts.items()
        )
        head = f"<caption>{escape(self.source)}: {escape(self.path)}</caption>"
        return f"<table>{head}{rows}</table><pre>{escape(self.lines)}</pre>"


def look(
    source: str, path: str | Path, /, *, whole: bool = False, watch: Watch | None = None, **parameters: Any
) -> Look:
    """Look at what a source makes of a file, a folder or a pattern, with these of its parameters.

    Stops where the first records are, unless the `whole` is wanted.

    Raises `PluginError` for a source or a parameter that there is not, `SourceError` for what cannot be read.
    """
    plugin: Source = registry.get("sources", source)
    arguments = _arguments(plugin, parameters)
    found = Look(source, str(path), _inputs(plugin, path, arguments), dict(parameters))
    sizes = [_size(plugin, input) for input in found.inputs]
    watch = watch or Watch()
    watch.stage("look", sum(sizes), "bytes")
    for input, size in zip(found.inputs, sizes, strict=True):
        ended = _look_at(plugin, input, arguments, found, _Shown(watch, size), whole=whole)
        found.looked_at += 1
        if found.made and not whole:
            break
    found.whole = ended and found.looked_at == len(found.inputs)
    return found


@dataclass
class _Shown:
    """Tells a watch which share of an input's bytes is done."""

    watch: Watch
    bytes: int
    done: int = 0

    def __call__(self, share: float) -> None:
        now = int(self.bytes * min(max(share, 0.0), 1.0))
        self.watch.advance(max(0, now - self.done))
        self.done = max(now, self.done)


def _look_at(
    plugin: Source, path: Path, arguments: dict[str, Any], found: Look, shown: _Shown, *, whole: bool
) -> bool:
    """Add what is made of one input; say whether it was read to its end."""
    with TemporaryDirectory(prefix="curate-look-") as scratch:
        intake = Intake(Path(scratch), shown, first=None if whole else _FIRST_ROWS)
        parts = plugin(path, intake, **arguments)
        try:
            for number, part in enumerate(parts):
                # The second part tells whether there is more than one; if it must be made first, that is enough.
                more = number > 0 and found.made > 0 and not whole
                if not (more and callable(part)):
                    _add(found, part if isinstance(part, pl.DataFrame) else _made(part, Path(scratch), found))
                if more:
                    return False
        finally:
            if isinstance(parts, Generator):
                parts.close()
            found.counts += intake.take()
    shown(1)
    return not intake.cut


def _made(part: Callable[[Intake], pl.DataFrame], scratch: Path, found: Look) -> pl.DataFrame:
    intake = Intake(scratch)
    frame = part(intake)
    found.counts += intake.take()
    return frame


def _add(found: Look, frame: pl.DataFrame) -> None:
    first = frame.head(_HELD - found.records.height)
    found.records = pl.concat([found.records, with_ids(first, found.source, found.ordinals)])
    found.made += frame.height
    found.prompts_alone += frame["response"].null_count()
    found.dialogues += int((frame["history"].list.len() > 0).sum())
    found.domains.update(_counted(frame["domain"]))
    found.licenses.update(_counted(frame["license"]))
    found.prompt_lengths.update(_counted(frame.select(message().str.len_chars()).to_series()))
    found.response_lengths.update(_counted(frame["response"].str.len_chars()))


def _counted(values: pl.Series) -> dict[Any, int]:
    return dict(values.drop_nulls().rename("value").value_counts().iter_rows())


def _spread(lengths: Counter[int]) -> Spread | None:
    if not lengths:
        return None
    in_order = sorted(lengths.items())
    half, passed = lengths.total() / 2, 0
    for length, count in in_order:  # noqa: B007 (the median is where the loop stops)
        passed += count
        if passed >= half:
            break
    return Spread(in_order[0][0], length, in_order[-1][0])


def _most(counter: Counter[str]) -> str:
    """The most frequent names with their counts; equals by name."""
    first = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    more = f" and {len(first) - _NAMED:,} more" if len(first) > _NAMED else ""
    return ", ".join(f"{name} {count:,}" for name, count in first[:_NAMED]) + more


def _arguments(plugin: Source, given: Mapping[str, Any]) -> dict[str, Any]:
    """The source's parameters resolved. Files are relative to the current folder."""
    model = registry.parameters(plugin)
    where = f"the source {plugin.name!r}"
    try:
        resolved = registry.resolved(model.model_validate_json(json.dumps(given, default=str)))
    except ValidationError as error:
        # A mistyped name says more than a wrong value.
        first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        key = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            names = [field.alias or name for name, field in model.model_fields.items()]
            raise PluginError(f"there is no parameter {key!r}", where=where, next=nearest(key, names)) from None
        raise PluginError(
            f"{key!r} is {given[key]!r}",
            where=where,
            next=f"{first['msg'][0].lower()}{first['msg'][1:]}; see `curate list sources {plugin.name}`",
        ) from None
    return {name: _files(name, value) if holds_files(value) else value for name, value in resolved.items()}


def _files(parameter: str, names: tuple[Path, ...]) -> tuple[Path, ...]:
    found = [path for name in names for path in matching(name, Path())]
    if not found:
        raise PluginError(
            f"no file is called {', '.join(map(str, names))!r}", where=f"the parameter {parameter!r}"
        )
    return tuple(dict.fromkeys(found))


def _inputs(plugin: Source, path: str | Path, arguments: Mapping[str, Any]) -> tuple[Path, ...]:
    """The inputs that a path or pattern stands for. What is read beside another of them is none of its own."""
    found = matching(path, Path())
    if not found:
        parent = next(parent for parent in Path(path).expanduser().absolute().parents if parent.is_dir())
        beside = [other.name for other in parent.iterdir()]
        raise SourceError(
            "there is no such file or folder, and nothing matches it as a pattern",
            where=str(path),
            next=f"in {parent}: {nearest(Path(path).name, beside)}" if beside else f"{parent} is empty",
        )
    with_others = {other for path in found for other in plugin.beside(path) if other != path}
    with_others |= {file for value in arguments.values() if holds_files(value) for file in value}
    return tuple(path for path in found if path not in with_others) or tuple(found)


def _size(plugin: Source, path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    members = [path / name for name in plugin.files] if plugin.files else path.rglob("*")
    return sum(member.stat().st_size for member in members if member.is_file())


def _toml(value: Any) -> str:
    """A value as a pipeline writes it."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_toml(each)}' for key, each in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False, default=str)
