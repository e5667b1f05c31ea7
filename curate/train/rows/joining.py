"""Ids of prompts and answers put together into rows, each within its limit, with the labels of what is learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Loss = Literal["assistant", "last", "all"]

UNLEARNED: Final = -100  # the label that torch's cross entropy leaves out (ignore_index)

Ids = NDArray[np.int32]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Exchanges:
    """Prompts and answers of all rows in order, as ids end to end.

    Shapes: `rows` (n + 1,), where each row's exchanges begin; `prompt_counts` and `answer_counts` (exchanges,),
    how many ids each has. Every prompt but a row's first begins with the token that ends the answer before it.
    """

    rows: Counts
    prompts: Ids
    prompt_counts: Counts
    answers: Ids
    answer_counts: Counts

    @property
    def ends(self) -> Counts:
        """How long its row is up to each exchange, the token that ends its answer with it. Shape (exchanges,)."""
        through = np.cumsum(self.prompt_counts + self.answer_counts)
        before = np.concatenate([[0], through])[self.rows[:-1]]
        ends: Counts = through - np.repeat(before, np.diff(self.rows)) + 1
        return ends

    @property
    def lengths(self) -> Counts:
        """How long each row is, 0 without an answer. Shape (n,)."""
        return last_of(self.ends, self.rows)


@dataclass(frozen=True)
class Cut:
    """What stays of each row: so many exchanges, and of the last answer so many ids. Shapes (n,).

    `ended`: the last answer has its end. A row of no exchanges is left out.
    """

    exchanges: Counts
    answer: Counts
    ended: Flags


def last_of(values: Counts, rows: Counts) -> Counts:
    """The last value of each row, 0 where it has none. Shape (n,)."""
    has = np.diff(rows) > 0
    last = np.zeros(len(rows) - 1, np.int64)
    last[has] = values[rows[1:][has] - 1]
    return last


def cut(exchanges: Exchanges, max_tokens: int) -> Cut:
    """Leave out later exchanges until a row fits; where the first alone is too long, cut its answer.

    A row whose first prompt leaves no place for an answer has no exchanges.
    """
    count = np.diff(exchanges.rows)
    fits = exchanges.ends <= max_tokens
    # Rows grow with each exchange: those that fit are the first ones.
    fitting = np.add.reduceat(np.append(fits, 0), exchanges.rows[:-1]) if len(count) else count
    fitting = np.where(count > 0, fitting, 0)
    first = exchanges.rows[:-1] + np.maximum(fitting - 1, 0)
    has = count > 0
    answer = np.zeros(len(count), np.int64)
    answer[has] = exchanges.answer_counts[first[has]]
    lost = has & (fitting == 0)
    answer[lost] = np.maximum(max_tokens - exchanges.prompt_counts[first[lost]], 0)
    return Cut(np.where(lost & (answer > 0), 1, fitting), answer, fitting > 0)


def join(exchanges: Exchanges, kept: Cut, end_id: int, loss: Loss) -> tuple[Counts, Ids, Ids]:
    """Rows as offsets, ids and labels; of a row without exchanges nothing is left, not even its place.

    What follows the last answer's end is left out, since no learned token can see it.
    """
    rows = kept.exchanges > 0
    place = np.arange(len(exchanges.prompt_counts)) - np.repeat(exchanges.rows[:-1], np.diff(exchanges.rows))
    taken = place < np.repeat(kept.exchanges, np.diff(exchanges.rows))
    last = (exchanges.rows[:-1] + kept.exchanges - 1)[rows]
    is_last = np.zeros(len(taken), np.bool_)
    is_last[last] = True
    answer_counts = exchanges.answer_counts.copy()
    answer_counts[last] = kept.answer[rows]
    end_counts = np.zeros(len(taken), np.int64)
    end_counts[last] = kept.ended[rows]

    # Where everything stands: each exchange has its prompt, its answer and, at the end of a row, one token more.
    sizes = np.where(taken, exchanges.prompt_counts + answer_counts + end_counts, 0)
    begins = np.cumsum(sizes) - sizes
    ids = np.empty(int(sizes.sum()), np.int32)
    labels = np.full(len(ids), UNLEARNED, np.int32)
    learned = taken & is_last if loss == "last" else taken

    prompts_at, prompts_from = _places(begins, exchanges.prompt_counts, exchanges.prompt_counts, taken)
    ids[prompts_at] = exchanges.prompts[prompts_from]
    answers_begin = begins + exchanges.prompt_counts
    answers_at, answers_from = _places(answers_begin, exchanges.answer_counts, answer_counts, taken)
    ids[answers_at] = exchanges.answers[answers_from]
    ends_at = (answers_begin + answer_counts)[end_counts > 0]
    ids[ends_at] = end_id

    offsets = (
        np.concatenate([[0], np.cumsum(np.add.reduceat(sizes, exchanges.rows[:-1][rows]))]) if len(last) else None
    )
    offsets = np.zeros(1, np.int64) if offsets is None else offsets.astype(np.int64)
    if loss == "all":
        labels[:] = ids
        labels[offsets[:-1]] = UNLEARNED  # nothing stands before it
        return offsets, ids, labels
    at = _places(answers_begin, exchanges.answer_counts, answer_counts, learned)[0]
    labels[at] = ids[at]
    # An answer's end is the first token of the prompt after it, or the row's last.
    after = (answers_begin + answer_counts)[learned & (~is_last | (end_counts > 0))]
    labels[after] = ids[after]
    return offsets, ids, labels


def _places(begins: Counts, counts: Counts, used: Counts, taken: Flags) -> tuple[Counts, Counts]:
    """Where the first `used` of `counts` ids of each taken part go, and where they come from."""
    sources = np.cumsum(counts) - counts
    used = used[taken]
    within = np.arange(int(used.sum())) - np.repeat(np.cumsum(used) - used, used)
    return np.repeat(begins[taken], used) + within, np.repeat(sources[taken], used) + within
