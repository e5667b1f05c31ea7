"""A row's mask as people read it: which of its text is learned."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from curate.train.rows.joining import UNLEARNED
from curate.train.rows.templates import Template
from curate.train.rows.tokens import Tokens


def segments(tokens: Tokens, row: int, template: Template) -> list[tuple[str, bool]]:
    """The text of a row in stretches, and for each whether it is learned. Special tokens are written out.

    Together the stretches are the row's text; one that begins inside a character, as after a cut, shows U+FFFD.
    """
    ids, labels = tokens.row(row)
    if not len(ids):
        return []
    learned = labels != UNLEARNED
    bounds = [0, *(np.flatnonzero(np.diff(learned)) + 1).tolist(), len(ids)]
    stretches = [ids[begin:end] for begin, end in pairwise(bounds)]
    counts = np.array([len(stretch) for stretch in stretches])
    texts = template.encoder.decoded(np.concatenate(stretches), counts)
    texts[0] = template.tokenizer.backend_tokenizer.decode(stretches[0].tolist(), skip_special_tokens=False)
    return [(text, bool(learned[begin])) for text, begin in zip(texts, bounds, strict=False)]
