"""The tables in which the stages meet: their columns, types and meanings. Stages share no code but this.

Every table is a folder of Parquet parts, sorted by its first column within a part. `records` is described in
`curate.record`. `evidence` and `verdicts` have one more column for each rule of the pipeline, named like the
rule and holding its evidence (a number or a text).
"""

from __future__ import annotations

from typing import Final

import polars as pl

_CAUSE: Final = pl.Struct({"cause": pl.String, "rows": pl.UInt64})

# One row an input: native = used + passed over + unreadable, and
# read = kept in `records` + repeated + superseded.
INTAKE: Final = pl.Schema(
    {
        "source": pl.String(),
        "input": pl.String(),
        "native": pl.UInt64(),
        "used": pl.UInt64(),
        "passed_over": pl.List(_CAUSE),
        "unreadable": pl.UInt64(),
        "read": pl.UInt64(),
        "repeated": pl.UInt64(),
        "superseded": pl.UInt64(),
        "records": pl.UInt64(),
    }
)

# One row for each native row that could not be read.
UNREADABLE: Final = pl.Schema(
    {
        "source": pl.String(),
        "file": pl.String(),
        "position": pl.UInt64(),
        "reason": pl.String(),
        "excerpt": pl.String(),
    }
)

# What stands in `by` of an amendment that no rule made.
HAND: Final = "hand"
# One row for each changed field of a record.
AMENDMENTS: Final = pl.Schema(
    {
        "id": pl.String(),
        "field": pl.String(),
        "before": pl.String(),
        "after": pl.String(),
        "by": pl.String(),
        "why": pl.String(),
    }
)

# Also a column of evidence for each rule. `unknown`: the rules that apply but whose value is missing.
EVIDENCE: Final = pl.Schema({"id": pl.String(), "unknown": pl.List(pl.String())})

# Also a column of evidence for each rule. `reasons`: every rule that rejects the record, in the pipeline's
# order, as `rule` or `rule:unknown`. `verdicts_measured` has the same shape, for the rules on measures.
VERDICTS: Final = pl.Schema({"id": pl.String(), "source": pl.String(), "reasons": pl.List(pl.String())})

# How the entry of an exclusion begins that somebody decided.
DECIDED: Final = "decision"
# One row for each decision that holds; of one record, at most one to accept or reject, and one edit a field.
DECISIONS: Final = pl.Schema(
    {"id": pl.String(), "decision": pl.String(), "field": pl.String(), "why": pl.String(), "by": pl.String()}
)
# One row for each record that is excluded: by which entry of the takedown list, which decision, or a sample.
EXCLUSIONS: Final = pl.Schema({"id": pl.String(), "entry": pl.String()})

# One row for each pair of a dropped and a kept record whose similarity reaches the threshold; id_a < id_b.
PAIRS: Final = pl.Schema(
    {
        "id_a": pl.String(),
        "id_b": pl.String(),
        "similarity": pl.Float64(),
        "method": pl.String(),
        "on": pl.String(),
    }
)

# One row for each dropped record. `kept_id` is a record that no pass dropped.
DUPLICATES: Final = pl.Schema(
    {
        "id": pl.String(),
        "kept_id": pl.String(),
        "similarity": pl.Float64(),
        "method": pl.String(),
        "on": pl.String(),
    }
)

# One row for each pass of deduplication: how many records it dropped, how many similarities were computed, and how
# pairs were looked for.
PASSES: Final = pl.Schema(
    {
        "pass": pl.UInt32(),
        "method": pl.String(),
        "on": pl.String(),
        "dropped": pl.UInt64(),
        "comparisons": pl.UInt64(),
        "note": pl.String(),
    }
)

# One row for each record that a reference text was found in: the reference that it is most similar to.
CONTAMINATION: Final = pl.Schema(
    {
        "id": pl.String(),
        "file": pl.String(),
        "position": pl.UInt64(),
        "similarity": pl.Float64(),
        "method": pl.String(),
        "on": pl.String(),
        "text": pl.String(),
    }
)

# One row for each pair of vectors whose cosine reaches a floor; id_a < id_b.
NEIGHBOURS: Final = pl.Schema({"id_a": pl.String(), "id_b": pl.String(), "similarity": pl.Float64()})

# One row for each eligible record. Drawn: split, quota and rank (0 is the quota's first). Not drawn: no
# split, and `why`; `quota` and `rank` then say where it stood in line, where it did.
PICKS: Final = pl.Schema(
    {
        "id": pl.String(),
        "split": pl.String(),
        "quota": pl.String(),
        "rank": pl.UInt32(),
        "why": pl.String(),
    }
)

# One row for each record: the one state it ended in, and the detail (the split; the reasons; the takedown
# entry; the kept twin; why it was not drawn).
STATES: Final = ("kept", "excluded", "rejected", "duplicate", "contaminated", "not drawn")
LEDGER: Final = pl.Schema({"id": pl.String(), "source": pl.String(), "state": pl.String(), "detail": pl.String()})
