"""Rows to tokens: what the model reads of each record, and of which tokens it learns.

A prompt is encoded by itself, as it will be given to the trained model, and the answer as what goes on after it:
so the border between them is always one of tokens. Every row is proved, and the first doubt names its records:
the learned ids say the answer again to the letter, its end is learned with it, and no text has become a special
token.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate import keys
from curate.errors import CurateError, ReproducibilityError
from curate.store import write_bytes
from curate.train.recipe import Recipe
from curate.train.rows.encoder import HOLE, NAME
from curate.train.rows.joining import UNLEARNED, Cut, Exchanges, Loss, cut, join
from curate.train.rows.proofs import SHOWN, named, proved, refuse_second_bos
from curate.train.rows.templates import Template

TooLong = Literal["error", "drop", "cut_turn"]
Markers = Literal["error", "drop", "text"]
Json = dict[str, Any]

_READ: Final = ("id", "system", "history", "prompt", "context", "response")


@dataclass(frozen=True)
class Tokens:
    """The rows of a split as tokens.

    Shapes: `ids` and `offsets` name n rows and bound them (n + 1,); `input_ids` and `labels` (offsets[-1],), the
    latter -100 where nothing is learned. `table` says what became of the records, as plain JSON.
    """

    ids: list[str]
    offsets: NDArray[np.int64]
    input_ids: NDArray[np.int32]
    labels: NDArray[np.int32]
    table: Json

    def __len__(self) -> int:
        return len(self.ids)

    def row(self, at: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The ids and the labels of a row."""
        within = slice(self.offsets[at], self.offsets[at + 1])
        return self.input_ids[within], self.labels[within]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """How many tokens each row has. Shape (n,)."""
        return np.diff(self.offsets)

    @cached_property
    def digest(self) -> str:
        """A digest of all that is trained on, and in which order it is held."""
        arrays = (self.offsets.astype("<i8"), self.input_ids.astype("<i4"), self.labels.astype("<i4"))
        return keys.digest(self.ids, *(keys.bytes_digest(array.tobytes()) for array in arrays))


def write_tokens(tokens: Tokens, file: Path) -> None:
    """Write tokens as one Parquet file: a row each, with the columns id, input_ids and labels."""
    import pyarrow as pa  # type: ignore[import-untyped]

    columns = {"id": pl.Series(tokens.ids, dtype=pl.String)}
    for name, values in (("input_ids", tokens.input_ids), ("labels", tokens.labels)):
        columns[name] = pl.Series(pa.LargeListArray.from_arrays(tokens.offsets, values))
    said = {"digest": tokens.digest, "table": json.dumps(tokens.table, ensure_ascii=False)}
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer, compression="zstd", metadata=said)
    write_bytes(file, buffer.getbuffer())


def read_tokens(file: Path) -> Tokens:
    """The tokens of a file that `write_tokens` wrote.

    Raises `ReproducibilityError` when there is no such file, or it is not as it was written.
    """
    where, next = str(file), "train into another folder"
    try:
        said = pl.read_parquet_metadata(file)
        frame = pl.read_parquet(file)
        table = json.loads(said["table"])
        lengths = frame["input_ids"].list.len().to_numpy().astype(np.int64)
        flat = [frame[name].explode(empty_as_null=False).to_numpy() for name in ("input_ids", "labels")]
    except FileNotFoundError:
        raise ReproducibilityError("there are no tokens", where=where, next=next) from None
    except (pl.exceptions.PolarsError, KeyError, ValueError) as error:
        raise ReproducibilityError(f"the tokens cannot be read: {error}", where=where, next=next) from None
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = Tokens(frame["id"].to_list(), offsets, flat[0], flat[1], table)
    if tokens.digest != said["digest"]:
        raise ReproducibilityError("the tokens are not as they were written", where=where, next=next)
    return tokens


def tokenize(
    records: pl.DataFrame,
    template: Template,
    *,
    loss: Loss = "assistant",
    max_tokens: int = 2048,
    too_long: TooLong = "error",
    markers: Markers = "error",
) -> Tokens:
    """The records of a split as tokens, in their order.

    `loss`: learned are all answers with the tokens that end them, the last of each row, or all tokens.
    `too_long`: rows beyond `max_tokens` are an error, left out, or lose later exchanges until they fit; where
    the first alone is too long, its answer is cut and loses its end. `markers`: records whose texts hold a
    special token's characters or the template's own marks are an error, left out, or kept, the marks as plain
    text. Records without an answer, and those of which nothing learned would be left, are left out. All of it is
    counted in `table`:

    rows, tokens, learned: what there is to train on; longest: tokens of the longest row, before any was cut;
    beyond: rows that were longer than `max_tokens`; dropped: ids of the records left out; shortened: rows that
    lost exchanges or part of an answer; lost_end: those that lost the end of their answer; folded: rows of which
    the tokenizer gives an answer back in other code points, as it normalises them; markers: policy, rows,
    examples.

    Raises `CurateError`, naming records, for what the template has no place for and for every check that fails.
    """
    marked = _marked(records, template)
    if marked and markers == "error":
        raise CurateError(
            f"marks of the template {template.name!r}, or characters of special tokens, stand in the texts of"
            f" {named(marked)}",
            next='set markers to "text", which keeps them as plain text, or to "drop"',
        )
    table: Json = {"markers": {"policy": markers, "rows": len(marked), "examples": marked[:SHOWN]}}
    kept = records.filter(~pl.col("id").is_in(marked)) if markers == "drop" and marked else records
    ids = kept["id"].to_list()
    rows, prompts, answers = _written(kept, template, last_only=loss == "last" and template.rewrites)
    exchanges = _exchanges(rows, prompts, answers, template)
    folded = proved(exchanges, prompts, answers, template, ids)
    settled = _settled(exchanges, ids, max_tokens, too_long)
    offsets, input_ids, labels = join(exchanges, settled, template.end_id, loss)
    stay = settled.exchanges > 0
    left = [id for id, stays in zip(ids, stay.tolist(), strict=True) if stays]
    refuse_second_bos(left, offsets, input_ids, template)

    shorter = stay & ((settled.exchanges < np.diff(rows)) | ~settled.ended)
    dropped = set(records["id"].to_list()) - set(left) if len(left) < records.height else set()
    table = {
        "rows": len(left),
        "tokens": len(input_ids),
        "learned": int((labels != UNLEARNED).sum()),
        "longest": int(exchanges.lengths.max(initial=0)),
        "max_tokens": max_tokens,
        "too_long": too_long,
        "beyond": int((exchanges.lengths > max_tokens).sum()),
        "dropped": [id for id in records["id"].to_list() if id in dropped],
        "shortened": int(shorter.sum()),
        "lost_end": int((stay & ~settled.ended).sum()),
        "folded": int((stay & folded).sum()),
        **table,
    }
    return Tokens(left, offsets, input_ids, labels, table)


def tokenize_by(recipe: Recipe, records: pl.DataFrame, template: Template) -> Tokens:
    """The records of a split as a recipe has them; see `tokenize`."""
    return tokenize(
        records,
        template,
        loss=recipe.loss,
        max_tokens=recipe.max_tokens,
        too_long=recipe.too_long,
        markers=recipe.markers,
    )


def prompt_ids(record: Mapping[str, Any], template: Template) -> list[int]:
    """What the model is given to answer a record: its turns up to the header of the answer.

    Earlier answers are encoded as they were learned, by themselves; all else is as an inference engine encodes the
    rendered template, with texts never read as special tokens.

    Raises `CurateError` when the template has no place for the record's turns.
    """
    messages = template.messages(record, answered=False)
    if any(NAME in text or HOLE in text for message in messages for text in message.values()):
        raise CurateError("the text holds U+10FFFE or U+10FFFF, which are no characters")
    pieces = template.pieces(messages, last_only=template.rewrites)
    prompts, prompt_counts = template.encoder.prompts(pieces[::2])
    answers, answer_counts = template.encoder.answers(pieces[1::2])
    parts = [
        *zip(
            np.split(prompts, np.cumsum(prompt_counts)), np.split(answers, np.cumsum(answer_counts)), strict=False
        )
    ]
    ids: list[int] = np.concatenate([*chain.from_iterable(parts)]).tolist()
    return ids


def text_of(ids: Iterable[int], template: Template) -> str:
    """What an answer's ids say, without what the template puts around it and the token that ends it."""
    said = [*ids]
    ended = said[-1:] == [template.end_id]
    if ended:
        said.pop()
    text = template.encoder.decoded(np.array(said, np.int32), np.array([len(said)]))[0].removeprefix(template.gap)
    return text.removesuffix(template.closing) if ended else text


def _texts() -> pl.Expr:
    """All texts of a record as one."""
    turns = pl.col("history").fill_null([]).list.eval(pl.element().struct.field("text"))
    earlier = turns.list.join("\n", ignore_nulls=True)
    return pl.concat_str("system", earlier, "prompt", "context", "response", separator="\n", ignore_nulls=True)


def _marked(records: pl.DataFrame, template: Template) -> list[str]:
    """The ids of records whose texts hold special tokens' characters or the template's marks."""
    special = "|".join(map(_escaped, template.encoder.special))
    patterns = "|".join(filter(None, [special, template.marks]))
    seen = records.select("id", text=_texts()).select(
        "id",
        marked=pl.col("text").str.contains(patterns) if patterns else False,
        unreadable=pl.col("text").str.contains(f"[{NAME}{HOLE}]"),
    )
    if unreadable := seen.filter("unreadable")["id"].to_list():
        raise CurateError(
            f"U+10FFFE or U+10FFFF, which are no characters, stand in the texts of {named(unreadable)}",
            next="leave these rows out",
        )
    return seen.filter("marked")["id"].to_list()


def _escaped(literal: str) -> str:
    """A pattern, in the syntax of Rust's regex, of a literal."""
    return "".join(f"\\x{{{ord(character):X}}}" for character in literal)


def _written(
    records: pl.DataFrame, template: Template, *, last_only: bool
) -> tuple[NDArray[np.int64], list[str], list[str]]:
    """Where each record's prompts and answers begin, and these as the template writes them."""
    prompts: list[str] = []
    answers: list[str] = []
    counts = [0]
    refused: dict[tuple[str, str], list[str]] = {}
    for row in records.select(_READ).iter_rows(named=True):
        try:
            pieces = template.pieces(template.messages(row), last_only=last_only)
        except CurateError as error:
            refused.setdefault((error.what, error.next), []).append(row["id"])
            continue
        said = pieces[1::2]
        prompts += pieces[::2][: len(said)]  # a question after the last answer has none of its own
        answers += said
        counts.append(len(said))
    for (what, next), ids in refused.items():
        raise CurateError(
            f"{what}; so in {named(ids)}", next=next or "choose another template, or leave these rows out"
        )
    return np.cumsum(counts), prompts, answers


def _exchanges(rows: NDArray[np.int64], prompts: list[str], answers: list[str], template: Template) -> Exchanges:
    return Exchanges(rows, *template.encoder.prompts(prompts), *template.encoder.answers(answers))


def _settled(exchanges: Exchanges, ids: list[str], max_tokens: int, too_long: TooLong) -> Cut:
    """What stays of each row under a policy for those that are too long."""
    lengths = exchanges.lengths
    beyond = lengths > max_tokens
    if too_long == "error" and beyond.any():
        raise CurateError(
            f"longer than max_tokens = {max_tokens:,} are {named([ids[row] for row in np.flatnonzero(beyond)])}"
            f" (the longest has {int(lengths.max()):,})",
            next='raise max_tokens, or set too_long to "drop" or "cut_turn"',
        )
    settled = cut(exchanges, max_tokens)
    if too_long == "drop":
        return Cut(np.where(beyond, 0, settled.exchanges), settled.answer, settled.ended)
    return settled
