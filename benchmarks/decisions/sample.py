"""Draws the rows that a person labels: those that a rule hits, near misses, and others.

    python benchmarks/decisions/sample.py first_person --out rows.md

Writes the rows for reading, an empty label for each to `OUT.labels.jsonl`, and what was drawn from strata of which
size to `labels/<name>.strata.json`. The same rows are drawn every time, by id.

With `--held-out` the rows are others, drawn by the rule as it is now, to judge it after tuning; they are mixed,
and what the rule says of them is left out. Labels go to `labels/<name>.held_out.jsonl`.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import polars as pl
from question import HERE, STRATA, Question

from curate.keys import mix, seed_for

SEED = 20261121


@click.command()
@click.argument("name")
@click.option("--each", default=100, show_default=True, help="Rows of each stratum.")
@click.option("--chars", default=6000, show_default=True, help="Characters of a text that are shown.")
@click.option("--held-out", is_flag=True, help="Draw other rows, mixed, without what the rule says of them.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where the rows are written.")
def main(name: str, each: int, chars: int, out: Path, *, held_out: bool) -> None:
    """Draw the rows of a question."""
    question = Question.read(name)
    strata = question.strata()
    labelled = f"{name}.held_out" if held_out else name
    if held_out:
        seen = pl.read_ndjson(HERE / "labels" / f"{name}.jsonl")["id"]
        strata = strata.filter(~pl.col("id").is_in(seen.implode()))
    sizes = {stratum: int((strata["stratum"] == stratum).sum()) for stratum in STRATA}
    drawn = strata.with_columns(mix(strata["draw"], seed_for(SEED, f"decisions.{labelled}")).alias("draw"))
    drawn = pl.concat(
        drawn.filter(pl.col("stratum") == stratum).sort("draw", "id").head(each) for stratum in STRATA
    )
    if held_out:
        # Another chance than the one they were drawn by, which is small in large strata.
        drawn = drawn.with_columns(mix(drawn["draw"], seed_for(SEED, "decisions.order")).alias("draw"))
        drawn = drawn.sort("draw", "id")
    pages = [f"# {name}\n\n{question.fault}\n\nPool: {sizes}; kinds: {question.kinds}\n"]
    for number, row in enumerate(drawn.iter_rows(named=True), 1):
        said = "" if held_out else f" · {row['stratum']} · evidence: {row['evidence']}"
        pages.append(f"\n{'=' * 30} {number} · {row['id']}{said}\n")
        for field in question.show:
            shown = row["works"][0].get("title") if field == "title" and row["works"] else row.get(field)
            if shown:
                pages.append(f"--- {field}\n{shown[:chars]}\n")
    out.write_text("\n".join(pages), encoding="utf-8")
    labels = [
        {
            "id": row["id"],
            **({} if held_out else {"stratum": row["stratum"]}),
            "label": None,
            "kind": "",
            "why": "",
        }
        for row in drawn.iter_rows(named=True)
    ]
    lines = "".join(json.dumps(label, ensure_ascii=False) + "\n" for label in labels)
    Path(f"{out}.labels.jsonl").write_text(lines, encoding="utf-8")
    about = {"pool": question.pool, "rule": question.use, "parameters": question.parameters, "rows": sizes}
    if held_out:
        about["drawn"] = dict(drawn.select("id", "stratum").sort("id").iter_rows())
    (HERE / "labels" / f"{labelled}.strata.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    print(f"{drawn.height} rows of {sizes}")


if __name__ == "__main__":
    main()
