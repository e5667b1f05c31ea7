"""A tokenizer as conversations need it: what templates write becomes special tokens, what people wrote never does.

Whoever types `</s>` into a question means four characters. Tokenizers read them as the end of a text, wherever
they stand. Here special tokens are found under names that no text has, and only templates write these names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from itertools import chain
from typing import Any, Final

import numpy as np
import orjson

from curate.errors import PipelineError
from curate.train.rows.words import Counts, Encode, Ids, Words

# Two of Unicode's noncharacters, which are for a program's own use (The Unicode Standard, 23.7): the first stands
# around the name of a special token, the second around the number of a text that is filled in later.
NAME: Final = "\U0010fffe"
HOLE: Final = "\U0010ffff"

_HOLES: Final = re.compile(f"{HOLE}([0-9]+){HOLE}")
_BATCH: Final = 4096  # texts at a time: what a tokenizer returns takes some hundred bytes a token
_BEFORE: Final = "a"  # stands before an answer that is decoded, so that its own first space stays


class Encoder:
    """Texts to ids and back, by two readings of one tokenizer.

    `prompts` reads a text as the tokenizer does. `answers` reads one as it goes on after a prompt: without the
    space that tokenizers of SentencePiece's kind put first.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.backend = tokenizer.backend_tokenizer
        written = orjson.loads(self.backend.to_str())
        self.special = [token["content"] for token in written["added_tokens"] if token["special"]]
        longest_first = sorted(self.special, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        renamed = {content: f"{NAME}{content}{NAME}" for content in self.special}
        self._reading = _rebuilt(written, renamed, self.backend)
        self._going_on = _rebuilt(_unprefixed(written), renamed, self.backend)
        self._read: Encode = partial(_encoded, self._reading)
        self._go_on: Encode = partial(_encoded, self._going_on)
        self._words = Words(written)
        self._before: list[int] = self._going_on.encode(_BEFORE, add_special_tokens=False).ids
        self._before_text: str = self.backend.decode(self._before, skip_special_tokens=False)

    def named(self, text: str) -> str:
        """A template's text with its special tokens under their names."""
        return self._special.sub(lambda found: f"{NAME}{found[0]}{NAME}", text)

    def masked(self, text: str, held: list[str]) -> str:
        """A person's text with a hole in place of each special token's characters, which `held` receives."""

        def hole(found: re.Match[str]) -> str:
            held.append(found[0])
            return f"{HOLE}{len(held) - 1}{HOLE}"

        return self._special.sub(hole, text)

    def prompts(self, texts: Sequence[str]) -> tuple[Ids, Counts]:
        """The ids of texts as templates write them, end to end, and how many each has."""
        return self._words.encode(texts, self._read, self._go_on)

    def answers(self, texts: Sequence[str]) -> tuple[Ids, Counts]:
        """The ids of texts as they go on after a prompt, end to end, and how many each has."""
        return self._words.encode(texts, self._go_on, self._go_on)

    def decoded(self, ids: Ids, counts: Counts) -> list[str]:
        """The texts of answers, special tokens written out, to the letter: the first space is not lost.

        Of ids end to end, each answer has `counts` many.
        """
        begins, texts = np.cumsum(counts) - counts, []
        for at in range(0, len(counts), _BATCH):
            some = slice(at, at + _BATCH)
            first = int(begins[at])
            flat = ids[first : first + int(counts[some].sum())].tolist()
            bounds = zip((begins[some] - first).tolist(), counts[some].tolist(), strict=True)
            after = [self._before + flat[begin : begin + count] for begin, count in bounds]
            texts += self.backend.decode_batch(after, skip_special_tokens=False)
        return [text[len(self._before_text) :] for text in texts]


def filled(text: str, held: Sequence[str]) -> str:
    """A text with its holes filled."""
    return _HOLES.sub(lambda hole: held[int(hole[1])], text)


def _encoded(tokenizer: Any, texts: Sequence[str]) -> tuple[Ids, Counts]:
    counts = np.empty(len(texts), np.int64)
    ids = [np.empty(0, np.int32)]
    for at in range(0, len(texts), _BATCH):
        some = tokenizer.encode_batch_fast(texts[at : at + _BATCH], add_special_tokens=False)
        counts[at : at + len(some)] = np.fromiter(map(len, some), np.int64, len(some))
        ids.append(np.fromiter(chain.from_iterable(each.ids for each in some), np.int32))
    return np.concatenate(ids), counts


def _rebuilt(written: dict[str, Any], renamed: dict[str, str], original: Any) -> Any:
    """The tokenizer whose special tokens go by their names, and which neither adds, cuts nor pads by itself."""
    model = dict(written["model"])
    if isinstance(model["vocab"], dict):
        model["vocab"] = {renamed.get(piece, piece): id for piece, id in model["vocab"].items()}
    else:  # Unigram's, of pieces and their scores
        model["vocab"] = [[renamed.get(piece, piece), score] for piece, score in model["vocab"]]
    if model.get("unk_token") in renamed:
        model["unk_token"] = renamed[model["unk_token"]]
    tokens = [{**token, "content": _renamed(token, renamed)} for token in written["added_tokens"]]
    plain = {"model": model, "added_tokens": tokens, "post_processor": None, "truncation": None, "padding": None}
    made = type(original).from_str(orjson.dumps({**written, **plain}).decode())
    for content, name in renamed.items():
        if made.token_to_id(name) != original.token_to_id(content):
            raise PipelineError(
                f"the tokenizer's special token {content!r} cannot be told from the same characters in a text"
            )
    return made


def _renamed(token: dict[str, Any], renamed: dict[str, str]) -> str:
    content: str = token["content"]
    return renamed[content] if token["special"] else content


def _unprefixed(written: dict[str, Any]) -> dict[str, Any]:
    """The tokenizer without what puts a space before a text."""
    parts = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers"}
    return {**written, **{part: _without_prefix(written.get(part), inner) for part, inner in parts.items()}}


def _without_prefix(part: Any, inner: str) -> Any:
    match part:
        case {"type": "Prepend"}:
            return None
        case {"type": "Sequence"}:
            kept = [_without_prefix(each, inner) for each in part[inner]]
            return {**part, inner: [each for each in kept if each is not None]}
        case {"type": "Metaspace"}:
            # Files of before 2024 say it by `add_prefix_space`, beside which the newer key is refused.
            key, value = ("add_prefix_space", False) if "add_prefix_space" in part else ("prepend_scheme", "never")
            return {**part, key: value}
        case {"type": "ByteLevel", "add_prefix_space": _}:
            return {**part, "add_prefix_space": False}
    return part
