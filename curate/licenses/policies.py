"""What a declared use forbids: whether the licences of a record's works permit it, and which one does not.

`commercial`: the licence permits any use, and that what is adapted be passed on. `share_alike_safe`: all of a
record's works may go into one work under one share-alike licence, the target. No legal advice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Final, Literal, NamedTuple, get_args

import polars as pl

from curate.errors import PluginError, nearest
from curate.licenses import UNKNOWN, strictness
from curate.licenses.combining import goes_into
from curate.licenses.terms import TABLE, folded, named, terms

LicensePolicy = Literal["commercial", "share_alike_safe"]
POLICIES: Final = get_args(LicensePolicy)
TARGET: Final = "CC-BY-SA-4.0"

_BETWEEN: Final = "\n"  # stands between licences of one record, and in none of them


# How a licence stands to a policy, the worst last.
_ALLOWED: Final = 0
_UNKNOWN: Final = 1
_FORBIDDEN: Final = 2


class Standing(NamedTuple):
    """How a licence stands to a policy, and which one it is."""

    degree: int
    id: str

    @property
    def allowed(self) -> bool:
        """Whether the policy allows it; what is not known is not allowed."""
        return self.degree == _ALLOWED


def allowed_licenses(
    policy: LicensePolicy, *, target: str = TARGET, also: Collection[str] = ()
) -> tuple[str, ...]:
    """The licences that a policy allows, the freest first; then those of `also`, which somebody vouches for.

    Raises `PluginError` for a policy or a target that is none: a target is a share-alike licence of the table.
    """
    if policy not in POLICIES:
        raise PluginError(
            f"no licence policy is called {policy!r}",
            where="the parameter `policy`",
            next=nearest(policy, POLICIES),
        )
    targets = [id for id, each in TABLE.items() if each.share_alike]
    if policy == "share_alike_safe" and named(target) not in targets:
        raise PluginError(
            f"{target!r} is no share-alike licence that is known",
            where="the parameter `target`",
            next=nearest(target, targets),
        )
    found = [id for id in TABLE if _permits(id, policy, named(target))]
    return (*found, *(id for id in dict.fromkeys(map(named, also)) if id not in found))


def standing(licenses: Iterable[str | None], allowed: Collection[str]) -> Standing:
    """How a record stands whose works have these licences: as the one does that stands worst.

    Of several such ones it is the strictest. A record of no licences at all is as if it had an unknown one.
    """
    every = [_standing(license, allowed) for license in licenses]
    return _worst(every or [_standing(None, allowed)])


def forbidding_license(licenses: pl.Expr, works: pl.Expr, allowed: Collection[str], *, otherwise: str) -> pl.Expr:
    """The licence that forbids the use of a record, of several the strictest; `otherwise` where all are allowed.

    `licenses` and `works` are the columns `license` and `works` of a record; both count. Null where a licence is
    not known and none is forbidden. A name that no table has is taken to be forbidden, and is marked as such.
    """
    of_works = works.list.eval(pl.element().struct.field("license").fill_null(UNKNOWN))
    every = pl.concat_list(of_works, licenses).list.drop_nulls().list.unique(maintain_order=True)
    # No expression reads a licence expression; records have few different ones, and each is read once a batch.
    return every.list.join(_BETWEEN).map_batches(
        partial(_decided, allowed=frozenset(allowed), otherwise=otherwise),
        return_dtype=pl.String,
        is_elementwise=True,
    )


def _decided(licenses: pl.Series, *, allowed: frozenset[str], otherwise: str) -> pl.Series:
    different = licenses.unique()
    answers = [_answer(standing(_split(each), allowed), otherwise) for each in different]
    return licenses.replace_strict(different, pl.Series(answers, dtype=pl.String), return_dtype=pl.String)


def _answer(found: Standing, otherwise: str) -> str | None:
    if found.degree == _FORBIDDEN:
        return found.id if found.id in TABLE else f"{found.id} (not known here)"
    return otherwise if found.allowed else None


def _split(licenses: str | None) -> list[str]:
    return [each for each in (licenses or "").split(_BETWEEN) if each]


def _permits(id: str, policy: LicensePolicy, target: str) -> bool:
    if policy == "share_alike_safe":
        return goes_into(id, target)
    own = terms(id)
    return own.use == "all" and own.derivatives


def _standing(license: str | None, allowed: Collection[str]) -> Standing:
    if license is not None and named(license) in allowed:
        return Standing(_ALLOWED, named(license))
    return folded(license, lambda one: Standing(_degree(one, allowed), one), _worst, _best)


def _degree(id: str, allowed: Collection[str]) -> int:
    return _ALLOWED if id in allowed else _UNKNOWN if id == UNKNOWN else _FORBIDDEN


def _order(each: Standing) -> tuple[int, tuple[int, str]]:
    return each.degree, strictness(each.id)


def _worst(every: Sequence[Standing]) -> Standing:
    return max(every, key=_order)


def _best(every: Sequence[Standing]) -> Standing:
    return min(every, key=_order)
