"""A pipeline with every default resolved: frozen values that stages read.

`curate.resolve` makes one from pipeline.toml.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from curate.errors import CurateError, PluginError
from curate.files import among, holds_files
from curate.verdict import Verdict

Split = Literal["train", "dev", "test"]
Unknown = Literal["reject", "keep"]
Then = Literal["reject", "mask"]

SPLITS: Final[tuple[Split, ...]] = ("train", "dev", "test")


class Quota(BaseModel):
    """How many records one share of the set takes, from where, and in which order."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: str = ""
    source: str = Field(alias="from")
    where: dict[str, str | tuple[str, ...]] = {}
    split: Split = "train"
    take: int | None = Field(default=None, ge=0)
    by: str | None = None
    temperature: float = Field(default=1.0, ge=1.0)
    prefer: str | dict[str, Any] = "random"
    at_most: dict[str, int] = {}

    @property
    def order(self) -> str:
        """The name of the order that it prefers records in."""
        return self.prefer if isinstance(self.prefer, str) else str(self.prefer["use"])

    @property
    def order_parameters(self) -> dict[str, Any]:
        """The order's parameters, as far as they are given."""
        given = {} if isinstance(self.prefer, str) else self.prefer
        return {name: value for name, value in given.items() if name != "use"}


class Guard(BaseModel):
    """How much deduplication may take before it stops, because a template was taken for a copy."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    # Templates merged whole sources elsewhere: 859,090 of 859,092 rows (marin-community/marin issue 6854).
    source_share: float = Field(default=0.5, gt=0, le=1)
    group_size: int = Field(default=1000, ge=1)


class Reporting(BaseModel):
    """How the set is reported: in which tokens lengths are counted, and by which text's vectors rows are compared.

    Without a tokenizer tokens are estimated; without a text the vectors are those that the pipeline makes anyway.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    tokenizer: str | None = None
    max_tokens: int = Field(default=2048, ge=1)  # LIMA's window (arXiv 2305.11206, §3)
    embedding: str | None = None


@dataclass(frozen=True)
class Call:
    """A plug-in with every parameter resolved."""

    use: str
    plugin: Any
    parameters: Mapping[str, Any]

    def plain(self) -> dict[str, Any]:
        """The call as JSON-able values; of a file, its name."""
        return {"use": self.use} | {
            name: [path.name for path in value] if holds_files(value) else value
            for name, value in self.parameters.items()
        }


@dataclass(frozen=True)
class Rule(Call):
    """A filter with its parameters, under the name that stands in reasons and reports.

    A lifted rule takes no part in verdicts. Its evidence stays, so that the rule can be lifted, or put back,
    without reading a text.
    """

    name: str
    unknown: Unknown
    then: Then = "reject"
    lifted: bool = False

    @cached_property
    def verdict(self) -> Verdict:
        where = f"{self.plugin.module}, as the rule {self.name!r}"
        try:
            verdict = self.plugin(**self.parameters)
        except CurateError:
            raise
        except Exception as error:
            what = f"the filter {self.use!r} raised {type(error).__name__}: {error}"
            raise PluginError(what, where=where, next="mend the filter, or its parameters") from error
        if not isinstance(verdict, Verdict):
            what = f"the filter {self.use!r} returned {type(verdict).__name__}, which is no verdict"
            raise PluginError(what, where=where, next="return below(…), above(…), outside(…) or present(…)")
        return verdict

    def applies_to(self, language: str | None) -> bool:
        """Whether the rule knows the language. An undeclared language is taken to be known."""
        return not self.plugin.languages or language is None or language in self.plugin.languages

    def plain(self) -> dict[str, Any]:
        own = {"name": self.name, "unknown": self.unknown, "then": self.then, "lifted": self.lifted}
        return super().plain() | own


@dataclass(frozen=True)
class SourceCall(Call):
    """A source with its parameters, and the rules that judge its records."""

    name: str
    folder: Path
    path: str
    groups: Path | None
    language: str | None
    rules: tuple[Rule, ...]

    @property
    def masking(self) -> tuple[Rule, ...]:
        """The rules that take out of its records what they find."""
        standing = (rule for rule in self.rules if not rule.lifted)
        return tuple(rule for rule in standing if rule.then == "mask" and rule.applies_to(self.language))

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it reads beside each input."""
        return among(self.parameters.values())

    @property
    def call(self) -> dict[str, Any]:
        """The plug-in and its parameters as JSON-able values."""
        return super().plain()

    def plain(self) -> dict[str, Any]:
        own = {"name": self.name, "path": Path(self.path).name, "language": self.language}
        return self.call | own | {"rules": [rule.plain() for rule in self.rules]}


@dataclass(frozen=True)
class DedupCall(Call):
    """A deduplication pass with its parameters.

    With files to be `against`, records are compared with the texts in these instead of with each other; `fields`
    name what holds a prompt there, where that is not known. Beginnings and ends that `strip_templates` texts have
    in common are not compared; 0 compares all.
    """

    on: str
    against: tuple[Path, ...] = ()
    fields: tuple[str, ...] = ()
    strip_templates: int = 0

    @property
    def promises(self) -> str:
        """How the pass looks for pairs, as far as that is known without any text."""
        return "" if self.plugin.measure else str(self.plugin([], **self.parameters).note)

    def plain(self) -> dict[str, Any]:
        own = {"on": self.on, "against": [file.name for file in self.against], "fields": list(self.fields)}
        return super().plain() | own | {"strip_templates": self.strip_templates}


@dataclass(frozen=True)
class Pipeline:
    """A pipeline with every default resolved."""

    file: Path
    name: str
    seed: int
    strict: bool
    exclude: Path | None
    amend: Path | None
    decisions: Path | None
    sources: tuple[SourceCall, ...]
    dedups: tuple[DedupCall, ...]
    keep: tuple[str, ...]
    guard: Guard
    measures: Mapping[str, Mapping[str, Any]]
    quotas: tuple[Quota, ...]
    apart: float | None
    licence: Mapping[str, Any]
    report: Reporting
    train: Mapping[str, Any]
    exports: tuple[Call, ...]

    @cached_property
    def rules(self) -> dict[str, list[Rule]]:
        """The rules by name, each as the sources that have it configure it, in the pipeline's order."""
        by_name: dict[str, list[Rule]] = {}
        for source in self.sources:
            for rule in source.rules:
                by_name.setdefault(rule.name, []).append(rule)
        return by_name

    @property
    def lifted(self) -> list[str]:
        """The names of the rules that are lifted, in alphabetical order."""
        return sorted(name for name, rules in self.rules.items() if rules[0].lifted)

    def without(self, names: Collection[str]) -> Pipeline:
        """The pipeline with the rules of these names lifted, in every source."""
        sources = [
            replace(source, rules=tuple(replace(r, lifted=r.lifted or r.name in names) for r in source.rules))
            for source in self.sources
        ]
        return replace(self, sources=tuple(sources))

    @property
    def among(self) -> tuple[DedupCall, ...]:
        """The passes that compare records with each other."""
        return tuple(call for call in self.dedups if not call.against)

    @property
    def against(self) -> tuple[DedupCall, ...]:
        """The passes that compare records with the texts of another set."""
        return tuple(call for call in self.dedups if call.against)

    @property
    def modules(self) -> list[str]:
        """The modules of the plug-ins that the pipeline names, in alphabetical order."""
        calls: list[Call] = [*self.sources, *self.dedups, *self.exports]
        calls += [rule for source in self.sources for rule in source.rules]
        return sorted({call.plugin.module for call in calls})

    def plain(self) -> dict[str, Any]:
        """The pipeline as JSON-able values, for the manifest and the plan."""
        return {
            "name": self.name,
            "seed": self.seed,
            "strict": self.strict,
            "exclude": self.exclude and self.exclude.name,
            "amend": self.amend and self.amend.name,
            "decisions": self.decisions and self.decisions.name,
            "sources": [source.plain() for source in self.sources],
            "dedup": [dedup.plain() for dedup in self.dedups],
            "keep": list(self.keep),
            "guard": self.guard.model_dump(mode="json"),
            "measures": {name: dict(given) for name, given in sorted(self.measures.items())},
            "quotas": [quota.model_dump(mode="json", by_alias=True) for quota in self.quotas],
            "apart": self.apart,
            "licence": dict(self.licence),
            "report": self.report.model_dump()
            | {"tokenizer": self.report.tokenizer and Path(self.report.tokenizer).name},
            "train": dict(self.train),
            "exports": [export.plain() for export in self.exports],
        }
