"""The laws of filters, and a runner of their cases.

The cases lie in a TOML file: tables `[[rejects]]` and `[[keeps]]`, each with a `because`, the fields of
a record (`response = "…"`), and where needed `with` (the filter's parameters), `repeat` (how often the texts
are repeated, for long ones) and `measure` (what a measure says, `{language = "fr"}`). A record that has no
`prompt` is given one.
"""

from __future__ import annotations

import inspect
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.record import CONTENT, SCHEMA, records
from curate.testing.laws import law, same
from curate.verdict import Filter, Verdict, rejects_when
from curate.views import FIELDS, needed, present_in_record, with_views

PROMPT: Final = "A prompt."

# Texts that break careless rules. All but the blank ones hold letters.
STRANGE: Final = {
    "empty": "",
    "blank": " \t\n\u00a0",
    "one mark": ".",
    "zero width": "\u200b\u200d\ufeff",
    "zero width inside": "zero\u200bwidth\u200d joined\ufeff",
    "emoji": "👩🏽‍🚀 went to 🇫🇷 and came back 🎉",
    "right to left": "السلام عليكم \u202eabc\u202c שלום עולם",
    "NUL": "before\x00after",
    "line ends": "one\r\ntwo\rthree\u2028four\u0085five",
    "unpaired marks": "``` ~~~ $$ $ ` \" “ « ‘ ' ( [ { <b> > \\( \\[ \\begin{x}",
    "one word": "word",
    "very long": "A sentence of no importance, said once more. " * 22_223,
    "very long line of marks": "`$\"“'>" * 170_000,
    "very long without a space": "x" * 1_000_000,
}


@dataclass(frozen=True)
class Case:
    """One record that a filter must reject, or must keep, and why."""

    because: str
    rejects: bool
    parameters: dict[str, Any]
    record: dict[str, Any]


def evaluate(filter: Filter, records: pl.DataFrame, **parameters: Any) -> pl.DataFrame:
    """What a filter makes of records. Columns: `id`, `evidence`, `applies`, and `rejected`.

    `rejected` is yes, no, unknown or does not apply. A column that a rule reads and the frame lacks (that of
    a measure) is taken to be unknown throughout.
    """
    return _evaluate(filter(**parameters), records)


def cases(path: Path) -> list[Case]:
    """The cases in a TOML file."""
    found = tomllib.loads(path.read_text("utf-8"))
    strange = set(found) - {"rejects", "keeps"}
    law(not strange, f"{path}: tables are [[rejects]] and [[keeps]], not {sorted(strange)}")
    return [_case(path, kind, raw) for kind in ("rejects", "keeps") for raw in found.get(kind, [])]


def check_cases(filter: Filter, path: Path, *, at_least: int = 3) -> None:
    """Every case in the file holds, and there are at least three that reject and three that keep."""
    every = cases(path)
    for kind in (True, False):
        count = sum(case.rejects is kind for case in every)
        law(count >= at_least, f"{path}: {count} cases that {'reject' if kind else 'keep'}, {at_least} are needed")
    for case in every:
        _check_mask(filter, case)
        found = evaluate(filter, _frame([case.record]), **case.parameters).row(0, named=True)
        expected = "yes" if case.rejects else "no"
        law(
            found["rejected"] == expected,
            f"{filter.name}: expected {expected} because {case.because}; found {found['rejected']} "
            f"by evidence {found['evidence']!r} in {case.record!r:.300}",
        )


def check_filter(filter: Filter, **parameters: Any) -> None:
    """The laws of a filter, under these parameters and otherwise its defaults.

    A verdict depends on its own row only; evidence is a number or a text, and known for every text that
    holds a word; a limit takes no part in the evidence; the docstring's examples hold under the defaults.
    """
    verdict = filter(**parameters)
    law(bool(filter.summary), f"{filter.name}: the docstring is empty")
    law(filter.function.__name__ == filter.module.rpartition(".")[2], f"{filter.name}: not named like its file")
    _check_row_local(filter.name, verdict)
    _check_answers(filter.name, verdict)
    _check_limits(filter, verdict, parameters)
    for example in filter.rejects:
        _check_example(filter, example, "yes")
    for example in filter.keeps:
        _check_example(filter, example, "no")


def _check_mask(filter: Filter, case: Case) -> None:
    """A mask takes out what rejects a case, and leaves a case that is kept as it is."""
    mask = filter(**case.parameters).mask
    if mask is None:
        return
    before = {name: value for name, value in case.record.items() if name in CONTENT and isinstance(value, str)}
    after = {name: mask(value) for name, value in before.items()}
    if case.rejects:
        found = evaluate(filter, _frame([case.record | after]), **case.parameters).row(0, named=True)
        law(
            found["rejected"] == "no",
            f"{filter.name}: masked, a case is still rejected by {found['evidence']!r}: {after}",
        )
    else:
        law(after == before, f"{filter.name}: the mask changes what is kept because {case.because}: {after}")


def _case(path: Path, kind: str, raw: dict[str, Any]) -> Case:
    raw = dict(raw)
    because, parameters, repeat = raw.pop("because", ""), raw.pop("with", {}), raw.pop("repeat", 1)
    law(bool(because), f"{path}: a case in [[{kind}]] does not say `because`")
    parameters = {name: tuple(value) if isinstance(value, list) else value for name, value in parameters.items()}
    record = {name: value * repeat if isinstance(value, str) else value for name, value in raw.items()}
    return Case(because, kind == "rejects", parameters, record)


def _frame(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Records from cases; what a `measure` says is set for every field."""
    made, measured = [], []
    for number, row in enumerate(rows):
        fields = {"id": f"case:{number}", "prompt": PROMPT, **row}
        measured.append(fields.pop("measure", {}))
        made.append(fields)
    names = {(measure, column) for row in measured for measure, columns in row.items() for column in columns}
    return records(made).with_columns(
        pl.Series(f"measure:{measure}:{of}:{column}", [row.get(measure, {}).get(column) for row in measured])
        for measure, column in sorted(names)
        for of in FIELDS
    )


def _evaluate(verdict: Verdict, records: pl.DataFrame) -> pl.DataFrame:
    missing = [name for name in needed(verdict.reads, "measure") if name not in records.columns]
    scan = records.lazy().with_columns(pl.lit(None).alias(name) for name in missing)
    applies = present_in_record(verdict.evidence)
    if verdict.applies is not None:
        applies = applies & verdict.applies
    scan = with_views(scan, verdict.reads).select(
        "id", verdict.evidence.alias("evidence"), applies.fill_null(value=False).alias("applies")
    )
    if scan.collect_schema()["evidence"].is_float():
        scan = scan.with_columns(pl.col("evidence").fill_nan(None))
    rejected = rejects_when(verdict, pl.col("evidence"))
    return scan.with_columns(
        pl.when(~pl.col("applies"))
        .then(pl.lit("does not apply"))
        .when(rejected.is_null())
        .then(pl.lit("unknown"))
        .when(rejected)
        .then(pl.lit("yes"))
        .otherwise(pl.lit("no"))
        .alias("rejected")
    ).collect()


def _strange_records() -> pl.DataFrame:
    """Every strange text as a response and as a prompt, a prompt alone, a dialogue, and a bare record."""
    rows: list[dict[str, Any]] = [
        {"id": f"strange:{name}", "prompt": text or PROMPT, "response": text, "context": text, "score": 3.0}
        for name, text in STRANGE.items()
    ]
    turns = [{"role": "user", "text": "A question."}, {"role": "assistant", "text": "I said so."}]
    rows += [
        {"id": "alone", "prompt": PROMPT},
        {"id": "scored", "prompt": PROMPT, "response": "I do.", "score": 12.5, "prompt_score": -1.0},
        {"id": "not a number", "prompt": PROMPT, "response": "Yes.", "score": math.nan},
        {"id": "dialogue", "prompt": PROMPT, "response": "As mentioned.", "history": turns, "system": "Be kind."},
    ]
    return records(rows)


def _check_row_local(name: str, verdict: Verdict) -> None:
    frame = _strange_records()
    together = _evaluate(verdict, frame)
    alone = pl.concat([_evaluate(verdict, frame[row]) for row in range(frame.height)])
    same(together, alone, f"{name}: a row's verdict changes with the rows beside it")
    reverse = _evaluate(verdict, frame.reverse()).reverse()
    same(together, reverse, f"{name}: verdicts change with the order of rows")
    twice = _evaluate(verdict, pl.concat([frame, frame]))[: frame.height]
    same(together, twice, f"{name}: verdicts change when every row is there twice")
    law(_evaluate(verdict, frame.clear()).is_empty(), f"{name}: verdicts on no rows at all")


def _check_answers(name: str, verdict: Verdict) -> None:
    found = _evaluate(verdict, _strange_records())
    dtype = found.schema["evidence"]
    measured = bool(needed(verdict.reads, "measure"))
    known = dtype == pl.String or dtype.is_numeric() or (measured and dtype == pl.Null)
    law(known, f"{name}: evidence is a number or a text, not {dtype}")
    reads_text = not measured and bool(needed([verdict.evidence], "text") + needed([verdict.evidence], "prose"))
    if reads_text:
        wordless = ["strange:empty", "strange:blank", "strange:one mark", "strange:zero width"]
        unknown = found.filter((pl.col("rejected") == "unknown") & ~pl.col("id").is_in(wordless))
        law(unknown.is_empty(), f"{name}: no evidence for {unknown['id'].to_list()}, which hold text")


def _check_limits(filter: Filter, verdict: Verdict, parameters: dict[str, Any]) -> None:
    for limit in filter.limits:
        before = parameters.get(limit, _defaults(filter)[limit])
        after = (*before, "zz") if isinstance(before, tuple | list) else before + 1
        changed = filter(**{**parameters, limit: after})
        law(
            changed.evidence.meta.eq(verdict.evidence),
            f"{filter.name}: {limit!r} is declared a Limit and changes the evidence",
        )
        law(changed.limit != verdict.limit, f"{filter.name}: {limit!r} is declared a Limit and is not one")


def _defaults(filter: Filter) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in inspect.signature(filter.function).parameters.items()}


def _check_example(filter: Filter, example: str, expected: str) -> None:
    of = _defaults(filter).get("of", "response")
    record: dict[str, Any] = {of if of in SCHEMA else "response": example}
    if of == "title":
        record = {"works": [{"part": "prompt", "title": example}]}
    found = evaluate(filter, _frame([record]))["rejected"].item()
    law(found == expected, f"{filter.name}: the docstring's example {example!r} is {found}, not {expected}")
