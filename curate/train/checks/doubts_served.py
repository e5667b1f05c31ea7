"""A doubt about serving: prompts of which a server makes other tokens than the model was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from curate.errors import CurateError
from curate.train.checks.doubts import Known, doubt
from curate.train.rows.tokens import prompt_ids

Json = dict[str, Any]

_LOOKED_AT: Final = 200  # rows, which take a fraction of a second


def about_served(known: Known) -> Iterator[Json]:
    """A doubt where servers, which encode a rendered conversation as one text, read prompts otherwise.

    Tokenizers of Llama 2's kind put a space before all that follows a special token, before an earlier answer too,
    which was learned without one. Looked at are the first rows of several turns, then the first of the others.
    """
    template, rows = known.template, known.given.splits["train"]
    special: list[str] = []  # what a server reads of such characters in a text is told as a doubt about marks
    looked, other = 0, []
    for record in _most_turns_first(rows).head(_LOOKED_AT).iter_rows(named=True):
        messages = template.messages(record, answered=False)
        special.clear()
        for text in (text for message in messages for text in message.values()):
            template.encoder.masked(text, special)
        if special:
            continue
        try:
            trained = prompt_ids(record, template)
        except CurateError:
            continue  # for which the template has no place: told of the rows themselves
        looked += 1
        served = template.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        if served != trained:
            other.append(record["id"])
    if other:
        yield doubt(
            "served_otherwise",
            "warning",
            f"of {looked:,} prompts that were looked at, {len(other):,} are other tokens where a server reads the"
            " conversation as one text, as where a tokenizer puts a space before an earlier answer",
            "`curate train chat` and `generate` write them as they were trained; give other servers token ids"
            " (`curate.train.rows.tokens.prompt_ids`), or choose a template whose answers follow no special"
            " token, such as chatml",
            rows=len(other),
            examples=other,
        )


def _most_turns_first(rows: pl.DataFrame) -> pl.DataFrame:
    several = pl.col("history").list.len().fill_null(0) > 0
    return pl.concat([rows.filter(several), rows.filter(~several)])
