"""The amend stage: what was read becomes the records that everything later sees.

Three things happen here and nowhere else. Of several records with one id, one stays. Edits made by hand are
replayed. And rules that mask take out what they find. Parts that none touches are linked, not written again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.errors import PipelineError, nearest
from curate.fingerprint import code
from curate.keys import digest
from curate.masking import amended, key_of, masks
from curate.pipeline import Rule
from curate.read import ReadInput
from curate.record import CONTENT, SCHEMA
from curate.store import Part, Store, Table
from curate.tables import AMENDMENTS, HAND, INTAKE

TABLE: Final = "records"

_EDIT: Final = 'an edit is {"id": …, "field": …, "text": …, "why": …}, and `text` may be null'
EDITABLE: Final = ("prompt", "context", "response", "system")


@dataclass(frozen=True)
class Edit:
    """A change of one field of one record by hand."""

    id: str
    field: str
    text: str | None
    why: str


def read_edits(file: Path | None) -> list[Edit]:
    """The edits in a JSONL file of `{"id", "field", "text", "why"}`, later lines over earlier ones.

    Raises `PipelineError` for a line that is no edit.
    """
    if file is None:
        return []
    edits: dict[tuple[str, str], Edit] = {}
    for number, line in enumerate(file.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        try:
            edit = Edit(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise PipelineError(f"a line is no edit: {error}", where=where, next=_EDIT) from None
        if not all(isinstance(value, str) for value in (edit.id, edit.field, edit.why, edit.text or "")):
            raise PipelineError("a line is no edit: its values are not all texts", where=where, next=_EDIT)
        if edit.field not in EDITABLE:
            raise PipelineError(
                f"no edit can be made to {edit.field!r}", where=where, next=nearest(edit.field, EDITABLE)
            )
        edits[edit.id, edit.field] = edit
    return [edits[key] for key in sorted(edits)]


# Rows to leave out: by the key of their part, their place in it and why.
_Repeats = dict[str, dict[int, str]]


def amend(
    read: Table, done: list[ReadInput], edits: list[Edit], rules: Mapping[str, Sequence[Rule]], store: Store
) -> tuple[Table, pl.DataFrame, pl.DataFrame]:
    """The records, the table of amendments, and the intake: what became of every native row of every input.

    `rules` are the rules that mask, by source. They go over what was edited too: what is to leave no set must
    not come back by hand.
    """
    repeats = _repeats(read)
    by_id: dict[str, list[Edit]] = defaultdict(list)
    for edit in edits:
        by_id[edit.id].append(edit)
    keys, plans = [], []
    for part in read.parts:
        left_out = repeats.get(part.key, {})
        mine, masking = _edits_in(part, by_id), rules.get(part.source, ())
        key = digest(
            TABLE, part.key, sorted(left_out.items()), [vars(edit) for edit in mine], code("curate.amend")
        )
        keys.append(digest(key, key_of(masking)) if masking else key)
        plans.append((part, left_out, mine, masking))
    writer = store.table(TABLE, digest(keys), SCHEMA)
    mask_writer = store.table("masks", digest(keys), AMENDMENTS)
    parts, masked, amendments = [], [], [pl.DataFrame(schema=AMENDMENTS)]
    for key, (part, left_out, mine, masking) in zip(keys, plans, strict=True):
        frame: Callable[[], pl.DataFrame] = partial(_kept, part, left_out)
        if mine:
            edited, changed = _edited(frame(), mine)
            frame = edited.clone
            amendments.append(pl.DataFrame(changed, schema=AMENDMENTS, orient="row"))
        found = pl.DataFrame()
        if masking:
            masked.append(mask_writer.get(key, part.source, partial(_masks, frame, masking)))
            found = pl.read_parquet(masked[-1].path)
            amendments.append(found)
        if not found.is_empty():
            parts.append(writer.get(key, part.source, partial(_amended, frame, found)))
        elif mine or left_out:
            parts.append(writer.get(key, part.source, frame))
        else:
            parts.append(writer.adopt(key, part))
    table = writer.close(parts)
    mask_writer.close(masked)
    # Several amendments of one field stay in the order in which they were made.
    made = pl.concat(amendments).sort("id", "field", maintain_order=True)
    return table, made, _intake(done, repeats)


def _masks(frame: Callable[[], pl.DataFrame], rules: Sequence[Rule]) -> pl.DataFrame:
    return masks(frame(), rules)


def _amended(frame: Callable[[], pl.DataFrame], amendments: pl.DataFrame) -> pl.DataFrame:
    return amended(frame(), amendments)


def _kept(part: Part, left_out: Container[int]) -> pl.DataFrame:
    return pl.read_parquet(part.path)[[row for row in range(part.rows) if row not in left_out]]


def _repeats(read: Table) -> _Repeats:
    """Which rows repeat an id, and whether they are `repeated` (say the same) or `superseded` (say another).

    The newest stays; ties go by content, so that the order of files decides nothing that can be seen.
    """
    draws = [pl.scan_parquet(part.path).select("draw") for part in read.parts]
    if not draws:
        return {}
    # Equal ids have equal draws: eight bytes a record find the few that may repeat.
    suspects = (
        pl.concat(draws)
        .group_by("draw")
        .len()
        .filter(pl.col("len") > 1)
        .select("draw")
        .collect(engine="streaming")
    )
    if suspects.is_empty():
        return {}
    rows = []
    for number, part in enumerate(read.parts):
        frame = pl.scan_parquet(part.path).with_row_index("row").join(suspects.lazy(), on="draw", how="semi")
        found = frame.select("id", "created", "row", *CONTENT).collect()
        content = pl.Series("content", [digest(row) for row in found.select(CONTENT).iter_rows()], dtype=pl.String)
        rows.append(found.select("id", "created", "row", content, pl.lit(number).alias("part")))
    ordered = pl.concat(rows).sort(
        "id", "created", "content", "part", "row", descending=[False, True, False, False, False], nulls_last=True
    )
    repeats = (
        ordered.with_columns(
            pl.col("content").first().over("id").alias("stays"), pl.int_range(pl.len()).over("id").alias("place")
        )
        .filter(pl.col("place") > 0)
        .select("part", "row", (pl.col("content") == pl.col("stays")).alias("same"))
    )
    by_part: dict[str, dict[int, str]] = defaultdict(dict)
    for number, row, same in repeats.iter_rows():
        by_part[read.parts[number].key][row] = "repeated" if same else "superseded"
    return dict(by_part)


def _edits_in(part: Part, by_id: dict[str, list[Edit]]) -> list[Edit]:
    if not by_id:
        return []
    ids = pl.scan_parquet(part.path).select("id").filter(pl.col("id").is_in(list(by_id))).collect()
    return [edit for id in ids["id"].sort() for edit in by_id[id]]


def _edited(frame: pl.DataFrame, edits: Iterable[Edit]) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    changed = []
    for edit in edits:
        here = pl.col("id") == edit.id
        found = frame.filter(here)[edit.field].to_list()
        if not found:  # the row with this id was left out as a repeat
            continue
        (before,) = found
        changed.append(
            {
                "id": edit.id,
                "field": edit.field,
                "before": before,
                "after": edit.text,
                "by": HAND,
                "why": edit.why,
            }
        )
        text = pl.lit(edit.text, dtype=pl.String)
        frame = frame.with_columns(pl.when(here).then(text).otherwise(edit.field).alias(edit.field))
    return frame, changed


def _intake(done: list[ReadInput], repeats: _Repeats) -> pl.DataFrame:
    rows = []
    for each in done:
        causes = [cause for part in each.parts for cause in repeats.get(part.key, {}).values()]
        read = sum(part.rows for part in each.parts)
        rows.append(
            {
                "source": each.input.source.name,
                "input": each.input.shown,
                "native": each.counts.native,
                "used": each.counts.used,
                "passed_over": [
                    {"cause": cause, "rows": count} for cause, count in sorted(each.counts.passed_over.items())
                ],
                "unreadable": len(each.counts.unreadable),
                "read": read,
                "repeated": causes.count("repeated"),
                "superseded": causes.count("superseded"),
                "records": read - len(causes),
            }
        )
    return pl.DataFrame(rows, schema=INTAKE, orient="row")
