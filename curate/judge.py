"""The judge stage: rules label records, and drop none.

One scan computes, in layers, the shared text views, then the evidence of every rule, then which values are
unknown. Limits take no part in it: verdicts are made from stored evidence, so a changed limit reads no text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from curate import registry
from curate.errors import PluginError
from curate.fingerprint import code
from curate.keys import digest
from curate.pipeline import Pipeline, Rule, SourceCall
from curate.record import SCHEMA
from curate.store import Store, Table
from curate.tables import EVIDENCE, VERDICTS
from curate.verdict import rejects_when
from curate.views import needed, present_in_record, with_views
from curate.watch import Watch


def on_text(source: SourceCall) -> list[Rule]:
    """The rules of a source that read the record alone and know its language."""
    return [rule for rule in _known(source) if not _measures(rule)]


def on_measures(source: SourceCall) -> list[Rule]:
    """The rules of a source that read a measure which is taken.

    None is taken for a lifted rule alone, so such a rule is not judged.
    """
    rules = [rule for rule in _known(source) if _measures(rule)]
    taken = {_subject(name) for rule in rules if not rule.lifted for name in _measures(rule)}
    return [rule for rule in rules if taken.issuperset(_subject(name) for name in _measures(rule))]


def measured(rule: Rule) -> bool:
    """Whether the rule reads a measure."""
    return bool(_measures(rule))


def _known(source: SourceCall) -> list[Rule]:
    return [rule for rule in source.rules if rule.applies_to(source.language)]


def _measures(rule: Rule) -> list[str]:
    return needed(rule.verdict.reads, "measure")


def _subject(name: str) -> tuple[str, str]:
    """The measure and the field of a view such as `measure:language:response:language`."""
    _, measure, of, _ = name.split(":")
    return measure, of


def evidence(records: pl.LazyFrame, rules: Sequence[Rule]) -> pl.LazyFrame:
    """One row a record: `id`, `unknown`, and a column of evidence for each rule, named like the rule.

    Evidence is null where a rule does not apply, and NaN counts as null. `unknown` lists the rules that apply
    and whose value is missing all the same.
    """
    # Prefixed names keep rules apart from the record's columns that later rules still read.
    shown = {rule.name: f"evidence:{rule.name}" for rule in rules}
    applies = {rule.name: f"applies:{rule.name}" for rule in rules}
    scan = with_views(records, [each for rule in rules for each in rule.verdict.reads])
    scan = scan.with_columns(
        *(rule.verdict.evidence.alias(shown[rule.name]) for rule in rules),
        *(_applies(rule).alias(applies[rule.name]) for rule in rules),
    )
    floats = {name for name, dtype in scan.collect_schema().items() if dtype.is_float()}
    value = {rule.name: _without_nan(shown[rule.name], floats) for rule in rules}
    missing = [
        pl.when(pl.col(applies[rule.name]) & value[rule.name].is_null()).then(pl.lit(rule.name))
        for rule in rules
        if rule.verdict.sense != "present"  # there, null means that nothing was found
    ]
    return scan.select(
        "id",
        _strings(missing).alias("unknown"),
        *(pl.when(pl.col(applies[rule.name])).then(value[rule.name]).alias(rule.name) for rule in rules),
    )


def verdicts(evidence: pl.LazyFrame, rules: Sequence[Rule], source: str, schema: pl.Schema) -> pl.LazyFrame:
    """One row a record: every rule of the run in `schema`, and the names of all the rules that reject.

    Lifted rules reject nothing.
    """
    have = {rule.name for rule in rules}
    reasons = []
    for rule in _standing(rules):
        reasons.append(pl.when(rejects_when(rule.verdict, pl.col(rule.name))).then(pl.lit(rule.name)))
        if rule.unknown == "reject":
            unknown = pl.col("unknown").list.contains(pl.lit(rule.name))
            reasons.append(pl.when(unknown).then(pl.lit(f"{rule.name}:unknown")))
    own = VERDICTS.names()
    return evidence.select(
        "id",
        pl.lit(source).alias("source"),
        _strings(reasons).alias("reasons"),
        *(
            (pl.col(name) if name in have else pl.lit(None)).cast(dtype).alias(name)
            for name, dtype in schema.items()
            if name not in own
        ),
    )


def verdict_schema(pipeline: Pipeline, rules_of: Callable[[SourceCall], list[Rule]]) -> pl.Schema:
    """The one schema of a run's verdicts: every rule's evidence, whichever sources have the rule."""
    columns: dict[str, pl.DataType] = {}
    for source in pipeline.sources:
        for rule in rules_of(source):
            empty = pl.LazyFrame(schema={**SCHEMA, **_measure_columns([rule])})
            try:
                columns[rule.name] = evidence(empty, [rule]).collect_schema()[rule.name]
            except pl.exceptions.PolarsError as error:
                raise PluginError(
                    f"the evidence of the filter {rule.use!r} cannot be computed: {error}",
                    where=f"{rule.plugin.module}, as the rule {rule.name!r}",
                    next="read the columns of a record, and views made by text, prose and measured",
                ) from error
    return pl.Schema({**VERDICTS, **{name: columns[name] for name in pipeline.rules if name in columns}})


@dataclass(frozen=True)
class Subject:
    """Rows of one source to be judged: a key of all that shaped them, and how to scan them."""

    key: str
    source: str
    scan: Callable[[], pl.LazyFrame]


def judge_text(records: Table, pipeline: Pipeline, store: Store, watch: Watch) -> tuple[Table, Table]:
    """The tables `evidence` and `verdicts`: every record under every rule that needs no measure."""
    subjects = [Subject(part.key, part.source, partial(pl.scan_parquet, part.path)) for part in records.parts]
    return _judge("", subjects, pipeline, on_text, store, watch)


def judge_measured(
    subjects: Sequence[Subject], pipeline: Pipeline, store: Store, watch: Watch
) -> tuple[Table, Table]:
    """The tables `evidence_measured` and `verdicts_measured`: surviving records under the rules on measures."""
    return _judge("_measured", subjects, pipeline, on_measures, store, watch)


def _judge(
    suffix: str,
    subjects: Sequence[Subject],
    pipeline: Pipeline,
    rules_of: Callable[[SourceCall], list[Rule]],
    store: Store,
    watch: Watch,
) -> tuple[Table, Table]:
    rules = {source.name: rules_of(source) for source in pipeline.sources}
    schema = verdict_schema(pipeline, rules_of)
    shape = [(name, str(dtype)) for name, dtype in schema.items()]
    keys = [digest("evidence", each.key, _evidence_key(rules[each.source])) for each in subjects]
    verdict_keys = [
        digest("verdicts", key, shape, _limits(rules[each.source]))
        for key, each in zip(keys, subjects, strict=True)
    ]
    evidence_writer = store.table(f"evidence{suffix}", digest(keys), EVIDENCE)
    verdict_writer = store.table(f"verdicts{suffix}", digest(verdict_keys), schema)
    evidence_parts, verdict_parts = [], []
    for each, key, verdict_key in zip(subjects, keys, verdict_keys, strict=True):
        own = rules[each.source]
        made = evidence_writer.get(key, each.source, partial(_evidence_part, each.scan, own))
        evidence_parts.append(made)
        make = partial(_verdict_part, made.path, own, each.source, schema)
        verdict_parts.append(verdict_writer.get(verdict_key, each.source, make))
        watch.advance(1)
    return evidence_writer.close(evidence_parts), verdict_writer.close(verdict_parts)


def _evidence_part(scan: Callable[[], pl.LazyFrame], rules: Sequence[Rule]) -> pl.DataFrame:
    return evidence(scan(), rules).collect().sort("id")


def _verdict_part(made: Path, rules: Sequence[Rule], source: str, schema: pl.Schema) -> pl.DataFrame:
    return verdicts(pl.scan_parquet(made), rules, source, schema).collect().sort("id")


def _evidence_key(rules: Iterable[Rule]) -> list[Any]:
    shaping = []
    for rule in rules:
        parameters = {name: value for name, value in rule.parameters.items() if name not in rule.plugin.limits}
        shaping.append([rule.name, rule.use, parameters, code(rule.plugin.module)])
    return [shaping, code("curate.judge")]


def _limits(rules: Iterable[Rule]) -> list[Any]:
    return [[rule.name, rule.unknown, rule.verdict.sense, rule.verdict.limit] for rule in _standing(rules)]


def _standing(rules: Iterable[Rule]) -> list[Rule]:
    return [rule for rule in rules if not rule.lifted]


def _applies(rule: Rule) -> pl.Expr:
    applies = present_in_record(rule.verdict.evidence)
    return applies if rule.verdict.applies is None else applies & rule.verdict.applies


def _without_nan(name: str, floats: set[str]) -> pl.Expr:
    return pl.col(name).fill_nan(None) if name in floats else pl.col(name)


def _strings(expressions: Sequence[pl.Expr]) -> pl.Expr:
    """A list of the strings that are not null, in order; empty when there are no expressions at all."""
    if not expressions:
        return pl.lit([], dtype=pl.List(pl.String))
    return pl.concat_list(expressions).list.drop_nulls()


def _measure_columns(rules: Iterable[Rule]) -> dict[str, Any]:
    columns = {}
    for name in {name for rule in rules for name in _measures(rule)}:
        _, measure, _, column = name.split(":")
        columns[name] = registry.get("measures", measure).schema[column]
    return columns
