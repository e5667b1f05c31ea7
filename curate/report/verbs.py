"""What kept prompts ask for: the verbs of their requests, and the nouns that these are about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from curate.metrics.verbs import METHOD, verb_nouns
from curate.report.books import Json
from curate.report.excerpts import number

# As many as the figure of Self-Instruct shows (arXiv 2212.10560, figure 3).
VERBS: Final = 20
NOUNS: Final = 4
_COUNTS: Final = pl.Schema({"verb": pl.String(), "noun": pl.String(), "records": pl.UInt64()})
_BY: Final = ["verb", "noun"]
_MANY: Final = 100_000  # pairs that are counted apart before they are added up


class Verbs:
    """Counts the verb and noun of each kept prompt."""

    def __init__(self) -> None:
        self._read = 0
        self._counts = pl.DataFrame(schema=_COUNTS)

    @property
    def reads(self) -> Sequence[pl.Expr]:
        """Nothing but the prompt."""
        return []

    def add(self, kept: pl.DataFrame) -> None:
        """Count a batch of kept records."""
        self._read += kept.height
        found = verb_nouns(kept["prompt"]).group_by(_BY).agg(records=pl.len().cast(pl.UInt64))
        self._counts = pl.concat([self._counts, found.select(*_BY, "records")])
        if self._counts.height > _MANY:
            self._counts = self._added()

    def made(self) -> Json | None:
        """The most frequent verbs, each with its most frequent nouns; None when nothing is kept.

        `parsed` are prompts whose verb was found, `share` their share; `distinct` counts pairs of verb and noun.
        """
        if not self._read:
            return None
        known = self._added().filter(pl.col("verb").is_not_null())
        parsed = int(known["records"].sum())
        by_verb = known.group_by("verb").agg(pl.col("records").sum())
        most = by_verb.sort("records", "verb", descending=[True, False]).head(VERBS)
        nouns = known.filter(pl.col("noun").is_not_null())
        return {
            "rows": self._read,
            "parsed": parsed,
            "share": number(parsed / self._read),
            "distinct": nouns.height,
            "distinct_verbs": by_verb.height,
            "method": METHOD,
            "verbs": [
                {"verb": verb, "records": records, "nouns": _nouns(nouns.filter(pl.col("verb") == verb))}
                for verb, records in most.iter_rows()
            ],
        }

    def _added(self) -> pl.DataFrame:
        return self._counts.group_by(_BY).agg(pl.col("records").sum())


def _nouns(of_verb: pl.DataFrame) -> list[Json]:
    most = of_verb.sort("records", "noun", descending=[True, False]).head(NOUNS)
    return most.select("noun", "records").to_dicts()
