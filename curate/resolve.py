"""pipeline.toml to a `Pipeline`: every plug-in found, every default resolved, every mistake named with its line.

Nothing in a pipeline is an import path, an expression or a program: `use` names a plug-in, the rest of the
table is the call. A key that means nothing stops here, before a byte of data is read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from curate import registry
from curate.checked_toml import CheckedToml
from curate.errors import CurateError, PipelineError, nearest
from curate.files import holds_files, matching
from curate.licenses.policies import POLICIES
from curate.pipeline import Call, DedupCall, Guard, Pipeline, Quota, Reporting, Rule, SourceCall
from curate.tables import EVIDENCE, HAND, VERDICTS
from curate.toml_lines import KeyPath
from curate.train.recipe import DEFAULT, Recipe, read_recipe, recipe_names

# The filter that a declared use of the set becomes, and the policy that declares none.
_LICENCE: Final = "license_forbids"
_ANY: Final = "any"

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


class _Licence(_Table):
    """What the set is to be used for: a rule for every source rejects what a licence does not permit."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    policy: str = _ANY


class _Select(_Table):
    quota: tuple[Quota, ...] = ()
    apart: float | None = Field(default=None, gt=0, le=1)


class _File(_Table):
    name: str
    seed: int = 13
    strict: bool = False
    exclude: str | None = None
    amend: str | None = None
    decisions: str | None = None
    licence: _Licence = _Licence()
    source: tuple[_Source, ...] = Field(min_length=1)
    filters: dict[str, Any] = {}
    measures: dict[str, dict[str, Any]] = {}
    dedup: tuple[_Dedup, ...] = ()
    guard: Guard = Guard()
    select: _Select = _Select()
    report: Reporting = Reporting()
    train: dict[str, Any] = {}
    export: tuple[_Export, ...] = ()


def read_pipeline(file: Path, *, without: tuple[str, ...] = ()) -> Pipeline:
    """The pipeline in a file, with the rules of the given names lifted.

    Raises `PipelineError` that names the key, its line and the nearest valid one; `PluginError` when a
    plug-in cannot be had.
    """
    return _Reader(file).pipeline(without)


class _Reader(CheckedToml):
    def pipeline(self, without: tuple[str, ...]) -> Pipeline:
        read = self.checked(_File, self.raw, ())
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
            raise self.error(
                "two [[dedup]] tables differ in `keep`", ("dedup",), "one order decides over all passes together"
            )
        made = Pipeline(
            file=self.file,
            name=read.name,
            seed=read.seed,
            strict=read.strict,
            exclude=self._beside(read.exclude, ("exclude",)),
            amend=self._beside(read.amend, ("amend",)),
            decisions=self._beside(read.decisions, ("decisions",)),
            sources=sources,
            dedups=tuple(self._dedup(table, ("dedup", number)) for number, table in enumerate(read.dedup)),
            keep=keeps.pop() if keeps else (),
            guard=read.guard,
            measures={
                name: self._parameters("measures", name, given, ("measures", name), own=())["parameters"]
                for name, given in read.measures.items()
            },
            quotas=quotas,
            apart=read.select.apart,
            licence=read.licence.model_dump(),
            report=self._reporting(read.report),
            train=self._training(read.train),
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

    def _training(self, given: dict[str, Any]) -> dict[str, Any]:
        """The recipe's name and what is changed of it, as given. That it holds together is seen here."""
        if not given:
            return {}
        changes = {name: value for name, value in given.items() if name != "recipe"}
        recipe = given.get("recipe", DEFAULT)
        if recipe not in recipe_names():
            next = nearest(str(recipe), recipe_names())
            raise self.error(f"no recipe is called {recipe!r}", ("train", "recipe"), next)
        self.checked(Recipe, read_recipe(recipe).plain() | changes, ("train",), own=("recipe",))
        return {"recipe": recipe, **changes}

    def _dedup(self, table: _Dedup, at: KeyPath) -> DedupCall:
        call = self._call("dedups", table, at)
        only = call["plugin"].on
        if only and table.on not in {None, only}:
            raise self.error(f"{table.use!r} looks at nothing but {only!r}", (*at, "on"), "leave out `on`")
        names = (table.against,) if isinstance(table.against, str) else table.against
        against = self._files(tuple(map(Path, names)), (*at, "against"))
        if against and only:
            raise self.error(f"{table.use!r} cannot compare with another set", (*at, "against"), "leave it out")
        # What must not be trained on are the prompts of an evaluation.
        usual = "messages" if against else "response"
        if against and "keep" in table.model_fields_set:
            raise self.error("records go whenever they match a reference", (*at, "keep"), "leave out `keep`")
        if against and table.strip_templates:
            what = "a prompt of another set may be what many records begin with"
            raise self.error(what, (*at, "strip_templates"), "leave it out where there is `against`")
        if table.strip_templates == 1:
            raise self.error("what one text has is no template", (*at, "strip_templates"), "100 is usual; 0: off")
        if table.fields and not against:
            raise self.error("`fields` are those of references", (*at, "fields"), "name the files by `against`")
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
        self._check_policy(read.licence)
        if read.licence.policy != _ANY and _LICENCE in table.filters:
            what = (
                f"the policy of [licence] holds for every source, and this one has a rule {_LICENCE!r} of its own"
            )
            raise self.error(what, (*at, "filters", _LICENCE), "leave one of them out")
        if read.licence.policy != _ANY:
            merged[_LICENCE] = (("licence",), {"use": _LICENCE} | read.licence.model_dump())
        return SourceCall(
            **call,
            name=table.name or table.use,
            folder=self.file.parent,
            path=table.path,
            groups=self._beside(table.groups, (*at, "groups")),
            language=table.language or call["plugin"].language,
            rules=tuple(self._rule(name, *merged[name]) for name in merged if merged[name][1] is not False),
        )

    def _check_policy(self, licence: _Licence) -> None:
        valid = [_ANY, *POLICIES]
        if licence.policy not in valid:
            what = f"no policy on licences is called {licence.policy!r}"
            raise self.error(what, ("licence", "policy"), nearest(licence.policy, valid))
        if licence.policy == _ANY:
            for key in licence.model_extra or {}:
                what = f"`{key}` says nothing without a policy"
                raise self.error(what, ("licence", key), nearest(key, ["policy"]))

    def _rule(self, name: str, at: KeyPath, value: Any) -> Rule:
        if not isinstance(value, dict):
            raise self.error(f"a rule is a table of parameters, or false; this is {value!r}", at)
        self._check_name(name, at)
        if name == HAND:
            raise self.error(f"{name!r} cannot be a rule's name", at, "edits made by hand go by it")
        if name in _COLUMNS:
            raise self.error(f"{name!r} cannot be a rule's name", at, "the tables of verdicts have such a column")
        given = dict(value)
        use, unknown = given.pop("use", name), given.pop("unknown", "reject")
        then = given.pop("then", "reject")
        if unknown not in {"reject", "keep"}:
            raise self.error(f"`unknown` is {unknown!r}", (*at, "unknown"), 'valid values: "reject", "keep"')
        if then not in {"reject", "mask"}:
            raise self.error(f"`then` is {then!r}", (*at, "then"), 'valid values: "reject", "mask"')
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
            line = self.where((*at, "use") if (*at, "use") in self.lines else at)
            raise type(error)(error.what, where=error.where or line, next=error.next) from error
        model = registry.parameters(plugin)
        parameters = registry.resolved(self.checked(model, given, at, own=own))
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
                raise self.error(
                    f"a quota takes from {quota.source!r}, which is no source's name",
                    (*at, "from"),
                    nearest(quota.source, sources),
                )
            default = f"{quota.source}-{quota.split}"
            taken = {other.name for other in named}
            unique = default if default not in taken else f"{default}-{number + 1}"
            if quota.name:
                self._check_name(quota.name, (*at, "name"))
            prefer = self._preference(quota, (*at, "prefer"))
            named.append(quota.model_copy(update={"name": quota.name or unique, "prefer": prefer}))
        self._distinct([quota.name for quota in named], "quotas", "select")
        return tuple(named)

    def _preference(self, quota: Quota, at: KeyPath) -> str | dict[str, Any]:
        """The order with every parameter resolved, or its name alone where it has none."""
        if isinstance(quota.prefer, dict) and not isinstance(quota.prefer.get("use"), str):
            raise self.error("the order is not named", at, 'write `prefer = { use = "k_center", … }`')
        call = self._parameters("rankings", quota.order, quota.order_parameters, at, own=("use",))
        return {"use": call["use"], **call["parameters"]} if call["parameters"] else quota.order

    def _reporting(self, read: Reporting) -> Reporting:
        if read.tokenizer is None:
            return read
        path = self.file.parent / Path(read.tokenizer).expanduser()
        if not path.exists():
            what = f"there is no file or folder {read.tokenizer!r}"
            raise self.error(what, ("report", "tokenizer"), "paths are relative to the pipeline file")
        return read.model_copy(update={"tokenizer": str(path)})

    def _beside(self, name: str | None, at: KeyPath) -> Path | None:
        if name is None:
            return None
        path = self.file.parent / Path(name).expanduser()
        if not path.is_file():
            raise self.error(f"the file {name!r} does not exist", at, "paths are relative to the pipeline file")
        return path

    def _files(self, names: tuple[Path, ...], at: KeyPath) -> tuple[Path, ...]:
        found: dict[Path, None] = {}
        for name in names:
            matched = matching(name, self.file.parent)
            if not matched:
                what = f"no file is called {str(name)!r}"
                raise self.error(what, at, "paths and patterns are relative to the pipeline file")
            folders = [path for path in matched if path.is_dir()]
            if folders:
                what = f"{str(folders[0].name)!r} is a folder"
                raise self.error(what, at, f'give files, or a pattern such as "{name}/*"')
            found |= dict.fromkeys(matched)
        return tuple(found)

    def _check_name(self, name: str, at: KeyPath) -> None:
        if not _NAME.fullmatch(name):
            raise self.error(f"{name!r} cannot be a name", at, "use letters, digits, `-`, `_` and `.`")

    def _distinct(self, names: list[str], what: str, key: str) -> None:
        for number, name in enumerate(names):
            if name in names[:number]:
                raise self.error(
                    f"two {what} are called {name!r}", (key, number), "give each its own `name`: reasons go by it"
                )

    def _one_use_a_name(self, sources: tuple[SourceCall, ...]) -> None:
        uses: dict[str, str] = {}
        for number, source in enumerate(sources):
            for rule in source.rules:
                if uses.setdefault(rule.name, rule.use) != rule.use:
                    raise self.error(
                        f"the rule {rule.name!r} is {uses[rule.name]!r} in one source and {rule.use!r} in another",
                        ("source", number, "filters", rule.name),
                        "one name stands for one rule: rename one of them",
                    )
