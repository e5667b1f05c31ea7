"""A question about rows: which rule answers it, over which pool, and what it says of each of its records.

`questions/<name>.toml` holds a question, `pools/<pool>.toml` a pipeline over real data whose paths begin at the
folder that CURATE_REAL_DATA names.
"""

from __future__ import annotations

import os
import tempfile
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl

import curate
from curate import registry
from curate.testing import evaluate
from curate.views import needed, present_in_record, text, with_views

HERE: Final = Path(__file__).parent
CACHE: Final = Path(tempfile.gettempdir()) / "curate-decisions"

# A row that the rule hits; one that it does not, though a broad pattern finds something; any other.
STRATA: Final = ("hit", "near", "other")
Stratum = Literal["hit", "near", "other"]


@dataclass(frozen=True)
class Question:
    """What a person was asked about rows of a pool, and the rule that should say the same.

    `fault` is the question, `kinds` what a label's `kind` may be, `near` the pattern of near misses, `of` the
    field that it is looked for in, `show` the fields that the reader sees.
    """

    name: str
    pool: str
    use: str
    fault: str
    near: str
    kinds: dict[str, str]
    parameters: dict[str, Any]
    of: str = "response"
    show: tuple[str, ...] = ("prompt", "context", "response")

    @classmethod
    def read(cls, name: str) -> Question:
        found = tomllib.loads((HERE / "questions" / f"{name}.toml").read_text("utf-8"))
        return cls(
            name=name,
            pool=found["pool"],
            use=found.get("use", name),
            fault=found["question"].strip(),
            near=found["near"],
            kinds=found.get("kinds", {}),
            parameters=found.get("parameters", {}),
            of=found.get("of", "response"),
            show=tuple(found.get("show", cls.show)),
        )

    @cached_property
    def records(self) -> pl.DataFrame:
        """The records of the pool that have the field, in the order of their ids."""
        subject = text(self.of)
        records = with_views(_pool(self.pool), [subject]).filter(present_in_record(subject))
        return records.with_columns(subject.alias("subject")).select(pl.exclude("^text:.*$")).collect().sort("id")

    def answers(self, records: pl.DataFrame) -> pl.DataFrame:
        """What the rule says now: `id`, `rejected` and the `evidence` as text."""
        rule = registry.get("filters", self.use)
        parameters = registry.resolved(registry.parameters(rule).model_validate(self.parameters))
        for name in needed([rule(**parameters).evidence], "measure"):
            _, measure, of, column = name.split(":")
            texts = with_views(records.lazy(), [text(of)]).select(f"text:{of}").collect().to_series()
            values = registry.get("measures", measure)(texts.fill_null("").to_list())
            records = records.with_columns(values[column].alias(name))
        found = evaluate(rule, records, **parameters)
        return found.select("id", pl.col("rejected") == "yes", pl.col("evidence").cast(pl.String))

    def strata(self) -> pl.DataFrame:
        """The stratum of each record of the pool, as the rule and the pattern of near misses see it."""
        near = pl.col("subject").str.contains(self.near)
        answered = self.records.join(self.answers(self.records), on="id", how="left", maintain_order="left")
        stratum = (
            pl.when("rejected").then(pl.lit("hit")).when(near).then(pl.lit("near")).otherwise(pl.lit("other"))
        )
        return answered.with_columns(stratum.alias("stratum"))


def names() -> list[str]:
    """All questions, in alphabetical order."""
    return sorted(path.stem for path in (HERE / "questions").glob("*.toml"))


def _pool(name: str) -> pl.LazyFrame:
    data = os.environ.get("CURATE_REAL_DATA")
    if not data:
        raise SystemExit("set CURATE_REAL_DATA to the folder of real files")
    here = CACHE / "pools"
    here.mkdir(parents=True, exist_ok=True)
    file = here / f"{name}.toml"
    written = (HERE / "pools" / f"{name}.toml").read_text("utf-8").replace('"data/', f'"{data}/')
    first = tomllib.loads(written)["source"][0]
    # The records are wanted, not a set of them.
    none = f'[[select.quota]]\nfrom = "{first.get("name", first["use"])}"\ntake = 0\n'
    file.write_text(f'name = "{name}"\n{written}\n{none}', encoding="utf-8")
    return curate.run(file, runs=CACHE / "runs").records
