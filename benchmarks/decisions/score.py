"""How often rules are right: their decisions beside labels that people made by reading.

    python benchmarks/decisions/score.py [NAME…]

Labels are of a stratified sample, so a row counts as many times as there are rows like it in the pool. `before` is
the rule that the rows were drawn by, `now` the rule as it stands, tuned on these rows; `held_out` is the same of
rows that were drawn and read after that. An interval is Wilson's at 95%, with the sample's effective size,
(Σw)² / Σw², since rows weigh unequally. Writes `results/decisions.json`.
"""

from __future__ import annotations

import json
import math
from typing import Any

import click
import polars as pl
from question import HERE, Question, names

RESULTS = HERE.parent / "results" / "decisions.json"
Z = 1.959964  # of the normal distribution, for 95%


def wilson(share: float, size: float) -> tuple[float, float]:
    """Wilson's interval of a share seen in a sample of this size."""
    spread = Z * math.sqrt(share * (1 - share) / size + Z * Z / (4 * size * size))
    middle = share + Z * Z / (2 * size)
    below = 1 + Z * Z / size
    return (middle - spread) / below, (middle + spread) / below


def share(rows: pl.DataFrame, of: pl.Expr, among: pl.Expr) -> dict[str, Any] | None:
    """The weighted share of rows, its interval, and how many rows it rests on; None where there are none."""
    base = rows.filter(among)
    total = base["weight"].sum()
    if not total:
        return None
    found = base.filter(of)["weight"].sum() / total
    low, high = wilson(found, total**2 / (base["weight"] ** 2).sum())
    return {"share": round(found, 4), "low": round(low, 4), "high": round(high, 4), "rows": base.height}


def measured(rows: pl.DataFrame, rejected: str) -> dict[str, Any]:
    """Precision and recall of a column of decisions."""
    fault, said = pl.col("label"), pl.col(rejected)
    return {"precision": share(rows, fault, said), "recall": share(rows, said, fault)}


def weighted(question: Question, labelled: str) -> tuple[pl.DataFrame, dict[str, int], dict[str, int]]:
    """The labelled rows with what the rule says now and their weights; the strata's sizes, in pool and sample."""
    labels = pl.read_ndjson(HERE / "labels" / f"{labelled}.jsonl", schema_overrides={"kind": pl.String})
    about = json.loads((HERE / "labels" / f"{labelled}.strata.json").read_text("utf-8"))
    sizes = about["rows"]
    if "drawn" in about:
        labels = labels.with_columns(stratum=pl.col("id").replace_strict(about["drawn"]))
    known = question.records.filter(pl.col("id").is_in(labels["id"].implode()))
    if known.height != labels.height:
        missing = labels.height - known.height
        raise SystemExit(f"{labelled}: {missing} labels are of rows that the pool does not have")
    counted = dict(labels.group_by("stratum").len().sort("stratum").iter_rows())
    weights = {stratum: sizes[stratum] / count for stratum, count in counted.items()}
    rows = labels.join(question.answers(known), on="id", how="left", maintain_order="left").with_columns(
        pl.col("stratum").replace_strict(weights, return_dtype=pl.Float64).alias("weight"),
        (pl.col("stratum") == "hit").alias("before"),
    )
    return rows, sizes, counted


def score(name: str) -> dict[str, Any]:
    """What the labels of one question say of its rule."""
    question = Question.read(name)
    rows, sizes, counted = weighted(question, name)
    kinds = rows.group_by("kind", "label").agg(
        pl.len().alias("rows"), pl.col("before").sum(), pl.col("rejected").sum().alias("now")
    )
    return {
        "rule": question.use,
        "parameters": question.parameters,
        "pool": question.pool,
        "strata": sizes,
        "labelled": counted,
        "faults_in_pool": round(rows.filter("label")["weight"].sum()),
        "before": measured(rows, "before"),
        "now": measured(rows, "rejected"),
        "held_out": held_out(question),
        "kinds": kinds.sort("label", "rows", "kind", descending=[True, True, False]).to_dicts(),
    }


def held_out(question: Question) -> dict[str, Any] | None:
    """Precision and recall on rows that nobody had read when the rule was tuned; None where there are none."""
    labelled = f"{question.name}.held_out"
    if not (HERE / "labels" / f"{labelled}.jsonl").exists():
        return None
    rows, _, counted = weighted(question, labelled)
    return {"labelled": counted, **measured(rows, "rejected")}


def shown(found: dict[str, Any] | None) -> str:
    """A share with its interval, in percent."""
    return f"{found['share']:.1%} ({found['low']:.1%} to {found['high']:.1%})" if found else "no such row"


@click.command()
@click.argument("wanted", nargs=-1)
@click.option("--wrong", is_flag=True, help="List the rows on which rule and reader differ.")
def main(wanted: tuple[str, ...], *, wrong: bool) -> None:
    """Score the rules of all questions, or of those named."""
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    for name in wanted or names():
        if not (HERE / "labels" / f"{name}.jsonl").exists():
            print(f"{name}: no labels yet")
            continue
        found = results[name] = score(name)
        print(f"{name}: {sum(found['labelled'].values())} rows of {sum(found['strata'].values()):,} labelled")
        for when in ("before", "now", "held_out"):
            if found[when]:
                precision, recall = (shown(found[when][what]) for what in ("precision", "recall"))
                print(f"  {when:<9}precision {precision}, recall {recall}")
        for kind in found["kinds"]:
            fault = "fault" if kind["label"] else "none"
            print(f"  {fault:<6}{kind['kind'] or '–':<24}{kind['rows']:>5} rows, rejected {kind['now']}")
        if wrong:
            _print_wrong(name)
    RESULTS.write_text(json.dumps(dict(sorted(results.items())), indent=2, ensure_ascii=False) + "\n", "utf-8")


def _print_wrong(name: str) -> None:
    question = Question.read(name)
    labels = pl.read_ndjson(HERE / "labels" / f"{name}.jsonl", schema_overrides={"kind": pl.String})
    rows = labels.join(question.answers(question.records), on="id").filter(pl.col("label") != pl.col("rejected"))
    for row in rows.sort("label", "kind", "id").iter_rows(named=True):
        said = "missed" if row["label"] else "wrongly rejected"
        print(f"    {said}: {row['id']} ({row['kind']}: {row['why']}) {row['evidence'] or ''}")


if __name__ == "__main__":
    main()
