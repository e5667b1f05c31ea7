"""What a prompt asks for: the verb of its request and the noun that the verb acts on, as in "write a *story*".

Self-Instruct describes its instructions so, with a trained parser that looks at the first sentence (arXiv
2212.10560, section 3). Here closed lists of English words do it (`verbs.txt`, `verbs.toml`), in one pass
over arrays: no model is loaded, the same text gives the same everywhere, and what fits no pattern is null, not a
guess.

**A verb** is a word of the list where a request begins:
- a sentence, a line or an item of a list (write …), also behind please, now, then, briefly, automatically, …;
- behind the comma of a sentence that opens with given, using, for, in, if, … (given the table, find …);
- behind can you, could you, how do I, how would you, … ;
- behind to, as in how to, your task is to, I want you to, help me to.

The first such verb counts, of the paragraph that comes first. In `help me write` it is write.

**A noun** is the head of what follows: determiners, numbers, pronouns such as me, and adjectives are passed over,
and the last word before a preposition, a conjunction, a mark, a participle such as containing, or a clause is
taken, in the singular. Behind a few verbs a preposition belongs to the verb (respond to, come up with). There is
no noun where a clause follows (explain how …) or a quotation.

Questions that ask for no act (what is …), other languages, and prompts that only give material have neither.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.metrics.words import blocks

# How verbs are found, in a sentence for those who are shown them.
METHOD: Final = (
    "the first request of a prompt's first paragraph, found by lists of English words and patterns; prompts "
    "without one, such as questions, have no verb"
)

# What is behind the first paragraph, or where code begins.
_REST: Final = r"(?s)(?:\n[ \t]*\n|```).*"

# As many characters of a prompt as are looked at: requests stand in front.
_HEAD: Final = 400
_PIECE: Final = r"\pL[\pL\pM\pN'’]*(?:-[\pL\pN]+)*|\d[\d.,]*\d|\d|\n|[^\s\pL\d]"

# Words of a noun phrase that are looked at.
_PHRASE: Final = 14
_ROUNDS: Final = 4  # courtesies in a row

# Adjectives by their endings, before a comma or "and": "a vivid, compelling story".
_ADJECTIVE: Final = r"(?:ing|ful|ive|ous|able|ible|less|ic|al|ed)$"

Places = NDArray[np.int64]
Flags = NDArray[np.bool_]


def verb_nouns(prompts: pl.Series) -> pl.DataFrame:
    """The verb and the noun of each prompt's request, in the prompts' order; null where there is none.

    Columns `verb` and `noun`, in lower case. There is no noun without a verb. A prompt may be null.
    """
    schema = {"verb": pl.String, "noun": pl.String}
    return pl.concat([pl.DataFrame(schema=schema), *(_Tokens(block).verb_nouns() for block in blocks(prompts))])


@cache
def _english() -> dict[str, Any]:
    folder = files("curate.metrics")
    lists = tomllib.loads(folder.joinpath("verbs.toml").read_text("utf-8"))
    lines = folder.joinpath("verbs.txt").read_text("utf-8").splitlines()
    lists["verbs"] = " ".join(line for line in lines if not line.startswith("#"))
    return lists


class _Tokens:
    """The words and marks with which prompts begin, one prompt after another, three line ends before each.

    `of` is the number of each token's word in `distinct`, so that a word is looked at once.
    """

    def __init__(self, prompts: pl.Series) -> None:
        first = prompts.fill_null("").str.slice(0, _HEAD).str.strip_chars().str.replace(_REST, "")
        found = ("\n\n\n" + first.str.to_lowercase() + "\n").str.extract_all(_PIECE)
        counts = found.list.len().to_numpy().astype(np.int64)
        self.ends = np.cumsum(counts)
        self.prompts = len(prompts)
        flat = found.explode(empty_as_null=False)
        self.distinct = flat.unique().sort()
        numbers = pl.int_range(len(self.distinct), dtype=pl.Int64, eager=True)
        self.of = flat.replace_strict(self.distinct, numbers).to_numpy()

    def verb_nouns(self) -> pl.DataFrame:
        at = self._verbs()
        prompt = np.searchsorted(self.ends, at, side="right")
        nouns = self._nouns(at)
        rows = pl.DataFrame(
            {
                "prompt": prompt,
                "verb": self.distinct[self.of[at]],
                "noun": _singular(self.distinct[self.of[np.maximum(nouns, 0)]]).set(pl.Series(nouns < 0), None),
            }
        ).unique("prompt", keep="first", maintain_order=True)
        every = pl.DataFrame({"prompt": np.arange(self.prompts)})
        return every.join(rows, on="prompt", how="left", maintain_order="left").select("verb", "noun")

    def _in(self, name: str, *more: str) -> Flags:
        """Whether each token is a word of a list."""
        words = [*_english().get(name, "").split(), *more]
        return self._that(self.distinct.is_in(words))

    def _that(self, distinct: pl.Series) -> Flags:
        """Whether each token is of the words of which this is true."""
        return np.asarray(distinct.to_numpy()[self.of])

    def _verbs(self) -> Places:
        """Where requests have their verbs."""
        verb, courtesy, to, me = (
            self._in("verbs"),
            self._in("courtesies") | self._that(self.distinct.str.ends_with("ly")),
            self._in("", "to"),
            self._in("", "me", "us"),
        )
        sentence = _before(self._in("breaks", "\n"))
        begin = np.maximum.accumulate(np.where(sentence, np.arange(len(sentence)), 0))
        behind_comma = self._in("leading")[begin] & _before(self._in("", ","))
        modal = self._in("modals") & ~_before(self._in("asking"))
        modal |= self._in("", "do", "did") & _before(self._in("", "how"))  # "do you …" is a question
        behind_you = _before(self._in("addressed")) & _before(modal, 2)
        wanted = self._in("before_to") | (self._in("", "you") & _before(self._in("wants")))
        wanted |= self._in("", "want") & _before(self._in("", "i", "we"))  # what you want is told of
        behind_to = _before(to) & _before(wanted, 2)
        slot = sentence | behind_comma | behind_you | behind_to
        for _ in range(_ROUNDS):
            slot |= _before(slot & courtesy)
        helped = self._in("", "help") & slot & _behind(me)
        slot |= _before(helped, 2)
        helped &= _behind(verb, 2) | (_behind(to, 2) & _behind(verb, 3))
        noun = self._in("nounish") & _behind(self._in("", ":", "of"))
        question = self._in("", "do") & ~_behind(self._in("passed_over"))
        found = slot & verb & ~helped & ~noun & ~question & ~_behind(self._in("never_follow"))
        return np.flatnonzero(found)

    def _nouns(self, verbs: Places) -> Places:
        """Where the noun of each verb stands, -1 where there is none."""
        conjunction = self._in("", "and", "or", ",")
        ends = self._in("ends", "\n")
        adverb = self._that(self.distinct.str.ends_with("ly")) & ~_behind(ends)
        skipped = self._in("passed_over") | adverb | self._that(self.distinct.str.contains(r"['’]s?$"))
        numbers = self._that(self.distinct.str.contains(r"^\d"))
        adjective = self._that(self.distinct.str.contains(_ADJECTIVE))
        participle = adjective & (
            (
                self._that(self.distinct.str.ends_with("ing"))
                & _behind(self._in("passed_over", "each", "how", "to"))
            )
            | (self._that(self.distinct.str.contains(r"^.{4,}ed$")) & _behind(ends))
        )
        # "a vivid, compelling story", and not "a table, then …".
        more = conjunction & ~_behind(ends | self._in("determiners") | self._in("verbs"))
        at = verbs + 1
        for _ in range(2):  # "come up with"
            at += self._phrasal(at)
        both = conjunction[at] & self._in("verbs")[np.minimum(at + 1, len(self.of) - 1)]
        at = np.where(both, at + 2, at)  # "compare and contrast"
        heads = np.full(len(at), -1, np.int64)
        going = np.ones(len(at), np.bool_)
        for step in range(_PHRASE):
            here = np.minimum(at + step, len(self.of) - 1)
            none = heads < 0
            joined = conjunction[here] & (none if step else np.zeros_like(none))
            joined |= more[here] & ~none & adjective[heads] & _of(heads, here)
            over = (skipped[here] & none & ~(ends[here] & ~self._in("passed_over")[here])) | numbers[here] | joined
            stop = ~over & (ends[here] | (~none & (skipped[here] | participle[here])))
            going &= ~stop
            heads = np.where(going & joined, -1, np.where(going & ~over, here, heads))
        return heads

    def _phrasal(self, at: Places) -> Places:
        """1 where a preposition belongs to the word before it, else 0."""
        pairs = self.distinct[self.of[at - 1]] + " " + self.distinct[self.of[np.minimum(at, len(self.of) - 1)]]
        return pairs.is_in(_english()["phrasal"]).to_numpy().astype(np.int64)


def _of(heads: Places, here: Places) -> Flags:
    """Whether the noun so far is the word right before."""
    return np.asarray(heads == here - 1)


def _before(true: Flags, steps: int = 1) -> Flags:
    """Whether it is true of the token so many before."""
    return np.concatenate([np.zeros(steps, np.bool_), true[:-steps]])


def _behind(true: Flags, steps: int = 1) -> Flags:
    """Whether it is true of the token so many behind."""
    return np.concatenate([true[steps:], np.zeros(steps, np.bool_)])


def _singular(nouns: pl.Series) -> pl.Series:
    """Nouns in the singular, by a list and by their endings."""
    known: dict[str, str] = _english()["singular"]
    ended = (
        nouns.str.replace(r"['’]$", "")
        .str.replace(r"([^aeiou])ies$", "${1}y")
        .str.replace(r"(ss|sh|ch|x|z)es$", "${1}")
        .str.replace(r"([^sui])s$", "${1}")
    )
    return pl.Series(nouns.to_frame().select(pl.first().replace_strict(known, default=ended)).to_series())
