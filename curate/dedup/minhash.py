"""Finds texts that share most of their shingles: runs of words, or of characters.

MinHash signatures (Broder, "On the resemblance and containment of documents", 1997) in bands: two texts are
compared when they agree in all rows of a band. What is compared is verified, so a signature decides only
what is looked at, never what is a duplicate.

Texts are gone through twice: once for their signatures, of which only a key a band stays in memory, and once for
the shingles of those that share a band with another. These wait in a temporary file until their batch is decided.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from curate.dedup import Index, finds
from curate.dedup.texts import Texts
from curate.errors import PipelineError

# At which similarities the recall that bands promise is told.
_TOLD: Final = (0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
_NEARLY_ALL: Final = 0.9999


@finds
def minhash(
    texts: Texts,
    *,
    threshold: float = 0.8,
    num_perm: int = 128,
    shingle: int = 5,
    unit: Literal["word", "character"] = "word",
    similarity: Literal["jaccard", "containment"] = "jaccard",
    recall: float = 0.99,
    device: str = "cpu",
) -> Index:
    """Texts that share at least `threshold` of their runs of `shingle` words (true Jaccard similarity).

    Bands are chosen so that a pair at the threshold is looked at with a probability of at least `recall`;
    more similar pairs are found more surely. Texts of fewer than `shingle` words match when all their words
    are equal. With similarity = "containment" the share is that of the shorter text's runs; pairs are still
    looked for by their Jaccard similarity, so a text within one many times as long may be missed. On the device
    "cuda" signatures are made by the GPU; they are the same.

    Raises `PipelineError` when a parameter is out of its range, or `num_perm` cannot give that recall.
    """
    bands, rows = banding(threshold=threshold, num_perm=num_perm, recall=recall)
    if shingle < 1:
        raise PipelineError(
            f"a shingle cannot have {shingle} words", where="minhash, key shingle", next="5 is usual"
        )
    if device.partition(":")[0] not in {"cpu", "cuda"}:
        raise PipelineError(f"there is no device {device!r}", where="minhash, key device", next='"cpu" or "cuda"')
    from curate.dedup._near import Near

    index = Near(
        texts,
        shape=(shingle, unit),
        num_perm=num_perm,
        banding=(bands, rows),
        threshold=threshold,
        contained=similarity == "containment",
        device=device,
    )
    index.note = f"{bands} bands of {rows} rows look at {told(threshold, bands, rows)}; each is verified"
    return index


def told(threshold: float, bands: int, rows: int) -> str:
    """Which share of pairs is looked at, at the threshold and around it."""
    expected = expected_recall({*_TOLD, threshold}, bands=bands, rows=rows)
    few = [f"{expected[at]:.1%} of pairs at {at:g}" for at in sorted(expected) if expected[at] < _NEARLY_ALL]
    most = [f"over {_NEARLY_ALL:.2%} from {at:g} on" for at in sorted(expected) if expected[at] >= _NEARLY_ALL]
    return ", ".join([*few, *most[:1]])


def banding(*, threshold: float, num_perm: int, recall: float) -> tuple[int, int]:
    """How many bands of how many rows: the longest bands that still give the recall at the threshold.

    Longer bands bring fewer pairs to compare.
    """
    if not 0 < threshold <= 1:
        raise PipelineError(
            f"a similarity of {threshold} cannot be a threshold",
            where="minhash, key threshold",
            next="give a number above 0, up to 1; 0.8 is usual",
        )
    if not 0 < recall <= 1:
        raise PipelineError(
            f"{recall} is no share of the pairs to find",
            where="minhash, key recall",
            next="give a number above 0, up to 1; 0.99 is usual",
        )
    if num_perm < 1:
        raise PipelineError(
            f"a signature cannot have {num_perm} permutations", where="minhash, key num_perm", next="128 is usual"
        )
    for rows in range(num_perm, 0, -1):
        bands = num_perm // rows
        if expected_recall([threshold], bands=bands, rows=rows)[threshold] >= recall:
            return bands, rows
    reached = expected_recall([threshold], bands=num_perm, rows=1)[threshold]
    raise PipelineError(
        f"{num_perm} permutations find {reached:.1%} of the pairs at {threshold} at most, not {recall:.1%}",
        where="minhash, key num_perm",
        next="raise num_perm or threshold, or lower recall",
    )


def expected_recall(similarities: Iterable[float], *, bands: int, rows: int) -> dict[float, float]:
    """The probability that a pair of each similarity is looked at (Leskovec et al., MMDS, §3.4.2)."""
    return {similarity: 1 - (1 - similarity**rows) ** bands for similarity in similarities}
