"""Which licences go into one work, and what those of many records ask for together.

Two things are easily taken for one another. A *collection* puts works side by side, each under its own licence; a
data set is mostly that. An *adapted work* is made out of others, and then share-alike licences each ask that it be
under their own terms, so some cannot meet in one. Whether a set, or what is trained on it, is an adapted work is
disputed and not for a program to say; this says what follows if it is.

Sources: the licences' texts, and Creative Commons' charts of which licence an adaptation of which may have
(https://creativecommons.org/faq/#combining-and-adapting-cc-material). The few licences outside Creative Commons
that take up BY-SA works (https://creativecommons.org/compatiblelicenses/) are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import combinations, product
from typing import Final

from curate.licenses import UNKNOWN, strictness
from curate.licenses.terms import TABLE, USES, Terms, ids, terms, together

_OPEN_USES: Final = ("all", "non-commercial")  # of licences that grant something to everybody
_NAMED: Final = 5  # licences nobody has heard of that a sentence names
_VERSION: Final = re.compile(r"-[0-9.]+(?:-only|-or-later)?$")


def goes_into(license: str, target: str) -> bool:
    """Whether what is adapted from a work under one licence may be under another; both are ids of the table.

    A share-alike licence allows itself and the licences its text names, later versions among them and no earlier
    ones. Others ask that their own terms be kept, so the target may not permit a wider use.
    """
    own, other = TABLE.get(license), TABLE.get(target)
    if own is None or other is None or not own.derivatives or own.use not in _OPEN_USES:
        return False
    if own.share_alike:
        return target == license or target in own.into
    kept = other.attribution or not own.attribution
    return kept and USES.index(other.use) >= USES.index(own.use) and other.use in _OPEN_USES


@cache
def joined(one: str, other: str) -> tuple[str, ...]:
    """The licences that a work adapted from works under both could have, the freest first; none: they conflict."""
    return tuple(target for target in TABLE if goes_into(one, target) and goes_into(other, target))


def composition(licenses: Mapping[str | None, int]) -> list[tuple[Terms, int]]:
    """The terms of each licence with the number of its records, the most records first."""
    counted: dict[str, int] = {}
    for license, records in licenses.items():
        counted[terms(license).id] = counted.get(terms(license).id, 0) + records
    ordered = sorted(counted, key=lambda one: (-counted[one], strictness(one)))
    return [(terms(id), counted[id]) for id in ordered]


def strictest_terms(licenses: Iterable[str | None]) -> Terms | None:
    """The terms of a set as a whole, under the id of the strictest licence alone; None of an empty set."""
    every = frozenset[str]().union(*map(ids, licenses))
    if not every:
        return None
    whole = together(map(terms, every))
    binding = terms(max(every, key=strictness))
    return Terms(
        binding.id,
        binding.title,
        binding.url,
        binding.hub,
        whole.use,
        whole.attribution,
        whole.share_alike,
        whole.derivatives,
        note=binding.note,
        known=binding.known,
    )


def conflicts(sets: Mapping[frozenset[str], int]) -> list[str]:
    """Which licences of records cannot meet in one adapted work, as sentences with the numbers of records.

    The keys are the licences of a record's works (see `ids`). Licences that differ in their version alone, and go
    together, stand in one sentence.
    """
    met = sorted(frozenset[str]().union(*sets), key=strictness)
    closed = [id for id in met if terms(id).known and not terms(id).derivatives and terms(id).use in _OPEN_USES]
    silent = [id for id in met if terms(id).use not in _OPEN_USES]
    open_ones = [id for id in met if id not in {*closed, *silent}]
    said = [_of_two(one, other, sets) for one, other in _parted(open_ones)]
    if closed:
        said.append(f"{_records(closed, sets)} under {_listed(closed)}: no adapted work may be passed on.")
    refusing = [id for id in silent if id != UNKNOWN and terms(id).known]
    if refusing:
        said.append(f"{_records(refusing, sets)} under {_listed(refusing)}: no leave to adapt is given there.")
    unheard = [id for id in silent if not terms(id).known]
    if unheard:
        names = _listed(unheard[:_NAMED]) + _more(unheard)
        said.append(f"{_records(unheard, sets)} under {names}: nothing is known here of such a licence.")
    if UNKNOWN in silent:
        said.append(f"{_records([UNKNOWN], sets)} under no known licence: nothing can be said of these.")
    return said


def _parted(licenses: list[str]) -> list[tuple[list[str], list[str]]]:
    """Pairs of families of licences of which no member goes into a work with any of the other."""
    families: dict[str, list[str]] = {}
    for id in licenses:
        families.setdefault(_VERSION.sub("", id), []).append(id)
    found = []
    for one, other in combinations(families.values(), 2):
        apart = [(a, b) for a, b in product(one, other) if not joined(a, b)]
        if apart:
            found.append((_firsts(apart, 0), _firsts(apart, 1)))
    for family in families.values():
        found += [([a], [b]) for a, b in combinations(family, 2) if not joined(a, b)]
    return found


def _firsts(pairs: list[tuple[str, str]], place: int) -> list[str]:
    return list(dict.fromkeys(pair[place] for pair in pairs))


def _of_two(one: list[str], other: list[str], sets: Mapping[frozenset[str], int]) -> str:
    counts = [_count(each, sets) for each in (one, other)]
    within = sum(records for each, records in sets.items() if each & {*one} and each & {*other})
    sentence = (
        f"{counts[0]:,} {'record' if counts[0] == 1 else 'records'} under {_listed(one)} and {counts[1]:,} under "
        f"{_listed(other)} cannot go into one adapted work; a collection may hold both."
    )
    if within:
        sentence += f" {within:,} {'holds' if within == 1 else 'hold'} works under both."
    return sentence


def _records(licenses: list[str], sets: Mapping[frozenset[str], int]) -> str:
    count = _count(licenses, sets)
    return f"{count:,} {'record is' if count == 1 else 'records are'}"


def _count(licenses: Iterable[str], sets: Mapping[frozenset[str], int]) -> int:
    wanted = {*licenses}
    return sum(records for each, records in sets.items() if each & wanted)


def _more(names: list[str]) -> str:
    return f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
