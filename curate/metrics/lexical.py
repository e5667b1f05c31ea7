"""How much the words of rows repeat one another."""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.metrics.contract import metric
from curate.metrics.prepared import Chosen
from curate.metrics.words import Words, runs

# Bytes that are compressed at most: zlib looks back 32 KB, so that more text says the same and takes longer.
COMPRESSED: Final = 4_000_000
# The level of zlib's and gzip's own command lines, and the default of both.
LEVEL: Final = 6

# Characters of a response that are compared whatever its length: most of Alpaca's responses have as many or fewer.
BEGINNING: Final = 200

# Long enough not to be a phrase of the language: Shaib et al. advise long runs (arXiv 2403.00553), and six words
# of a template such as "as an AI language model, I" are seldom said twice by chance.
REPEATED_WORDS: Final = 6

# The words of each set that distinct runs are counted among, so that sets of any size may be compared.
SAME_WORDS: Final = 20_000

# With more words than these, runs of them would need a gigabyte.
MOST_WORDS: Final = 12_000_000


@metric("Compression of prompts", unit="times", kind="diversity", higher="less diverse", equal_size=True)
def prompt_compression(chosen: Chosen) -> float | None:
    """How many times smaller the prompts are when compressed together.

    Prompts are joined by line ends, in an order by chance that their ids fix, up to 4,000,000 bytes; zlib at level
    6. A compressor other than zlib's own (zlib-ng) gives slightly other values.

    Formula: bytes of text / bytes of zlib(text)
    Source: compression ratio, Shaib et al., arXiv 2403.00553
    """
    return _compression(chosen.rows["prompt"])


@metric("Compression of responses", unit="times", kind="diversity", higher="less diverse", equal_size=True)
def response_compression(chosen: Chosen) -> float | None:
    """How many times smaller the responses are when compressed together.

    Made like `prompt_compression`. Long texts compress better than short ones, whatever they say.

    Formula: bytes of text / bytes of zlib(text)
    Source: compression ratio, Shaib et al., arXiv 2403.00553
    """
    return _compression(chosen.rows["response"])


@metric(
    "Compression of responses' beginnings", unit="times", kind="diversity", higher="less diverse", equal_size=True
)
def beginning_compression(chosen: Chosen) -> float | None:
    """How many times smaller the first 200 characters of responses are when compressed together.

    Made like `prompt_compression`, of texts whose lengths differ less from set to set: where only
    `response_compression` is higher, responses are longer rather than more alike.

    Formula: bytes of text / bytes of zlib(text), of the first 200 characters of each response
    Source: compression ratio, Shaib et al., arXiv 2403.00553, at one length
    """
    return _compression(chosen.rows["response"].str.slice(0, BEGINNING))


@metric("Distinct words of prompts", unit="share", kind="diversity", higher="more diverse", equal_size=True)
def prompt_distinct_1(chosen: Chosen) -> float | None:
    """Of all words in the prompts, how many differ.

    Formula: distinct words / words
    Source: distinct-1, Li et al., arXiv 1510.03055
    """
    return _distinct(chosen.words("prompt"), 1)


@metric("Distinct word pairs of prompts", unit="share", kind="diversity", higher="more diverse", equal_size=True)
def prompt_distinct_2(chosen: Chosen) -> float | None:
    """Of all pairs of neighbouring words in the prompts, how many differ.

    Formula: distinct pairs / pairs
    Source: distinct-2, Li et al., arXiv 1510.03055
    """
    return _distinct(chosen.words("prompt"), 2)


@metric("Distinct words of responses", unit="share", kind="diversity", higher="more diverse", equal_size=True)
def response_distinct_1(chosen: Chosen) -> float | None:
    """Of all words in the responses, how many differ. It falls with their length.

    Formula: distinct words / words
    Source: distinct-1, Li et al., arXiv 1510.03055
    """
    return _distinct(chosen.words("response"), 1)


@metric("Distinct word pairs of responses", unit="share", kind="diversity", higher="more diverse", equal_size=True)
def response_distinct_2(chosen: Chosen) -> float | None:
    """Of all pairs of neighbouring words in the responses, how many differ. It falls with their length.

    Formula: distinct pairs / pairs
    Source: distinct-2, Li et al., arXiv 1510.03055
    """
    return _distinct(chosen.words("response"), 2)


@metric("Distinct word pairs in 20,000 words of responses", unit="share", kind="diversity", higher="more diverse")
def response_distinct_2_of_20000(chosen: Chosen) -> float | None:
    """Of the pairs of neighbouring words in the first 20,000 words of responses, how many differ.

    Responses are in an order by chance. The same number of words makes sets of long and short responses alike;
    fewer tell nothing.

    Formula: distinct pairs / pairs, of as many responses as make 20,000 words, the last one cut
    Source: distinct-2, Li et al., arXiv 1510.03055, at one number of words
    """
    words = chosen.words("response")
    if len(words.codes) < SAME_WORDS:
        return None
    starts = np.minimum(words.starts, SAME_WORDS)
    return _distinct(Words(words.codes[:SAME_WORDS], starts), 2)


@metric("Self-repetition of responses", kind="diversity", higher="less diverse", equal_size=True)
def response_self_repetition(chosen: Chosen) -> float | None:
    """How often the six-word runs of a response occur in other responses, on a logarithmic scale.

    Formula: mean over responses of ln(1 + sum over its distinct 6-word runs of the other responses that have it)
    Source: Salkar et al., AACL 2022, as in Shaib et al., arXiv 2403.00553
    """
    shared = chosen.once(_shared)
    return None if shared is None else float(np.log1p(shared).sum() / len(shared))


@metric(
    "Responses with a run of words of another",
    unit="share",
    kind="diversity",
    higher="less diverse",
    equal_size=True,
)
def response_shared_runs(chosen: Chosen) -> float | None:
    """Share of responses that have a run of six words in common with another response.

    Formula: responses with a 6-word run that occurs in another response / responses
    Source: after Salkar et al., AACL 2022
    """
    shared = chosen.once(_shared)
    return None if shared is None else float(np.count_nonzero(shared) / len(shared))


@metric("Responses said twice", unit="share", kind="diversity", higher="less diverse", equal_size=True)
def response_repeated(chosen: Chosen) -> float | None:
    """Share of responses that another row gives too, but for case and white space.

    Formula: responses equal to that of another row / responses
    Source: exact duplicates, Lee et al., arXiv 2107.06499
    """
    said = chosen.rows["response"].drop_nulls().str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()
    return int(said.is_duplicated().sum()) / len(said) if len(said) else None


def _compression(texts: pl.Series) -> float | None:
    known = texts.drop_nulls()
    ends = (known.str.len_bytes().cast(pl.Int64) + 1).cum_sum()
    joined = "\n".join(known.filter(ends <= max(COMPRESSED, ends[0] if len(ends) else 0))).encode()
    return len(joined) / len(zlib.compress(joined, LEVEL)) if joined else None


def _distinct(words: Words, n: int) -> float | None:
    if len(words.codes) > MOST_WORDS:
        return None
    found = words.codes if n == 1 else runs(words, n)[0]
    return len(np.unique(found)) / len(found) if len(found) else None


def _shared(chosen: Chosen) -> NDArray[np.int64] | None:
    """In how many other responses the distinct runs of each response are, summed over its runs. Shape (n,)."""
    told = chosen.rows["response"].is_not_null().to_numpy()
    words = chosen.words("response")
    if not told.any() or len(words.codes) > MOST_WORDS:
        return None
    hashed, texts = runs(words, REPEATED_WORDS)
    order = np.lexsort((texts, hashed))
    hashed, texts = hashed[order], texts[order]
    first = np.ones(len(hashed), np.bool_)
    first[1:] = (hashed[1:] != hashed[:-1]) | (texts[1:] != texts[:-1])
    hashed, texts = hashed[first], texts[first]
    _, at, counts = np.unique(hashed, return_inverse=True, return_counts=True)
    total = np.zeros(len(told), np.int64)
    np.add.at(total, texts, counts[at] - 1)
    return np.asarray(total[told])
