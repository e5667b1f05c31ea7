"""What a licence asks for: the table `terms.toml`, and how the names that people write lead to it.

A licence is written as an SPDX id or expression: `A AND B` binds by both, of `A OR B` one may be chosen. Case is
of no account, and an id of the Hugging Face hub or the address of a licence's page will do. Nothing here is legal
advice: the table is a reading of the licences' texts.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Final, Literal, TypeVar

from curate.licenses import UNKNOWN, strictness

Use = Literal["all", "non-commercial", "research", "unspecified"]

# From what permits most to what nothing is known of.
USES: Final[tuple[Use, ...]] = ("all", "non-commercial", "research", "unspecified")

_LONGEST: Final = 200  # characters of a licence expression; what is longer is no name of one
# In capitals, as SPDX has them, and words of their own: "Terms and Conditions" is a name.
_OPERATORS: Final = re.compile(r"(?<![^\s()])(AND|OR)(?![^\s()])|([()])")
_AROUND_AN_ADDRESS: Final = re.compile(r"^https?://(?:www\.)?|(?:/(?:deed|legalcode)[^/]*)?/*$")

_Node = str | tuple[str, tuple["_Node", ...]]
_T = TypeVar("_T")


@dataclass(frozen=True)
class Terms:
    """The terms of one licence, or of several that bind together.

    `use` is what it permits, `derivatives` whether what is adapted may be passed on, `into` the other licences
    that a share-alike licence allows for what is adapted. `hub` and `url` are None where there are none.
    `known` tells a licence of the table, which may be `LicenseRef-unknown`, from a name that nothing is known of.
    """

    id: str
    title: str
    url: str | None
    hub: str | None
    use: Use
    attribution: bool
    share_alike: bool
    derivatives: bool
    into: tuple[str, ...] = ()
    note: str = ""
    known: bool = True


def _table() -> dict[str, Terms]:
    found = tomllib.loads(files("curate.licenses").joinpath("terms.toml").read_text("utf-8"))
    optional = {"url": None, "hub": None}
    return {id: Terms(id, **{**optional, **row, "into": tuple(row.get("into", ()))}) for id, row in found.items()}


# The freest first.
TABLE: Final[Mapping[str, Terms]] = _table()


@cache
def _names() -> dict[str, str]:
    """The ids by all that leads to them. Of a hub's family of licences, such as GFDL, none is meant."""
    by_name: dict[str, list[str]] = {}
    for id, terms in TABLE.items():
        for name in {_folded(each) for each in (id, terms.hub, terms.url) if each}:
            by_name.setdefault(name, []).append(id)
    return {name: ids[0] for name, ids in by_name.items() if len(ids) == 1}


def _folded(name: str) -> str:
    return _AROUND_AN_ADDRESS.sub("", re.sub(r"[\s_]+", "-", name.strip().casefold()))


def named(name: str | None) -> str:
    """The id in the table of a single licence, or the name as it is where the table has none."""
    if name is None or not name.strip():
        return UNKNOWN
    return _names().get(_folded(name), name.strip())


def terms(license: str | None) -> Terms:
    """What a licence asks for, or all the licences of an expression together; None is an unknown one.

    Of a choice (`OR`) these are the terms of the freest. The terms of a name that is not in the table are as
    strict as those of an unknown licence.
    """
    return folded(license, _terms_of, together, lambda choices: min(choices, key=_by_strictness))


def ids(license: str | None) -> frozenset[str]:
    """The licences that bind whoever uses a text under this one: all of an expression, of a choice the freest."""

    def freest(choices: Iterable[frozenset[str]]) -> frozenset[str]:
        return min(choices, key=lambda each: _by_strictness(together(map(_terms_of, each))))

    return folded(license, lambda one: frozenset((one,)), lambda every: frozenset().union(*every), freest)


def together(every: Iterable[Terms]) -> Terms:
    """What several licences ask for together. Raises `ValueError` when there are none."""
    every = sorted({each.id: each for each in every}.values(), key=_by_strictness)
    if not every:
        raise ValueError("there are no licences whose terms could be put together")
    if len(every) == 1:
        return every[0]
    return replace(
        every[-1],
        id=" AND ".join(each.id for each in every),
        title=" and ".join(each.title for each in every),
        hub=None,
        use=max((each.use for each in every), key=USES.index),
        attribution=any(each.attribution for each in every),
        share_alike=any(each.share_alike for each in every),
        derivatives=all(each.derivatives for each in every),
        into=(),
        note=" ".join(each.note for each in every if each.note),
        known=all(each.known for each in every),
    )


def folded(
    license: str | None,
    leaf: Callable[[str], _T],
    all_of: Callable[[list[_T]], _T],
    any_of: Callable[[list[_T]], _T],
) -> _T:
    """What becomes of a licence expression: of its single licences by their ids, then of AND and of OR."""

    def value(node: _Node) -> _T:
        if isinstance(node, str):
            return leaf(named(node))
        operator, parts = node
        return (all_of if operator == "AND" else any_of)([value(part) for part in parts])

    return value(_parsed(license or UNKNOWN))


def _terms_of(id: str) -> Terms:
    return TABLE.get(id) or replace(TABLE[UNKNOWN], id=id, title=id, hub=None, note="", known=False)


def _by_strictness(terms: Terms) -> tuple[int, tuple[int, str]]:
    return USES.index(terms.use), strictness(terms.id)


@cache
def _parsed(license: str) -> _Node:
    """The expression as a tree; what is none, by its length or its parentheses, is a single name."""
    if len(license) > _LONGEST or not _OPERATORS.search(license):
        return license
    tokens = [token for token in _OPERATORS.split(license) if token and token.strip()]
    tree, rest = _either(tokens)
    return license if tree is None or rest else tree


def _either(tokens: list[str]) -> tuple[_Node | None, list[str]]:
    """Of the tokens, as much as choices of conjunctions take: AND binds closer than OR."""
    return _chain(tokens, "OR", _both)


def _both(tokens: list[str]) -> tuple[_Node | None, list[str]]:
    return _chain(tokens, "AND", _single)


def _chain(
    tokens: list[str], operator: str, part: Callable[[list[str]], tuple[_Node | None, list[str]]]
) -> tuple[_Node | None, list[str]]:
    first, rest = part(tokens)
    parts = [first]
    while rest and rest[0] == operator:
        following, rest = part(rest[1:])
        parts.append(following)
    known = tuple(each for each in parts if each is not None)
    if len(known) < len(parts):
        return None, rest
    return (known[0] if len(known) == 1 else (operator, known)), rest


def _single(tokens: list[str]) -> tuple[_Node | None, list[str]]:
    if not tokens or tokens[0] in {"AND", "OR", ")"}:
        return None, tokens
    if tokens[0] != "(":
        return tokens[0].strip(), tokens[1:]
    tree, rest = _either(tokens[1:])
    return (tree, rest[1:]) if rest and rest[0] == ")" else (None, rest)
