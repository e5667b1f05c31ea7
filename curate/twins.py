"""What is to be told of one record's duplicates: for whom it went and why, or who went for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import polars as pl

from curate.dedup.stars import POLICIES, in_preference, ranked, with_text

_LIKE: Final = 3  # other kept records that a duplicate is like, named
_WIDTH: Final = 96  # characters of a text that are shown
# What records may share and yet not say the same: then it is a choice among answers.
ASKED: Final = ("prompt", "first_prompt", "every_prompt")

Table = Callable[[str], pl.LazyFrame]
Step = tuple[str, str]


def twins(table: Table, manifest: Mapping[str, Any], id: str) -> list[Step]:
    """The steps of a record's chain that tell of references in it and of duplicates, by its run's tables."""
    steps: list[Step] = []
    if "contamination" in manifest["tables"]:  # what an earlier version wrote has none
        met = table("contamination").filter(pl.col("id") == id).collect()
        steps += [step for row in met.to_dicts() for step in _reference(table, row, manifest["pipeline"]["dedup"])]
    own = table("duplicates").filter(pl.col("id") == id).collect().to_dicts()
    return steps + list(_duplicate(table, own[0], manifest["pipeline"]) if own else _preferred(table, id))


def _reference(table: Table, met: dict[str, Any], calls: list[dict[str, Any]]) -> Iterator[Step]:
    """Which reference text is in a record, and the words that they share where those were looked for."""
    yield "reference", f"{met['file']}:{met['position']}: {_how(met)}"
    yield "", f"“{_short(met['text'] or '')}”"
    runs = [call["n"] for call in calls if (call["use"], call["on"]) == (met["method"], met["on"]) and "n" in call]
    if met["method"] == "ngram" and runs:
        from curate.dedup.ngram import shared_run

        records = table("records").filter(pl.col("id") == met["id"])
        text = with_text(records, met["on"]).collect()["text"][0]
        # Of several such passes, the longest runs say most.
        shared = next(filter(None, (shared_run(text, met["text"], n) for n in sorted(runs, reverse=True))), "")
        yield "", f"they share “{_short(shared)}”"


def _duplicate(table: Table, twin: dict[str, Any], pipeline: Mapping[str, Any]) -> Iterator[Step]:
    """For which record one went, why that one stays, and which other kept records it is like."""
    id, kept = twin["id"], twin["kept_id"]
    if twin["on"] not in ASKED:
        yield "duplicate", f"of {kept}: {_how(twin)}"
    elif len(_contexts(table, [id, kept])) > 1:
        yield "duplicate", f"of {kept}: {_how(twin)}, though what follows the prompt differs"
    else:
        same = "the same prompt" if twin["similarity"] == 1 else "much the same prompt"
        yield "duplicate", f"another answer to {same} was preferred, {kept}: {_how(twin)}"
    yield "preferred", f"the other, {_criterion(table, kept, id, pipeline)}"
    like = table("pairs").with_columns(
        other=pl.when(pl.col("id_a") == id).then("id_b").when(pl.col("id_b") == id).then("id_a")
    )
    others = like.filter(pl.col("other") != kept).sort("similarity", "other", descending=[True, False]).collect()
    if others.height:
        named = [f"{pair['other']}: {_how(pair)}" for pair in others.head(_LIKE).to_dicts()]
        more = f"; and {others.height - _LIKE:,} more" if others.height > _LIKE else ""
        yield "also like", "; ".join(named) + more


def _contexts(table: Table, ids: list[str]) -> set[str]:
    found = table("records").filter(pl.col("id").is_in(ids)).select(pl.col("context").fill_null("")).collect()
    return set(found["context"])


def _preferred(table: Table, id: str) -> Iterator[Step]:
    """How many records went for one that stays."""
    went = table("duplicates").filter(pl.col("kept_id") == id).sort("similarity", "id").collect()
    if went.height:
        least = went.row(0, named=True)
        to = f"to {went.height:,} records, the least similar " if went.height > 1 else "to "
        yield "preferred", f"{to}{least['id']}: {_how(least)}"


def _how(pair: Mapping[str, Any]) -> str:
    return f"{pair['similarity']:.3f} by {pair['method']} on {pair['on']}"


def _criterion(table: Table, kept: str, dropped: str, pipeline: Mapping[str, Any]) -> str:
    """What of the pipeline's `keep` put one record before the other, and by how much."""
    names = [source["name"] for source in pipeline["sources"]]
    both = ranked(table("records").filter(pl.col("id").is_in([kept, dropped])), names).collect()
    rows = both.with_columns(source=pl.col("source_rank").replace_strict(range(len(names)), names))
    values = {row["id"]: row for row in rows.to_dicts()}
    for criterion in in_preference(pipeline["keep"]):
        by = dict(rows.select("id", criterion.alias("by")).iter_rows())
        if by[kept] != by[dropped]:
            name = next(name for name, policy in POLICIES.items() if policy is criterion)
            why, column = _CRITERIA[name]
            return f"{why}: {_value(values[kept][column])} against {_value(values[dropped][column])} ({name})"
    return "for its id: in all that `keep` names they are equal"


_CRITERIA: Final = {
    "source_order": ("whose source comes first", "source"),
    "best_score": ("for its score", "score"),
    "native_order": ("for its place in the source", "position"),
    "longest": ("for the characters of its response", "chars"),
    "freest_license": ("for its licence", "license"),
}


def _value(value: Any) -> str:
    if value is None or value != value:  # noqa: PLR0124 (a score may be no number)
        return "none"
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:,g}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
