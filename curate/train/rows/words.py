"""Many texts to ids, each distinct word once: most of a tokenizer's time goes into finding words it has seen.

A text may be cut where a word ends, if no token of the vocabulary reaches across such a place: then no merge does,
and what stands left and right of it is encoded as if it stood alone. That holds for tokenizers whose parts are
known here. Others are given whole texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]
Counts = NDArray[np.int64]
Encode = Callable[[Sequence[str]], tuple[Ids, Counts]]

_FEW: Final = 1024  # texts, of which no word is worth to be found again
_CHARACTERS: Final = 1 << 25  # of texts at a time, which bounds memory: a byte of text takes up to ten more
_PROBES: Final = 128  # texts of these that are encoded whole as well

# How words are told apart by GPT-4's tokenizer and those that followed it; each ends a word before a space. From
# openai/tiktoken, meta-llama/llama3, QwenLM/Qwen2.5.
_PATTERNS: Final = tuple(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    for digits in ("{1,3}", "")
)

# A visible character and a space, a letter and a sign, as vocabularies spell spaces and line ends.
_SPACED: Final = re.compile("[!-~][ Ġ▁]")
_SIGNED: Final = re.compile(r"[A-Za-z][,.;:!?)\nĊ]")


def _table(which: Iterable[int]) -> NDArray[np.bool_]:
    table = np.zeros(256, np.bool_)
    table[[*which]] = True
    return table


_VISIBLE: Final = _table(range(ord("!"), ord("~") + 1))
_LETTER: Final = _table(byte for byte in range(128) if chr(byte).isalpha())
_SIGN: Final = _table(b",.;:!?)\n")
_SPACE: Final = ord(" ")


class Words:
    """Where texts may be cut for a tokenizer, given as its JSON: before spaces, maybe before signs, or nowhere."""

    def __init__(self, written: dict[str, Any]) -> None:
        self.cuts = _known_parts(written) and not _any_across(written, _SPACED)
        self.cuts_signs = self.cuts and not _any_across(written, _SIGNED)

    def encode(self, texts: Sequence[str], whole: Encode, rest: Encode) -> tuple[Ids, Counts]:
        """The ids of texts end to end, and how many each has, as `whole` gives them.

        `rest` encodes all words but those that a text begins with. Some texts are encoded by `whole` too: where
        that gives anything else, it is believed, and encodes them all.
        """
        if not self.cuts or len(texts) < _FEW:
            return whole(texts)
        ids, counts = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
        for some in _portions(texts):
            found = self._encode(some, whole, rest)
            probes = range(0, len(some), max(1, len(some) // _PROBES))
            ends = np.cumsum(found[1])
            probed = [found[0][ends[probe] - found[1][probe] : ends[probe]] for probe in probes]
            if not np.array_equal(np.concatenate(probed), whole([some[probe] for probe in probes])[0]):
                return whole(texts)
            ids.append(found[0])
            counts.append(found[1])
        return np.concatenate(ids), np.concatenate(counts)

    def _encode(self, texts: Sequence[str], first: Encode, rest: Encode) -> tuple[Ids, Counts]:
        import pyarrow as pa  # type: ignore[import-untyped]

        encoded = [text.encode() for text in texts]
        content = b"".join(encoded)
        starts = np.concatenate([[0], np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)))])
        cuts = self._places(np.frombuffer(content, np.uint8), starts)
        words = pa.LargeStringArray.from_buffers(len(cuts) - 1, pa.py_buffer(cuts), pa.py_buffer(content))
        begins = np.searchsorted(cuts, starts)  # of each text, its first word
        is_first = np.zeros(len(words), np.bool_)
        is_first[begins[:-1][np.diff(starts) > 0]] = True

        codes = np.empty(len(words), np.int64)
        of_words: list[tuple[Ids, Counts]] = []
        known = 0
        for which, encode in ((is_first, first), (~is_first, rest)):
            distinct = words.filter(pa.array(which)).dictionary_encode()
            codes[which] = distinct.indices.to_numpy() + known
            known += len(distinct.dictionary)
            of_words.append(encode(distinct.dictionary.to_pylist()))
        ids, sizes = (np.concatenate(each) for each in zip(*of_words, strict=True))
        sources = (np.cumsum(sizes) - sizes)[codes]
        sizes = sizes[codes]
        through = np.concatenate([[0], np.cumsum(sizes)])
        within = np.arange(through[-1]) + np.repeat(sources - through[:-1], sizes)
        return ids[within], np.diff(through[begins])

    def _places(self, content: NDArray[np.uint8], starts: Counts) -> Counts:
        """Where words begin, in bytes, each text's first among them. Shape (words + 1,), the last their end."""
        letters = _LETTER[content]
        cut = np.zeros(len(content) + 1, np.bool_)
        cut[1 : len(content) - 1] = _VISIBLE[content[:-2]] & (content[1:-1] == _SPACE) & letters[2:]
        cut[np.maximum(starts - 1, 0)] = False  # that letter stands in the next text
        if self.cuts_signs:
            cut[1 : len(content)] |= letters[:-1] & _SIGN[content[1:]]
        cut[starts] = True
        return np.flatnonzero(cut)


def _portions(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    through = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    portion = through // _CHARACTERS
    bounds = [0, *(np.flatnonzero(np.diff(portion)) + 1).tolist(), len(texts)]
    yield from (texts[begin:end] for begin, end in pairwise(bounds))


def _any_across(written: dict[str, Any], place: re.Pattern[str]) -> bool:
    """Whether a token, special ones aside, has such a place in it."""
    added = [token["content"] for token in written["added_tokens"] if not token["special"]]
    return any(place.search(piece) for piece in (*written["model"]["vocab"], *added))


def _known_parts(written: dict[str, Any]) -> bool:
    model, splits = written["model"], written.get("pre_tokenizer")
    vocabulary = model["vocab"]
    added = [token for token in written["added_tokens"] if not token["special"]]
    by_words = splits is not None and splits["type"] != "Metaspace"
    return (
        model.get("type") == "BPE"
        and not any(model.get(key) for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"))
        and ("Ġ" in vocabulary or "▁" in vocabulary)
        and all(map(_normalises_in_place, _parts(written.get("normalizer"), "normalizers")))
        and all(map(_ends_words_there, _parts(splits, "pretokenizers")))
        and (by_words or not model.get("ignore_merges"))  # else a whole text may be one token
        and not any(token[key] for token in added for key in ("lstrip", "rstrip", "single_word"))
    )


def _parts(part: dict[str, Any] | None, inner: str) -> list[dict[str, Any]]:
    if part is None:
        return []
    return [each for one in part[inner] for each in _parts(one, inner)] if part["type"] == "Sequence" else [part]


def _normalises_in_place(part: dict[str, Any]) -> bool:
    replaces = part["type"] == "Replace" and part.get("pattern") == {"String": " "} and part.get("content") == "▁"
    return replaces or part["type"] in {"NFC", "NFKC"}


def _ends_words_there(part: dict[str, Any]) -> bool:
    match part:
        case {"type": "ByteLevel"}:
            return not part.get("add_prefix_space")
        case {"type": "Metaspace"}:
            return part.get("prepend_scheme") in {"first", "never"}
        case {"type": "Split", "behavior": "Isolated", "invert": False, "pattern": {"Regex": pattern}}:
            return pattern in _PATTERNS
    return False
