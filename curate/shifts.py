"""How two sets differ as wholes: every distribution that both have, beside one another, with one plain distance.

Each distribution is counted value by value, so distances and quantiles are exact, and memory grows with the
number of distinct values and of kept records' ids, never with texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import polars as pl

from curate.distributions import of_categories, of_numbers
from curate.metrics import style
from curate.metrics.contract import Metric
from curate.metrics.shares import QUESTIONS
from curate.record import message
from curate.views import FIELDS, present_in_record, text

Json = dict[str, Any]

_NUMBERS: Final = {
    "response": ("Length of responses", "characters"),
    "prompt": ("Length of prompts", "characters"),
    "turns": ("Earlier turns", "turns"),
    "score": ("Score of responses", ""),
    "prompt_score": ("Score of prompts", ""),
}
_CATEGORIES: Final = {
    "split": "Splits",
    "source": "Sources",
    "domain": "Domains",
    "group": "Groups of domains",
    "license": "Licences",
    "year": "Years of responses",
    "first_word": "First words of prompts",
    "has_response": "With a response",
    "has_system": "With a system message",
}
# What the language of a text is, is in a table named by the text, such as `language_response`.
_LANGUAGE: Final = "language_"
# How responses are written: what is asked of each that there is, by the name of the metric.
_STYLE: Final = {
    f"style:{name}": found.info.title
    for name, found in vars(style).items()
    if isinstance(found, Metric) and name in QUESTIONS
}
_WORD: Final = r"^[^\p{L}\p{N}]*([\p{L}\p{N}'’]{1,24})"
_OF_FILES: Final = {"split", "source"}  # what a file has not of its own
_BY_SOURCE: Final = {"score", "prompt_score"}  # compared within a source only
_VERDICTS: Final = ("verdicts", "verdicts_measured")
_FOUND, _NOT_FOUND = "found", "not found"


class Finished(Protocol):
    """A finished run, such as `curate.Run`."""

    @property
    def path(self) -> Path: ...
    @property
    def manifest(self) -> dict[str, Any]: ...
    def table(self, name: str) -> pl.LazyFrame: ...


def shifts(a: Finished, b: Finished, *, whole: bool = False) -> list[Json]:
    """Every distribution that either run's kept records have, side by side, the furthest apart first.

    With `whole` all records are compared instead of kept ones, and not by source or split: so files are. Evidence
    of rules is compared over kept records, and over all that were judged in both runs; where it is text, over
    those of them that have the field that the rule looks at.

    Each is a mapping of `name`, `title`, `of` ("kept", "judged" or "all"), `kind` ("number" or "category"),
    `measure`, `shift` and `by_chance` (0 to 1, null where a side is empty). Numbers have `unit`, quantiles under
    `a` and `b` with the rows that have none, or an infinite one, as `missing`, `at` (value and shares where the
    gap is widest) and `bins`; categories have `rows` of counts and how many values there are, `distinct`.
    """
    sides = [dict(_columns(run, whole=whole)) for run in (a, b)]
    found = list(_compared(*sides, whole=whole))
    del sides
    rules = _shared_rules(a, b)
    judged = [_judged(run, rules) for run in (a, b)]
    if not whole:
        found += _evidence(a, rules, [_only(run, rows) for run, rows in zip((a, b), judged, strict=True)], "kept")
    found += _evidence(a, rules, judged, "judged")
    return sorted(found, key=lambda row: (-1 if row["shift"] is None else -row["shift"], row["name"], row["of"]))


def _kept(run: Finished) -> pl.DataFrame:
    kept = run.table("ledger").filter(pl.col("state") == "kept").select("id", split="detail")
    return kept.collect(engine="streaming").sort("id")


def _columns(run: Finished, *, whole: bool) -> Iterator[tuple[str, pl.DataFrame]]:
    """For each distribution of a run the values and how often each is there, as `value` and `n`."""
    columns = {
        "prompt": pl.col("prompt").str.len_chars(),
        "response": pl.col("response").str.len_chars(),
        "turns": pl.col("history").list.len(),
        "year": pl.col("created").dt.year().cast(pl.String),
        "first_word": pl.col("prompt").str.extract(_WORD).str.to_lowercase(),
        "has_response": _said(pl.col("response").is_not_null()),
        "has_system": _said(pl.col("system").is_not_null()),
    }
    columns |= {name: _said(QUESTIONS[name.partition(":")[2]]) for name in _STYLE}
    plain = [pl.col(name) for name in ("source", "domain", "group", "license", "score", "prompt_score")]
    # To those who measure rows, as to a model, what is asked is the prompt with its context.
    records = run.table("records").with_columns(message().alias("prompt"))
    if whole:
        rows = records.select("id", *plain, **columns).collect(engine="streaming")
    else:
        kept = _kept(run)
        # A filter by value, which a scan of Parquet applies before it decodes texts; a join would decode all.
        wanted = records.filter(pl.col("id").is_in(kept["id"].implode())).select("id", *plain, **columns)
        rows = wanted.collect(engine="streaming").join(kept, on="id")
        yield "split", _counted(rows["split"])
    for table in sorted(run.manifest["tables"]):
        if table.startswith(_LANGUAGE):
            named = run.table(table).filter(pl.col("id").is_in(rows["id"].implode())).select("id", "language")
            told = named.unique("id", keep="first", maintain_order=True).collect()
            yield table, _counted(rows.join(told, on="id", how="left")["language"])
    for name in ("source", "domain", "group", "license", *columns):
        yield name, _counted(rows[name])
    for name in sorted(_BY_SOURCE):
        for (source,), own in rows.group_by("source"):
            yield f"{name}:{source}", _counted(own[name])


def _said(condition: pl.Expr) -> pl.Expr:
    """Yes or no of each row; null where the question does not arise."""
    return pl.when(condition).then(pl.lit("yes")).when(condition.not_()).then(pl.lit("no"))


def _counted(values: pl.Series) -> pl.DataFrame:
    return values.rename("value").to_frame().group_by("value").agg(n=pl.len())


def _compared(a: Mapping[str, pl.DataFrame], b: Mapping[str, pl.DataFrame], *, whole: bool) -> Iterator[Json]:
    of = "all" if whole else "kept"
    for name in sorted({*a, *b}):
        field, _, source = name.partition(":")
        if whole and (field in _OF_FILES or field in _BY_SOURCE):
            continue
        counts = _joined(a.get(name), b.get(name))
        if name in _STYLE:
            counts = counts.filter(pl.col("value").is_not_null())  # without a response there is no style
        if counts["value"].null_count() == counts.height:
            continue  # neither has anything to say
        if field in _NUMBERS:
            title, unit = _NUMBERS[field]
            yield _number(name, f"{title}, {source}" if source else title, unit, of, counts)
        else:
            yield _category(name, _title(name), of, counts)
    if whole:
        for field in sorted(_BY_SOURCE):
            # A file is one source, whatever the two are called.
            of_both = [
                next((side[name] for name in sorted(side) if name.startswith(f"{field}:")), None)
                for side in (a, b)
            ]
            counts = _joined(*of_both)
            if counts["value"].null_count() < counts.height:
                yield _number(field, *_NUMBERS[field], of, counts)


def _title(field: str) -> str:
    if field.startswith(_LANGUAGE):
        return f"Languages, {field.removeprefix(_LANGUAGE)}"
    return (_CATEGORIES | _STYLE)[field]


def _joined(a: pl.DataFrame | None, b: pl.DataFrame | None) -> pl.DataFrame:
    """Both sides' counts by value, as `value`, `a` and `b`."""
    empty = next((side.clear() for side in (a, b) if side is not None), None)
    if empty is None:
        return pl.DataFrame(schema={"value": pl.String, "a": pl.UInt32, "b": pl.UInt32})
    one, other = ((empty if side is None else side).rename({"n": at}) for side, at in ((a, "a"), (b, "b")))
    joined = one.join(other, on="value", how="full", coalesce=True, nulls_equal=True)
    return joined.with_columns(pl.col("a", "b").fill_null(0))


def _number(name: str, title: str, unit: str, of: str, counts: pl.DataFrame) -> Json:
    return {"name": name, "title": title, "of": of, "unit": unit} | of_numbers(counts)


def _category(name: str, title: str, of: str, counts: pl.DataFrame) -> Json:
    return {"name": name, "title": title, "of": of} | of_categories(counts)


def _shared_rules(a: Finished, b: Finished) -> dict[str, str]:
    """The rules that both runs have evidence of, by the table that holds it in both."""
    rules = {}
    for table in _VERDICTS:
        named = [run.table(table).collect_schema() for run in (a, b)]
        for rule in named[0]:
            if rule in ("id", "source", "reasons") or rule not in named[1]:
                continue
            if named[0][rule].is_numeric() == named[1][rule].is_numeric():
                rules[rule] = table
    return rules


def _judged(run: Finished, rules: Mapping[str, str]) -> dict[str, pl.LazyFrame]:
    """The verdicts of each rule; where its evidence is text, of records alone that have the field it looks at.

    Of numbers, those that there are none of are counted apart, whatever the cause.
    """
    told = [rule for rule in run.manifest["facts"]["rules"] if rule["name"] in rules]
    schemas = {table: run.table(table).collect_schema() for table in set(rules.values())}
    texts = [rule for rule in told if not schemas[rules[rule["name"]]][rule["name"]].is_numeric()]
    fields = _fields(run) if texts else {}
    lacking = {
        field: _lacking(run, field)
        for field in sorted({fields.get((at, rule["name"]), "") for rule in texts for at in rule["sources"]})
    }
    judged = {rule: run.table(table) for rule, table in rules.items()}
    for rule in texts:
        name = rule["name"]
        asked = [
            (pl.col("source") == at) & ~pl.col("id").is_in(lacking[fields.get((at, name), "")].implode())
            for at in rule["sources"]
        ]
        judged[name] = judged[name].filter(pl.any_horizontal(pl.lit(value=False), *asked))
    return judged


def _fields(run: Finished) -> dict[tuple[str, str], str]:
    """The field that a rule looks at, by source and rule, where it has such a parameter."""
    return {
        (source["name"], rule["name"]): rule["of"]
        for source in run.manifest["pipeline"]["sources"]
        for rule in source["rules"]
        if rule.get("of") in FIELDS
    }


def _lacking(run: Finished, field: str) -> pl.Series:
    """The ids of the records that have no such field."""
    there = present_in_record(text(field)) if field else pl.lit(value=True)
    if not there.meta.root_names():
        return pl.Series("id", [], pl.String)  # every record has it
    return run.table("records").filter(~there).select("id").collect(engine="streaming")["id"]


def _only(run: Finished, judged: Mapping[str, pl.LazyFrame]) -> dict[str, pl.LazyFrame]:
    """The verdicts of kept records."""
    kept = pl.col("id").is_in(_kept(run)["id"].implode())
    return {rule: rows.filter(kept) for rule, rows in judged.items()}


def _evidence(
    a: Finished, rules: Mapping[str, str], judged: list[dict[str, pl.LazyFrame]], of: str
) -> Iterator[Json]:
    senses = {rule["name"]: rule["sense"] for rule in a.manifest["facts"]["rules"]}
    for rule in rules:
        value = pl.col(rule)
        if senses.get(rule) == "present":
            value = pl.when(value.is_null()).then(pl.lit(_NOT_FOUND)).otherwise(pl.lit(_FOUND))
        counts = _joined(
            *(rows[rule].group_by(value=value).agg(n=pl.len()).collect(engine="streaming") for rows in judged)
        )
        if counts["value"].null_count() == counts.height:
            continue
        title = f"Evidence of {rule}"
        if counts["value"].dtype.is_numeric():
            yield _number(f"evidence:{rule}", title, "", of, counts)
        else:
            yield _category(f"evidence:{rule}", title, of, counts)
