"""What kept records still hold that most people do not want in a set: personal data, secrets, refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

import polars as pl

from curate import registry
from curate.keys import mix, seed_for
from curate.report.books import Json
from curate.report.excerpts import excerpt, number
from curate.verdict import Filter, Verdict

EXAMPLES: Final = 3
WIDTH: Final = 200  # characters of an example

PERSONAL: Final = "personal data"
SECRETS: Final = "secrets"
REFUSALS: Final = "refusals"
SELF: Final = "self-identification"
# Filters of the catalogue, by what they find. They run with their defaults, whatever the pipeline asks of them.
LOOKED_FOR: Final = {
    "email_address": (PERSONAL, "e-mail addresses"),
    "phone_number": (PERSONAL, "telephone numbers"),
    "card_number": (PERSONAL, "numbers of payment cards"),
    "ip_address": (PERSONAL, "IP addresses"),
    "secret_key": (SECRETS, "keys and passwords"),
    "refuses": (REFUSALS, "refusals"),
    "says_it_is_ai": (SELF, "answers that say they are a model's"),
    "names_its_maker": (SELF, "answers that name their model's maker"),
    "names_its_cutoff": (SELF, "answers that name the end of their model's training"),
}


@cache
def _catalogue() -> Mapping[str, tuple[Filter, Verdict]]:
    found = {name: registry.get("filters", name) for name in LOOKED_FOR}
    return {name: (plugin, plugin()) for name, plugin in found.items()}


class Hygiene:
    """Counts what filters of the catalogue find in kept records, and quotes a few drawn by id."""

    def __init__(self, seed: int) -> None:
        self._seed = seed_for(seed, "report.hygiene")
        self._filters = _catalogue()
        self._verdicts = {name: verdict for name, (_, verdict) in self._filters.items()}
        self._read = 0
        self._found: dict[str, int] = dict.fromkeys(LOOKED_FOR, 0)
        self._examples: dict[str, list[tuple[int, str, str, str]]] = {name: [] for name in LOOKED_FOR}

    @property
    def reads(self) -> Sequence[pl.Expr]:
        """The fields that the filters look at."""
        return [view for verdict in self._verdicts.values() for view in verdict.reads]

    def add(self, kept: pl.DataFrame) -> None:
        """Look at a batch of kept records."""
        self._read += kept.height
        evidence = kept.lazy().select(v.evidence.alias(name) for name, v in self._verdicts.items()).collect()
        for name, verdict in self._verdicts.items():
            match = evidence[name]
            found = kept.filter(match.is_not_null())
            self._found[name] += found.height
            if found.height:
                (view,) = {read for part in verdict.reads for read in part.meta.root_names()}
                rows = found.select(mix(found["draw"], self._seed), "id", match.drop_nulls().alias("match"), view)
                first = rows.sort("draw", "id").head(EXAMPLES).rows()
                self._examples[name] = sorted([*self._examples[name], *first])[:EXAMPLES]

    def made(self) -> Json:
        """Each filter with the records in which it finds something, and examples around the match."""
        return {"n": self._read, "rows": [self._row(name) for name in LOOKED_FOR]}

    def _row(self, name: str) -> Json:
        records = self._found[name]
        return {
            "name": name,
            "kind": LOOKED_FOR[name][0],
            "title": LOOKED_FOR[name][1],
            "summary": self._filters[name][0].summary,
            "records": records,
            "share": number(records / self._read) if self._read else None,
            "examples": [
                {"id": id, "text": excerpt(text, around=match, width=WIDTH)}
                for _, id, match, text in self._examples[name]
            ],
        }


def of_kinds(hygiene: Json, *kinds: str) -> list[tuple[str, int]]:
    """What of these kinds was found, by its title, and in how many records."""
    return [(row["title"], row["records"]) for row in hygiene["rows"] if row["kind"] in kinds and row["records"]]
