"""What every row is held against once it is tokens. A doubt is an error that names its records."""

from __future__ import annotations

import unicodedata
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from curate.errors import CurateError
from curate.train.rows.encoder import NAME
from curate.train.rows.joining import Exchanges
from curate.train.rows.templates import Template

SHOWN: Final = 5  # ids of an error


def named(ids: list[str]) -> str:
    """So many rows, and the first of their ids."""
    first = ", ".join(ids[:SHOWN]) + (", …" if len(ids) > SHOWN else "")
    return f"{len(ids):,} {'row' if len(ids) == 1 else 'rows'}: {first}"


def proved(
    exchanges: Exchanges, prompts: list[str], answers: list[str], template: Template, ids: list[str]
) -> NDArray[np.bool_]:
    """Which rows the tokenizer gives back in other code points, as it normalises them; an error for all else."""
    encoder = template.encoder
    row_of = np.repeat(np.arange(len(ids)), np.diff(exchanges.rows))

    def refuse(wrong: NDArray[np.bool_], what: str, next: str) -> None:
        if wrong.any():
            raise CurateError(f"{what} {named([ids[row] for row in np.unique(row_of[wrong])])}", next=next)

    folded = np.zeros(len(ids), np.bool_)
    unlike = np.zeros(len(answers), np.bool_)
    said = encoder.decoded(exchanges.answers, exchanges.answer_counts)
    for at, (answer, again) in enumerate(zip(answers, said, strict=True)):
        if answer == again or (meant := answer.replace(NAME, "")) == again:
            continue
        # Normal forms are the tokenizer's own doing, as is SentencePiece's mark that stands for a space.
        spaced = meant.replace("▁", " ")
        if again in {spaced, *(unicodedata.normalize(form, spaced) for form in ("NFC", "NFKC"))}:
            folded[row_of[at]] = True
        else:
            unlike[at] = True
    refuse(
        unlike,
        "the tokenizer does not give the answers back as they are written in",
        "leave these rows out, or take a model whose tokenizer has all of their characters",
    )

    # Unknown characters give a special token too; GPT-2's tokenizers have one token for these and for the end.
    tokenizer = template.tokenizer
    unknown = None if tokenizer.unk_token in {template.end, tokenizer.bos_token} else tokenizer.unk_token
    named_unknown = f"{NAME}{unknown}{NAME}"
    texts = chain(prompts, answers)
    wrote = np.array([text.count(NAME) // 2 - text.count(named_unknown) for text in texts], np.int64)
    special = np.zeros(len(tokenizer), np.bool_)
    special[tokenizer.convert_tokens_to_ids([each for each in encoder.special if each != unknown])] = True
    counts = np.concatenate([exchanges.prompt_counts, exchanges.answer_counts])
    flags = np.concatenate([[0], np.cumsum(special[np.concatenate([exchanges.prompts, exchanges.answers])])])
    read = np.diff(flags[np.concatenate([[0], np.cumsum(counts)])])
    wrong = (read != wrote).reshape(2, -1).any(axis=0)
    refuse(
        wrong,
        "special tokens stand where the template wrote none, or lack where it did, in",
        'leave these rows out (set markers to "drop"), or choose another template',
    )

    later = np.ones(len(answers), np.bool_)
    later[exchanges.rows[:-1][np.diff(exchanges.rows) > 0]] = False
    begins = (np.cumsum(exchanges.prompt_counts) - exchanges.prompt_counts)[later]
    wrong = np.zeros(len(answers), np.bool_)
    wrong[later] = exchanges.prompts[begins] != template.end_id
    refuse(
        wrong,
        "the token that ends an answer is not where it has to be in",
        'set loss to "last", or choose another template',
    )
    return folded


def refuse_second_bos(
    ids: list[str], offsets: NDArray[np.int64], input_ids: NDArray[np.int32], template: Template
) -> None:
    """Refuse rows that begin twice. After the end of an answer a template may begin anew, as Llama 2's does."""
    bos = template.tokenizer.bos_token_id
    if bos is None or bos == template.end_id:
        return
    misplaced = input_ids == bos
    misplaced[1:] &= input_ids[:-1] != template.end_id
    misplaced[offsets[:-1]] = False
    found = np.concatenate([[0], np.cumsum(misplaced)])
    wrong = np.flatnonzero(np.diff(found[offsets]))
    if len(wrong):
        raise CurateError(
            f"{template.tokenizer.bos_token}, which begins a text, stands elsewhere or twice in"
            f" {named([ids[row] for row in wrong])}",
            next="choose another template: this one writes it where nothing begins",
        )
