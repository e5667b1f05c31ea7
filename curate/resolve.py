"""pipeline.toml to a `Pipeline`: every plug-in found, every default resolved, every mistake named with its line.

Nothing in a pipeline is an import path, an expression or a program: `use` names a plug-in, the rest of the
table is the call. A key that means nothing stops here, before a byte of data is read.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curate import registry
from curate.errors import CurateError, PipelineError, nearest
from curate.files import holds_files, matching
from curate.pipeline import Call, DedupCall, Guard, Pipeline, Quota, Rule, SourceCall
from curate.tables import EVIDENCE, HAND, VERDICTS
from curate.toml_lines import KeyPath, key_lines

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_M = TypeVar("_M", bound=BaseModel)

# Rules become columns beside these.
_COLUMNS: Final = {*EVIDENCE, *VERDICTS}

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Call(_Table):
    """A table whose keys beyond its own are the parameters of the plug-in that `use` names."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    use: str

    @property
    def given(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class _Source(_Call):
    """Where records come from: a connector, the inputs it reads, and the rules for this source alone."""

    name: str = ""
    path: str
    groups: str | None = None
    language: str | None = Field(default=None, pattern="^[a-z]{2}$")
    filters: dict[str, Any] = {}


class _Dedup(_Call):
    """One pass of deduplication: how twins are found, on which text, and which of them stays."""

    on: str | None = None
    keep: tuple[str, ...] = ("source_order", "best_score", "longest")
    against: str | tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    strip_templates: int = Field(default=0, ge=0)


class _Export(_Call):
    """One form in which the training set is written."""


class _Select(_Table):
    quota: tuple[Quota, ...] = ()


class _File(_Table):
    name: str
    seed: int = 13
    strict: bool = False
    exclude: str | None = None
    amend: str | None = None
    source: tuple[_Source, ...] = Field(min_length=1)
    filters: dict[str, Any] = {}
    measures: dict[str, dict[str, Any]] = {}
    dedup: tuple[_Dedup, ...] = ()
    guard: Guard = Guard()
    select: _Select = _Select()
    export: tuple[_Export, ...] = ()


def read_pipeline(file: Path, *, without: tuple[str, ...] = ()) -> Pipeline:
    """The pipeline in a file, with the rules of the given names lifted.

    Raises `PipelineError` that names the key, its line and the nearest valid one; `PluginError` when a
    plug-in cannot be had.
    """
    return _Reader(file).pipeline(without)


class _Reader:
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

    def pipeline(self, without: tuple[str, ...]) -> Pipeline:
        read = self._checked(_File, self.raw, ())
        self._check_name(read.name, ("name",))
        sources = tuple(self._source(read, number) for number in range(len(read.source)))
        self._distinct([source.name for source in sources], "sources", "source")
        self._one_use_a_name(sources)
        self._distinct([table.use for table in read.export], "exports", "export")
        # Without a word on selection, everything that survives is trained on.
        asked = read.select.quota or tuple(Quota.model_validate({"from": source.name}) for source in sources)
        quotas = self._quotas(asked, {source.name for source in sources})
        keeps = {table.keep for table in read.dedup if not table.against}
        if len(keeps) > 1:
            raise self._error(
                "two [[dedup]] tables differ in `keep`", ("dedup",), "one order decides over all passes together"
            )
        made = Pipeline(
            file=self.file,
            name=read.name,
            seed=read.seed,
            strict=read.strict,
            exclude=self._beside(read.exclude, ("exclude",)),
            amend=self._beside(read.amend, ("amend",)),
            sources=sources,
            dedups=tuple(self._dedup(table, ("dedup", number)) for number, table in enumerate(read.dedup)),
            keep=keeps.pop() if keeps else (),
            guard=read.guard,
            measures={
                name: self._parameters("measures", name, given, ("measures", name), own=())["parameters"]
                for name, given in read.measures.items()
            },
            quotas=quotas,
            exports=tuple(
                Call(**self._call("exports", table, ("export", number)))
                for number, table in enumerate(read.export)
            )
            or (self._default_export(),),
        )
        for name in without:
            if name not in made.rules:
                raise PipelineError(
                    f"no rule is called {name!r}", where="--without", next=nearest(name, made.rules)
                )
        return made.without(without)

    def _default_export(self) -> Call:
        return Call(**self._call("exports", _Export(use="messages"), ()))

    def _dedup(self, table: _Dedup, at: KeyPath) -> DedupCall:
        call = self._call("dedups", table, at)
        only = call["plugin"].on
        if only and table.on not in {None, only}:
            raise self._error(f"{table.use!r} looks at nothing but {only!r}", (*at, "on"), "leave out `on`")
        names = (table.against,) if isinstance(table.against, str) else table.against
        against = self._files(tuple(map(Path, names)), (*at, "against"))
        if against and only:
            raise self._error(f"{table.use!r} cannot compare with another set", (*at, "against"), "leave it out")
        # What must not be trained on are the prompts of an evaluation.
        usual = "messages" if against else "response"
        if against and "keep" in table.model_fields_set:
            raise self._error("records go whenever they match a reference", (*at, "keep"), "leave out `keep`")
        if against and table.strip_templates:
            what = "a prompt of another set may be what many records begin with"
            raise self._error(what, (*at, "strip_templates"), "leave it out where there is `against`")
        if table.strip_templates == 1:
            raise self._error("what one text has is no template", (*at, "strip_templates"), "100 is usual; 0: off")
        if table.fields and not against:
            raise self._error("`fields` are those of references", (*at, "fields"), "name the files by `against`")
        return DedupCall(
            **call,
            on=only or table.on or usual,
            against=against,
            fields=table.fields,
            strip_templates=table.strip_templates,
        )

    def _source(self, read: _File, number: int) -> SourceCall:
        table = read.source[number]
        at: KeyPath = ("source", number)
        call = self._call("sources", table, at)
        if table.name:
            self._check_name(table.name, (*at, "name"))
        own = {name: ((*at, "filters", name), value) for name, value in table.filters.items()}
        merged = {name: (("filters", name), value) for name, value in read.filters.items()} | own
        return SourceCall(
            **call,
            name=table.name or table.use,
            folder=self.file.parent,
            path=table.path,
            groups=self._beside(table.groups, (*at, "groups")),
            language=table.language or call["plugin"].language,
            rules=tuple(self._rule(name, *merged[name]) for name in merged if merged[name][1] is not False),
        )

    def _rule(self, name: str, at: KeyPath, value: Any) -> Rule:
        if not isinstance(value, dict):
            raise self._error(f"a rule is a table of parameters, or false; this is {value!r}", at)
        self._check_name(name, at)
        if name == HAND:
            raise self._error(f"{name!r} cannot be a rule's name", at, "edits made by hand go by it")
        if name in _COLUMNS:
            raise self._error(f"{name!r} cannot be a rule's name", at, "the tables of verdicts have such a column")
        given = dict(value)
        use, unknown = given.pop("use", name), given.pop("unknown", "reject")
        then = given.pop("then", "reject")
        if unknown not in {"reject", "keep"}:
            raise self._error(f"`unknown` is {unknown!r}", (*at, "unknown"), 'valid values: "reject", "keep"')
        if then not in {"reject", "mask"}:
            raise self._error(f"`then` is {then!r}", (*at, "then"), 'valid values: "reject", "mask"')
        call = self._parameters("filters", use, given, at, own=("use", "unknown", "then"))
        return Rule(**call, name=name, unknown=unknown, then=then)

    def _call(self, kind: registry.Kind, table: _Call, at: KeyPath) -> dict[str, Any]:
        return self._parameters(kind, table.use, table.given, at, own=tuple(type(table).model_fields))

    def _parameters(
        self, kind: registry.Kind, use: str, given: dict[str, Any], at: KeyPath, *, own: tuple[str, ...]
    ) -> dict[str, Any]:
        try:
            plugin = registry.get(kind, use)
        except CurateError as error:
            line = self._where((*at, "use") if (*at, "use") in self.lines else at)
            raise type(error)(error.what, where=error.where or line, next=error.next) from error
        model = registry.parameters(plugin)
        parameters = registry.resolved(self._checked(model, given, at, own=own))
        parameters = {
            name: self._files(value, (*at, name)) if holds_files(value) else value
            for name, value in parameters.items()
        }
        return {"use": use, "plugin": plugin, "parameters": parameters}

    def _quotas(self, quotas: tuple[Quota, ...], sources: set[str]) -> tuple[Quota, ...]:
        named: list[Quota] = []
        for number, quota in enumerate(quotas):
            at: KeyPath = ("select", "quota", number)
            if quota.source not in sources:
                raise self._error(
                    f"a quota takes from {quota.source!r}, which is no source's name",
                    (*at, "from"),
                    nearest(quota.source, sources),
                )
            default = f"{quota.source}-{quota.split}"
            taken = {other.name for other in named}
            unique = default if default not in taken else f"{default}-{number + 1}"
            named.append(quota.model_copy(update={"name": quota.name or unique}))
        self._distinct([quota.name for quota in named], "quotas", "select")
        return tuple(named)

    def _beside(self, name: str | None, at: KeyPath) -> Path | None:
        if name is None:
            return None
        path = self.file.parent / Path(name).expanduser()
        if not path.is_file():
            raise self._error(f"the file {name!r} does not exist", at, "paths are relative to the pipeline file")
        return path

    def _files(self, names: tuple[Path, ...], at: KeyPath) -> tuple[Path, ...]:
        found: dict[Path, None] = {}
        for name in names:
            matched = matching(name, self.file.parent)
            if not matched:
                what = f"no file is called {str(name)!r}"
                raise self._error(what, at, "paths and patterns are relative to the pipeline file")
            folders = [path for path in matched if path.is_dir()]
            if folders:
                what = f"{str(folders[0].name)!r} is a folder"
                raise self._error(what, at, f'give files, or a pattern such as "{name}/*"')
            found |= dict.fromkeys(matched)
        return tuple(found)

    def _check_name(self, name: str, at: KeyPath) -> None:
        if not _NAME.fullmatch(name):
            raise self._error(f"{name!r} cannot be a name", at, "use letters, digits, `-`, `_` and `.`")

    def _distinct(self, names: list[str], what: str, key: str) -> None:
        for number, name in enumerate(names):
            if name in names[:number]:
                raise self._error(
                    f"two {what} are called {name!r}", (key, number), "give each its own `name`: reasons go by it"
                )

    def _one_use_a_name(self, sources: tuple[SourceCall, ...]) -> None:
        uses: dict[str, str] = {}
        for number, source in enumerate(sources):
            for rule in source.rules:
                if uses.setdefault(rule.name, rule.use) != rule.use:
                    raise self._error(
                        f"the rule {rule.name!r} is {uses[rule.name]!r} in one source and {rule.use!r} in another",
                        ("source", number, "filters", rule.name),
                        "one name stands for one rule: rename one of them",
                    )

    def _checked(self, model: type[_M], value: Any, at: KeyPath, *, own: tuple[str, ...] = ()) -> _M:
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
                raise self._error(f"there is no key {key!r} here", path, nearest(key, valid)) from None
            if first["type"] == "missing":
                raise self._error(f"the key {key!r} is missing", path) from None
            # An item of an array is named with the array: its number alone says nothing.
            key = _last_name(path)
            said, what_next = _said(first)
            raise self._error(f"{key!r} is {first['input']!r}: {said}", path, what_next) from None

    def _error(self, what: str, at: KeyPath, next: str = "") -> PipelineError:
        return PipelineError(what, where=self._where(at), next=next)

    def _where(self, at: KeyPath) -> str:
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
