"""Finds texts that have a run of words in common, however much else each of them says.

So evaluation prompts are looked for in training data: by runs of 13 words (GPT-3, arXiv 2005.14165, appendix C),
of 8 (s1, arXiv 2501.19393, and after it open-r1), or of 10 if half of the prompt is shared (cosmopedia).

How short a run may be is decided by what prompts share by chance. Of Alpaca's 52,002, runs of 8 words find 90 in
seven evaluation sets, and 82 of these only ask for a "step-by-step guide" too, or have the same head of a loop.
With half of the shorter text's runs (`min_share` = 0.5) they find 9: the six that are there word for word, two
that ask something else of the same joke or saying, and one that shares "write a script for the opening scene of
a". Runs of 13 words find the first eight and one head of a loop.

Texts of fewer than `n` words match only when all their words are equal. To look for them within others finds
their subject, not their words: the eight records that have a prompt of fewer than 13 words within them ask
"why the sky is blue", or what the meaning of life is.
"""

from __future__ import annotations

from typing import Final, Literal

import polars as pl

from curate.dedup import Index, finds
from curate.dedup.characters import ALONE, IN_WORD
from curate.dedup.shingles import normalised
from curate.dedup.texts import Texts
from curate.errors import PipelineError

WORD: Final = rf"{IN_WORD}+|{ALONE}"


@finds
def ngram(
    texts: Texts,
    *,
    n: int = 8,
    min_share: float = 0.5,
    short: Literal["equal", "never"] = "equal",
    max_rows: int = 1000,
) -> Index:
    """Texts that have a run of `n` words in common, and with it `min_share` of the shorter one's runs.

    The similarity is the share of the shorter text's runs of `n` words that the other has too. Texts of fewer
    words match when all their words are equal; with short = "never" they do not, as suits responses: `Yes.` is
    the answer to more than one question.

    What more than `max_rows` texts have is boilerplate, and nobody's: it is left out, as if it stood in none of
    them. (GPT-3 left out what more than 10 documents have, which also lets a prompt escape that was copied 11
    times.) Equal texts match nevertheless. Where texts are compared with references, those that have it are
    counted among the references alone, equal ones once: a prompt is found in however many records it was copied
    into.

    Raises `PipelineError` when a parameter is out of its range.
    """
    if n < 1:
        raise PipelineError(f"no run has {n} words", where="ngram, key n", next="13 is usual, and 8 for prompts")
    if not 0 <= min_share <= 1:
        raise PipelineError(
            f"{min_share} is no share of a text's runs",
            where="ngram, key min_share",
            next="give a number from 0, for any run at all, to 1; 0.5 suits short prompts",
        )
    if max_rows < 2:
        raise PipelineError(
            f"what more than {max_rows} texts have cannot be left out: it is all that texts share",
            where="ngram, key max_rows",
            next="give a number from 2; 1000 is the default",
        )
    from curate.dedup._runs import Runs

    return Runs(texts, n=n, min_share=min_share, short=short == "equal", max_rows=max_rows)


def shared_run(text: str, other: str, n: int) -> str:
    """The longest stretch of `text` of which every run of `n` words is also in `other`, as it stands in `text`.

    Empty where they share none; all of a text of fewer words, where all words are equal.
    """
    text, words = _words(text)
    _, others = _words(other)
    lowered, theirs = [word.lower() for word in words], [word.lower() for word in others]
    if min(len(words), len(others)) < n:
        equal = lowered == theirs if words else normalised(pl.Series([text, other])).n_unique() == 1
        return text.strip() if equal else ""
    known = {tuple(theirs[at : at + n]) for at in range(len(theirs) - n + 1)}
    best, begin = (0, 0), None
    for at in range(len(words) - n + 2):
        if at + n <= len(words) and tuple(lowered[at : at + n]) in known:
            begin = at if begin is None else begin
        elif begin is not None:
            best, begin = max(best, (at + n - 1 - begin, -begin)), None
    if not best[0]:
        return ""
    first, last = -best[1], best[0] - best[1]
    ends, place = [], 0
    for word in words[:last]:
        # Between words there is nothing that could be in one, so the next occurrence is the word itself.
        start = text.index(word, place)
        place = start + len(word)
        ends.append((start, place))
    return text[ends[first][0] : ends[last - 1][1]]


def _words(text: str) -> tuple[str, list[str]]:
    """The text in Unicode's composed form, and its words as they stand there."""
    composed = pl.Series([text]).str.normalize("NFC")
    words: list[str] = composed.str.extract_all(WORD)[0].to_list()
    return composed[0], words
