"""Leave one rule out: what becomes of the records that a rule alone rejects, and of the set, without it.

The pipeline is run to its end, and then once more for each rule, with that rule lifted, as far as the ledger. What
lifting a rule frees is measured, judged by the rules on measures, deduplicated and drawn like any other record.
All else is done already, and found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.engine import cores
from curate.errors import PipelineError, nearest
from curate.inputs import DigestCache
from curate.keys import canonical
from curate.manifest import check_format, locked
from curate.pipeline import Pipeline
from curate.report.excerpts import number, quoted
from curate.runs import ABLATION, RUNS, Run, check_counts, command_line, load, prepare, run_name
from curate.store import Store, Table, sweep, write_text
from curate.watch import Clock, Watch
from curate.work import Work

EXAMPLES: Final = 3  # records freed by lifting a rule
_WIDTH: Final = 160  # characters of a text that are quoted
_BEFORE: Final = 24  # of them before what was found: a terminal shows the beginning of the line

# What becomes of a freed record, and the column that counts it.
THEN: Final = {
    "rejected": "then_rejected",
    "duplicate": "then_duplicate",
    "contaminated": "then_contaminated",
    "not drawn": "then_not_drawn",
    "kept": "then_kept",
}

TABLE: Final = pl.Schema(
    {
        "rule": pl.String(),
        "judged": pl.UInt32(),
        "rejected": pl.UInt32(),
        "alone": pl.UInt32(),
        **dict.fromkeys(THEN.values(), pl.UInt32()),
        "gained": pl.UInt32(),
        "lost": pl.UInt32(),
        "masked": pl.UInt32(),
    }
)

FREED: Final = pl.Schema(
    {
        "rule": pl.String(),
        "id": pl.String(),
        "evidence": pl.String(),
        "state": pl.String(),
        "detail": pl.String(),
        "prompt": pl.String(),
        "response": pl.String(),
    }
)


@dataclass(frozen=True)
class Ablation:
    """What each rule does to a run, by leaving it out.

    `table`: a row a rule. `judged` and `rejected`: records, whatever other rules say, and also those excluded, as
    by a sample. `alone`: records, not excluded, that no other rule rejects; lifting the rule frees them, and the
    columns `then_…` say how those end. `gained` and `lost`: records that are kept only without the rule, and only
    with it. `masked`: records that it masks. `examples`: a few freed records of each rule, those first that are
    then kept.
    """

    run: Run
    table: pl.DataFrame
    examples: pl.DataFrame

    @property
    def plain(self) -> dict[str, Any]:
        """The ablation as JSON-able values."""
        by_rule = self.examples.partition_by("rule", as_dict=True, include_key=False)
        return {
            "name": self.run.name,
            "ledger": self.run.manifest["tables"]["ledger"]["key"],
            "rules": [
                row | {"examples": by_rule[row["rule"],].to_dicts() if (row["rule"],) in by_rule else []}
                for row in self.table.to_dicts()
            ],
        }

    def __repr__(self) -> str:
        return f"Ablation of {self.run.name!r}\n{self.table}"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in self.table.columns)
        rows = "".join(
            f"<tr><td style='text-align:left'>{escape(rule)}</td>"
            + "".join(f"<td style='text-align:right'>{count:,}</td>" for count in counts)
            + "</tr>"
            for rule, *counts in self.table.iter_rows()
        )
        return (
            f"<table><caption>{escape(self.run.name)}, leaving one rule out</caption><tr>{head}</tr>{rows}</table>"
        )


def ablate(
    pipeline: str | Path,
    *,
    rules: Iterable[str] = (),
    sample: int | None = None,
    workers: int | None = None,
    plugins: Iterable[str | Path] = (),
    runs: str | Path = RUNS,
    watch: Watch | None = None,
) -> Ablation:
    """Run a pipeline, then find out what each rule does by leaving it out: all rules, or those that are named.

    Writes `ablation.json` and `ablation.md` into the run folder. A rule that frees nothing costs next to nothing;
    each other costs about what measuring its freed records and deduplicating and drawing all survivors take.

    Raises a `CurateError` like `curate.run`.
    """
    check_counts(sample=sample, workers=workers)
    folders = [Path(folder) for folder in plugins]
    resolved = prepare(pipeline, plugins=folders)
    names = _named(resolved, tuple(rules))
    folder = Path(runs) / run_name(resolved, sample)
    check_format(folder)
    watch = watch or Watch()
    with locked(folder):
        sweep(folder)
        command = command_line(Path(pipeline), sample, (), folders)
        cache = DigestCache(folder.parent / ".cache" / "digests.json")
        work = Work(resolved, folder, Clock(watch), workers or cores(), sample, command)
        base = _Base(work.done(cache))
        run = load(folder)
        counted = {rule["name"]: rule for rule in run.numbers["rules"]}
        watch.stage("without each rule", len(names), "rules")
        rows, freed = [], [pl.DataFrame(schema=FREED)]
        for name in names:
            lifted = replace(work, pipeline=resolved.without([name]), clock=Clock(Watch()), alerts=[])
            tables, _ = lifted.decided(cache, Store(folder))
            ends = base.beside(tables["ledger"])
            rows.append(_counts(name, counted[name], base, ends))
            freed.append(_examples(counted[name], base, ends))
            watch.advance()
        made = Ablation(run, pl.DataFrame(rows, schema=TABLE), pl.concat(freed))
        write_text(folder / ABLATION, canonical(made.plain) + "\n")
        write_text((folder / ABLATION).with_suffix(".md"), _markdown(made))
    return made


def _named(pipeline: Pipeline, rules: Sequence[str]) -> list[str]:
    for name in rules:
        if name not in pipeline.rules:
            raise PipelineError(
                f"no rule is called {name!r}", where=str(pipeline.file), next=nearest(name, pipeline.rules)
            )
    return [name for name in pipeline.rules if not rules or name in rules]


class _Base:
    """How each record ended with all rules, and which rule alone rejects it."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self.tables = tables
        said = [tables[name].scan().select("id", "reasons") for name in ("verdicts", "verdicts_measured")]
        only = pl.concat(said).filter(pl.col("reasons").list.len() == 1)
        rule = pl.col("reasons").list.first().str.strip_suffix(":unknown")
        ended = (
            tables["ledger"]
            .scan()
            .select("id", "state")
            .join(only.select("id", rule.alias("only")), on="id", how="left", maintain_order="left")
        )
        # Excluded records stay out whatever rules say.
        rejected = pl.when(pl.col("state") == "rejected").then("only")
        self.ends = ended.with_columns(rejected.alias("only")).collect()
        masked = tables["amendments"].scan().group_by("by").agg(pl.col("id").n_unique())
        self.masked: dict[str, int] = dict(masked.collect().iter_rows())

    def beside(self, ledger: Table) -> pl.DataFrame:
        """The ends with all rules beside those of another ledger of the same records, as `then` and `detail`."""
        other = ledger.scan().select("id", pl.col("state").alias("then"), "detail").collect()
        return self.ends.join(other, on="id", how="left", maintain_order="left")


def _counts(name: str, counted: Mapping[str, Any], base: _Base, ends: pl.DataFrame) -> dict[str, Any]:
    freed = ends.filter(pl.col("only") == name)
    then = dict(freed.group_by("then").len().iter_rows())
    kept = ends.select(
        gained=((pl.col("then") == "kept") & (pl.col("state") != "kept")).sum(),
        lost=((pl.col("then") != "kept") & (pl.col("state") == "kept")).sum(),
    )
    return (
        {"rule": name, "judged": counted["judged"], "rejected": counted["hit"], "alone": freed.height}
        | {column: then.get(state, 0) for state, column in THEN.items()}
        | kept.to_dicts()[0]
        | {"masked": base.masked.get(name, 0)}
    )


def _examples(rule: Mapping[str, Any], base: _Base, ends: pl.DataFrame) -> pl.DataFrame:
    """A few freed records: those that are then kept first, drawn by id."""
    freed = ends.filter(pl.col("only") == rule["name"])
    if freed.is_empty():  # nor is there evidence, of a rule that judged nothing
        return pl.DataFrame(schema=FREED)
    records = base.tables["records"].scan()
    drawn = records.select("id", "draw").filter(pl.col("id").is_in(freed["id"].implode())).collect()
    freed = freed.join(drawn, on="id").sort(pl.col("then") != "kept", "draw", "id").head(EXAMPLES)
    table = base.tables["verdicts_measured" if rule["measured"] else "verdicts"].scan()
    found = table.filter(pl.col("id").is_in(freed["id"].implode())).select("id", rule["name"]).collect()
    evidence = dict(found.iter_rows())
    texts = quoted(records, freed["id"])
    made = []
    for row in freed.to_dicts():
        value, text = evidence.get(row["id"]), texts[row["id"]]
        around = value if isinstance(value, str) and rule["sense"] == "present" else None
        made.append(
            {"rule": rule["name"], "id": row["id"], "state": row["then"], "detail": row["detail"]}
            | {"evidence": None if value is None else " ".join(str(number(value)).split())[:_WIDTH]}
            | {field: _line(text[field], around) for field in ("prompt", "response")}
        )
    return pl.DataFrame(made, schema=FREED)


def _line(text: str | None, around: str | None) -> str | None:
    """The passage of a text with what was found, on one line, and shortly after its beginning."""
    if text is None:
        return None
    place = text.find(around) if around else -1
    begin = max(0, place - _BEFORE)
    line = " ".join(text[begin : begin + _WIDTH].split())
    return ("… " if begin else "") + line + (" …" if begin + _WIDTH < len(text) else "")


def _markdown(made: Ablation) -> str:
    """The table, and the examples under it."""
    lines = [f"# {made.run.name}, leaving one rule out", ""]
    lines += ["| " + " | ".join(name.replace("_", " ") for name in made.table.columns) + " |"]
    lines += ["|---" + "|---:" * (made.table.width - 1) + "|"]
    for rule, *counts in made.table.iter_rows():
        lines.append(f"| `{rule}` | " + " | ".join(f"{count:,}" for count in counts) + " |")
    lines += [
        "",
        "Alone: what no other rule rejects. Lifting the rule frees it; then: how it ends without the rule.",
    ]
    for row in made.examples.to_dicts():
        lines += ["", f"- `{row['rule']}` {row['id']}, then {row['state']} ({row['detail']})"]
        lines += [f"  - {field}: {row[field]}" for field in ("evidence", "prompt", "response") if row[field]]
    return "\n".join(lines) + "\n"
