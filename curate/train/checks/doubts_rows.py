"""Doubts about rows: what of them is lost, what is learned that should not be, and which were seen before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.export.checks import look_over
from curate.record import CONTENT
from curate.train.checks.doubts import EXAMPLES, Known, Severity, counted, doubt
from curate.train.rows.joining import UNLEARNED

if TYPE_CHECKING:
    from curate.train.rows.tokens import Tokens

Json = dict[str, Any]

# What a prompt holds when somebody put a template around it already: Alpaca's headings, the speakers of FastChat's
# templates, the marks of ChatML, Llama 2, Llama 3 and Gemma.
_FORMATTED: Final = (
    r"### (?:Instruction|Response):|### Human:|\bUSER: [\s\S]*\bASSISTANT:|<\|im_start\|>|\[INST\]|"
    r"<\|start_header_id\|>|<start_of_turn>"
)
_MOSTLY: Final = (
    0.5  # of the rows: then it is the set that is formatted, and not a few rows that tell of templates
)
_LOST_SHARE: Final = 0.05  # of the rows: beyond it, what is cut or left out is no longer a few odd ones
_FEW_LEARNED: Final = 0.05  # of the tokens

_DO: Final = {
    "roles": "Leave these rows out, or mend their turns: a template puts an answer after each question",
    "empty_turn": "Leave them out: of an empty answer a model learns to say nothing",
    "system_inside": "Move what the system says to the beginning, or leave these rows out",
    "template_markers": (
        "They are learned as plain characters here, but other trainers and servers may take them for the end of a"
        " turn: leave these rows out unless they are meant to tell of templates"
    ),
    "control_characters": "Clean the texts: a model learns to write such characters too",
    "leak_id": "Exclude them from one split: what was trained on says nothing when it is asked",
    "leak_thread": "Set the splits apart by thread: their losses and answers look better than they are",
    "leak_message": "Exclude them from train: what was learned by heart is no test, and `pick` would favour it",
}
# Kinds that only matter elsewhere.
_NOTES: Final = ("template_markers", "control_characters", "leak_thread")


def about_rows(known: Known) -> Iterator[Json]:
    """All doubts about rows, in no order."""
    yield from _texts(known)
    yield from _repeats(known.given.splits["train"])
    yield from _formatted(known.given.splits["train"], known.recipe.markers)
    yield from _lengths(known)
    yield from _markers(known)
    yield from _unknown(known)
    yield from _folded(known)
    yield from _learned(known)
    yield from _dev(known)


def ends(tokens: Tokens, end_id: int) -> NDArray[np.bool_]:
    """Whether the last token that is learned of each row is the one that ends a turn. Shape (n,)."""
    places = np.flatnonzero(tokens.labels != UNLEARNED)
    last = np.searchsorted(places, tokens.offsets[1:]) - 1
    if not len(places):
        return np.zeros(len(last), dtype=bool)
    inside = (last >= 0) & (places[last] >= tokens.offsets[:-1])
    made: NDArray[np.bool_] = inside & (tokens.labels[places[last]] == end_id)
    return made


def a_row(found: NDArray[np.bool_], tokens: Tokens) -> NDArray[np.int64]:
    """How many of each row's tokens are so. Shape (n,)."""
    sums = np.concatenate([[0], np.cumsum(found, dtype=np.int64)])
    made: NDArray[np.int64] = sums[tokens.offsets[1:]] - sums[tokens.offsets[:-1]]
    return made


def _texts(known: Known) -> Iterator[Json]:
    splits = known.given.splits
    looked = look_over(lambda split: iter([splits[split]]), splits, {"check": {"forms": ["alpaca"]}})
    for found in looked.findings:
        severity = "note" if found["kind"] in _NOTES else "warning"
        yield {**found, "severity": severity, "sentence": f"{found['sentence']} {_DO[found['kind']]}."}


def _repeats(train: pl.DataFrame) -> Iterator[Json]:
    again = train.filter(~pl.struct(CONTENT).hash().is_first_distinct())
    if again.height:
        yield doubt(
            "repeated",
            "warning",
            f"{counted(again.height, 'row says', 'rows say')} what another row of train says, word for word",
            "a repeated row counts as often as it is there: leave them out unless that is meant",
            rows=again.height,
            examples=again["id"].head(EXAMPLES),
        )


def _formatted(train: pl.DataFrame, markers: str) -> Iterator[Json]:
    asked = pl.concat_str("system", "prompt", separator="\n", ignore_nulls=True)
    found = train.filter(asked.str.contains(_FORMATTED))
    if found.height > _MOSTLY * train.height:
        yield doubt(
            "formatted",
            "warning" if markers == "text" else "error",
            f"{found.height:,} of {counted(train.height, 'prompt')} hold the headings of a template already",
            "train on the records themselves: formatted twice, a model learns to answer a template within another;"
            ' if they are meant to tell of templates, set markers = "text"',
            rows=found.height,
            examples=found["id"].head(EXAMPLES),
        )


def _lengths(known: Known) -> Iterator[Json]:
    recipe = known.recipe
    for split, whole in known.whole.items():
        beyond = whole.lengths > recipe.max_tokens
        rows = int(beyond.sum())
        if not rows:
            continue
        ids = [whole.ids[at] for at in np.flatnonzero(beyond)[:EXAMPLES]]
        yield doubt("too_long", *_too_long(known, split, rows), rows=rows, examples=ids)
    train = known.tokens["train"]
    if train.table["lost_end"]:
        lost = np.flatnonzero(~ends(train, known.template.end_id))
        yield doubt(
            "lost_end",
            "warning",
            f"{counted(len(lost), 'answer is', 'answers are')} cut off before the end, and so without the token"
            " that ends them",
            "of such rows a model learns to go on: raise max_tokens to"
            f' {_reach(known, "train"):,}, or set too_long = "drop"',
            rows=len(lost),
            examples=[train.ids[at] for at in lost[:EXAMPLES]],
        )


def _too_long(known: Known, split: str, rows: int) -> tuple[Severity, str, str]:
    recipe, whole = known.recipe, known.whole[split]
    share = rows / len(whole)
    what = (
        f"of {split}, {rows:,} of {counted(len(whole), 'row')} ({share:.1%}) are longer than"
        f" {recipe.max_tokens:,} tokens, the longest {whole.table['longest']:,}"
    )
    fits = f"raise max_tokens to {_reach(known, split):,}"
    grave: Severity = "warning" if share > _LOST_SHARE else "note"
    if recipe.too_long == "error":
        return "error", what, f'training would stop here: {fits}, or set too_long = "cut_turn" or "drop"'
    if recipe.too_long == "drop":
        return grave, f"{what}; they are left out", f"{fits} to train on more of them"
    lost = whole.table["tokens"] - known.tokens[split].table["tokens"]
    end = f"; what is beyond is cut off, {counted(lost, 'token')} in all"
    if gone := len(known.tokens[split].table["dropped"]):
        end += f", and {counted(gone, 'row')} of which no answer is left"
    return grave, what + end, f"{fits} to keep more of it"


def _reach(known: Known, split: str) -> int:
    """The limit that cuts nothing off, as far as the model's window goes."""
    longest = int(known.whole[split].table["longest"])
    return min(longest, known.window or longest)


def _markers(known: Known) -> Iterator[Json]:
    for split, tokens in known.tokens.items():
        found = tokens.table["markers"]
        if not found["rows"]:
            continue
        policy = known.recipe.markers
        severity: Severity = "error" if policy == "error" else "warning" if policy == "drop" else "note"
        do = {
            "error": 'training would stop here: clean the texts, or set markers = "drop", or "text" to learn them'
            " as plain characters",
            "drop": 'they are left out; with markers = "text" they are learned as plain characters',
            "text": "they are learned as plain characters, and never as the marks themselves",
        }[policy]
        what = f"marks of the template {known.template.name} stand in the text of {split}, in "
        yield doubt(
            "markers",
            severity,
            what + counted(found["rows"], "row"),
            do,
            rows=found["rows"],
            examples=found["examples"],
        )


def _unknown(known: Known) -> Iterator[Json]:
    tokenizer = known.template.tokenizer
    unknown = tokenizer.unk_token_id
    # GPT-2's tokenizer names one token for all; it knows every byte and is never at a loss.
    if unknown is None or unknown in (tokenizer.eos_token_id, tokenizer.bos_token_id):
        return
    train = known.tokens["train"]
    found = a_row(train.input_ids == unknown, train)
    rows = np.flatnonzero(found)
    if len(rows):
        yield doubt(
            "unknown_tokens",
            "warning",
            f"the tokenizer does not know {counted(int(found.sum()), 'piece')} of what"
            f" {counted(len(rows), 'row')} ask: the model reads {tokenizer.unk_token} there",
            "leave these rows out, or take a model whose tokenizer knows their script",
            rows=len(rows),
            examples=[train.ids[at] for at in rows[np.argsort(-found[rows], kind="stable")][:EXAMPLES]],
        )


def _folded(known: Known) -> Iterator[Json]:
    folded = known.tokens["train"].table.get("folded", 0)
    if folded:
        yield doubt(
            "folded",
            "note",
            f"the tokenizer writes the answers of {counted(folded, 'row')} in other characters than they have",
            "it normalises them, as it will whatever the model reads: nothing is lost but how they are written",
            rows=folded,
        )


def _learned(known: Known) -> Iterator[Json]:
    table, recipe = known.tokens["train"].table, known.recipe
    if table["tokens"] and table["learned"] / table["tokens"] < _FEW_LEARNED:
        yield doubt(
            "few_learned",
            "note",
            f"only {table['learned'] / table['tokens']:.1%} of the tokens are learned; the rest is read",
            "nearly all of the time goes into prompts: shorten them, if their length is not the point",
        )
    if recipe.loss == "all":
        yield doubt(
            "prompts_learned",
            "note",
            'loss = "all": what users and systems say is learned as well',
            'set loss = "assistant" to learn the answers alone',
        )
    earlier = known.given.splits["train"].filter(pl.col("history").list.len() > 0)
    if recipe.loss == "last" and earlier.height:
        yield doubt(
            "earlier_answers",
            "note",
            f'loss = "last": the earlier answers of {counted(earlier.height, "dialogue")} are not learned',
            'set loss = "assistant" to learn every answer',
            rows=earlier.height,
            examples=earlier["id"].head(EXAMPLES),
        )


def _dev(known: Known) -> Iterator[Json]:
    recipe, dev = known.recipe, known.given.splits.get("dev")
    answered = 0 if dev is None else dev.height - dev["response"].null_count()
    if recipe.pick == "loss" and not answered:
        yield doubt(
            "no_dev",
            "error",
            'pick = "loss" chooses the epoch by the loss on the dev split, which has no answers',
            'give a dev split (--dev FILE, or a quota of dev in the pipeline), or set pick = "last"',
        )
    elif recipe.pick == "manual" and dev is None:
        yield doubt(
            "no_dev",
            "warning",
            "there is no dev split, so that no kept epoch is heard or measured before one is picked",
            "give some 50 prompts that nobody trains on (--dev FILE, or a quota of dev), as LIMA did",
        )
