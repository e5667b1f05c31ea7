"""Masks: what a rule finds is taken out of a record's texts, and each change is an amendment.

A rule that masks judges all the same, after the masks: what its mask could not take out, it rejects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import polars as pl

from curate.errors import PluginError
from curate.fingerprint import code
from curate.keys import digest
from curate.pipeline import Rule
from curate.record import SCHEMA
from curate.tables import AMENDMENTS
from curate.verdict import Mask, rejects_when
from curate.views import PARTS_OF, needed, present_in_record, with_views

_HISTORY: Final = "history"

_NEXT: Final = 'leave out `then = "mask"`: it then rejects; a filter of your own masks by `spans` of curate.api'

# Of one record: the field, its text before and after.
_Change = tuple[str, str, str]


def key_of(rules: Sequence[Rule]) -> str:
    """A key of all that shapes what the rules mask."""
    calls = [[rule.name, rule.use, dict(rule.parameters), code(rule.plugin.module)] for rule in rules]
    return digest("masks", calls, code("curate.masking"))


def masks(records: pl.DataFrame, rules: Sequence[Rule]) -> pl.DataFrame:
    """The amendments that rules make to records, one rule after the other, in the order in which they are made.

    Columns: those of `AMENDMENTS`. A turn of the history is named by its place: `history[0]`.
    """
    made: list[dict[str, Any]] = []
    for rule in rules:
        mask = mask_of(rule)
        columns, roles = PARTS_OF[rule.parameters["of"]]
        hits = _hits(records, rule)
        before = len(made)
        for row in hits.iter_rows(named=True):
            made += [
                {"id": row["id"], "field": field, "before": text, "after": after, "by": rule.name}
                for field, text, after in _changes(row, mask, columns, roles)
            ]
        if made[before:]:
            records = amended(records, pl.DataFrame(made[before:], schema_overrides=AMENDMENTS))
    return pl.DataFrame(made, schema=AMENDMENTS).with_columns(pl.lit("masked").alias("why"))


def mask_of(rule: Rule) -> Mask:
    """The rule's mask. Raises `PluginError` where it has none, or looks at no field of a record."""
    mask = rule.verdict.mask
    # Measures are taken later, of what the masks have left.
    measured = needed(rule.verdict.reads, "measure")
    if mask is None or measured or rule.parameters.get("of") not in PARTS_OF:
        what = f"the filter {rule.use!r} cannot mask"
        raise PluginError(what, where=f"the rule {rule.name!r}", next=_NEXT)
    return mask


def amended(records: pl.DataFrame, amendments: pl.DataFrame) -> pl.DataFrame:
    """Records with amendments made, of which a later one goes over an earlier one of the same field."""
    last = amendments.unique(["id", "field"], keep="last", maintain_order=True)
    for field in sorted(set(last["field"])):
        changed = last.filter(pl.col("field") == field).select("id", pl.col("after").alias("changed"))
        records = records.join(changed, on="id", how="left", maintain_order="left")
        now = pl.coalesce("changed", field) if field in SCHEMA else _with_turn(int(field[len(_HISTORY) + 1 : -1]))
        records = records.with_columns(now.alias(field if field in SCHEMA else _HISTORY)).drop("changed")
    return records


def _hits(records: pl.DataFrame, rule: Rule) -> pl.DataFrame:
    """The records that the rule would reject."""
    verdict = rule.verdict
    applies = present_in_record(verdict.evidence)
    if verdict.applies is not None:
        applies = applies & verdict.applies
    scan = with_views(records.lazy(), verdict.reads)
    ids = scan.filter(applies & rejects_when(verdict, verdict.evidence)).select("id").collect()
    return records.join(ids, on="id", how="semi", maintain_order="left")


def _changes(row: dict[str, Any], mask: Mask, columns: Iterable[str], roles: Iterable[str]) -> Iterator[_Change]:
    texts = {column: row[column] for column in columns}
    texts |= {f"{_HISTORY}[{n}]": turn["text"] for n, turn in enumerate(row[_HISTORY]) if turn["role"] in roles}
    for field, text in texts.items():
        after = text and mask(text)
        if after != text:
            yield field, text, after


def _with_turn(place: int) -> pl.Expr:
    """The history with another text in one of its turns, where there is one in `changed`."""
    turns = pl.col(_HISTORY)
    turn = turns.list.get(place, null_on_oob=True)
    other = pl.concat_list(pl.struct(turn.struct.field("role"), pl.col("changed").alias("text")))
    replaced = pl.concat_list(turns.list.head(place), other, turns.list.slice(place + 1))
    return pl.when(pl.col("changed").is_not_null()).then(replaced).otherwise(turns)
